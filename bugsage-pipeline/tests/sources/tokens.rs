//! A lexer.

#[derive(Debug, Clone, PartialEq)]
pub enum Token<'s> {
    Word(&'s str),
    Number(u64),
    Sign(char),
}

pub struct Lexer<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    pub fn new(text: &'s str) -> Self {
        Lexer { text, at: 0 }
    }
}

impl<'s> Iterator for Lexer<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        let first = rest.chars().next().unwrap();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let word = &rest[..end];
        self.at += end;
        Some(match first {
            '0'..='9' => Token::Number(word.parse().unwrap()),
            'a'..='z' => Token::Word(word),
            sign => Token::Sign(sign),
        })
    }
}
