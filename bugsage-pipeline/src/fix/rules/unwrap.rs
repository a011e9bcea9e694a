//! `unwrap` and `expect` on `Option` and `Result`.

use bugsage_core::panic_class::PanicClass;
use syn::{Block, Expr, ExprMethodCall, Lit, Stmt};

use crate::fix::lift::{Lift, Missing, from_option, from_result};
use crate::fix::path::Node;
use crate::fix::returns::Returns;
use crate::fix::rules::access::{all_of, plain};
use crate::fix::rules::guard::{Bound, Fallible, guard};
use crate::fix::rules::{Ruled, no_early_return, no_word};
use crate::fix::site::{Ground, rule_of};
use crate::fix::{Candidate, Edit, Way};

/// What may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Option,
    Result,
}

impl Kind {
    fn rule(self, what: &str) -> String {
        match self {
            Kind::Option => format!("option/{what}"),
            Kind::Result => format!("result/{what}"),
        }
    }
}

/// Proposes what can be done about an `unwrap`.
pub(super) fn rule(ground: &Ground<'_, '_>) -> Ruled {
    let mut ruled = Ruled::default();
    let call = match ground.failing {
        Expr::MethodCall(call) if call.method == "unwrap" || call.method == "expect" => call,
        other => {
            let reason = format!("{} is neither `unwrap` nor `expect`", ground.quoted(other));
            ruled.decline(rule_of(ground.class), reason);
            return ruled;
        }
    };
    if !ground.rivals.is_empty() {
        let reason = format!(
            "the report does not tell which of {} failed",
            all_of(ground)
        );
        ruled.decline(rule_of(ground.class), reason);
        return ruled;
    }
    // The words of an `expect` may be computed, and then nothing tells an `Option` from a `Result`.
    let kinds: &[Kind] = match ground.class {
        PanicClass::UnwrapNone => &[Kind::Option],
        PanicClass::UnwrapErr => &[Kind::Result],
        _ => &[Kind::Option, Kind::Result],
    };
    for kind in kinds {
        propagate(ground, call, *kind, &mut ruled);
    }
    for kind in kinds {
        guarded(ground, call, *kind, &mut ruled);
    }
    if ruled.candidates.is_empty()
        && let Some(reason) = no_word(ground, &missing(ground, call, kinds[0]))
    {
        ruled.declined.clear();
        ruled.decline(rule_of(ground.class), reason);
    }
    ruled
}

fn missing(ground: &Ground<'_, '_>, call: &ExprMethodCall, kind: Kind) -> Missing {
    let value = ground.quoted(&call.receiver);
    let expected = match call.args.first() {
        Some(Expr::Lit(literal)) => match &literal.lit {
            Lit::Str(words) => Some(words.value()).filter(|words| is_simple(words)),
            _ => None,
        },
        _ => None,
    };
    let named = plain(ground.source.of(&*call.receiver)).filter(|name| !name.contains(['(', ':']));
    // The words of an `expect` say what should have been.
    let expected = expected.map(|words| format!("expected: {words}"));
    let message = expected.unwrap_or_else(|| match named {
        Some(name) => format!("no {name}"),
        None => "a value is missing".to_owned(),
    });
    Missing {
        what: match kind {
            Kind::Option => format!("{value} is `None`"),
            Kind::Result => format!("{value} fails"),
        },
        message,
        is_format: false,
        variants: &["NotFound", "Missing"],
    }
}

/// Whether words need no escape in a string or in a format.
fn is_simple(words: &str) -> bool {
    let is_fine = |c: char| !c.is_control() && !"\"\\{}".contains(c);
    !words.is_empty() && words.len() <= 80 && words.chars().all(is_fine)
}

fn propagate(ground: &Ground<'_, '_>, call: &ExprMethodCall, kind: Kind, ruled: &mut Ruled) {
    let rule = kind.rule("propagate");
    let missing = missing(ground, call, kind);
    let lifts = match (no_early_return(ground), kind) {
        (Some(reason), _) => Err(reason),
        (None, Kind::Option) => from_option(ground, &missing),
        (None, Kind::Result) => Ok(from_result(ground)),
    };
    let lifts = match lifts {
        Ok(lifts) => lifts,
        Err(reason) => return ruled.decline(&rule, reason),
    };
    for lift in &lifts {
        for edit in edits(ground, call, lift) {
            ruled.candidates.push(Candidate {
                rule: rule.clone(),
                way: Way::Propagate,
                claim: format!(
                    "{} gives {} where {}.",
                    ground.carrier.name, lift.gives, missing.what
                ),
                reason: format!("{}.", lift.reason),
                outcome: lift.outcome,
                edits: vec![edit],
                half_done: None,
            });
        }
    }
}

