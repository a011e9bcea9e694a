//! Finds the function that a line of source stands in.
//!
//! A build without debug information names no function that was inlined, but a panic tells its file and line.
//! Where the source of that commit is at hand, the function around the line is what every other build names.

use std::sync::Arc;

/// The longest file that is read. Longer ones were generated.
const SOURCE_BYTES_MAX: usize = 4 << 20;

/// How many calls lie between two functions of a file at most, for one to be looked for behind the other.
const CALLS_MAX: usize = 6;

/// Functions of a file that are looked at. More are a generator's.
const FUNCTIONS_MAX: usize = 4_096;

/// Where the source of what ran is at hand.
pub trait Sources {
    /// The functions of a file that a frame or a location names.
    fn functions(&mut self, file: &str) -> Option<Arc<Functions>>;
}

/// Nobody has it.
#[derive(Debug)]
pub struct NoSources;

impl Sources for NoSources {
    fn functions(&mut self, _file: &str) -> Option<Arc<Functions>> {
        None
    }
}

/// A part of the source, in bytes.
type Part = std::ops::Range<u32>;

/// A function with a body.
#[derive(Debug)]
struct Function {
    name: Part,
    /// From its name to the end of its body, counted from 1.
    lines: (u32, u32),
    /// What it names that may be a function: words outside of nested functions.
    words: Vec<Part>,
}

/// The functions of a source file, as far as words and braces tell them.
#[derive(Debug)]
pub struct Functions {
    source: Box<str>,
    /// In the order in which they end, so that inner ones come first.
    all: Vec<Function>,
    /// Where they stand in `all`, in the order of their names.
    by_name: Vec<u32>,
}

impl Functions {
    /// Reads a file. Costs one pass over it, and some three times its size while it is kept.
    pub fn read(source: &str) -> Self {
        let source = if source.len() > SOURCE_BYTES_MAX {
            ""
        } else {
            source
        };
        let mut functions = Self {
            source: source.into(),
            all: functions(source),
            by_name: Vec::new(),
        };
        let mut by_name: Vec<u32> = (0..functions.all.len() as u32).collect();
        by_name.sort_by_key(|at| functions.name(*at as usize));
        functions.by_name = by_name;
        functions
    }

    /// What it takes in memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        let words: usize = self.all.iter().map(|it| it.words.capacity()).sum();
        self.source.len()
            + self.all.len() * size_of::<Function>()
            + words * size_of::<Part>()
            + self.by_name.len() * size_of::<u32>()
    }

    /// The innermost function around a line, counted from 1.
    pub fn at(&self, line: u32) -> Option<&str> {
        let is_around = |it: &Function| (it.lines.0..=it.lines.1).contains(&line);
        self.all.iter().position(is_around).map(|at| self.name(at))
    }

    /// Whether the function around a line names this one anywhere, as whoever calls it does; whoever was handed it does
    /// not. `None` where no function is around the line.
    pub fn names(&self, line: u32, function: &str) -> Option<bool> {
        let is_around = |it: &Function| (it.lines.0..=it.lines.1).contains(&line);
        let words = &self.all.iter().find(|it| is_around(it))?.words;
        Some(words.iter().any(|word| self.text(word) == function))
    }

    /// The function that calls `inner` on the shortest way from `outer` to it, which may be `outer` itself. `None`
    /// where there is no such way within the file, or none that is the only shortest.
    pub fn caller(&self, outer: &str, inner: &str) -> Option<&str> {
        let words = |at: usize| self.all[at].words.iter().map(|word| self.text(word));
        let mut known = vec![self.named(outer)?];
        let mut reached = known.clone();
        for _ in 0..CALLS_MAX {
            let calls = |at: &&usize| words(**at).any(|word| word == inner);
            let mut callers = reached.iter().filter(calls);
            if let Some(caller) = callers.next() {
                let is_only = callers.next().is_none();
                return is_only.then(|| self.name(*caller));
            }
            let mut next: Vec<usize> = reached
                .iter()
                .flat_map(|at| words(*at))
                .filter_map(|word| self.named(word))
                .collect();
            next.sort_unstable();
            next.dedup();
            next.retain(|at| !known.contains(at));
            known.extend(&next);
            reached = next;
        }
        None
    }

    /// The first function of a name.
    fn named(&self, name: &str) -> Option<usize> {
        let at = self
            .by_name
            .partition_point(|at| self.name(*at as usize) < name);
        let at = *self.by_name.get(at)? as usize;
        (self.name(at) == name).then_some(at)
    }

    fn name(&self, at: usize) -> &str {
        self.text(&self.all[at].name)
    }

    fn text(&self, part: &Part) -> &str {
        &self.source[part.start as usize..part.end as usize]
    }
}

