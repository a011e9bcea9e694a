//! The syntax tree of a source file: which function holds a line, and which expression failed there.
//!
//! Parsers recurse and proc-macro2 keeps every text it has seen for as long as its thread lives, so a
//! file is parsed in a thread of its own, with a stack that fits the deepest file that is let in.

// How deep it nests.
mod depth;
// Functions, constants and statics.
mod body;
// What can fail.
mod spot;

use std::collections::HashMap;
use std::thread;

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Expr, Macro, Token};

use self::body::Bodies;
use self::depth::depth;
use self::spot::OnLine;
use crate::evidence::quote;
use crate::limits;

pub(crate) use self::body::{Body, Content};
pub(crate) use self::spot::{Reported, Spot};

/// Parses `text` and lets `look` see the tree. `None` where the text is no Rust, or too deep.
pub(crate) fn with_tree<T: Send>(
    text: &str,
    look: impl FnOnce(&SourceTree<'_>) -> T + Send,
) -> Option<T> {
    if text.len() > limits::SOURCE_BYTES_MAX {
        return None;
    }
    thread::scope(|scope| {
        thread::Builder::new()
            .name("syntax".into())
            .stack_size(limits::PARSER_STACK_BYTES)
            .spawn_scoped(scope, || {
                let text = text.strip_prefix('\u{feff}').unwrap_or(text);
                let tokens: TokenStream = without_shebang(text).parse().ok()?;
                if depth(tokens.clone()) > limits::SYNTAX_DEPTH_MAX {
                    return None;
                }
                let file: syn::File = syn::parse2(tokens).ok()?;
                let mut macros = MacroArguments::default();
                macros.visit_file(&file);
                let lines: Vec<&str> = text.lines().collect();
                Some(look(&SourceTree {
                    file: &file,
                    macros: &macros.found,
                    lines: &lines,
                }))
            })
            .ok()?
            .join()
            .ok()?
    })
}

/// Blanks out a first line that is for the shell, and keeps every place where it was.
fn without_shebang(text: &str) -> String {
    match text.strip_prefix("#!") {
        Some(rest) if !rest.trim_start().starts_with('[') => format!("//{rest}"),
        _ => text.to_owned(),
    }
}

/// A parsed file.
pub(crate) struct SourceTree<'a> {
    pub(crate) file: &'a syn::File,
    macros: &'a HashMap<(usize, usize), Vec<Expr>>,
    lines: &'a [&'a str],
}

impl<'a> SourceTree<'a> {
    /// The innermost function, constant or static around a line.
    pub(crate) fn body_at(&self, line: u32) -> Option<Body<'a>> {
        let bodies = self.bodies().into_iter();
        bodies
            .filter(|body| (body.first_line..=body.last_line).contains(&line))
            .min_by_key(|body| body.last_line - body.first_line)
    }

    /// All functions, constants and statics.
    pub(crate) fn bodies(&self) -> Vec<Body<'a>> {
        let mut bodies = Bodies::default();
        bodies.visit_file(self.file);
        bodies.found
    }

    /// The arguments of a macro call, where they are expressions.
    pub(crate) fn arguments(&self, mac: &Macro) -> &'a [Expr] {
        self.macros.get(&key(mac)).map_or(&[], Vec::as_slice)
    }

    /// The expressions of a body whose failure the compiler would report at this line, outer before
    /// inner.
    pub(crate) fn candidates(&self, body: &Body<'a>, line: u32) -> Vec<Reported<'a>> {
        let mut found = OnLine {
            tree: self,
            line,
            opened: None,
            around: Vec::new(),
            found: Vec::new(),
        };
        match body.content {
            Content::Block(block) => found.visit_block(block),
            Content::Value(expr) => found.visit_expr(expr),
        }
        // An expression of many lines, of which debug information named a later one.
        if found.found.is_empty() {
            found.around.into_iter().rev().collect()
        } else {
            found.found
        }
    }

    /// The source of a piece of syntax as one short line.
    pub(crate) fn text(&self, syntax: &impl Spanned) -> String {
        let span = syntax.span();
        let (start, end) = (span.start(), span.end());
        let mut text = String::new();
        for number in start.line..=end.line {
            let Some(line) = number
                .checked_sub(1)
                .and_then(|index| self.lines.get(index))
            else {
                break;
            };
            let from = if number == start.line {
                start.column
            } else {
                0
            };
            let to = if number == end.line {
                end.column
            } else {
                usize::MAX
            };
            text.extend(line.chars().take(to).skip(from));
            text.push('\n');
            if text.len() > 4 * limits::QUOTE_BYTES_MAX {
                break;
            }
        }
        quote(&tightened(&text))
    }

    /// A line of the file, without what surrounds it.
    pub(crate) fn line(&self, line: u32) -> &'a str {
        (line as usize)
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
            .map_or("", |l| l.trim())
    }
}

/// Joins a method chain that stands on several lines.
fn tightened(text: &str) -> String {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    let mut joined = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        let tight = line.starts_with(['.', '?', ')', ']']) || joined.ends_with(['(', '[']);
        if !tight {
            joined.push(' ');
        }
        joined.push_str(line);
    }
    joined
}

/// The line of a piece of syntax.
pub(crate) fn line_of(syntax: &impl Spanned) -> u32 {
    syntax.span().start().line as u32
}

fn key(mac: &Macro) -> (usize, usize) {
    let start = mac.path.span().start();
    (start.line, start.column)
}

/// Reads the arguments of macro calls as expressions, in macros within macros too.
#[derive(Default)]
struct MacroArguments {
    found: HashMap<(usize, usize), Vec<Expr>>,
}

impl<'ast> Visit<'ast> for MacroArguments {
    fn visit_macro(&mut self, mac: &'ast Macro) {
        let list = Punctuated::<Expr, Token![,]>::parse_terminated;
        let arguments: Vec<Expr> = match list.parse2(mac.tokens.clone()) {
            Ok(arguments) => arguments.into_iter().collect(),
            Err(_) => match repeated.parse2(mac.tokens.clone()) {
                Ok(arguments) => arguments,
                Err(_) => return,
            },
        };
        for argument in &arguments {
            Visit::visit_expr(self, argument);
        }
        self.found.insert(key(mac), arguments);
    }
}

/// `vec![value; count]`.
fn repeated(input: syn::parse::ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let value = input.parse()?;
    input.parse::<Token![;]>()?;
    Ok(vec![value, input.parse()?])
}
