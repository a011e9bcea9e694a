//! What other functions and files have to do with a failure: the caller on the stack, and the
//! function that made a value.

use std::collections::BTreeSet;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, Stmt};

use crate::analyze::cause::passed_on;
use crate::analyze::syntax::{self, Body, Content, SourceTree, Spot, line_of};
use crate::analyze::words;
use crate::evidence::{Evidence, FrameSource, quote, simple_name};
use crate::repository::{Repository, RepositoryError, Tree};

/// The call on the stack that led into the failing function.
pub(crate) struct Caller {
    pub(crate) function: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) arguments: Vec<String>,
}

/// The call that led into the failing function: the next frame of the app that has source.
pub(crate) fn caller(
    evidence: &Evidence,
    repository: &Repository,
    tree: &Tree,
) -> Result<Option<Caller>, RepositoryError> {
    let place = &evidence.place;
    let at_place = evidence
        .frames
        .iter()
        .position(|frame| frame.path.as_ref() == Some(&place.path) && frame.line == place.line);
    let Some(at_place) = at_place else {
        return Ok(None);
    };
    let name_of = |frame: &FrameSource| {
        frame
            .function
            .as_ref()
            .and_then(|function| simple_name(function.as_str()))
    };
    let Some(called) = name_of(&evidence.frames[at_place]) else {
        return Ok(None);
    };
    let Some(frame) = evidence.frames.get(at_place + 1) else {
        return Ok(None);
    };
    let (Some(path), Some(function)) = (&frame.path, name_of(frame)) else {
        return Ok(None);
    };
    let Ok(source) = repository.read(tree, path)? else {
        return Ok(None);
    };
    let arguments = syntax::with_tree(&source.text, |tree| arguments_at(tree, frame.line, &called));
    Ok(arguments.flatten().map(|arguments| Caller {
        function,
        file: path.clone(),
        line: frame.line,
        arguments,
    }))
}

/// The arguments of the one call of that name on a line.
fn arguments_at(tree: &SourceTree<'_>, line: u32, called: &str) -> Option<Vec<String>> {
    let body = tree.body_at(line)?;
    let mut calls = tree
        .candidates(&body, line)
        .into_iter()
        .filter_map(|reported| match reported.spot {
            Spot::Expr(Expr::MethodCall(call)) if call.method == called => Some(&call.args),
            Spot::Expr(Expr::Call(call)) => match &*call.func {
                Expr::Path(path)
                    if path.path.segments.last().is_some_and(|s| s.ident == called) =>
                {
                    Some(&call.args)
                }
                _ => None,
            },
            _ => None,
        });
    let arguments = calls.next()?;
    if calls.next().is_some() {
        return None;
    }
    Some(
        arguments
            .iter()
            .map(|argument| tree.text(argument))
            .collect(),
    )
}

/// The sources of the commit, searched for what the failing file itself does not define.
pub(crate) struct Elsewhere<'r> {
    pub(crate) repository: &'r Repository,
    pub(crate) tree: &'r Tree,
}

/// A function, and how it comes to give nothing.
pub(crate) struct Definition {
    /// Its file, where that is not the failing one.
    pub(crate) file: Option<String>,
    pub(crate) line: u32,
    /// Lines that give the variant or hand it on, with their text.
    pub(crate) exits: Vec<(u32, String)>,
    /// What it ends with, and why that may be nothing.
    pub(crate) last: Option<(u32, String, Option<String>)>,
}

impl Elsewhere<'_> {
    /// The one function of that name in the repository, tests aside. A search that fails finds
    /// nothing: the analysis goes on without.
    pub(crate) fn definition(&self, name: &str, variant: &str) -> Option<Definition> {
        let files = self.repository.files_with_function(self.tree, name).ok()?;
        let mut found = None;
        for path in files {
            let source = self.repository.read(self.tree, &path).ok()?.ok()?;
            let definitions = syntax::with_tree(&source.text, |tree| {
                let bodies = tree.bodies().into_iter();
                let named = bodies.filter(|body| body.simple_name() == name && !body.is_test);
                named
                    .map(|body| Definition::of(tree, &body, variant))
                    .collect::<Vec<_>>()
            })?;
            for mut definition in definitions {
                definition.file = Some(path.clone());
                if found.replace(definition).is_some() {
                    return None;
                }
            }
        }
        found
    }
}

impl Definition {
    pub(crate) fn of(tree: &SourceTree<'_>, body: &Body<'_>, variant: &str) -> Definition {
        let text_of = |line: u32| (line, quote(tree.line(line)));
        let exits = exits(body, variant)
            .into_iter()
            .take(3)
            .map(text_of)
            .collect();
        let last = match body.content {
            Content::Block(block) => match block.stmts.last() {
                Some(Stmt::Expr(expr, None)) => last(tree, expr, variant),
                _ => None,
            },
            Content::Value(_) => None,
        };
        Definition {
            file: None,
            line: body.first_line,
            exits,
            last,
        }
    }
}

/// What a function ends with, where that is a call whose result it hands on.
fn last(
    tree: &SourceTree<'_>,
    expr: &Expr,
    variant: &str,
) -> Option<(u32, String, Option<String>)> {
    let Expr::MethodCall(call) = passed_on(expr) else {
        return None;
    };
    let why = (variant == "None").then(|| {
        let argument = call.args.first().map(|argument| tree.text(argument));
        words::why_none(
            &call.method.to_string(),
            &tree.text(&*call.receiver),
            argument.as_deref(),
        )
    });
    Some((line_of(expr), tree.text(expr), why.flatten()))
}

/// The lines of a function that end it with `None` or `Err`, or hand one on by `?`.
fn exits(body: &Body<'_>, variant: &str) -> Vec<u32> {
    let mut exits = Exits {
        variant,
        lines: BTreeSet::new(),
    };
    if let Content::Block(block) = body.content {
        exits.visit_block(block);
    }
    exits.lines.into_iter().collect()
}

struct Exits<'v> {
    variant: &'v str,
    lines: BTreeSet<u32>,
}

impl<'ast> Visit<'ast> for Exits<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Path(path)
                if path
                    .path
                    .segments
                    .last()
                    .is_some_and(|s| s.ident == self.variant) =>
            {
                self.lines.insert(line_of(path));
            }
            Expr::Try(tried) => {
                self.lines
                    .insert(tried.question_token.span().start().line as u32);
            }
            _ => {}
        }
        visit::visit_expr(self, expr);
    }

    // What a closure returns is not what the function returns.
    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
    fn visit_item(&mut self, _: &'ast syn::Item) {}
}
