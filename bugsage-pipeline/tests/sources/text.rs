//! Words and lines.

pub fn initials(words: &[&str]) -> Option<String> {
    let mut initials = String::new();
    for word in words {
        let first = word.chars().next().unwrap();
        initials.push(first);
    }
    Some(initials)
}

pub fn column(line: &str, at: usize) -> Option<&str> {
    let columns: Vec<&str> = line.split(';').collect();
    Some(columns[at].trim())
}

pub fn owned(words: &[&str], at: usize) -> Option<String> {
    let word = words[at].to_owned();
    Some(word)
}

pub fn same(words: &[String], a: usize, b: usize) -> Option<bool> {
    Some(words[a] == words[b])
}

pub fn is_comment(line: &str) -> Option<bool> {
    Some(&line[..2] == "//" || line[0..1].is_empty())
}

pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while rest.len() > width {
        let (line, tail) = (&rest[..width], &rest[width..]);
        lines.push(line.to_owned());
        rest = tail;
    }
    lines.push(rest.to_owned());
    lines
}

pub fn longest(words: &[String]) -> Option<&String> {
    let longest = words
        .iter()
        .max_by(|a, b| a.len().partial_cmp(&b.len()).unwrap())
        .unwrap();
    Some(longest)
}
