//! Walks a function in the order in which it runs, up to one point.

use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Macro, Pat, Stmt, UnOp};

use crate::analyze::scope::{Binding, Change, Checked, Condition, Origin, Scope};
use crate::analyze::syntax::{SourceTree, Spot, line_of};

/// Walks a body in the order in which it runs, until it meets the point.
pub(super) struct Walk<'t, 'a> {
    pub(super) tree: &'t SourceTree<'a>,
    pub(super) spot: Spot<'a>,
    pub(super) now: Scope<'a>,
    pub(super) loops: u32,
    pub(super) found: Option<Scope<'a>>,
}

impl<'a> Walk<'_, 'a> {
    fn meet(&mut self, spot: Spot<'a>) {
        if self.found.is_none() && self.spot.is(spot) {
            let mut scope = self.now.clone();
            scope.in_loop = self.loops > 0;
            self.found = Some(scope);
        }
    }

    /// Visits something in a scope of its own.
    fn scoped(&mut self, visit: impl FnOnce(&mut Self)) {
        let (bindings, conditions) = (self.now.bindings.len(), self.now.conditions.len());
        visit(self);
        self.now.bindings.truncate(bindings);
        self.now.conditions.truncate(conditions);
    }

    fn in_loop(&mut self, visit: impl FnOnce(&mut Self)) {
        self.loops += 1;
        self.scoped(visit);
        self.loops -= 1;
    }

    /// Binds the names of a pattern. The whole value has the given origin, its parts are parts.
    pub(super) fn bind(&mut self, pattern: &'a Pat, origin: Origin<'a>) {
        match pattern {
            Pat::Ident(name) => {
                let (line, name) = (line_of(&name.ident), name.ident.to_string());
                self.now.bindings.push(Binding { name, line, origin });
            }
            Pat::Type(typed) => self.bind(&typed.pat, origin),
            Pat::Paren(paren) => self.bind(&paren.pat, origin),
            Pat::Reference(reference) => self.bind(&reference.pat, origin),
            pattern => {
                let origin = match origin {
                    Origin::Let { init: Some(from) } => Origin::Part { from, pattern },
                    origin => origin,
                };
                let mut names = Names { found: Vec::new() };
                names.visit_pat(pattern);
                for (name, line) in names.found {
                    self.now.bindings.push(Binding { name, line, origin });
                }
            }
        }
    }

    /// Notes that a condition was passed, together with the names that its patterns bind.
    fn pass(&mut self, condition: &'a Expr, holds: bool) {
        match condition {
            Expr::Paren(paren) => self.pass(&paren.expr, holds),
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                self.pass(&unary.expr, !holds)
            }
            Expr::Binary(binary) if matches!(binary.op, BinOp::And(_)) && holds => {
                self.pass(&binary.left, true);
                self.pass(&binary.right, true);
            }
            Expr::Binary(binary) if matches!(binary.op, BinOp::Or(_)) && !holds => {
                self.pass(&binary.left, false);
                self.pass(&binary.right, false);
            }
            Expr::Let(matched) => {
                let what = Checked::Match {
                    value: &matched.expr,
                    pattern: &matched.pat,
                };
                self.now.conditions.push(Condition {
                    line: line_of(matched),
                    what,
                    holds,
                });
                if holds {
                    let origin = Origin::Part {
                        from: &matched.expr,
                        pattern: &matched.pat,
                    };
                    self.bind(&matched.pat, origin);
                }
            }
            test => {
                let what = Checked::Test(test);
                self.now.conditions.push(Condition {
                    line: line_of(test),
                    what,
                    holds,
                });
            }
        }
    }

    /// Notes an assignment to an expression.
    fn change(&mut self, target: &'a Expr) {
        let line = line_of(target);
        let mut target = target;
        while let Expr::Paren(syn::ExprParen { expr, .. })
        | Expr::Index(syn::ExprIndex { expr, .. })
        | Expr::Reference(syn::ExprReference { expr, .. })
        | Expr::Unary(syn::ExprUnary { expr, .. }) = target
        {
            target = expr;
        }
        self.now.changes.push(Change {
            target: self.tree.text(target),
            line,
        });
    }
}

