//! A configuration file of `key = value` lines.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

pub struct Config {
    values: BTreeMap<String, String>,
}

impl Config {
    pub fn load(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path).unwrap();
        let mut values = BTreeMap::new();
        for line in text.lines() {
            if line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap();
            values.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        Ok(Config { values })
    }

    pub fn port(&self) -> Result<u16, Box<dyn std::error::Error>> {
        let port = self.values.get("port").expect("a port");
        let port = port.parse().expect("a port that is a number");
        Ok(port)
    }

    pub fn name(&self) -> Result<&str, &'static str> {
        let name = self.values.get("name").unwrap();
        Ok(name)
    }

    pub fn threads(&self) -> Result<usize, String> {
        let threads: usize = self.values.get("threads").unwrap().parse().unwrap();
        Ok(threads)
    }
}
