//! What a function has already changed outside of itself when the failing expression is met: an early
//! return there leaves it half done, without the panic that would have shown it.
//!
//! Source order stands for the order of evaluation, and a loop around the failing expression counts as
//! a whole: its earlier turns ran through all of it.

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Expr, Pat};

use crate::analyze::scope::is_assignment;
use crate::analyze::syntax::Content;
use crate::fix::order::{is_pure, root};
use crate::fix::site::Ground;

/// Functions of the standard library and of its like that change files, by their last two names.
const FILES: &[&str] = &[
    "write",
    "create",
    "create_new",
    "remove_file",
    "remove_dir_all",
    "rename",
    "copy",
    "create_dir",
    "create_dir_all",
    "set_permissions",
    "hard_link",
];

/// Methods that change what they are called on although it is not bound for changing.
const SHARED: &[&str] = &[
    "fetch_add",
    "fetch_sub",
    "fetch_or",
    "fetch_and",
    "store",
    "send",
    "try_send",
    "write_all",
    "execute",
    "commit",
];

/// How methods begin that change what they are called on: those of the standard library, and what
/// apps call theirs. One that is not among them is taken to look.
const CHANGING: &[&str] = &[
    "add",
    "advance",
    "append",
    "clear",
    "consume",
    "dec",
    "decrement",
    "dedup",
    "drain",
    "extend",
    "fill",
    "inc",
    "increment",
    "insert",
    "next",
    "pop",
    "push",
    "read",
    "remove",
    "replace",
    "reset",
    "resize",
    "retain",
    "reverse",
    "rotate",
    "set",
    "skip",
    "sort",
    "swap",
    "take",
    "truncate",
    "update",
    "write",
];

/// The first change that would be left half done, as the source writes it.
pub(super) fn half_done(ground: &Ground<'_, '_>) -> Option<String> {
    let mut search = Search {
        ground,
        local: Vec::new(),
        loops: 0,
        passed: false,
        before: None,
        in_loop: None,
        loop_has_it: false,
    };
    match (ground.carrier.inner, ground.body.content) {
        (Some(inner), _) => search.visit_expr(inner),
        (None, Content::Block(block)) => search.visit_block(block),
        (None, Content::Value(expr)) => search.visit_expr(expr),
    }
    search.before
}

struct Search<'g, 't, 'a> {
    ground: &'g Ground<'t, 'a>,
    /// Names that the function itself has bound to values of its own.
    local: Vec<String>,
    loops: u32,
    /// Whether the failing expression was met.
    passed: bool,
    before: Option<String>,
    /// The first change of the loop that is visited.
    in_loop: Option<String>,
    loop_has_it: bool,
}

impl Search<'_, '_, '_> {
    fn changed(&mut self, expr: &Expr) {
        let text = self.ground.quoted(expr);
        if !self.passed {
            self.before.get_or_insert_with(|| text.clone());
        }
        if self.loops > 0 {
            self.in_loop.get_or_insert(text);
        }
    }

    /// Whether a place belongs to the function's own values, which go with it.
    fn is_own(&self, place: &Expr) -> bool {
        root(place).is_some_and(|name| self.local.contains(&name))
    }

    fn turn(&mut self, visit: impl FnOnce(&mut Self)) {
        let outer = self.in_loop.take();
        let had_it = std::mem::replace(&mut self.loop_has_it, false);
        self.loops += 1;
        visit(self);
        self.loops -= 1;
        if self.loop_has_it && self.before.is_none() {
            self.before = self.in_loop.take();
        }
        self.in_loop = outer.or(self.in_loop.take());
        self.loop_has_it |= had_it;
    }
}

