//! What `#[tracing::instrument]` records of a parameter.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{Attribute, Type};

use crate::fix::returns::last;

/// How a parameter's value became the text of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// As itself: a text without quotes.
    Value,
    /// By `Debug`.
    Debug,
    /// Either: versions differ, or a span was opened by hand.
    Unknown,
    /// Something else has the parameter's name.
    Other,
}

/// How a parameter is recorded by the attributes of its function.
pub(super) fn recording(attrs: &[Attribute], name: &str, ty: &Type) -> Recording {
    let attribute = attrs.iter().find(|attr| {
        let path = last(attr.path());
        path.as_deref() == Some("instrument")
    });
    let Some(attribute) = attribute else {
        return Recording::Unknown;
    };
    let tokens = match &attribute.meta {
        syn::Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    match field(tokens, name) {
        None => by_type(ty),
        Some(value) => {
            let (plain, debug) = (name.to_owned(), format!("?{name}"));
            match value {
                value if value == plain => by_type(ty),
                value if value == debug => Recording::Debug,
                value if value == format!("%{name}") => Recording::Value,
                _ => Recording::Other,
            }
        }
    }
}

/// `tracing-attributes` records these by value, also behind references, and all else by `Debug`.
fn by_type(ty: &Type) -> Recording {
    match ty {
        Type::Reference(reference) => by_type(&reference.elem),
        Type::Path(path) => match last(&path.path).as_deref() {
            // By value since its type is in the list of `tracing-attributes`, by `Debug` before.
            Some("String") => Recording::Unknown,
            Some("str" | "bool" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize") => {
                Recording::Value
            }
            Some("i8" | "i16" | "i32" | "i64" | "i128" | "isize") => Recording::Value,
            _ => Recording::Debug,
        },
        _ => Recording::Debug,
    }
}

/// What `fields(…)` records under a name, without blanks.
fn field(tokens: TokenStream, name: &str) -> Option<String> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let TokenTree::Ident(ident) = token else {
            continue;
        };
        let Some(TokenTree::Group(group)) = tokens.peek() else {
            continue;
        };
        if ident == "fields" && group.delimiter() == Delimiter::Parenthesis {
            let stream = group.stream();
            return entries(stream)
                .into_iter()
                .find(|(field, _)| field == name)
                .map(|(_, value)| value);
        }
    }
    None
}

/// `a.b = ?value, c` as names and values.
fn entries(tokens: TokenStream) -> Vec<(String, String)> {
    let mut entries = vec![(String::new(), String::new())];
    let mut in_value = false;
    for token in tokens {
        // Never empty: it begins with one entry and only grows.
        let Some((name, value)) = entries.last_mut() else {
            break;
        };
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                entries.push((String::new(), String::new()));
                in_value = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == '=' && !in_value => in_value = true,
            token if in_value => value.push_str(&token.to_string()),
            token => name.push_str(&token.to_string()),
        }
    }
    entries
}
