//! A string cut inside of a character: the cut moves to where the character begins.

use syn::{BinOp, Expr, ExprRange, RangeLimits};

use crate::fix::order::is_pure;
use crate::fix::rules::Ruled;
use crate::fix::rules::access::Access;
use crate::fix::rules::usage::{is_kept, is_parsed};
use crate::fix::site::{Bound, Ground};
use crate::fix::{Candidate, Edit, Outcome, Way};

const RULE: &str = "str/boundary";

/// `str::floor_char_boundary` is stable from here on.
const FLOOR_SINCE: (u32, u32) = (1, 91);

/// Which way a cut moves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Toward {
    Start,
    End,
}

/// Proposes a cut at the boundary; before the early return where the text is kept, else after it.
pub(super) fn rule(access: &Access<'_, '_, '_>, ruled: &mut Ruled) {
    let found = match corrected(access) {
        Ok(found) => found,
        Err(reason) => return ruled.decline(RULE, reason),
    };
    if is_kept(access.ground) {
        ruled.candidates.splice(0..0, found);
    } else {
        ruled.candidates.extend(found);
    }
}

fn corrected(access: &Access<'_, '_, '_>) -> Result<Vec<Candidate>, String> {
    let ground = access.ground;
    let text = &*access.index.expr;
    let Expr::Range(range) = unwrapped(&access.index.index) else {
        return Err("the range is made elsewhere, so the cut cannot be moved here".to_owned());
    };
    if !ground.rivals.is_empty() {
        return Err("the report does not tell which of several cuts failed".to_owned());
    }
    if !is_place(text) || !is_pure(&access.index.index) {
        return Err(format!(
            "moving the cut evaluates {} twice, which may have effects",
            ground.quoted(ground.failing)
        ));
    }
    if is_parsed(access.ground) {
        return Err(
            "the text is parsed, and a shorter one would be read as something else".to_owned(),
        );
    }
    if let Some(start) = range.start.as_deref()
        && may_be_wrong(start)
        && !counts_from_end(start)
        && ground.bound != Some(Bound::End)
    {
        return Err(format!(
            "the source does not tell on which side of the character the text is to begin at {}: \
             one way keeps what was to be left out, the other loses a part",
            ground.quoted(start)
        ));
    }
    let (edits, moved) = cuts(ground, text, range);
    let Some(moved) = moved else {
        return Err("the end that the message names is not written in the source".to_owned());
    };
    let quoted = ground.quoted(text);
    let side = match moved {
        Toward::Start => "before",
        Toward::End => "behind",
    };
    let reason = if is_kept(access.ground) {
        "the text is kept, not read: without a part of a character it says the same".to_owned()
    } else {
        "what is cut stays a string, shorter or longer by a part of one character".to_owned()
    };
    Ok(vec![Candidate {
        rule: RULE.to_owned(),
        way: Way::Correct,
        claim: format!(
            "{quoted} is cut {side} the character that the cut would split; where it splits none, \
             nothing changes."
        ),
        reason: format!("{reason}."),
        outcome: Outcome::Any,
        edits,
        half_done: None,
    }])
}

/// Moves the ends that can be wrong, and tells which way the first of them moves.
fn cuts(ground: &Ground<'_, '_>, text: &Expr, range: &ExprRange) -> (Vec<Edit>, Option<Toward>) {
    let from_the_end = range.start.as_deref().is_some_and(counts_from_end);
    let start_toward = if from_the_end {
        Toward::End
    } else {
        Toward::Start
    };
    let mut edits = Vec::new();
    let mut moved = None;
    if let Some(start) = range.start.as_deref().filter(|start| may_be_wrong(start))
        && ground.bound != Some(Bound::End)
    {
        edits.push(at_boundary(ground, text, start, start_toward, false));
        moved = Some(start_toward);
    }
    if let Some(end) = range.end.as_deref().filter(|end| may_be_wrong(end))
        && ground.bound != Some(Bound::Start)
    {
        let inclusive = matches!(range.limits, RangeLimits::Closed(_));
        if inclusive {
            let dots = ground.source.range(&range.limits);
            edits.push(Edit::replace(dots, ".."));
        }
        edits.push(at_boundary(ground, text, end, Toward::Start, inclusive));
        moved = Some(moved.unwrap_or(Toward::Start));
    }
    (edits, moved)
}

/// Whether an end of a range can stand inside of a character.
fn may_be_wrong(end: &Expr) -> bool {
    !matches!(end, Expr::Lit(literal) if matches!(&literal.lit, syn::Lit::Int(int) if int.base10_digits() == "0"))
}

/// `text.len() - n`: the last bytes of a text.
fn counts_from_end(start: &Expr) -> bool {
    match unwrapped(start) {
        Expr::Binary(binary) if matches!(binary.op, BinOp::Sub(_)) => {
            matches!(&*binary.left, Expr::MethodCall(call) if call.method == "len")
        }
        Expr::MethodCall(call) if call.method == "saturating_sub" => {
            matches!(&*call.receiver, Expr::MethodCall(call) if call.method == "len")
        }
        _ => false,
    }
}

fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

/// A variable or a field: evaluating it twice has no effect.
fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Path(_) => true,
        Expr::Field(field) => is_place(&field.base),
        Expr::Paren(paren) => is_place(&paren.expr),
        _ => false,
    }
}

/// Moves one end of a range to the boundary.
fn at_boundary(
    ground: &Ground<'_, '_>,
    text: &Expr,
    end: &Expr,
    toward: Toward,
    inclusive: bool,
) -> Edit {
    let source = ground.source;
    let (text, mut at) = (source.of(text), source.of(end).to_owned());
    if inclusive {
        at.push_str(" + 1");
    }
    let is_new = ground
        .rust_version
        .is_none_or(|version| version >= FLOOR_SINCE);
    let moved = match (toward, is_new) {
        (Toward::Start, true) => format!("{text}.floor_char_boundary({at})"),
        (Toward::End, true) => format!("{text}.ceil_char_boundary({at})"),
        (Toward::Start, false) => {
            format!("(0..={at}).rev().find(|at| {text}.is_char_boundary(*at)).unwrap_or(0)")
        }
        (Toward::End, false) => format!(
            "({at}..={text}.len()).find(|at| {text}.is_char_boundary(*at)).unwrap_or({text}.len())"
        ),
    };
    Edit::replace(source.range(end), moved)
}
