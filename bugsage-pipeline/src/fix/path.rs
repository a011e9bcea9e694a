//! What stands around an expression, from the function's block down to it.

use syn::visit::{self, Visit};
use syn::{Arm, Block, Expr, Macro, Stmt};

use crate::analyze::syntax::{Body, Content, SourceTree};

/// A piece of syntax that holds the failing expression.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Block(&'a Block),
    Stmt(&'a Stmt),
    Expr(&'a Expr),
    /// A branch of a `match`.
    Arm,
    Macro(&'a Macro),
}

/// What holds an expression, outermost first. `None` where the body does not hold it.
pub(super) fn around<'a>(
    tree: &SourceTree<'a>,
    body: &Body<'a>,
    expr: &'a Expr,
) -> Option<Vec<Node<'a>>> {
    let mut track = Track {
        tree,
        expr,
        open: Vec::new(),
        found: None,
    };
    match body.content {
        Content::Block(block) => track.visit_block(block),
        Content::Value(value) => track.visit_expr(value),
    }
    track.found
}

struct Track<'t, 'a> {
    tree: &'t SourceTree<'a>,
    expr: &'a Expr,
    open: Vec<Node<'a>>,
    found: Option<Vec<Node<'a>>>,
}

impl<'a> Track<'_, 'a> {
    fn inside(&mut self, node: Node<'a>, visit: impl FnOnce(&mut Self)) {
        if self.found.is_none() {
            self.open.push(node);
            visit(self);
            self.open.pop();
        }
    }
}

impl<'a> Visit<'a> for Track<'_, 'a> {
    fn visit_block(&mut self, block: &'a Block) {
        self.inside(Node::Block(block), |this| visit::visit_block(this, block));
    }

    fn visit_stmt(&mut self, statement: &'a Stmt) {
        self.inside(Node::Stmt(statement), |this| {
            visit::visit_stmt(this, statement);
        });
    }

    fn visit_arm(&mut self, arm: &'a Arm) {
        self.inside(Node::Arm, |this| visit::visit_arm(this, arm));
    }

    fn visit_macro(&mut self, mac: &'a Macro) {
        self.inside(Node::Macro(mac), |this| {
            for argument in this.tree.arguments(mac) {
                this.visit_expr(argument);
            }
        });
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        if std::ptr::eq(expr, self.expr) {
            self.found.get_or_insert_with(|| self.open.clone());
        }
        self.inside(Node::Expr(expr), |this| visit::visit_expr(this, expr));
    }

    fn visit_item(&mut self, _: &'a syn::Item) {}
}
