//! What others group by, as far as it is published: what they are told of an event in, the text that its group is
//! keyed by out. `published` holds each rule against what its project publishes of its own groups.

pub(crate) mod told;
pub(crate) mod parameters;
pub(crate) mod function;
pub(crate) mod enhancements;
pub(crate) mod sentry;

use told::Call;
pub(crate) use told::Told;

/// A rule by its name, which tells the version that has it.
pub(crate) type Rule = (&'static str, fn(&Told) -> String);

pub(crate) const ALL: &[Rule] = &[
    ("bugsink 2.4 (v1)", bugsink_1),
    ("bugsink 2.5 (v2)", bugsink_2),
    ("glitchtip 6", glitchtip),
    ("trapfall 0.2.0", trapfall),
    ("sentry 2026-01-20", sentry::newstyle),
];

/// Text of at most so many characters, as peers cut it.
fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// Type and value as Bugsink reads them.
fn bugsink_parts(told: &Told) -> (String, String) {
    let Some(raised) = told.raised() else {
        let text = told.log.as_deref().map_or("", str::trim);
        let line: String = first_line(text).chars().take(1024).collect();
        let value = if line.is_empty() {
            "<no log message>".to_owned()
        } else {
            line
        };
        return ("Log Message".to_owned(), value);
    };
    if raised.is_synthetic {
        return (crash_function(&raised.frames), String::new());
    }
    let type_name = raised.type_name.as_deref().unwrap_or("Error");
    (cut(type_name, 128), cut(&raised.value, 1024))
}

fn bugsink_title(type_name: &str, value: &str) -> String {
    match first_line(value) {
        "" => type_name.to_owned(),
        line => format!("{type_name}: {line}"),
    }
}

/// Type, the first line of the value and the transaction, which the SDK does not tell: the grouping of Bugsink until
/// 2.4, `issues/grouping_mechanisms/v1.py`.
pub(crate) fn bugsink_1(told: &Told) -> String {
    let (type_name, value) = bugsink_parts(told);
    let transaction = told.transaction.as_deref().unwrap_or("<no transaction>");
    format!("{} ⋄ {transaction}", bugsink_title(&type_name, &value))
}

/// Type and the value without what varies: the grouping of Bugsink since 2.5, `issues/grouping_mechanisms/v2.py`.
pub(crate) fn bugsink_2(told: &Told) -> String {
    let (type_name, value) = bugsink_parts(told);
    bugsink_title(&type_name, &parameters::normalize(&value))
}

/// Where it broke: the innermost function of the app, or the innermost of all where none is the app's.
fn crash_function(frames: &[Call]) -> String {
    let named = || {
        let named = frames.iter().rev();
        let named = named.filter_map(|call| Some((call.in_app, call.function.as_deref()?)));
        named.filter(|(_, function)| !["<redacted>", "<unknown>"].contains(function))
    };
    let broke = named()
        .find(|(in_app, _)| *in_app)
        .or_else(|| named().next());
    broke.map_or_else(|| "<unknown>".to_owned(), |(_, name)| function::trim(name))
}

/// GlitchTip's names for an issue: its title and its culprit.
pub(crate) fn glitchtip_parts(told: &Told) -> (String, String) {
    let title = match told.raised() {
        Some(raised) if raised.is_synthetic => crash_function(&raised.frames),
        Some(raised) => {
            let type_name = cut(raised.type_name.as_deref().unwrap_or("Error"), 128);
            match first_line(&raised.value) {
                "" => type_name,
                line => format!("{type_name}: {}", cut(line, 100)),
            }
        }
        None => told.log.clone().unwrap_or_else(|| "<untitled>".to_owned()),
    };
    let of_stack = || {
        let raised = told.raised().filter(|raised| !raised.is_synthetic)?;
        let frames = &raised.frames;
        let mut app = frames.iter().rev().filter(|call| call.in_app);
        app.find_map(|call| culprit(call, told.platform))
            .or_else(|| culprit(frames.last()?, told.platform))
    };
    let culprit = told
        .transaction
        .clone()
        .or_else(of_stack)
        .unwrap_or_default();
    (cut(&title, 100), cut(&culprit, 200))
}

fn culprit(call: &Call, platform: &str) -> Option<String> {
    let function = call.function.as_deref().unwrap_or("?");
    let place = call.module.as_ref().or(call.file_name.as_ref());
    match platform {
        "native" => Some(function.to_owned()),
        "javascript" | "node" => Some(format!("{function}({})", place?)),
        _ => Some(format!("{} in {function}", place?)),
    }
}

/// Title, culprit and the number of the kind of event, hashed as one text: GlitchTip's `apps/event_ingest/utils.py`.
/// The functions of the culprit stand as the SDK tells them, with all their generic arguments.
pub(crate) fn glitchtip(told: &Told) -> String {
    let (title, culprit) = glitchtip_parts(told);
    let kind = u8::from(!told.exceptions.is_empty());
    format!("{title}{culprit}{kind}")
}

/// What TrapFall hashes, `crates/trapfall-core/src/fingerprint.rs`: type, function and file name of the innermost
/// frame that is the app's; of the first exception, which is the cause of the others.
pub(crate) fn trapfall_parts(told: &Told) -> Vec<String> {
    let Some(cause) = told.exceptions.first() else {
        return told.log.iter().chain(&told.environment).cloned().collect();
    };
    let innermost = cause.frames.iter().rev().find(|call| call.in_app);
    let place = innermost.map(|call| [&call.function, &call.file_name]);
    let place = place.into_iter().flatten().flatten().cloned();
    cause.type_name.iter().cloned().chain(place).collect()
}

pub(crate) fn trapfall(told: &Told) -> String {
    trapfall_parts(told).join("\0")
}
