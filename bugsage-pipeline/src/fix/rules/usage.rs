//! How an element or a part is used, which decides what may stand in its place.

use syn::Expr;

use crate::analyze::scope::is_assignment;
use crate::fix::returns::last;
use crate::fix::site::Ground;

/// How the element is used.
pub(super) enum Usage {
    /// As a value, or as the place of an assignment.
    Value,
    /// Behind `&` or `&mut`, which the reference of `get` replaces.
    Borrowed,
    /// As the receiver of a method.
    Receiver(String),
    /// Before a field or another index.
    Base,
    /// Before `?` or the brackets of a call.
    Called,
}

/// An element in its place.
pub(super) struct Used<'a> {
    pub(super) usage: Usage,
    /// What an edit replaces: the index, or the `&` before it as well.
    pub(super) whole: &'a Expr,
    /// Whether the element is changed.
    pub(super) mutable: bool,
}

impl<'a> Used<'a> {
    /// How the failing expression is used.
    pub(super) fn of(ground: &Ground<'_, 'a>) -> Self {
        let mut used = Used {
            usage: Usage::Value,
            whole: ground.failing,
            mutable: false,
        };
        let mut inner = ground.failing;
        let mut is_direct = true;
        for parent in ground.parents() {
            let is_inner = |part: &Expr| std::ptr::eq(part, inner);
            match parent {
                Expr::Paren(_) => {}
                Expr::Reference(reference) => {
                    used.mutable |= reference.mutability.is_some();
                    if is_direct {
                        (used.usage, used.whole) = (Usage::Borrowed, parent);
                    }
                    return used;
                }
                Expr::MethodCall(call) if is_inner(&call.receiver) => {
                    let method = call.method.to_string();
                    used.mutable |= changes(&method);
                    if is_direct {
                        used.usage = Usage::Receiver(method);
                    }
                    return used;
                }
                Expr::Field(_) | Expr::Await(_) => {
                    if is_direct {
                        used.usage = Usage::Base;
                    }
                    is_direct = false;
                }
                Expr::Index(outer) if is_inner(&outer.expr) => {
                    if is_direct {
                        used.usage = Usage::Base;
                    }
                    is_direct = false;
                }
                Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => is_direct = false,
                Expr::Assign(assign) => {
                    used.mutable |= is_inner(&assign.left);
                    return used;
                }
                Expr::Binary(binary) if is_assignment(&binary.op) => {
                    used.mutable |= is_inner(&binary.left);
                    return used;
                }
                Expr::Call(call) if is_inner(&call.func) && is_direct => {
                    used.usage = Usage::Called;
                    return used;
                }
                Expr::Try(_) if is_direct => {
                    used.usage = Usage::Called;
                    return used;
                }
                _ => return used,
            }
            inner = parent;
        }
        used
    }
}

/// Whether the element's text is kept: shown, stored or written, not read for its meaning.
pub(super) fn is_kept(ground: &Ground<'_, '_>) -> bool {
    let in_format = ground.in_macro().is_some_and(|name| {
        matches!(
            &*name,
            "format" | "print" | "println" | "eprint" | "eprintln" | "write" | "writeln"
        )
    });
    let mut parents = ground.parents();
    let user = parents.find(|parent| !matches!(parent, Expr::Reference(_) | Expr::Paren(_)));
    let is_handed = match user {
        Some(Expr::MethodCall(call)) => keeps(&call.method.to_string()),
        Some(Expr::Call(call)) => ground.tree.text(&*call.func) == "String::from",
        _ => false,
    };
    in_format || is_handed
}

/// Whether the element's text is read as something else right there.
pub(super) fn is_parsed(ground: &Ground<'_, '_>) -> bool {
    let parses = |name: &str| name.contains("parse") || name.starts_with("from_str");
    ground.parents().any(|parent| match parent {
        Expr::MethodCall(call) => parses(&call.method.to_string()),
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => last(&path.path).is_some_and(|name| parses(&name)),
            _ => false,
        },
        _ => false,
    })
}

fn keeps(method: &str) -> bool {
    matches!(
        method,
        "to_owned" | "to_string" | "push_str" | "into" | "insert_str" | "into_owned"
    )
}

/// Methods that a reference has too, with another meaning.
pub(super) fn takes_value(method: &str) -> bool {
    matches!(
        method,
        "to_owned" | "into" | "try_into" | "max" | "min" | "clamp" | "into_iter"
    )
}

/// Methods of the standard library that change their receiver.
fn changes(method: &str) -> bool {
    matches!(
        method,
        "push"
            | "push_str"
            | "pop"
            | "insert"
            | "remove"
            | "swap_remove"
            | "clear"
            | "extend"
            | "append"
            | "truncate"
            | "drain"
            | "retain"
            | "sort"
            | "sort_by"
            | "sort_by_key"
            | "sort_unstable"
            | "reverse"
            | "fill"
            | "swap"
            | "iter_mut"
            | "get_mut"
            | "as_mut"
            | "take"
            | "replace"
            | "entry"
            | "copy_from_slice"
            | "clone_from_slice"
            | "rotate_left"
            | "rotate_right"
            | "push_back"
            | "push_front"
            | "pop_back"
            | "pop_front"
            | "chunks_mut"
            | "get_or_insert_with"
            | "next"
    )
}
