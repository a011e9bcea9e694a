//! Elements, keys and ranges that a collection or a text does not have.

use syn::{Expr, RangeLimits};

use bugsage_core::panic_class::{Classified, PanicClass};

use crate::analyze::names::{names, unparenthesized};
use crate::analyze::story::Story;
use crate::analyze::words;
use crate::evidence::quote;

/// `items[at]`, `stock[&key]`.
pub(super) fn element(
    story: &mut Story<'_, '_>,
    index: &syn::ExprIndex,
    classified: &Classified<'_>,
) {
    let (container, at) = (story.text(&*index.expr), story.text(&*index.index));
    let (len, asked) = (classified.number("len"), classified.number("index"));
    match (len, asked) {
        (Some(len), Some(asked)) => {
            let has = match len {
                0 => "is empty".to_owned(),
                1 => "has 1 element".to_owned(),
                len => format!("has {len} elements"),
            };
            let end = if asked == len && len > 0 {
                ", one past the last"
            } else {
                ""
            };
            story.say(format!(
                "`{container}[{at}]` asks for element {asked}{end}, but `{container}` {has}."
            ));
            if asked > u64::MAX / 2 {
                story.say(format!(
                    "An index that large means that `{at}` went below zero."
                ));
            }
            story
                .known
                .learn(format!("{container}.len()"), i128::from(len));
            let view = story.view;
            story
                .known
                .learn_expr(view, &index.index, i128::from(asked));
        }
        _ => story.say(format!(
            "`{container}[{at}]` asks for what `{container}` does not have."
        )),
    }
    story.trace(&index.index);
    story.trace(&index.expr);
    let mut concerned = names(story.tree(), &index.index);
    concerned.push(format!("{container}.len()"));
    concerned.push(format!("{container}.is_empty()"));
    let missing = match classified.class {
        PanicClass::KeyNotFound => format!("asks whether `{container}` holds that key"),
        _ => format!("compares `{at}` with the length of `{container}`"),
    };
    story.checks(&concerned, &missing);
}

/// `bytes[start..end]`, `text[..end]`.
pub(super) fn range(
    story: &mut Story<'_, '_>,
    container: &Expr,
    index: &Expr,
    classified: &Classified<'_>,
) {
    let view = story.view;
    let (name, range_text) = (story.text(container), story.text(index));
    let len = classified
        .number("len")
        .or_else(|| whole_text_len(classified));
    if let Some(len) = len {
        story.known.learn(format!("{name}.len()"), i128::from(len));
    }
    let (mut start, mut end) = (None, None);
    if let Expr::Range(range) = unparenthesized(index) {
        let inclusive = matches!(range.limits, RangeLimits::Closed(_));
        // The message counts to the end of the range, and so past an inclusive one.
        let said_end = classified
            .number("end")
            .map(|end| end - u64::from(inclusive && end > 0));
        // Older messages do not say which end they mean; a range with one end leaves no doubt.
        let only = classified.number("index");
        start = range
            .start
            .as_deref()
            .map(|expr| (expr, classified.number("start").or(only)));
        end = range.end.as_deref().map(|expr| (expr, said_end.or(only)));
        for (expr, value) in [start, end].into_iter().flatten() {
            if let (Some(value), true) = (value, start.is_none() || end.is_none() || only.is_none())
            {
                story.known.learn_expr(view, expr, i128::from(value));
            }
        }
    }
    story.say(range_sentence(&name, &range_text, len, classified));
    let mut concerned = vec![format!("{name}.len()"), format!("{name}.is_empty()")];
    for (expr, _) in [start, end].into_iter().flatten() {
        story.trace(expr);
        concerned.extend(names(story.tree(), expr));
    }
    if start.is_none() && end.is_none() {
        story.trace(index);
        concerned.extend(names(story.tree(), index));
    }
    story.trace(container);
    let missing = match classified.class {
        PanicClass::NotCharBoundary => {
            // Only a check of a variable end can move the cut; lengths and constants cannot.
            concerned.retain(|text| !text.contains('(') && !text.starts_with(char::is_uppercase));
            format!("moves the cut to a character boundary of `{name}`")
        }
        PanicClass::StrRangeReversed => "compares the two ends of the range".to_owned(),
        _ => format!("compares the range with the length of `{name}`"),
    };
    story.checks(&concerned, &missing);
}

fn range_sentence(
    name: &str,
    range: &str,
    len: Option<u64>,
    classified: &Classified<'_>,
) -> String {
    let number = |value| classified.number(value);
    let at = number("end").or(number("start")).or(number("index"));
    let len = len
        .map(|len| format!(", which has {len}"))
        .unwrap_or_default();
    match (classified.class, at) {
        (PanicClass::NotCharBoundary, Some(at)) => {
            let char = classified.value("char").map(quote).unwrap_or_default();
            let from = number("char_start").unwrap_or_default();
            let to = number("char_end").unwrap_or_default();
            format!(
                "`{name}[{range}]` cuts at byte {at}, inside the character {char} (bytes {from}..{to}): \
                 the cut counts bytes where the text has characters of several bytes."
            )
        }
        (PanicClass::StrRangeReversed, _) | (PanicClass::SliceRange, _)
            if number("start") > number("end") && number("end").is_some() =>
        {
            let (start, end) = (
                number("start").unwrap_or_default(),
                number("end").unwrap_or_default(),
            );
            format!("`{name}[{range}]` starts at {start} and ends at {end}, before its start.")
        }
        (PanicClass::StrOutOfBounds, Some(at)) => {
            format!("`{name}[{range}]` reaches byte {at} of `{name}`{len}.")
        }
        (_, Some(at)) => format!("`{name}[{range}]` reaches element {at} of `{name}`{len}."),
        (_, None) => words::meaning(classified.class).to_owned(),
    }
}

/// The length of the text that a message quotes, where it quotes the whole of it.
fn whole_text_len(classified: &Classified<'_>) -> Option<u64> {
    let text = classified.value("text")?.strip_suffix('`')?;
    Some(text.len() as u64)
}