impl<'ast> Visit<'ast> for Search<'_, '_, '_> {
    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        // A reference is no value of its own: what it leads to stays.
        let refers = local
            .init
            .as_ref()
            .is_some_and(|init| is_reference(&init.expr));
        if !refers {
            let mut names = Names(Vec::new());
            names.visit_pat(&local.pat);
            self.local.extend(names.0);
        }
    }

    fn visit_expr_for_loop(&mut self, each: &'ast syn::ExprForLoop) {
        self.visit_expr(&each.expr);
        self.turn(|this| this.visit_block(&each.body));
    }

    fn visit_expr_while(&mut self, each: &'ast syn::ExprWhile) {
        self.turn(|this| visit::visit_expr_while(this, each));
    }

    fn visit_expr_loop(&mut self, each: &'ast syn::ExprLoop) {
        self.turn(|this| this.visit_block(&each.body));
    }

    fn visit_expr(&mut self, expr: &'ast Expr) {
        if std::ptr::eq(expr, self.ground.failing) {
            visit::visit_expr(self, expr);
            self.passed = true;
            self.loop_has_it |= self.loops > 0;
            return;
        }
        match expr {
            // The place is found, and the value made, before anything is assigned.
            Expr::Binary(binary) if is_assignment(&binary.op) => {
                visit::visit_expr(self, expr);
                if !self.is_own(&binary.left) {
                    self.changed(expr);
                }
                return;
            }
            Expr::Assign(assign) => {
                visit::visit_expr(self, expr);
                if !self.is_own(&assign.left) {
                    self.changed(expr);
                }
                return;
            }
            Expr::Reference(reference)
                if reference.mutability.is_some() && !self.is_own(&reference.expr) =>
            {
                self.changed(expr);
            }
            Expr::MethodCall(call) if !self.is_own(&call.receiver) && !is_pure(expr) => {
                let method = call.method.to_string();
                let is_change = changes(&method) && self.may_change(&call.receiver);
                if is_change || SHARED.contains(&method.as_str()) {
                    visit::visit_expr(self, expr);
                    self.changed(expr);
                    return;
                }
            }
            Expr::Call(call) if changes_files(&call.func) => {
                visit::visit_expr(self, expr);
                self.changed(expr);
                return;
            }
            _ => {}
        }
        visit::visit_expr(self, expr);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        for argument in self.ground.tree.arguments(mac) {
            // The tree lends them for as long as the file.
            self.visit_expr(argument);
        }
    }

    // What stands in a function within the function runs when it is called.
    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

impl Search<'_, '_, '_> {
    /// Whether a receiver is bound for changing outside of the function: `&mut self`, a parameter
    /// `&mut T`.
    fn may_change(&self, receiver: &Expr) -> bool {
        let Some(name) = root(receiver) else {
            return false;
        };
        let Some(signature) = self.ground.body.signature else {
            return false;
        };
        signature.inputs.iter().any(|input| match input {
            syn::FnArg::Receiver(own) => {
                let written = own.to_token_stream().to_string();
                name == "self" && written.starts_with('&') && written.contains("mut")
            }
            syn::FnArg::Typed(typed) => {
                let is_mutable = matches!(&*typed.ty,
                    syn::Type::Reference(reference) if reference.mutability.is_some());
                matches!(&*typed.pat, Pat::Ident(ident) if ident.ident == name) && is_mutable
            }
        })
    }
}

/// Whether a method is called like one that changes something: `push`, `push_str`, and no `settings`.
fn changes(method: &str) -> bool {
    let first = method.split('_').next().unwrap_or(method);
    CHANGING.contains(&first) && !method.ends_with("_ref")
}

struct Names(Vec<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_pat_ident(&mut self, name: &'ast syn::PatIdent) {
        self.0.push(name.ident.to_string());
        visit::visit_pat_ident(self, name);
    }
}

fn is_reference(expr: &Expr) -> bool {
    match expr {
        Expr::Reference(reference) => reference.mutability.is_some(),
        Expr::MethodCall(call) => {
            let name = call.method.to_string();
            name.ends_with("_mut") || matches!(&*name, "lock" | "write" | "entry")
        }
        Expr::Try(tried) => is_reference(&tried.expr),
        _ => false,
    }
}

fn changes_files(function: &Expr) -> bool {
    let Expr::Path(path) = function else {
        return false;
    };
    let mut names = path
        .path
        .segments
        .iter()
        .rev()
        .map(|part| part.ident.to_string());
    let (last, module) = (names.next().unwrap_or_default(), names.next());
    let is_files = module.is_some_and(|module| matches!(&*module, "fs" | "File"));
    is_files && FILES.contains(&last.as_str())
}
