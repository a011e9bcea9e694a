//! Borrows that overlap, panics on purpose, and calls that panic inside.

use syn::{BinOp, Expr, Lit};

use bugsage_core::panic_class::{Classified, PanicClass};

use crate::analyze::names::names;
use crate::analyze::panic_class::macro_name;
use crate::analyze::scope::Origin;
use crate::analyze::story::Story;
use crate::analyze::words;
use crate::evidence::quote;

/// `cell.borrow_mut()` while another borrow is alive.
pub(super) fn borrow(story: &mut Story<'_, '_>, call: &syn::ExprMethodCall) {
    let cell = story.text(&*call.receiver);
    story.say(format!(
        "`{cell}` is borrowed again while another borrow of it is alive."
    ));
    let prefix = format!("{cell}.borrow");
    let held: Vec<(String, u32)> = story
        .view
        .scope
        .bindings
        .iter()
        .filter_map(|binding| match binding.origin {
            Origin::Let { init: Some(init) } if story.text(init).starts_with(&prefix) => {
                Some((binding.name.clone(), binding.line))
            }
            _ => None,
        })
        .collect();
    for (name, line) in &held {
        story.lines.insert(*line);
        story.say(format!(
            "`{name}` (line {line}) holds a borrow of it until it goes out of scope."
        ));
    }
    if held.is_empty() {
        story.say("No borrow in this function is still alive, so a caller holds one.");
    }
    story.trace(&call.receiver);
}

/// `assert!`, `panic!`, `unreachable!` and their like.
pub(super) fn deliberate(story: &mut Story<'_, '_>, mac: &syn::Macro, classified: &Classified<'_>) {
    let name = macro_name(mac);
    let arguments = story.tree().arguments(mac);
    match (classified.class, arguments) {
        (PanicClass::Assertion, [left, right, ..])
            if name.contains("_eq") || name.contains("_ne") =>
        {
            let (left_text, right_text) = (story.text(left), story.text(right));
            let equal = if name.contains("_eq") {
                "equal"
            } else {
                "different"
            };
            let was = |side| {
                classified
                    .value(side)
                    .map(|v| format!(" (`{}`)", quote(v)))
                    .unwrap_or_default()
            };
            story.say(format!(
                "`{name}!` relies on `{left_text}`{} and `{right_text}`{} being {equal}, and they are not.",
                was("left"),
                was("right")
            ));
            story.trace(left);
            story.trace(right);
        }
        (PanicClass::Assertion, [condition, ..]) => {
            let text = story.text(condition);
            story.say(format!(
                "`{name}!` relies on `{text}`, which does not hold."
            ));
            story.trace(condition);
        }
        (class, arguments) => {
            let said = match arguments.first() {
                Some(Expr::Lit(literal)) => match &literal.lit {
                    Lit::Str(words) => format!(": \"{}\"", quote(&words.value())),
                    _ => String::new(),
                },
                _ => String::new(),
            };
            story.say(format!("`{name}!` stops the code on purpose{said}."));
            if class != PanicClass::ExplicitPanic && class != PanicClass::Custom {
                story.say(words::meaning(class));
            }
            for argument in arguments.iter().skip(1) {
                story.trace(argument);
            }
        }
    }
    story.reached();
}

/// Any other call that panics inside.
pub(super) fn call(story: &mut Story<'_, '_>, expr: &Expr, classified: &Classified<'_>) {
    let text = story.text(expr);
    story.say(format!(
        "`{text}` panics inside. {}",
        words::meaning(classified.class)
    ));
    match expr {
        Expr::MethodCall(call) => {
            let receiver = story.text(&*call.receiver);
            if let Some(len) = classified.number("len") {
                story
                    .known
                    .learn(format!("{receiver}.len()"), i128::from(len));
                let at = classified.number("index").or(classified.number("end"));
                if let Some(at) = at.or(classified.number("start")) {
                    story.say(format!(
                        "It was asked for {at}, and `{receiver}` has {len}."
                    ));
                }
            }
            let view = story.view;
            if let (Some(index), Some(first)) = (classified.number("index"), call.args.first()) {
                story.known.learn_expr(view, first, i128::from(index));
            }
            for argument in &call.args {
                story.trace(argument);
            }
            story.trace(&call.receiver);
            let mut concerned: Vec<String> = call
                .args
                .iter()
                .flat_map(|argument| names(story.tree(), argument))
                .collect();
            concerned.push(format!("{receiver}.len()"));
            concerned.push(format!("{receiver}.is_empty()"));
            story.checks(&concerned, &format!("rules that out for `{receiver}`"));
        }
        Expr::Binary(binary) if matches!(binary.op, BinOp::Shl(_) | BinOp::Shr(_)) => {
            story.trace(&binary.right);
        }
        expr => story.trace(expr),
    }
}
