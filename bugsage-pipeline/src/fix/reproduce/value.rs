//! Recorded text, read as a value of the parameter's type.

use crate::fix::reproduce::instrument::Recording;
use crate::fix::reproduce::shape::Shape;

/// A value that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Bool(bool),
    /// In decimal.
    Integer(String),
    Char(char),
    Text(String),
    None,
    Some(Box<Value>),
    List(Vec<Value>),
}

/// Reads a recorded text. More than one value where the text can be read in more than one way.
pub(super) fn read(shape: &Shape, text: &str, recording: Recording) -> Vec<Value> {
    let mut values = Vec::new();
    let plain = is_text(shape) && recording != Recording::Debug;
    if !plain || recording == Recording::Unknown {
        let mut reader = Reader { rest: text };
        let value = reader.value(shape);
        values.extend(value.filter(|_| reader.rest.is_empty()));
    }
    if plain {
        values.push(Value::Text(text.to_owned()));
    }
    // `%` writes a character without quotes.
    if values.is_empty() && recording != Recording::Debug && is_char(shape) {
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            values.push(Value::Char(c));
        }
    }
    values
}

fn is_text(shape: &Shape) -> bool {
    match shape {
        Shape::Str | Shape::String => true,
        Shape::Reference { to, .. } => is_text(to),
        _ => false,
    }
}

fn is_char(shape: &Shape) -> bool {
    match shape {
        Shape::Char => true,
        Shape::Reference { to, .. } => is_char(to),
        _ => false,
    }
}

impl Value {
    /// The value with its texts replaced by ones of the same lengths and kinds of characters.
    pub(super) fn masked(&self) -> Value {
        match self {
            Value::Text(text) => Value::Text(text.chars().map(mask).collect()),
            Value::Char(c) => Value::Char(mask(*c)),
            Value::Some(value) => Value::Some(Box::new(value.masked())),
            Value::List(values) => Value::List(values.iter().map(Value::masked).collect()),
            other => other.clone(),
        }
    }
}

/// A character of the same kind and of as many bytes.
fn mask(c: char) -> char {
    match c {
        c if c.is_ascii_uppercase() => 'X',
        c if c.is_ascii_lowercase() => 'x',
        c if c.is_ascii_digit() => '0',
        c if c.is_ascii() || !c.is_alphanumeric() => c,
        c => match c.len_utf8() {
            2 => 'é',
            3 => '字',
            _ => '𝒙',
        },
    }
}

/// Reads what `Debug` writes.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn eat(&mut self, start: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(start)?;
        Some(())
    }

    fn word(&mut self) -> &'t str {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn value(&mut self, shape: &Shape) -> Option<Value> {
        match shape {
            Shape::Reference { to, .. } => self.value(to),
            Shape::Bool => match self.word() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
            Shape::Integer(integer) => {
                let number = self.word();
                integer
                    .holds(number)
                    .then(|| Value::Integer(number.to_owned()))
            }
            Shape::Char => {
                self.eat("'")?;
                let c = self.character()?;
                self.eat("'")?;
                Some(Value::Char(c))
            }
            Shape::Str | Shape::String => {
                self.eat("\"")?;
                let mut text = String::new();
                while !self.rest.starts_with('"') {
                    text.push(self.character()?);
                }
                self.eat("\"")?;
                Some(Value::Text(text))
            }
            Shape::Option(of) => {
                if self.eat("None").is_some() {
                    return Some(Value::None);
                }
                self.eat("Some(")?;
                let value = self.value(of)?;
                self.eat(")")?;
                Some(Value::Some(Box::new(value)))
            }
            Shape::Vec(of) | Shape::Slice(of) => self.list(of),
            Shape::Array(of, length) => {
                let list = self.list(of)?;
                let fits = match (&list, length) {
                    (Value::List(values), Some(length)) => values.len() == *length,
                    _ => true,
                };
                fits.then_some(list)
            }
        }
    }

    fn list(&mut self, of: &Shape) -> Option<Value> {
        let mut values = Vec::new();
        self.eat("[")?;
        while self.eat("]").is_none() {
            if !values.is_empty() {
                self.eat(", ")?;
            }
            values.push(self.value(of)?);
        }
        Some(Value::List(values))
    }

    /// One character, escaped or not.
    fn character(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let first = chars.next()?;
        if first != '\\' {
            self.rest = chars.as_str();
            return Some(first);
        }
        let escaped = chars.next()?;
        self.rest = chars.as_str();
        match escaped {
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '0' => Some('\0'),
            '\\' | '"' | '\'' => Some(escaped),
            'u' => {
                self.eat("{")?;
                let code = u32::from_str_radix(self.word(), 16).ok()?;
                self.eat("}")?;
                char::from_u32(code)
            }
            _ => None,
        }
    }
}
