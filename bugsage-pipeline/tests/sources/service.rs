//! A service with its own `Result`.

use std::collections::HashMap;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug)]
pub enum Error {
    NotFound,
    Number(std::num::ParseIntError),
    Input { field: &'static str },
}

impl From<std::num::ParseIntError> for Error {
    fn from(error: std::num::ParseIntError) -> Self {
        Error::Number(error)
    }
}

pub struct Store {
    users: HashMap<u32, String>,
}

impl Store {
    pub fn name(&self, id: u32) -> Result<&str> {
        let name = self.users.get(&id).unwrap();
        Ok(name)
    }

    pub fn by_text(&self, text: &str) -> Result<&str> {
        let id = text.parse().unwrap();
        self.name(id)
    }

    pub fn find(&self, query: &HashMap<&str, &str>) -> crate::Result<String> {
        let kind = query.get("kind").ok_or(Error::Input { field: "kind" })?;
        let id = query.get("id").expect("an id");
        Ok(format!("{kind} {}", self.by_text(id)?))
    }
}
