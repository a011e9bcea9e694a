//! Which expression failed, and the class of the panic where only the source can tell it.
//!
//! `expect("a stock level")` panics with the app's own words: the message alone says nothing, the
//! call at the panic's place says everything.

use syn::{BinOp, Expr, Lit, Macro, UnOp};

use bugsage_core::panic_class::{Classified, PanicClass, classify};

use crate::analyze::syntax::{Body, Reported, SourceTree, Spot};
use crate::evidence::Place;

/// The piece of syntax that failed.
pub(crate) struct Failing<'a> {
    pub(crate) spot: Spot<'a>,
    /// Whether it begins at the very column that the panic names.
    pub(crate) exact: bool,
    /// Others that fit as well, such as the outer and the inner index of `grid[y][x]`.
    pub(crate) rivals: Vec<Spot<'a>>,
}

/// Finds what failed at a place: what begins there and can fail in the way that the class says.
pub(crate) fn failing<'a>(
    tree: &SourceTree<'a>,
    body: &Body<'a>,
    place: &Place,
    classified: &Classified<'_>,
) -> Option<Failing<'a>> {
    failing_at(tree, body, place.line, place.column, classified)
}

/// Finds what failed at a line and a column, both counted from 1.
pub(crate) fn failing_at<'a>(
    tree: &SourceTree<'a>,
    body: &Body<'a>,
    line: u32,
    column: Option<u32>,
    classified: &Classified<'_>,
) -> Option<Failing<'a>> {
    let candidates = tree.candidates(body, line);
    let at_column =
        |reported: &Reported<'a>| column.is_some_and(|column| reported.is_at(line, column));
    let mut fitting: Vec<Reported<'a>> = candidates
        .into_iter()
        .filter(|reported| fits(reported.spot, classified))
        .collect();
    let exact = fitting.iter().any(at_column);
    if exact {
        fitting.retain(at_column);
    }
    // A call fits because anything may happen inside of it; what indexes or computes fits by itself.
    if fitting.iter().any(|reported| !is_mere_call(reported.spot)) {
        fitting.retain(|reported| !is_mere_call(reported.spot));
    }
    let mut spots = fitting.into_iter().map(|reported| reported.spot);
    Some(Failing {
        spot: spots.next()?,
        exact,
        rivals: spots.collect(),
    })
}

fn is_mere_call(spot: Spot<'_>) -> bool {
    match spot {
        Spot::Expr(expr) => {
            let called = matches!(expr, Expr::MethodCall(_) | Expr::Call(_));
            called && !is_unwrap(expr) && !is_swap(expr)
        }
        Spot::Macro(_) => false,
    }
}

/// Whether an explanation of the class states numbers that hold for one expression only.
pub(crate) fn states_numbers(class: PanicClass) -> bool {
    use PanicClass::*;
    matches!(
        class,
        IndexOutOfBounds
            | DequeIndex
            | KeyNotFound
            | SliceRange
            | NotCharBoundary
            | StrOutOfBounds
            | StrRangeReversed
    )
}

/// Whether a piece of syntax can fail in the way that a class says.
fn fits(spot: Spot<'_>, classified: &Classified<'_>) -> bool {
    use PanicClass::*;
    let expr = match spot {
        Spot::Expr(expr) => expr,
        Spot::Macro(mac) => return macro_fits(mac, classified.class),
    };
    let called = matches!(expr, Expr::MethodCall(_) | Expr::Call(_));
    let index = match expr {
        Expr::Index(index) => Some(&*index.index),
        _ => None,
    };
    match classified.class {
        IndexOutOfBounds => {
            let contradicts = |index: &Expr| {
                let literal = literal(index);
                literal.is_some() && literal != classified.number("index")
            };
            index.is_some_and(|index| !is_range(index) && !contradicts(index)) || is_swap(expr)
        }
        DequeIndex | KeyNotFound => index.is_some_and(|index| !is_range(index)) || called,
        SliceRange | NotCharBoundary | StrOutOfBounds | StrRangeReversed => {
            index.is_some_and(|index| is_range(index) || literal(index).is_none()) || called
        }
        UnwrapNone | UnwrapErr | UnwrapOk | Expect | Channel => is_unwrap(expr),
        Poison | Join => is_unwrap(expr) || called,
        ArithmeticOverflow => computes(expr, classified.value("operation")) || called,
        DivideByZero => computes(expr, classified.value("operation")) || called,
        TimeOverflow => matches!(expr, Expr::Binary(_)) || called,
        Assertion | ExplicitPanic | Todo | Unimplemented | Unreachable => false,
        Custom => is_expect(expr) || called,
        PolledAfterCompletion => matches!(expr, Expr::Await(_)) || called,
        _ => called,
    }
}

fn macro_fits(mac: &Macro, class: PanicClass) -> bool {
    use PanicClass::*;
    let name = macro_name(mac);
    let asserts = name.contains("assert");
    match class {
        Assertion => asserts,
        ExplicitPanic => name == "panic",
        Todo => name == "todo",
        Unimplemented => name == "unimplemented",
        Unreachable => name == "unreachable",
        Custom => asserts || matches!(&*name, "panic" | "todo" | "unimplemented" | "unreachable"),
        CapacityOverflow | AllocationFailure => matches!(&*name, "vec" | "format"),
        PrintFailed => name.contains("print"),
        _ => false,
    }
}

