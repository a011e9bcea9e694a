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

impl Spot<'_> {
    /// Where the compiler says that it failed: a method call at the method's name, all else at its
    /// first character.
    pub(crate) fn reported_at(self) -> LineColumn {
        match self {
            Spot::Expr(Expr::MethodCall(call)) => call.method.span().start(),
            Spot::Expr(expr) => first_span(expr).start(),
            Spot::Macro(mac) => mac.path.span().start(),
        }
    }

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
    pub(super) around: Vec<Spot<'a>>,
    pub(super) found: Vec<Spot<'a>>,
}

impl<'a> OnLine<'_, 'a> {
    fn consider(&mut self, spot: Spot<'a>, may_fail: bool) {
        if spot.reported_at().line as u32 == self.line {
            self.found.push(spot);
        } else if may_fail {
            let (first, last) = spot.lines();
            if (first..=last).contains(&self.line) {
                self.around.push(spot);
            }
        }
    }
}

impl<'a> Visit<'a> for OnLine<'_, 'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Macro(_) => {}
            Expr::MethodCall(_) | Expr::Index(_) | Expr::Binary(_) | Expr::Call(_) => {
                self.consider(Spot::Expr(expr), true);
            }
            _ => self.consider(Spot::Expr(expr), false),
        }
        visit::visit_expr(self, expr);
    }

    fn visit_macro(&mut self, mac: &'a Macro) {
        self.consider(Spot::Macro(mac), true);
        for argument in self.tree.arguments(mac) {
            self.visit_expr(argument);
        }
    }

    // What stands in a function within the function is a body of its own.
    fn visit_item(&mut self, _: &'a syn::Item) {}
}
