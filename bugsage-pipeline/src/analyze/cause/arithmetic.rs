//! Results that do not fit, and divisors that are zero.

use syn::Expr;

use bugsage_core::panic_class::{Classified, PanicClass};

use crate::analyze::cause::absent::{passed_on, producer};
use crate::analyze::names::names;
use crate::analyze::panic_class::operation_of;
use crate::analyze::story::Story;

/// `a - b`, `a * b`, `total += price`.
pub(super) fn overflow(
    story: &mut Story<'_, '_>,
    binary: &syn::ExprBinary,
    classified: &Classified<'_>,
) {
    let (left, right) = (story.text(&*binary.left), story.text(&*binary.right));
    let text = format!("{left} {} {right}", story.text(&binary.op));
    let operation = operation_of(&binary.op).or(classified.value("operation"));
    match operation {
        Some("subtract") if classified.class == PanicClass::TimeOverflow => {
            story.say(format!("`{text}` lies before the earliest time there is: `{right}` is the longer one."));
        }
        Some("subtract") => story.say(format!(
            "`{text}` goes below the smallest value of its type: `{right}` is larger than `{left}`, or \
             `{left}` is already at the bottom."
        )),
        Some("shift_left" | "shift_right") => {
            story.say(format!("`{text}` shifts by `{right}`, which is as many bits as the type has, or more."));
        }
        Some("divide" | "remainder") => story.say(format!(
            "`{text}` divides the smallest value of its type by -1, and the result does not fit."
        )),
        Some("multiply") => story.say(format!("`{text}` gives a product that its type cannot hold.")),
        _ => story.say(format!("`{text}` gives a sum that its type cannot hold.")),
    }
    story.trace(&binary.left);
    story.trace(&binary.right);
    let mut concerned = names(story.tree(), &binary.left);
    concerned.extend(names(story.tree(), &binary.right));
    concerned.extend([left.clone(), right.clone()]);
    let missing = match operation {
        Some("subtract") => format!("compares `{left}` with `{right}`"),
        _ => format!("bounds `{left}` or `{right}`"),
    };
    story.checks(&concerned, &missing);
}

/// `a / b`, `a % b`.
pub(super) fn division<'a>(story: &mut Story<'_, 'a>, binary: &'a syn::ExprBinary) {
    let (left, right) = (story.text(&*binary.left), story.text(&*binary.right));
    let operator = story.text(&binary.op);
    let view = story.view;
    story.say(format!(
        "`{left} {operator} {right}` divides by `{right}`, which was 0."
    ));
    story.known.learn_expr(view, &binary.right, 0);
    let divisor = producer(story, &binary.right);
    let counts = match divisor {
        Expr::Cast(cast) => passed_on(&cast.expr),
        divisor => divisor,
    };
    if let Expr::MethodCall(call) = counts {
        let receiver = story.text(&*call.receiver);
        match &*call.method.to_string() {
            "len" => {
                story.known.learn(format!("{receiver}.len()"), 0);
                story.say(format!("`{receiver}` was empty."));
            }
            "count" => story.say(format!("`{receiver}` yielded nothing.")),
            "sum" => story.say(format!("`{receiver}` summed up to 0, or yielded nothing.")),
            _ => {}
        }
    }
    story.trace(&binary.right);
    let mut concerned = names(story.tree(), &binary.right);
    concerned.push(right.clone());
    story.checks(&concerned, &format!("rules out that `{right}` is 0"));
}
