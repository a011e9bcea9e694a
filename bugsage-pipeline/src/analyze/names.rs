//! The names that an expression reads, and whether it is about something.

use syn::visit::{self, Visit};
use syn::{Expr, Macro};

use crate::analyze::syntax::SourceTree;

/// An expression without the brackets around it.
pub(crate) fn unparenthesized(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => unparenthesized(&paren.expr),
        expr => expr,
    }
}

/// The local names and fields of `self` that an expression reads, in the order of the source.
pub(crate) fn names(tree: &SourceTree<'_>, expr: &Expr) -> Vec<String> {
    let mut names = NamesIn {
        tree,
        found: Vec::new(),
    };
    names.visit_expr(expr);
    names.found
}

struct NamesIn<'t, 'a> {
    tree: &'t SourceTree<'a>,
    found: Vec<String>,
}

impl NamesIn<'_, '_> {
    fn add(&mut self, name: String) {
        if !self.found.contains(&name) {
            self.found.push(name);
        }
    }
}

impl<'ast> Visit<'ast> for NamesIn<'_, '_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Path(path) => {
                if let Some(name) = path.path.get_ident()
                    && name != "self"
                    && name != "None"
                {
                    self.add(name.to_string());
                }
            }
            Expr::Field(field) if is_self(&field.base) => self.add(self.tree.text(expr)),
            // The function's own name is no value.
            Expr::Call(call) => {
                if !matches!(*call.func, Expr::Path(_)) {
                    self.visit_expr(&call.func);
                }
                call.args
                    .iter()
                    .for_each(|argument| self.visit_expr(argument));
            }
            // Names that a closure binds mean nothing outside of it.
            Expr::Closure(_) => {}
            expr => visit::visit_expr(self, expr),
        }
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        for argument in self.tree.arguments(mac) {
            NamesIn::visit_expr(self, argument);
        }
    }
}

fn is_self(expr: &Expr) -> bool {
    matches!(expr, Expr::Path(path) if path.path.is_ident("self"))
}

/// Whether an expression or a part of it is written like `text`.
pub(crate) fn mentions(tree: &SourceTree<'_>, expr: &Expr, text: &str) -> bool {
    let mut mentioned = Mentions {
        tree,
        text,
        found: false,
    };
    mentioned.visit_expr(expr);
    mentioned.found
}

struct Mentions<'t, 'a> {
    tree: &'t SourceTree<'a>,
    text: &'t str,
    found: bool,
}

impl<'ast> Visit<'ast> for Mentions<'_, '_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        let nameable = matches!(
            expr,
            Expr::Path(_) | Expr::Field(_) | Expr::MethodCall(_) | Expr::Index(_) | Expr::Call(_)
        );
        self.found |= nameable && self.tree.text(expr) == self.text;
        if !self.found {
            visit::visit_expr(self, expr);
        }
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        for argument in self.tree.arguments(mac) {
            Mentions::visit_expr(self, argument);
        }
    }
}