fn functions(source: &str) -> Vec<Function> {
    let mut all = Vec::new();
    let mut scanner = Scanner::new(source);
    // Those whose body is open, with the depth of their braces.
    let mut open: Vec<(Function, usize)> = Vec::new();
    let (mut depth, mut parens) = (0_usize, 0_usize);
    // One whose body has not begun, and the depth of parentheses that it began in.
    let mut declared: Option<(Part, u32, usize)> = None;
    let mut is_name = false;
    while let Some(token) = scanner.next_token() {
        let line = scanner.token_line;
        match token {
            Token::Word("fn", _) => is_name = true,
            Token::Word(_, part) if is_name => {
                declared = Some((part, line, parens));
                is_name = false;
            }
            Token::Word(_, part) => {
                if let Some((function, _)) = open.last_mut() {
                    function.words.push(part);
                }
            }
            Token::Mark(b'(' | b'[') => {
                // `fn(u8)` is a type.
                is_name = false;
                parens += 1;
            }
            Token::Mark(b')' | b']') => parens = parens.saturating_sub(1),
            Token::Mark(b';') if declared.as_ref().is_some_and(|it| it.2 == parens) => {
                declared = None;
            }
            Token::Mark(b'{') => {
                depth += 1;
                let begins = declared.take_if(|(.., within)| *within == parens);
                if let Some((name, begun, _)) = begins {
                    let function = Function {
                        name,
                        lines: (begun, u32::MAX),
                        words: Vec::new(),
                    };
                    open.push((function, depth));
                }
            }
            Token::Mark(b'}') => {
                if let Some((mut function, _)) = open.pop_if(|(_, own)| *own == depth) {
                    function.lines.1 = line;
                    all.push(function);
                    if all.len() == FUNCTIONS_MAX {
                        break;
                    }
                }
                depth = depth.saturating_sub(1);
            }
            Token::Mark(_) => {}
        }
    }
    all
}

enum Token<'a> {
    Word(&'a str, Part),
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
                    let begin = self.at as u32;
                    let word = self.word();
                    let part = begin..self.at as u32;
                    if !self.is_literal(word) {
                        return Some(Token::Word(word, part));
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
            assert_eq!(Functions::read(SOURCE).at(line.max(1)), name, "{text}");
        }
        assert_eq!(Functions::read("").at(1), None);
    }

    #[test]
    fn the_way_from_one_function_to_another_leads_through_callers() {
        let functions = Functions::read(
            "fn field(line: &str) -> &str { line }
             fn name(line: &str) -> &str { field(line) }
             fn city(line: &str) -> &str { field(line) }
             fn show() { name(\"\"); }
             fn print() { name(\"\"); city(\"\"); }
             fn direct() { field(\"\"); name(\"\"); }
             fn circle() { circle(); }",
        );
        assert_eq!(functions.caller("show", "field"), Some("name"));
        assert_eq!(functions.caller("direct", "field"), Some("direct"));
        assert_eq!(functions.caller("print", "field"), None, "two lead there");
        assert_eq!(functions.caller("circle", "field"), None);
        assert_eq!(functions.caller("nobody", "field"), None);
    }

    proptest! {
        #[test]
        fn any_text_has_functions_or_none(text in "[a-zé fn{}()'\"/*r#\\\\;\n]{0,120}", line in 0_u32..9) {
            let functions = Functions::read(&text);
            if let Some(name) = functions.at(line) {
                prop_assert!(text.contains(name));
                let _ = functions.caller(name, "a");
            }
        }
    }
}
