//! Values that were taken for granted: `unwrap`, `expect`, and what made the value.

use syn::Expr;

use bugsage_core::panic_class::{Classified, PanicClass};

use crate::analyze::elsewhere::Definition;
use crate::analyze::names::names;
use crate::analyze::scope::Origin;
use crate::analyze::story::Story;
use crate::analyze::syntax::line_of;
use crate::analyze::value::plain_name;
use crate::analyze::words;
use crate::evidence::quote;
use crate::limits;

/// `value.unwrap()`, `value.expect("…")`.
pub(super) fn unwrap<'a>(
    story: &mut Story<'_, 'a>,
    call: &'a syn::ExprMethodCall,
    classified: &Classified<'_>,
) {
    let (receiver, method) = (story.text(&*call.receiver), call.method.to_string());
    let verb = format!("`{method}` takes it for granted");
    match classified.class {
        PanicClass::UnwrapNone => story.say(format!("`{receiver}` is `None`, and {verb}.")),
        PanicClass::UnwrapOk => {
            story.say(format!(
                "`{receiver}` succeeded, and `{method}` takes an error for granted."
            ));
        }
        PanicClass::Expect => {
            story.say(format!("`{receiver}` holds no value, and {verb}."));
        }
        _ => {
            let err = classified.value("err").map(quote).unwrap_or_default();
            story.say(format!("`{receiver}` failed with `{err}`, and {verb}."));
            let kind = classified.value("err_kind");
            if let Some(why) = classified
                .value("err_type")
                .and_then(|err| words::why_err(err, kind))
            {
                story.say(format!("That error says that {why}."));
            }
            if classified.class == PanicClass::Channel {
                story.say(words::meaning(PanicClass::Channel));
            }
        }
    }
    let variant = if classified.class == PanicClass::UnwrapNone {
        "None"
    } else {
        "Err"
    };
    let producer = producer(story, &call.receiver);
    produced(story, producer, variant);
    story.trace(&call.receiver);
    let mut concerned = names(story.tree(), &call.receiver);
    concerned.push(receiver);
    story.checks(&concerned, "handles the case that there is no value");
}

/// The expression that made a value: a variable's plain initializer, or the expression itself.
pub(super) fn producer<'a>(story: &Story<'_, 'a>, expr: &'a Expr) -> &'a Expr {
    let mut expr = passed_on(expr);
    for _ in 0..limits::TRACE_DEPTH_MAX {
        let Some(name) = plain_name(expr) else { break };
        let Some(binding) = story.view.scope.binding(&name) else {
            break;
        };
        let Origin::Let { init: Some(init) } = binding.origin else {
            break;
        };
        if std::ptr::eq(passed_on(init), expr) {
            break;
        }
        expr = passed_on(init);
    }
    expr
}

/// What an expression only passes on: `&x`, `(x)`, `x.await`, `x?`, `x.as_ref()`.
pub(crate) fn passed_on(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => passed_on(&paren.expr),
        Expr::Reference(reference) => passed_on(&reference.expr),
        Expr::Await(awaited) => passed_on(&awaited.base),
        Expr::MethodCall(call)
            if call.args.is_empty()
                && matches!(
                    &*call.method.to_string(),
                    "as_ref" | "as_mut" | "as_deref" | "cloned" | "copied" | "clone"
                ) =>
        {
            passed_on(&call.receiver)
        }
        expr => expr,
    }
}

/// Says why a call gave nothing: what the standard library's calls mean, and where a function of the
/// same file gives up.
fn produced(story: &mut Story<'_, '_>, producer: &Expr, variant: &str) {
    let name = match producer {
        Expr::MethodCall(call) => {
            let receiver = story.text(&*call.receiver);
            let argument = call.args.first().map(|argument| story.text(argument));
            let method = call.method.to_string();
            if variant == "None"
                && let Some(why) = words::why_none(&method, &receiver, argument.as_deref())
            {
                story.lines.insert(line_of(&call.method));
                return story.say(format!("It is `None` because {why}."));
            }
            method
        }
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => match path.path.segments.last() {
                Some(last) => last.ident.to_string(),
                None => return,
            },
            _ => return,
        },
        _ => return,
    };
    let bodies = story.tree().bodies();
    let mut called = bodies
        .iter()
        .filter(|body| body.simple_name() == name && !body.is_test);
    let definition = match (called.next(), called.next()) {
        (Some(body), None) => Some(Definition::of(story.tree(), body, variant)),
        (None, _) => story.context.elsewhere.definition(&name, variant),
        (Some(_), Some(_)) => None,
    };
    if let Some(definition) = definition {
        defined(story, &name, variant, &definition);
    }
}

/// Says how a function of the app comes to give nothing.
fn defined(story: &mut Story<'_, '_>, name: &str, variant: &str, definition: &Definition) {
    let place = match &definition.file {
        Some(file) => format!("{file}:{}", definition.line),
        None => format!("line {}", definition.line),
    };
    if definition.file.is_none() {
        story.lines.insert(definition.line);
        story
            .lines
            .extend(definition.exits.iter().map(|(line, _)| *line));
        story
            .lines
            .extend(definition.last.iter().map(|(line, ..)| *line));
    }
    if !definition.exits.is_empty() {
        let exits: Vec<String> = definition
            .exits
            .iter()
            .map(|(line, text)| format!("line {line}: `{text}`"))
            .collect();
        story.say(format!(
            "`{name}` ({place}) gives `{variant}` on {}.",
            exits.join(", ")
        ));
    }
    if let Some((line, text, why)) = &definition.last {
        let why = why
            .as_ref()
            .map(|why| format!(", so {why}"))
            .unwrap_or_default();
        story.say(format!(
            "`{name}` ({place}) hands on `{text}` (line {line}){why}."
        ));
    }
    if definition.exits.is_empty() && definition.last.is_none() {
        story.say(format!("`{name}` is defined in {place}."));
    }
}
