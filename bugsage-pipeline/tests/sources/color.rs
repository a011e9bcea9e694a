//! Colors as people write them: `#ff8800`.

use std::str::FromStr;

#[derive(Debug, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl FromStr for Color {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('#').unwrap();
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16);
        let red = part(0).unwrap();
        let green = part(2).map_err(|error| error.to_string())?;
        let blue = part(4).expect("two digits of blue");
        Ok(Color(red, green, blue))
    }
}

impl TryFrom<&[u8]> for Color {
    type Error = ();

    fn try_from(parts: &[u8]) -> Result<Self, Self::Error> {
        Ok(Color(parts[0], parts[1], parts[2]))
    }
}
