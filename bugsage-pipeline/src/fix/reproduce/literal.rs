//! Values as Rust literals of the parameter's type.

use crate::fix::reproduce::shape::Shape;
use crate::fix::reproduce::value::Value;

/// Writes a value as an expression of its type.
pub(super) fn write(shape: &Shape, value: &Value) -> String {
    match (shape, value) {
        (Shape::Reference { to, .. }, value) if **to == Shape::Str => write(to, value),
        (Shape::Reference { mutable, to }, value) => {
            let sign = if *mutable { "&mut " } else { "&" };
            format!("{sign}{}", write(to, value))
        }
        (_, Value::Bool(value)) => value.to_string(),
        (_, Value::Integer(number)) => number.clone(),
        (_, Value::Char(c)) => character(*c),
        (Shape::String, Value::Text(text)) => format!("String::from({})", quoted(text)),
        (_, Value::Text(text)) => quoted(text),
        (_, Value::None) => "None".to_owned(),
        (Shape::Option(of), Value::Some(value)) => format!("Some({})", write(of, value)),
        (_, Value::Some(value)) => format!("Some({})", write(shape, value)),
        (Shape::Vec(of), Value::List(values)) => format!("vec![{}]", list(of, values)),
        (Shape::Slice(of) | Shape::Array(of, _), Value::List(values)) => {
            format!("[{}]", list(of, values))
        }
        (_, Value::List(values)) => format!("[{}]", list(shape, values)),
    }
}

fn list(of: &Shape, values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(|value| write(of, value)).collect();
    values.join(", ")
}

/// A string literal: what a person can read stays, all else is escaped.
fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '\'' => literal.push(c),
            c if is_readable(c) => literal.push(c),
            c => literal.extend(c.escape_default()),
        }
    }
    literal.push('"');
    literal
}

fn character(c: char) -> String {
    if c == '"' || is_readable(c) {
        format!("'{c}'")
    } else {
        format!("'{}'", c.escape_default())
    }
}

/// Whether a character can stand in a literal as it is: letters, digits, signs and blanks, but no
/// controls, no marks that change what is beside them, and nothing invisible.
fn is_readable(c: char) -> bool {
    match c {
        '"' | '\'' | '\\' => false,
        ' '..='~' => true,
        c => c.is_alphanumeric() || matches!(c.escape_debug().len(), 1) && !c.is_whitespace(),
    }
}
