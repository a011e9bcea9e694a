//! What is known at one point of a function: the names in scope and where they come from, the
//! conditions that hold there, and what the function changes.

// The walk to the point.
mod walk;

use syn::visit::Visit;
use syn::{Expr, FnArg, Pat};

use self::walk::Walk;
pub(crate) use self::walk::is_assignment;
use crate::analyze::syntax::{Body, Content, SourceTree, Spot};

/// What is known at one point of a function.
#[derive(Clone, Default)]
pub(crate) struct Scope<'a> {
    /// Names in scope, the innermost last.
    pub(crate) bindings: Vec<Binding<'a>>,
    /// Conditions that hold, or were passed on the way, in the order of the source.
    pub(crate) conditions: Vec<Condition<'a>>,
    /// What the whole function assigns or changes in place.
    pub(crate) changes: Vec<Change>,
    /// Whether the point lies in a loop, so that later lines run before it too.
    pub(crate) in_loop: bool,
}

/// A name and where it comes from.
#[derive(Clone)]
pub(crate) struct Binding<'a> {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) origin: Origin<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// A parameter of the function, by its position without `self`.
    Parameter {
        position: usize,
        ty: Option<&'a syn::Type>,
    },
    /// `let name = init;`
    Let { init: Option<&'a Expr> },
    /// Part of what a pattern takes apart: `let (a, b) = from;`, `Some(a) => …`, `Err(e) => …`.
    Part { from: &'a Expr, pattern: &'a Pat },
    /// `for name in over`.
    Loop { over: &'a Expr },
    /// A closure's parameter, and the call that the closure is handed to.
    Closure {
        call: Option<&'a syn::ExprMethodCall>,
    },
}

/// A condition that was passed on the way to the point.
#[derive(Clone, Copy)]
pub(crate) struct Condition<'a> {
    pub(crate) line: u32,
    pub(crate) what: Checked<'a>,
    /// Whether the condition was true on the way, or false.
    pub(crate) holds: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Checked<'a> {
    /// A boolean expression.
    Test(&'a Expr),
    /// A value that matched a pattern.
    Match { value: &'a Expr, pattern: &'a Pat },
}

/// An assignment, or a call that changes something in place.
#[derive(Clone)]
pub(crate) struct Change {
    /// What is changed, as the source writes it.
    pub(crate) target: String,
    pub(crate) line: u32,
}

impl<'a> Scope<'a> {
    /// What is known at `spot` within `body`.
    pub(crate) fn at(tree: &SourceTree<'a>, body: &Body<'a>, spot: Spot<'a>) -> Scope<'a> {
        let mut walk = Walk {
            tree,
            spot,
            now: Scope::default(),
            loops: 0,
            found: None,
        };
        if let Some(signature) = body.signature {
            let typed = signature.inputs.iter().filter_map(|input| match input {
                FnArg::Typed(typed) => Some(typed),
                FnArg::Receiver(_) => None,
            });
            for (position, parameter) in typed.enumerate() {
                let origin = Origin::Parameter {
                    position,
                    ty: Some(&*parameter.ty),
                };
                walk.bind(&parameter.pat, origin);
            }
        }
        match body.content {
            Content::Block(block) => walk.visit_block(block),
            Content::Value(expr) => walk.visit_expr(expr),
        }
        let mut scope = walk.found.unwrap_or_default();
        scope.changes = walk.now.changes;
        scope
    }

    /// The innermost binding of a name.
    pub(crate) fn binding(&self, name: &str) -> Option<&Binding<'a>> {
        self.bindings
            .iter()
            .rev()
            .find(|binding| binding.name == name)
    }

    /// The lines that change something after a line and before another, or anywhere in a loop.
    pub(crate) fn changes_of<'s>(
        &'s self,
        target: &'s str,
        after: u32,
        before: u32,
    ) -> impl Iterator<Item = &'s Change> {
        self.changes.iter().filter(move |change| {
            let between = (after..=before).contains(&change.line);
            change.target == target && (between || self.in_loop)
        })
    }
}