/// The suffix in the place of `.unwrap()`.
fn edits(ground: &Ground<'_, '_>, call: &ExprMethodCall, lift: &Lift) -> Vec<Edit> {
    let source = ground.source;
    let end = source.range(ground.failing).end;
    let receiver = source.range(&*call.receiver);
    let dot = source.range(&call.dot_token).start;
    // A `?` stands right behind its value, unless a comment is between.
    let is_blank = source.slice(receiver.end..dot).trim().is_empty();
    let start = if is_blank && lift.suffix.starts_with('?') {
        receiver.end
    } else {
        dot
    };
    let mut edits = vec![Edit::replace(start..end, lift.suffix.clone())];
    // `Some(x?)` is `x`, and so is `Ok(x?)` where no error is converted.
    if let Some((wrapped, suffix, at)) = returned(ground, ground.failing, &lift.suffix) {
        let text = format!("{}{suffix}", source.slice(receiver));
        edits.insert(at, Edit::replace(source.range(wrapped), text));
    }
    edits
}

/// What a function ends with around an expression that gets a suffix, the suffix that the expression
/// needs without it, and where that form stands among the others.
pub(super) fn returned<'a, 's>(
    ground: &Ground<'_, 'a>,
    expr: &Expr,
    suffix: &'s str,
) -> Option<(&'a Expr, &'s str, usize)> {
    let bare = suffix.strip_suffix('?')?;
    match &ground.carrier.returns {
        Returns::Option => Some((returned_in(ground, expr, "Some")?, bare, 0)),
        Returns::Result(_) => Some((returned_in(ground, expr, "Ok")?, bare, 1)),
        _ => None,
    }
}

/// The `Some(…)` or `Ok(…)` around an expression, where the function ends with it.
fn returned_in<'a>(ground: &Ground<'_, 'a>, expr: &Expr, variant: &str) -> Option<&'a Expr> {
    let nodes = ground.within();
    let at = nodes.iter().rposition(|node| match node {
        Node::Expr(Expr::Call(call)) => {
            let wraps = matches!(&*call.func, Expr::Path(path) if path.path.is_ident(variant));
            wraps
                && call
                    .args
                    .first()
                    .is_some_and(|first| std::ptr::eq(first, expr))
        }
        _ => false,
    })?;
    let Node::Expr(some) = nodes[at] else {
        return None;
    };
    let mut is_end = true;
    for node in nodes[..at].iter().rev() {
        match node {
            Node::Expr(Expr::Return(_)) if is_end => return Some(some),
            Node::Stmt(statement) => {
                is_end &= matches!(
                    statement,
                    Stmt::Expr(Expr::Return(_), _) | Stmt::Expr(_, None)
                );
            }
            Node::Block(block) => is_end &= ends_with_value(block),
            Node::Arm | Node::Expr(Expr::Block(_) | Expr::If(_) | Expr::Match(_)) => {}
            Node::Expr(_) | Node::Macro(_) => return None,
        }
    }
    (is_end && is_last(nodes, at)).then_some(some)
}

fn ends_with_value(block: &Block) -> bool {
    matches!(block.stmts.last(), Some(Stmt::Expr(_, None)))
}

/// Whether each statement on the way is the last of its block, and no `match` looks at the value.
fn is_last(nodes: &[Node<'_>], at: usize) -> bool {
    let pairs = nodes[..at].iter().zip(&nodes[1..=at]);
    pairs
        .into_iter()
        .all(|(holder, held)| match (holder, held) {
            (Node::Expr(Expr::Match(_)), held) => matches!(held, Node::Arm),
            (Node::Block(block), Node::Stmt(statement)) => block
                .stmts
                .last()
                .is_some_and(|last| std::ptr::eq(last, *statement)),
            _ => true,
        })
}

fn guarded(ground: &Ground<'_, '_>, call: &ExprMethodCall, kind: Kind, ruled: &mut Ruled) {
    let rule = kind.rule("guard");
    let fallible = Fallible {
        whole: ground.failing,
        text: ground.source.of(&*call.receiver).to_owned(),
        variant: match kind {
            Kind::Option => "Some",
            Kind::Result => "Ok",
        },
        bound: Bound::Itself,
        about: &call.receiver,
    };
    match guard(ground, &fallible) {
        Ok(guarded) => {
            let missing = missing(ground, call, kind);
            ruled.candidates.push(guarded.candidate(&rule, &missing));
        }
        Err(Some(reason)) => ruled.decline(&rule, reason),
        Err(None) => {}
    }
}
