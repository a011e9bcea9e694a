//! Labels for a printer of 24 letters: naïve about 字.

pub const WIDTH: usize = 24;

pub fn name_line(name: &str) -> String {
    if name.len() <= WIDTH {
        return name.to_owned();
    }
    let mut line = name[..WIDTH - 1].to_owned();
    line.push('.');
    line
}

pub struct Label {
    pub name: String,
    pub city: String,
}

impl Label {
    pub fn city_line(&self, n: usize) -> String {
        format!("→ {}…", &self.city[..n])
    }

    pub fn initials(&self) -> Option<(&str, &str)> {
        let (first, last) = self.name.split_once(' ')?;
        Some((&first[..1], &last[..=0]))
    }

    pub fn tail(&self) -> String {
        self.name[self.name.len() - 8..].to_string()
    }

    pub fn print(&self, width: usize, out: &mut String) {
        out.push_str(&self.name[..width]);
        out.push_str(&self.city[1..width]);
    }
}
