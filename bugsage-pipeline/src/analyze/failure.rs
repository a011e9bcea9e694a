//! Errors and error-level logs: nothing panicked, so the error itself and what made it are told.

use syn::Expr;

use crate::analyze::names::names;
use crate::analyze::scope::{Origin, Scope};
use crate::analyze::story::Story;
use crate::analyze::syntax::Spot;
use crate::evidence::{Report, Untrusted};

/// The class of events that are no panics.
pub(crate) const CLASS: &str = "error";

/// Says what failed, from the event alone.
pub(crate) fn sentences(report: &Report) -> Vec<String> {
    let described = |(type_name, message): &(Option<Untrusted>, Untrusted)| match type_name {
        Some(type_name) => format!("{} (`{}`)", message.quote(), type_name.quote()),
        None => message.quote(),
    };
    match report.errors.as_slice() {
        [] => vec![format!(
            "The app logged an error: {}.",
            report.message.quote()
        )],
        [only] => vec![format!("The app reported an error: {}.", described(only))],
        [outermost, .., innermost] => vec![
            format!("The innermost cause is: {}.", described(innermost)),
            format!("The app reported it as: {}.", described(outermost)),
        ],
    }
}

/// Says where a reported error comes from: the names that the reporting call is given, back to the
/// calls that made them.
pub(crate) fn tell(story: &mut Story<'_, '_>, spot: Spot<'_>) {
    let (first, last) = spot.lines();
    story.lines.extend(first..=last.min(first + 4));
    let arguments: Vec<&Expr> = match spot {
        Spot::Expr(Expr::Call(call)) => call.args.iter().collect(),
        Spot::Expr(Expr::MethodCall(call)) => {
            std::iter::once(&*call.receiver).chain(&call.args).collect()
        }
        Spot::Expr(expr) => vec![expr],
        Spot::Macro(mac) => story.tree().arguments(mac).iter().collect(),
    };
    for argument in arguments {
        for name in names(story.tree(), argument) {
            if let Some(made) = maker(story.view.scope, &name) {
                let text = story.text(made);
                story.say(format!("`{name}` is the failure of `{text}`."));
            }
        }
        story.trace(argument);
    }
    story.reached();
}

/// The expression whose failure a name holds, as in `Err(error)` or `if let Err(error) = …`.
fn maker<'a>(scope: &Scope<'a>, name: &str) -> Option<&'a Expr> {
    match scope.binding(name)?.origin {
        Origin::Part {
            from,
            pattern: syn::Pat::TupleStruct(pattern),
        } => {
            let variant = pattern.path.segments.last()?;
            (variant.ident == "Err").then_some(from)
        }
        _ => None,
    }
}