impl<'a> Visit<'a> for Walk<'_, 'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        self.meet(Spot::Expr(expr));
        match expr {
            Expr::Binary(binary) if is_assignment(&binary.op) => {
                visit::visit_expr(self, expr);
                self.change(&binary.left);
            }
            Expr::Binary(binary) => {
                self.visit_expr(&binary.left);
                self.scoped(|this| {
                    match binary.op {
                        BinOp::And(_) => this.pass(&binary.left, true),
                        BinOp::Or(_) => this.pass(&binary.left, false),
                        _ => {}
                    }
                    this.visit_expr(&binary.right);
                });
            }
            Expr::Assign(assign) => {
                self.visit_expr(&assign.right);
                self.visit_expr(&assign.left);
                self.change(&assign.left);
            }
            Expr::Reference(reference) if reference.mutability.is_some() => {
                visit::visit_expr(self, expr);
                self.change(&reference.expr);
            }
            _ => visit::visit_expr(self, expr),
        }
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        self.visit_expr(&call.receiver);
        for argument in &call.args {
            if let Expr::Closure(closure) = argument {
                self.meet(Spot::Expr(argument));
                self.scoped(|this| {
                    for input in &closure.inputs {
                        this.bind(input, Origin::Closure { call: Some(call) });
                    }
                    this.visit_expr(&closure.body);
                });
            } else {
                self.visit_expr(argument);
            }
        }
        if changes_in_place(&call.method.to_string()) {
            self.change(&call.receiver);
        }
    }

    fn visit_expr_closure(&mut self, closure: &'a syn::ExprClosure) {
        self.scoped(|this| {
            for input in &closure.inputs {
                this.bind(input, Origin::Closure { call: None });
            }
            this.visit_expr(&closure.body);
        });
    }

    fn visit_block(&mut self, block: &'a Block) {
        self.scoped(|this| visit::visit_block(this, block));
    }

    fn visit_local(&mut self, local: &'a syn::Local) {
        if let Some(init) = &local.init {
            self.visit_expr(&init.expr);
            if let Some((_, otherwise)) = &init.diverge {
                self.visit_expr(otherwise);
                let what = Checked::Match {
                    value: &init.expr,
                    pattern: &local.pat,
                };
                let line = line_of(&local.let_token);
                self.now.conditions.push(Condition {
                    line,
                    what,
                    holds: true,
                });
            }
        }
        let init = local.init.as_ref().map(|init| &*init.expr);
        self.bind(&local.pat, Origin::Let { init });
    }

    fn visit_expr_if(&mut self, branch: &'a syn::ExprIf) {
        self.visit_expr(&branch.cond);
        self.scoped(|this| {
            this.pass(&branch.cond, true);
            this.visit_block(&branch.then_branch);
        });
        if let Some((_, otherwise)) = &branch.else_branch {
            self.scoped(|this| {
                this.pass(&branch.cond, false);
                this.visit_expr(otherwise);
            });
        }
    }

    fn visit_stmt(&mut self, statement: &'a Stmt) {
        visit::visit_stmt(self, statement);
        match statement {
            // What follows an `if` that leaves runs only where its condition was false.
            Stmt::Expr(Expr::If(branch), _)
                if branch.else_branch.is_none() && leaves(&branch.then_branch) =>
            {
                self.pass(&branch.cond, false);
            }
            Stmt::Macro(call) => self.pass_assertion(&call.mac),
            Stmt::Expr(Expr::Macro(call), _) => self.pass_assertion(&call.mac),
            Stmt::Expr(..) | Stmt::Local(_) | Stmt::Item(_) => {}
        }
    }

    fn visit_expr_match(&mut self, branches: &'a syn::ExprMatch) {
        self.visit_expr(&branches.expr);
        for arm in &branches.arms {
            self.scoped(|this| {
                let (pattern, guard) = match &arm.pat {
                    Pat::Guard(guarded) => (&*guarded.pat, Some(&*guarded.guard)),
                    pattern => (pattern, None),
                };
                let what = Checked::Match {
                    value: &branches.expr,
                    pattern,
                };
                this.now.conditions.push(Condition {
                    line: line_of(pattern),
                    what,
                    holds: true,
                });
                this.bind(
                    pattern,
                    Origin::Part {
                        from: &branches.expr,
                        pattern,
                    },
                );
                if let Some(guard) = guard {
                    this.visit_expr(guard);
                    this.pass(guard, true);
                }
                this.visit_expr(&arm.body);
            });
        }
    }

    fn visit_expr_for_loop(&mut self, each: &'a syn::ExprForLoop) {
        self.visit_expr(&each.expr);
        self.in_loop(|this| {
            this.bind(&each.pat, Origin::Loop { over: &each.expr });
            this.visit_block(&each.body);
        });
    }

    fn visit_expr_while(&mut self, each: &'a syn::ExprWhile) {
        self.in_loop(|this| {
            this.visit_expr(&each.cond);
            this.pass(&each.cond, true);
            this.visit_block(&each.body);
        });
    }

    fn visit_expr_loop(&mut self, each: &'a syn::ExprLoop) {
        self.in_loop(|this| this.visit_block(&each.body));
    }

    fn visit_macro(&mut self, mac: &'a Macro) {
        self.meet(Spot::Macro(mac));
        for argument in self.tree.arguments(mac) {
            self.visit_expr(argument);
        }
    }

    fn visit_item(&mut self, _: &'a syn::Item) {}
}

