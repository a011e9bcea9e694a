//! What a turn of a loop has changed when the failing expression is met, and what would lack its
//! item if the rest of the turn were left out.

use proc_macro2::TokenStream;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Pat, Stmt};

use crate::analyze::panic_class::macro_name;
use crate::analyze::scope::is_assignment;
use crate::analyze::syntax::Content;
use crate::fix::order::{is_pure, root};
use crate::fix::site::Ground;

/// What is left out by a guard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// The rest of a turn of a loop, or of a closure that is called for each item.
    OfItem,
    /// The rest of a function.
    OfFunction,
}

/// Why the rest of a body cannot be left out: what was changed before, or what would silently lack
/// the item.
pub(super) fn keeps_state(
    ground: &Ground<'_, '_>,
    body: &Block,
    place: &Stmt,
    rest: Rest,
) -> Result<(), String> {
    let mut outer = Mutable::default();
    match ground.body.content {
        Content::Block(block) => outer.visit_block(block),
        Content::Value(expr) => outer.visit_expr(expr),
    }
    let mut inner = Mutable::default();
    inner.visit_block(body);
    outer.names.retain(|name| !inner.names.contains(name));
    outer.names.push("self".to_owned());
    if let Some(signature) = ground.body.signature {
        for input in &signature.inputs {
            outer.visit_fn_arg(input);
        }
    }
    let mut search = Changes {
        ground,
        outer: &outer.names,
        declared: &inner.declared,
        place,
        rest,
        passed: false,
        found: None,
    };
    search.visit_block(body);
    search.found.map_or(Ok(()), Err)
}

/// The names that are bound for changing.
#[derive(Default)]
struct Mutable {
    names: Vec<String>,
    declared: Vec<String>,
}

impl<'ast> Visit<'ast> for Mutable {
    fn visit_pat_ident(&mut self, name: &'ast syn::PatIdent) {
        self.declared.push(name.ident.to_string());
        if name.mutability.is_some() {
            self.names.push(name.ident.to_string());
        }
        visit::visit_pat_ident(self, name);
    }

    fn visit_pat_type(&mut self, typed: &'ast syn::PatType) {
        if let (Pat::Ident(name), syn::Type::Reference(reference)) = (&*typed.pat, &*typed.ty)
            && reference.mutability.is_some()
        {
            self.names.push(name.ident.to_string());
        }
        visit::visit_pat_type(self, typed);
    }

    fn visit_token_stream(&mut self, _: &'ast TokenStream) {}
}

/// Looks for what one turn of a loop changes outside of itself.
struct Changes<'g, 't, 'a> {
    ground: &'g Ground<'t, 'a>,
    outer: &'g [String],
    declared: &'g [String],
    place: &'g Stmt,
    rest: Rest,
    /// Whether the failing statement was met: what follows is left out, what came before was done.
    passed: bool,
    found: Option<String>,
}

impl Changes<'_, '_, '_> {
    fn note(&mut self, reason: String) {
        self.found.get_or_insert(reason);
    }

    fn is_outer(&self, expr: &Expr) -> bool {
        root(expr).is_some_and(|name| self.outer.contains(&name) && !self.declared.contains(&name))
    }

    fn changed_before(&mut self, expr: &Expr) {
        let text = self.ground.quoted(expr);
        let done = match self.rest {
            Rest::OfItem => "already done for the item",
            Rest::OfFunction => "already done",
        };
        self.note(format!(
            "{text} was {done}, and leaving out the rest would leave that half done"
        ));
    }
}

impl<'ast> Visit<'ast> for Changes<'_, '_, '_> {
    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        self.passed |= std::ptr::eq(statement, self.place);
        if !self.passed
            && self.rest == Rest::OfItem
            && let Stmt::Expr(
                expr @ (Expr::Call(_) | Expr::MethodCall(_) | Expr::Await(_)),
                Some(_),
            ) = statement
        {
            self.changed_before(expr);
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Binary(binary) if is_assignment(&binary.op) => {
                let target = &binary.left;
                let is_item = self.rest == Rest::OfItem;
                if !self.passed {
                    if is_item || !self.is_local(target) {
                        self.changed_before(expr);
                    }
                } else if is_item && !holds(target, self.ground.failing) && !self.is_local(target) {
                    let target = self.ground.quoted(target);
                    self.note(format!(
                        "the item would be missing from {target} without a word"
                    ));
                }
            }
            Expr::Assign(assign)
                if !self.passed && (self.rest == Rest::OfItem || !self.is_local(&assign.left)) =>
            {
                self.changed_before(expr);
            }
            Expr::MethodCall(call)
                if !self.passed && self.is_outer(&call.receiver) && !is_pure(expr) =>
            {
                self.changed_before(expr);
            }
            Expr::Reference(reference)
                if !self.passed
                    && reference.mutability.is_some()
                    && !self.is_local(&reference.expr) =>
            {
                self.changed_before(expr);
            }
            _ => {}
        }
        visit::visit_expr(self, expr);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let name = macro_name(mac);
        if !self.passed && self.rest == Rest::OfItem && matches!(&*name, "write" | "writeln") {
            self.note(format!(
                "`{name}!` was already done for the item, and leaving out the rest would leave that half done"
            ));
        }
    }
}

impl Changes<'_, '_, '_> {
    fn is_local(&self, expr: &Expr) -> bool {
        root(expr).is_some_and(|name| self.declared.contains(&name))
    }
}

/// Whether an expression is part of another.
fn holds(outer: &Expr, inner: &Expr) -> bool {
    struct Search<'e> {
        inner: &'e Expr,
        found: bool,
    }
    impl<'ast> Visit<'ast> for Search<'_> {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            self.found |= std::ptr::eq(expr, self.inner);
            visit::visit_expr(self, expr);
        }
    }
    let mut search = Search {
        inner,
        found: false,
    };
    search.visit_expr(outer);
    search.found
}