/// The class as the source shows it, where the message alone could not tell or could mislead.
pub(crate) fn class_in_source(message: &str, spot: Spot<'_>) -> PanicClass {
    let class = classify(message).class;
    match spot {
        // An app may assert what the standard library asserts too.
        Spot::Macro(mac) if macro_name(mac).contains("assert") => PanicClass::Assertion,
        Spot::Macro(mac) if class == PanicClass::Custom => match &*macro_name(mac) {
            "todo" => PanicClass::Todo,
            "unimplemented" => PanicClass::Unimplemented,
            "unreachable" => PanicClass::Unreachable,
            "panic" => PanicClass::ExplicitPanic,
            _ => class,
        },
        Spot::Expr(Expr::MethodCall(call)) if class == PanicClass::Custom => {
            match &*call.method.to_string() {
                "expect" => expected(message, call),
                "expect_err" => PanicClass::UnwrapOk,
                _ => class,
            }
        }
        Spot::Macro(_) | Spot::Expr(_) => class,
    }
}

/// `expect` adds the error to its words for a `Result`, and nothing for an `Option`.
fn expected(message: &str, call: &syn::ExprMethodCall) -> PanicClass {
    let Some(Expr::Lit(syn::ExprLit {
        lit: Lit::Str(words),
        ..
    })) = call.args.first()
    else {
        return PanicClass::Expect;
    };
    match message.strip_prefix(&words.value()) {
        Some("") => PanicClass::UnwrapNone,
        Some(rest) => match rest.strip_prefix(": ") {
            Some(err) => classify(&as_unwrap(err)).class,
            None => PanicClass::Expect,
        },
        None => PanicClass::Expect,
    }
}

/// What `unwrap` would have said where `expect` put its own words before the error.
pub(crate) fn as_unwrap(err: &str) -> String {
    format!("called `Result::unwrap()` on an `Err` value: {err}")
}

/// The message in the words that carry its values: those of `unwrap` for `expect`.
pub(crate) fn plain_message(message: &str, class: PanicClass, spot: Option<Spot<'_>>) -> String {
    if let Some(Spot::Expr(Expr::MethodCall(call))) = spot
        && call.method == "expect"
        && class != PanicClass::UnwrapNone
        && let Some(Expr::Lit(syn::ExprLit {
            lit: Lit::Str(words),
            ..
        })) = call.args.first()
    {
        let err = message.strip_prefix(&words.value());
        if let Some(err) = err.and_then(|rest| rest.strip_prefix(": ")) {
            return as_unwrap(err);
        }
    }
    message.to_owned()
}

/// The last name of a macro's path.
pub(crate) fn macro_name(mac: &Macro) -> String {
    mac.path
        .segments
        .last()
        .map(|last| last.ident.to_string())
        .unwrap_or_default()
}

fn is_unwrap(expr: &Expr) -> bool {
    match expr {
        Expr::MethodCall(call) => {
            let method = call.method.to_string();
            method.starts_with("unwrap") || method.starts_with("expect")
        }
        _ => false,
    }
}

fn is_expect(expr: &Expr) -> bool {
    matches!(expr, Expr::MethodCall(call) if call.method == "expect" || call.method == "expect_err")
}

fn is_swap(expr: &Expr) -> bool {
    matches!(expr, Expr::MethodCall(call) if call.method == "swap")
}

/// Whether an index is a range, as far as its form shows.
pub(crate) fn is_range(index: &Expr) -> bool {
    match index {
        Expr::Range(_) => true,
        Expr::Paren(paren) => is_range(&paren.expr),
        _ => false,
    }
}

fn literal(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(int) => int.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an expression is the operation that the message names.
fn computes(expr: &Expr, operation: Option<&str>) -> bool {
    match expr {
        Expr::Binary(binary) => {
            let name = operation_of(&binary.op);
            name.is_some() && (name == operation || operation == Some("duration"))
        }
        Expr::Unary(unary) => matches!(unary.op, UnOp::Neg(_)) && operation == Some("negate"),
        _ => false,
    }
}

/// The name that messages have for an operator.
pub(crate) fn operation_of(operator: &BinOp) -> Option<&'static str> {
    Some(match operator {
        BinOp::Add(_) | BinOp::AddAssign(_) => "add",
        BinOp::Sub(_) | BinOp::SubAssign(_) => "subtract",
        BinOp::Mul(_) | BinOp::MulAssign(_) => "multiply",
        BinOp::Div(_) | BinOp::DivAssign(_) => "divide",
        BinOp::Rem(_) | BinOp::RemAssign(_) => "remainder",
        BinOp::Shl(_) | BinOp::ShlAssign(_) => "shift_left",
        BinOp::Shr(_) | BinOp::ShrAssign(_) => "shift_right",
        _ => return None,
    })
}