impl<'a> Walk<'_, 'a> {
    /// What follows an assertion runs only where it held.
    fn pass_assertion(&mut self, mac: &'a Macro) {
        let name = mac.path.segments.last().map(|last| last.ident.to_string());
        if matches!(name.as_deref(), Some("assert" | "debug_assert" | "ensure"))
            && let Some(condition) = self.tree.arguments(mac).first()
        {
            self.pass(condition, true);
        }
    }
}

/// Whether a block never ends normally: its last statement returns, leaves a loop or panics.
fn leaves(block: &Block) -> bool {
    let diverges = |mac: &Macro| {
        let name = mac.path.segments.last().map(|last| last.ident.to_string());
        matches!(
            name.as_deref(),
            Some("panic" | "unreachable" | "todo" | "unimplemented" | "bail")
        )
    };
    match block.stmts.last() {
        Some(Stmt::Expr(Expr::Return(_) | Expr::Break(_) | Expr::Continue(_), _)) => true,
        Some(Stmt::Expr(Expr::Macro(call), _)) => diverges(&call.mac),
        Some(Stmt::Macro(call)) => diverges(&call.mac),
        _ => false,
    }
}

/// Whether an operator changes what stands on its left: `+=` and its like.
pub(crate) fn is_assignment(operator: &BinOp) -> bool {
    use BinOp::*;
    matches!(
        operator,
        AddAssign(_)
            | SubAssign(_)
            | MulAssign(_)
            | DivAssign(_)
            | RemAssign(_)
            | BitXorAssign(_)
            | BitAndAssign(_)
            | BitOrAssign(_)
            | ShlAssign(_)
            | ShrAssign(_)
    )
}

/// Methods of the standard collections that change how many elements there are.
fn changes_in_place(method: &str) -> bool {
    matches!(
        method,
        "push"
            | "pop"
            | "insert"
            | "remove"
            | "swap_remove"
            | "truncate"
            | "clear"
            | "drain"
            | "retain"
            | "split_off"
            | "resize"
            | "dedup"
            | "push_back"
            | "push_front"
            | "pop_back"
            | "pop_front"
            | "push_str"
            | "append"
            | "extend"
    )
}

/// The names that a pattern binds. A lone capitalized name is a constant or a variant.
struct Names {
    found: Vec<(String, u32)>,
}

impl<'a> Visit<'a> for Names {
    fn visit_pat_ident(&mut self, name: &'a syn::PatIdent) {
        let text = name.ident.to_string();
        if !text.starts_with(char::is_uppercase) {
            self.found.push((text, line_of(&name.ident)));
        }
        visit::visit_pat_ident(self, name);
    }
}
