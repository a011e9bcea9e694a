//! Finds the function that a line of source stands in.
//!
//! A build without debug information names no function that was inlined, but a panic tells its file and line.
//! Where the source of that commit is at hand, the function around the line is what every other build names.

/// The longest file that is read. Longer ones were generated.
const SOURCE_BYTES_MAX: usize = 4 << 20;

/// The name of the innermost function around a line, counted from 1. Costs one pass over the file.
pub fn enclosing(source: &str, line: u32) -> Option<&str> {
    if source.len() > SOURCE_BYTES_MAX {
        return None;
    }
    let mut scanner = Scanner::new(source);
    // Functions whose body is open: name and the depth of their braces.
    let mut open: Vec<(&str, usize)> = Vec::new();
    let (mut depth, mut parens) = (0_usize, 0_usize);
    // One whose body has not begun, and the depth of parentheses that it began in.
    let mut declared: Option<(&str, usize, u32)> = None;
    let mut is_name = false;
    let mut found = None;
    while let Some(token) = scanner.next_token() {
        if scanner.token_line > line {
            // A body that began on an earlier line and is still open is around the line.
            break;
        }
        match token {
            Token::Word("fn") => is_name = true,
            Token::Word(word) if is_name => {
                declared = Some((word, parens, scanner.token_line));
                is_name = false;
            }
            Token::Mark(b'(' | b'[') => {
                // `fn(u8)` is a type.
                is_name = false;
                parens += 1;
            }
            Token::Mark(b')' | b']') => parens = parens.saturating_sub(1),
            Token::Mark(b';') if declared.is_some_and(|(_, within, _)| within == parens) => {
                declared = None;
            }
            Token::Mark(b'{') => {
                depth += 1;
                if let Some((name, within, _)) = declared
                    && within == parens
                {
                    open.push((name, depth));
                    declared = None;
                }
            }
            Token::Mark(b'}') => {
                if open.last().is_some_and(|(_, own)| *own == depth) {
                    let closed = open.pop();
                    // It ends on the line that is asked for.
                    if scanner.token_line == line {
                        found = closed.map(|(name, _)| name);
                    }
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    let signature = declared.filter(|(_, _, begun)| *begun <= line);
    let around = open.last().map(|(name, _)| *name);
    signature.map(|(name, ..)| name).or(found).or(around)
}

enum Token<'a> {
    Word(&'a str),
    Mark(u8),
}

/// The words and marks of Rust source, without comments and literals.
struct Scanner<'a> {
    source: &'a str,
    at: usize,
    line: u32,
    token_line: u32,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            at: 0,
            line: 1,
            token_line: 1,
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    fn step(&mut self, bytes: usize) {
        let end = (self.at + bytes).min(self.source.len());
        let stepped = &self.source.as_bytes()[self.at..end];
        self.line += stepped.iter().filter(|byte| **byte == b'\n').count() as u32;
        self.at = end;
    }

    fn next_token(&mut self) -> Option<Token<'a>> {
        loop {
            let byte = self.byte(0)?;
            self.token_line = self.line;
            match byte {
                b'/' if self.byte(1) == Some(b'/') => self.step_to(b"\n"),
                b'/' if self.byte(1) == Some(b'*') => self.block_comment(),
                b'"' => self.string(),
                b'\'' => self.quote(),
                b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0x80.. => {
                    let word = self.word();
                    if !self.is_literal(word) {
                        return Some(Token::Word(word));
                    }
                }
                byte if byte.is_ascii_whitespace() => self.step(1),
                byte => {
                    self.step(1);
                    return Some(Token::Mark(byte));
                }
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let is_in_word = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric() || *byte >= 0x80;
        let rest = &self.source.as_bytes()[self.at..];
        let length = rest.iter().take_while(|byte| is_in_word(byte)).count();
        let word = &self.source[self.at..self.at + length];
        self.at += length;
        word
    }

    /// Whether the word was the prefix of a literal, which is skipped then. `r#fn` is a name.
    fn is_literal(&mut self, word: &str) -> bool {
        let is_raw = matches!(word, "r" | "br" | "cr");
        if is_raw {
            let hashes = (0..).take_while(|at| self.byte(*at) == Some(b'#')).count();
            if self.byte(hashes) == Some(b'"') {
                let end = format!("\"{}", "#".repeat(hashes));
                self.step(hashes + 1);
                self.step_to(end.as_bytes());
                self.step(end.len());
                return true;
            }
        }
        if matches!(word, "b" | "c") && self.byte(0) == Some(b'"') {
            self.string();
            return true;
        }
        if word == "b" && self.byte(0) == Some(b'\'') {
            self.quote();
            return true;
        }
        word.as_bytes().first().is_some_and(u8::is_ascii_digit)
    }

    fn step_to(&mut self, end: &[u8]) {
        let rest = &self.source.as_bytes()[self.at..];
        let length = rest.windows(end.len()).position(|window| window == end);
        self.step(length.unwrap_or(rest.len()));
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.step(2);
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.step(2);
                    if depth == 0 {
                        return;
                    }
                }
                (Some(_), _) => self.step(1),
                (None, _) => return,
            }
        }
    }

    fn string(&mut self) {
        self.step(1);
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\\' => self.step(2),
                b'"' => return self.step(1),
                _ => self.step(1),
            }
        }
    }

    /// A character, or the beginning of a lifetime.
    fn quote(&mut self) {
        if self.byte(1) == Some(b'\\') {
            self.step(3);
            self.step_to(b"'");
            return self.step(1);
        }
        let rest = &self.source[self.at + 1..];
        let length = rest.chars().next().map_or(0, char::len_utf8);
        let is_char = rest.as_bytes().get(length) == Some(&b'\'');
        self.step(if is_char { length + 2 } else { 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOURCE: &str = r##"
//! fn comment() {
use std::fmt; /* fn also() { /* nested { */ */

pub fn first(close: fn(u8) -> u8) -> u8 {
    let text = "fn string() { \" {";
    let raw = r#"fn raw() { " "#;
    let brace = '{';
    let run = |x: &'static str| {
        x.len()
    };
    close(run("}") as u8)
}

trait Total {
    fn total(&self) -> u64;

    fn twice(&self) -> u64
    where
        Self: Sized,
    {
        fn inner(x: u64) -> u64 {
            x * 2
        }
        inner(self.total())
    }
}

const SIZE: usize = { 4 };
fn one_line() { panic!("at once") }
fn array(x: [u8; 4]) -> [u8; 4] {
    x
}
"##;

    #[test]
    fn a_line_is_in_the_innermost_function_around_it() {
        for (text, name) in [
            ("let text", Some("first")),
            ("let brace", Some("first")),
            ("x.len()", Some("first")),
            ("close(run", Some("first")),
            ("fn total", None),
            ("Self: Sized", Some("twice")),
            ("x * 2", Some("inner")),
            ("inner(self", Some("twice")),
            ("const SIZE", None),
            ("use std", None),
            ("at once", Some("one_line")),
            ("    x\n", Some("array")),
        ] {
            let at = SOURCE.find(text).expect("stands there");
            let line =
                SOURCE[..at].lines().count() as u32 + u32::from(SOURCE[..at].ends_with('\n'));
            assert_eq!(enclosing(SOURCE, line.max(1)), name, "{text}");
        }
        assert_eq!(enclosing("", 1), None);
    }

    proptest! {
        #[test]
        fn any_text_has_functions_or_none(text in "[a-zé fn{}()'\"/*r#\\\\;\n]{0,120}", line in 0_u32..9) {
            if let Some(name) = enclosing(&text, line) {
                prop_assert!(text.contains(name));
            }
        }
    }
}
