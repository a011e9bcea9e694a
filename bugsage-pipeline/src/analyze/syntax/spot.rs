//! What can fail, and what of it stands at a line.

use proc_macro2::{LineColumn, Span};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, Macro};

use crate::analyze::syntax::SourceTree;

/// A piece of syntax that can fail at run time.
#[derive(Clone, Copy)]
pub(crate) enum Spot<'a> {
    /// An expression that is no macro call.
    Expr(&'a Expr),
    /// A macro call, as an expression or as a statement.
    Macro(&'a Macro),
}

/// A piece of syntax, and the places at which the compiler may report its failure.
#[derive(Clone, Copy)]
pub(crate) struct Reported<'a> {
    pub(crate) spot: Spot<'a>,
    /// The outermost parenthesis around it: `(n - 200).to_string()` fails there.
    opened: Option<LineColumn>,
}

impl Reported<'_> {
    /// Whether the compiler may report it at a line and a column, both counted from 1.
    pub(crate) fn is_at(self, line: u32, column: u32) -> bool {
        self.places()
            .any(|place| (place.line as u32, place.column as u32 + 1) == (line, column))
    }

    fn is_on(self, line: u32) -> bool {
        self.places().any(|place| place.line as u32 == line)
    }

    /// A method call is reported at the method's name and all else at its first character, but for an
    /// index through the `Index` trait, as that of a `Vec`, a map or any range: Rust 1.95 reports it
    /// at the bracket. Without types, the source does not tell which kind an index is.
    fn places(self) -> impl Iterator<Item = LineColumn> {
        let (first, second) = match self.spot {
            Spot::Expr(Expr::MethodCall(call)) => (call.method.span().start(), None),
            Spot::Expr(expr @ Expr::Index(index)) => {
                let bracket = index.bracket_token.span.open().start();
                (first_span(expr).start(), Some(bracket))
            }
            Spot::Expr(expr) => (first_span(expr).start(), None),
            Spot::Macro(mac) => (mac.path.span().start(), None),
        };
        [Some(first), second, self.opened].into_iter().flatten()
    }
}

impl Spot<'_> {
    /// The lines that it takes.
    pub(crate) fn lines(self) -> (u32, u32) {
        let span = match self {
            Spot::Expr(expr) => expr.span(),
            Spot::Macro(mac) => mac.span(),
        };
        (span.start().line as u32, span.end().line as u32)
    }

    /// Whether both are the very same piece.
    pub(crate) fn is(self, other: Spot<'_>) -> bool {
        match (self, other) {
            (Spot::Expr(one), Spot::Expr(other)) => std::ptr::eq(one, other),
            (Spot::Macro(one), Spot::Macro(other)) => std::ptr::eq(one, other),
            _ => false,
        }
    }
}

/// The span of an expression's first token, found without printing the whole expression.
fn first_span(expr: &Expr) -> Span {
    match expr {
        Expr::Binary(binary) => first_span(&binary.left),
        Expr::Assign(assign) => first_span(&assign.left),
        Expr::MethodCall(call) => first_span(&call.receiver),
        Expr::Field(field) => first_span(&field.base),
        Expr::Index(index) => first_span(&index.expr),
        Expr::Call(call) => first_span(&call.func),
        Expr::Cast(cast) => first_span(&cast.expr),
        Expr::Try(tried) => first_span(&tried.expr),
        Expr::Await(awaited) => first_span(&awaited.base),
        Expr::Paren(paren) => paren.paren_token.span.open(),
        Expr::Macro(call) => call.mac.path.span(),
        expr => expr.span(),
    }
}

/// Collects what is reported at a line, within macro calls too.
pub(super) struct OnLine<'t, 'a> {
    pub(super) tree: &'t SourceTree<'a>,
    pub(super) line: u32,
    /// The outermost parenthesis around what is visited next.
    pub(super) opened: Option<LineColumn>,
    pub(super) around: Vec<Reported<'a>>,
    pub(super) found: Vec<Reported<'a>>,
}

impl<'a> OnLine<'_, 'a> {
    fn consider(&mut self, spot: Spot<'a>, opened: Option<LineColumn>, may_fail: bool) {
        let reported = Reported { spot, opened };
        if reported.is_on(self.line) {
            self.found.push(reported);
        } else if may_fail {
            let (first, last) = spot.lines();
            if (first..=last).contains(&self.line) {
                self.around.push(reported);
            }
        }
    }
}

impl<'a> Visit<'a> for OnLine<'_, 'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        let opened = self.opened.take();
        match expr {
            Expr::Macro(_) => {}
            Expr::Paren(paren) => {
                self.opened = opened.or(Some(paren.paren_token.span.open().start()));
            }
            // Calls are reported where they are, whatever stands around them.
            Expr::MethodCall(_) | Expr::Call(_) => self.consider(Spot::Expr(expr), None, true),
            Expr::Index(_) | Expr::Binary(_) => self.consider(Spot::Expr(expr), opened, true),
            _ => self.consider(Spot::Expr(expr), opened, false),
        }
        visit::visit_expr(self, expr);
    }

    fn visit_macro(&mut self, mac: &'a Macro) {
        self.consider(Spot::Macro(mac), None, true);
        for argument in self.tree.arguments(mac) {
            self.visit_expr(argument);
        }
    }

    // What stands in a function within the function is a body of its own.
    fn visit_item(&mut self, _: &'a syn::Item) {}
}
