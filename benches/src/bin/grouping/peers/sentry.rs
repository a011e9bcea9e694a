//! Sentry's grouping `newstyle:2026-01-20` for native events, `src/sentry/grouping/strategies`: the values of all
//! parts that count, one after the other, hashed as one text.
//!
//! Not made again are its rules for other languages, fingerprints that apps or projects set, symbols that its server
//! adds from uploaded debug information, and the embedding that Sentry as a service compares new groups by. Messages,
//! which count where no frame does, lose their values as [`parameters`] says, so a little less than at Sentry today.

use super::enhancements::{self, Judged, Rule};
use super::told::{Call, Exception, Told};
use super::{function, parameters};

/// What a Rust event is grouped by at Sentry.
pub(crate) fn newstyle(told: &Told) -> String {
    let (app, system) = key(told, &[]);
    // Both hashes are kept with a group, and the first that is known decides. What has the same frames of the app
    // has one group; the other hash is for events that have none.
    app.unwrap_or(system)
}

/// The text that is hashed of the frames of the app, where any counts, and that of all frames; under the published
/// rules, and those that a project adds.
pub(crate) fn key(told: &Told, added: &[Rule]) -> (Option<String>, String) {
    if told.exceptions.is_empty() {
        let log = told.log.as_deref().unwrap_or_default();
        return (None, parameters::normalize(log));
    }
    let mut app = String::new();
    let mut system = String::new();
    let mut app_counts = false;
    for exception in &told.exceptions {
        let functions: Vec<String> = exception.frames.iter().map(name).collect();
        let judged = enhancements::judge(
            &exception.frames,
            &functions,
            &[enhancements::PUBLISHED, added],
        );
        let of_app = stack(exception, &functions, &judged, true);
        let of_all = stack(exception, &functions, &judged, false);
        app_counts |= !of_app.is_empty();
        app.push_str(&part(exception, &of_app));
        system.push_str(&part(exception, &of_all));
    }
    (app_counts.then_some(app), system)
}

fn name(call: &Call) -> String {
    function::trim(call.function.as_deref().unwrap_or_default())
}

/// The type, and the message without what varies where no frame counts.
fn part(exception: &Exception, stack: &str) -> String {
    let mut part = exception.type_name.clone().unwrap_or_default();
    if exception.is_synthetic {
        part.clear();
    }
    if stack.is_empty() {
        part.push_str(&parameters::normalize(&exception.value));
    }
    part.push_str(stack);
    part
}

/// Module or file, and function, of each frame that counts; a call of the same line by itself counts once.
fn stack(exception: &Exception, functions: &[String], judged: &[Judged], app_only: bool) -> String {
    let mut stack = String::new();
    let mut before: Option<&Call> = None;
    for ((call, function), judged) in exception.frames.iter().zip(functions).zip(judged) {
        let is_recursion = before == Some(call);
        before = Some(call);
        if is_recursion || !judged.counts || (app_only && !judged.in_app) {
            continue;
        }
        let file = || {
            let name = call.file_name.as_deref()?;
            let name = name.rsplit(['/', '\\']).next()?.to_lowercase();
            (name != "<anonymous>" && name != "[native code]").then_some(name)
        };
        stack.extend(call.module.clone().or_else(file));
        if !["<redacted>", "<unknown>"].contains(&&**function) {
            stack.push_str(function);
        }
    }
    stack
}
