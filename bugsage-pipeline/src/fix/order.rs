//! What runs before the failing expression, so that nothing is moved before it that it waits for.

use syn::{BinOp, Expr, Stmt};

use crate::analyze::scope::is_assignment;
use crate::fix::path::Node;
use crate::fix::site::Ground;

/// Whether evaluating an expression twice, earlier or later makes no difference.
pub(super) fn is_pure(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(_) | Expr::Path(_) => true,
        Expr::Field(field) => is_pure(&field.base),
        Expr::Paren(paren) => is_pure(&paren.expr),
        Expr::Unary(unary) => is_pure(&unary.expr),
        Expr::Cast(cast) => is_pure(&cast.expr),
        Expr::Reference(reference) => reference.mutability.is_none() && is_pure(&reference.expr),
        Expr::Binary(binary) => {
            !is_assignment(&binary.op) && is_pure(&binary.left) && is_pure(&binary.right)
        }
        Expr::Tuple(tuple) => tuple.elems.iter().all(is_pure),
        Expr::Range(range) => {
            let ends = [&range.start, &range.end];
            ends.into_iter().flatten().all(|end| is_pure(end))
        }
        Expr::MethodCall(call) => {
            only_looks(&call.method.to_string())
                && is_pure(&call.receiver)
                && call.args.iter().all(is_pure)
        }
        _ => false,
    }
}

/// Methods of the standard library that only look.
fn only_looks(method: &str) -> bool {
    matches!(
        method,
        "len"
            | "is_empty"
            | "as_str"
            | "as_bytes"
            | "as_ref"
            | "as_deref"
            | "as_slice"
            | "min"
            | "max"
            | "clone"
            | "to_owned"
            | "to_string"
            | "iter"
            | "chars"
            | "first"
            | "last"
            | "is_some"
            | "is_none"
            | "is_ok"
            | "is_err"
            | "contains"
            | "starts_with"
            | "ends_with"
            | "saturating_sub"
            | "checked_sub"
            | "abs"
            | "pow"
            | "trim"
            | "count_ones"
            | "as_usize"
    )
}

/// The variable that a place belongs to.
pub(super) fn root(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Field(field) => root(&field.base),
        Expr::Index(index) => root(&index.expr),
        Expr::Paren(paren) => root(&paren.expr),
        Expr::Unary(unary) => root(&unary.expr),
        Expr::Reference(reference) => root(&reference.expr),
        Expr::MethodCall(call) => root(&call.receiver),
        Expr::Try(tried) => root(&tried.expr),
        _ => None,
    }
}

/// The statement that a guard can stand before.
pub(super) struct Place<'a> {
    pub(super) statement: &'a Stmt,
    /// The innermost loop within the carrier that the statement is in.
    pub(super) in_loop: Option<&'a Expr>,
}

/// Finds the statement of the failing expression, where the expression is the first thing in it
/// that has an effect. Else says why a guard cannot stand before it.
pub(super) fn place<'a>(ground: &Ground<'_, 'a>) -> Result<Place<'a>, String> {
    let nodes = ground.within();
    let at = nodes.iter().rposition(|node| matches!(node, Node::Stmt(_)));
    let Some((at, Node::Stmt(statement))) = at.map(|at| (at, nodes[at])) else {
        return Err("it stands in no statement of its own".to_owned());
    };
    let inner = &nodes[at + 1..];
    let holders = inner.iter().copied();
    let held = inner[1.min(inner.len())..]
        .iter()
        .copied()
        .chain([Node::Expr(ground.failing)]);
    for (holder, held) in holders.zip(held) {
        runs_first(ground, holder, held)?;
    }
    Ok(Place {
        statement,
        in_loop: innermost_loop(&nodes[..at]),
    })
}

/// The innermost loop that holds the last of the nodes in its body.
fn innermost_loop<'a>(nodes: &[Node<'a>]) -> Option<&'a Expr> {
    let pairs = nodes.iter().zip(&nodes[1.min(nodes.len())..]).rev();
    let mut loops = pairs.filter_map(|(holder, held)| match (holder, held) {
        (
            Node::Expr(expr @ (Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_))),
            Node::Block(_),
        ) => Some(*expr),
        _ => None,
    });
    loops.next()
}

fn is(expr: &Expr, node: Node<'_>) -> bool {
    matches!(node, Node::Expr(other) if std::ptr::eq(expr, other))
}

/// Whether what is held runs whenever its holder does, before anything of it that has an effect.
fn runs_first(ground: &Ground<'_, '_>, holder: Node<'_>, held: Node<'_>) -> Result<(), String> {
    let before: Vec<&Expr> = match holder {
        Node::Macro(mac) => {
            let arguments = ground.tree.arguments(mac).iter();
            arguments
                .take_while(|argument| !is(argument, held))
                .collect()
        }
        _ if matches!(held, Node::Arm) => {
            return Err("it runs in one branch of a `match` only".to_owned());
        }
        Node::Expr(expr) => before(expr, held)?,
        Node::Block(_) | Node::Stmt(_) | Node::Arm => {
            return Err("it stands in a nested block".to_owned());
        }
    };
    match before.into_iter().find(|expr| !is_pure(expr)) {
        Some(expr) => Err(format!(
            "{} runs before it in the same statement",
            ground.quoted(expr)
        )),
        None => Ok(()),
    }
}

/// What of an expression runs before one of its parts.
fn before<'e>(holder: &'e Expr, held: Node<'_>) -> Result<Vec<&'e Expr>, String> {
    let until = |parts: Vec<&'e Expr>| {
        parts
            .into_iter()
            .take_while(|part| !is(part, held))
            .collect()
    };
    Ok(match holder {
        Expr::Binary(binary) if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) => {
            if is(&binary.right, held) {
                return Err("it runs only where what stands before it allows".to_owned());
            }
            Vec::new()
        }
        Expr::Binary(binary) if is_assignment(&binary.op) => {
            vec![if is(&binary.left, held) {
                &*binary.right
            } else {
                &*binary.left
            }]
        }
        Expr::Binary(binary) => until(vec![&*binary.left, &*binary.right]),
        Expr::Assign(assign) => until(vec![&*assign.right, &*assign.left]),
        Expr::Call(call) => until(std::iter::once(&*call.func).chain(&call.args).collect()),
        Expr::MethodCall(call) => {
            until(std::iter::once(&*call.receiver).chain(&call.args).collect())
        }
        Expr::Index(index) => until(vec![&*index.expr, &*index.index]),
        Expr::Tuple(tuple) => until(tuple.elems.iter().collect()),
        Expr::Array(array) => until(array.elems.iter().collect()),
        Expr::Struct(made) => until(made.fields.iter().map(|field| &field.expr).collect()),
        Expr::Range(range) => until(
            [&range.start, &range.end]
                .into_iter()
                .flatten()
                .map(|end| &**end)
                .collect(),
        ),
        Expr::If(branch) if is(&branch.cond, held) => Vec::new(),
        Expr::Match(branches) if is(&branches.expr, held) => Vec::new(),
        Expr::ForLoop(each) if is(&each.expr, held) => Vec::new(),
        Expr::While(_) => {
            return Err("it is tried again before each turn of a `while` loop".to_owned());
        }
        Expr::Reference(_)
        | Expr::Unary(_)
        | Expr::Paren(_)
        | Expr::Cast(_)
        | Expr::Field(_)
        | Expr::Try(_)
        | Expr::Await(_)
        | Expr::Return(_)
        | Expr::Break(_)
        | Expr::Let(_)
        | Expr::Macro(_) => Vec::new(),
        _ => return Err("it does not run each time that its statement does".to_owned()),
    })
}
