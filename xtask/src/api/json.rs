//! Reads JSON, as far as rustdoc writes it: this program has no dependencies.

use std::collections::BTreeMap;

/// Lists and maps within each other. Types nest, but not that deep.
const DEPTH_MAX: usize = 256;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As it is written: numbers here are names of items.
    Number(String),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// What a name that is not there stands for.
static NULL: Value = Value::Null;

impl Value {
    /// Reads a document.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(DEPTH_MAX);
        let value = value.filter(|_| reader.rest().trim().is_empty());
        value.ok_or_else(|| format!("is no JSON from byte {} on", reader.at))
    }

    /// The value under a name; null where there is none.
    pub(super) fn get(&self, name: &str) -> &Value {
        match self {
            Value::Map(members) => members.get(name).unwrap_or(&NULL),
            _ => &NULL,
        }
    }

    /// The members of a list; none of anything else.
    pub(super) fn list(&self) -> &[Value] {
        match self {
            Value::List(members) => members,
            _ => &[],
        }
    }

    /// A text, or a number as it is written.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Number(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_true(&self) -> bool {
        *self == Value::Bool(true)
    }

    pub(super) fn is_null(&self) -> bool {
        *self == Value::Null
    }

    /// The one member of a map: rustdoc writes `{"struct": {...}}` for one of several kinds of things.
    /// A kind without anything to tell is its name alone.
    pub(super) fn kind(&self) -> (&str, &Value) {
        match self {
            Value::Map(members) => {
                let first = members.iter().next();
                first.map_or(("", &NULL), |(name, value)| (name, value))
            }
            Value::Text(name) => (name, &NULL),
            _ => ("", &NULL),
        }
    }
}

/// A text and how far it was read.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Passes by what is expected, and blanks before it.
    fn takes(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start();
        let takes = trimmed.starts_with(word);
        if takes {
            self.at += rest.len() - trimmed.len() + word.len();
        }
        takes
    }

    fn value(&mut self, depth_left: usize) -> Option<Value> {
        let depth_left = depth_left.checked_sub(1)?;
        if self.takes("{") {
            return self.members(depth_left);
        }
        if self.takes("[") {
            return self.elements(depth_left);
        }
        if self.takes("\"") {
            return self.string().map(Value::Text);
        }
        for (word, value) in [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ] {
            if self.takes(word) {
                return Some(value);
            }
        }
        let rest = self.rest().trim_start();
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let number = rest[..end].to_owned();
        (!number.is_empty() && self.takes(&number)).then_some(Value::Number(number))
    }

    fn members(&mut self, depth_left: usize) -> Option<Value> {
        let mut members = BTreeMap::new();
        if self.takes("}") {
            return Some(Value::Map(members));
        }
        loop {
            if !self.takes("\"") {
                return None;
            }
            let name = self.string()?;
            if !self.takes(":") {
                return None;
            }
            members.insert(name, self.value(depth_left)?);
            if self.takes("}") {
                return Some(Value::Map(members));
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    fn elements(&mut self, depth_left: usize) -> Option<Value> {
        let mut elements = Vec::new();
        if self.takes("]") {
            return Some(Value::List(elements));
        }
        loop {
            elements.push(self.value(depth_left)?);
            if self.takes("]") {
                return Some(Value::List(elements));
            }
            if !self.takes(",") {
                return None;
            }
        }
    }

    /// A string whose opening quote was read.
    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(['"', '\\'])?;
            text.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest.as_bytes()[plain] == b'"' {
                return Some(text);
            }
            let escaped = self.rest().chars().next()?;
            self.at += escaped.len_utf8();
            text.push(match escaped {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'u' => self.unit()?,
                other => other,
            });
        }
    }

    /// Four hex digits. Halves of a pair stand for a character that no name has.
    fn unit(&mut self) -> Option<char> {
        let digits = self.rest().get(..4)?;
        self.at += 4;
        let number = u32::from_str_radix(digits, 16).ok()?;
        Some(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_is_written() {
        let text = r#" {"a": [1, -2.5e3, "x\n\"\u0041", true, null], "b": {}, "c": []} "#;

        let value = Value::parse(text).expect("is JSON");

        let list = value.get("a").list();
        assert_eq!(list[0].text(), Some("1"));
        assert_eq!(list[1].text(), Some("-2.5e3"));
        assert_eq!(list[2].text(), Some("x\n\"A"));
        assert!(list[3].is_true() && list[4].is_null());
        assert_eq!(value.get("b"), &Value::Map(BTreeMap::new()));
        assert!(value.get("c").list().is_empty() && value.get("d").is_null());
    }

    #[test]
    fn a_kind_is_a_name_with_or_without_more() {
        let with = Value::parse(r#"{"tuple": [7]}"#).expect("is JSON");
        let (name, more) = with.kind();
        assert_eq!((name, more.list().len()), ("tuple", 1));
        assert_eq!(Value::Text("unit".to_owned()).kind().0, "unit");
    }

    #[test]
    fn what_is_no_json_is_refused_where_it_ends() {
        for wrong in ["", "{", "[1,]", "{\"a\" 1}", "\"open", "nul", "1 2", "[}"] {
            assert!(Value::parse(wrong).is_err(), "{wrong}");
        }
        let deep = "[".repeat(100_000);
        assert!(Value::parse(&deep).is_err());
        assert_eq!(
            Value::parse("[1, x]"),
            Err("is no JSON from byte 3 on".to_owned())
        );
    }
}
