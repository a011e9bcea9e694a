//! Raw strings and odd literals.

pub const QUERY: &str = r#"select "name" from users where id = $1 -- values[at]"#;

pub fn column(names: &[&'static str], r#type: usize) -> Option<&'static str> {
    /* A comment with values[0].unwrap() in it. */
    let name = names[r#type];
    if name == r"\d[0]" {
        return None;
    }
    Some(name)
}

pub fn quoted(text: &str, end: usize) -> String {
    let head = &text[..end];
    format!(r#""{head}""#)
}

pub fn byte(bytes: &[u8], at: usize) -> Option<char> {
    let byte = bytes[
        // Skips the mark "ï»¿".
        at + 3
    ];
    Some(char::from(byte))
}

pub fn nth(text: &str, n: usize) -> Option<char> {
    let c = text
        .chars()
        // The n-th one, not the n-th byte.
        .nth(n)
        .unwrap();
    Some(c)
}
