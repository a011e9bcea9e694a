//! The surroundings of a program.

use std::io::{self, BufRead, Read};

pub fn answer() -> io::Result<u32> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).unwrap();
    let answer = line.trim().parse().map_err(io::Error::other)?;
    Ok(answer)
}

pub fn header(mut input: impl Read) -> io::Result<[u8; 4]> {
    let mut header = [0; 4];
    input.read_exact(&mut header).unwrap();
    Ok(header)
}

pub fn field(line: &str, at: usize) -> io::Result<String> {
    let fields: Vec<&str> = line.split(',').collect();
    let field = fields[at];
    Ok(field.to_owned())
}

pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let path = &arguments[1];
    let count: usize = arguments[2].parse()?;
    println!("{path} {count} {}", answer().unwrap());
    Ok(())
}
