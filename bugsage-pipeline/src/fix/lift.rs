//! From what may be missing to a word for the caller: what stands behind an `Option` or a `Result`
//! so that the function ends early with its own kind of failure.

use syn::{Fields, Item};

use crate::fix::Outcome;
use crate::fix::errors::{Form, Maker, Makers, makers};
use crate::fix::returns::{Family, Returns, import};
use crate::fix::site::Ground;

/// What is written behind the value that may be missing.
pub(super) struct Lift {
    /// `?`, `.ok_or(…)?`, `.map_err(…)?`.
    pub(super) suffix: String,
    /// What the caller gets: `` `None` ``, `` the error `Error::Unknown` ``.
    pub(super) gives: String,
    pub(super) reason: String,
    pub(super) outcome: Outcome,
}

/// What is missing, in words.
pub(super) struct Missing {
    /// For sentences: `` `fees` has no element `kilograms` ``.
    pub(super) what: String,
    /// For error messages, as the text of a string literal: `no element {kilograms} in fees`.
    pub(super) message: String,
    /// Whether the message holds values, so that it must be formatted.
    pub(super) is_format: bool,
    /// Names of error variants that fit.
    pub(super) variants: &'static [&'static str],
}

/// For an `Option` whose value is missing.
pub(super) fn from_option(ground: &Ground<'_, '_>, missing: &Missing) -> Result<Vec<Lift>, String> {
    match &ground.carrier.returns {
        Returns::Option => Ok(vec![none(ground, "?")]),
        Returns::Result(family) => to_result(ground, family, missing),
        _ => Ok(Vec::new()),
    }
}

/// For a `Result` that failed.
pub(super) fn from_result(ground: &Ground<'_, '_>) -> Vec<Lift> {
    let family = match &ground.carrier.returns {
        Returns::Option => return vec![none(ground, ".ok()?")],
        Returns::Result(family) => family,
        _ => return Vec::new(),
    };
    let passed_on = Lift {
        suffix: "?".to_owned(),
        gives: "the error itself".to_owned(),
        reason: format!(
            "{} returns a `Result`, and `?` converts the error where it can",
            ground.carrier.name
        ),
        outcome: ground.outcome(Outcome::Err),
    };
    let with = |suffix: &str, gives: &str, reason: &str| Lift {
        suffix: suffix.to_owned(),
        gives: gives.to_owned(),
        reason: reason.to_owned(),
        outcome: ground.outcome(Outcome::Err),
    };
    match family {
        Family::Text => vec![
            with(
                ".map_err(|error| error.to_string())?",
                "the error's text",
                "the function's errors are texts",
            ),
            // `parse` may not know its type yet, and then no method of the error can be looked up.
            with(
                ".map_err(|error| format!(\"{error}\"))?",
                "the error's text",
                "the function's errors are texts",
            ),
            passed_on,
        ],
        Family::Unit => vec![with(
            ".map_err(drop)?",
            "`Err(())`",
            "the function's errors say nothing more",
        )],
        Family::Boxed | Family::Anyhow | Family::Eyre(_) => vec![passed_on],
        Family::Io(prefix) => vec![
            passed_on,
            with(
                &format!(".map_err({prefix}Error::other)?"),
                "an `io::Error` around the error",
                "the function's errors are `io::Error`s",
            ),
        ],
        Family::Fmt(prefix) => vec![
            passed_on,
            with(
                &format!(".map_err(|_| {prefix}Error)?"),
                "`fmt::Error`",
                "the function's errors are `fmt::Error`s",
            ),
        ],
        Family::Str | Family::Own(_) | Family::Unknown => {
            let Makers { alike, .. } = makers(ground);
            let mut lifts: Vec<Lift> = alike.iter().map(|maker| mapped(ground, maker)).collect();
            lifts.push(passed_on);
            lifts
        }
    }
}

fn none(ground: &Ground<'_, '_>, suffix: &str) -> Lift {
    let name = &ground.carrier.name;
    let reason = match ground.carrier.handed_to.as_deref() {
        Some("filter_map") => {
            "`filter_map` leaves out the items for which its closure gives `None`".to_owned()
        }
        _ if ground.body.simple_name() == "next" => {
            format!("{name} returns an `Option`; if this is an iterator, `None` ends it")
        }
        _ => format!("{name} returns an `Option`, so that its callers already handle `None`"),
    };
    Lift {
        suffix: suffix.to_owned(),
        gives: "`None`".to_owned(),
        reason,
        outcome: ground.outcome(Outcome::None),
    }
}

/// An error that the function builds already, in place of another one.
fn mapped(ground: &Ground<'_, '_>, maker: &Maker) -> Lift {
    let suffix = match &maker.form {
        Form::Call(name) => format!(".map_err(|_| {name}())?"),
        Form::Value { text, .. } => format!(".map_err(|_| {text})?"),
        Form::Mapper(text) => format!(".map_err({text})?"),
    };
    built(ground, maker, suffix)
}

fn built(ground: &Ground<'_, '_>, maker: &Maker, suffix: String) -> Lift {
    let text = maker.form.text();
    let name = &ground.carrier.name;
    let reason = if maker.uses > 1 {
        format!("{name} answers {} other failures with {text}", maker.uses)
    } else {
        format!("{name} answers another failure with {text}")
    };
    Lift {
        suffix,
        gives: format!("the error {text}"),
        reason,
        outcome: ground.outcome(Outcome::Err),
    }
}

/// An error that the function builds already, where there was nothing.
fn chosen(ground: &Ground<'_, '_>, maker: &Maker) -> Option<Lift> {
    let suffix = match &maker.form {
        Form::Call(name) => format!(".ok_or_else({name})?"),
        Form::Value {
            text,
            is_constant: true,
        } => format!(".ok_or({text})?"),
        Form::Value { text, .. } => format!(".ok_or_else(|| {text})?"),
        Form::Mapper(_) => return None,
    };
    Some(built(ground, maker, suffix))
}

fn to_result(
    ground: &Ground<'_, '_>,
    family: &Family,
    missing: &Missing,
) -> Result<Vec<Lift>, String> {
    let makers = makers(ground);
    let mut lifts: Vec<Lift> = makers
        .alike
        .iter()
        .filter_map(|maker| chosen(ground, maker))
        .collect();
    if let Some(suffix) = worded(ground, family, missing) {
        lifts.push(Lift {
            suffix,
            gives: format!("an error that says \"{}\"", missing.message),
            reason: format!("the errors of {} are made of words", ground.carrier.name),
            outcome: ground.outcome(Outcome::Err),
        });
    }
    if lifts.is_empty()
        && let Family::Own(name) = family
        && let Some(variant) = variant(ground, name, missing)
    {
        lifts.push(Lift {
            suffix: format!(".ok_or({variant})?"),
            gives: format!("the error `{variant}`"),
            reason: format!("`{variant}` is the one error of this file whose name fits"),
            outcome: ground.outcome(Outcome::Err),
        });
    }
    if lifts.is_empty() {
        return Err(no_error(ground, family, missing, &makers));
    }
    Ok(lifts)
}

fn no_error(
    ground: &Ground<'_, '_>,
    family: &Family,
    missing: &Missing,
    makers: &Makers,
) -> String {
    let name = &ground.carrier.name;
    let error = match family {
        Family::Own(name) => format!("`{name}`"),
        _ => "its error type".to_owned(),
    };
    match makers.all.as_slice() {
        [] => format!(
            "{name} can fail with {error}, but neither the function nor its file shows which error says \
             that {}; choose or add one by hand",
            missing.what
        ),
        all => format!(
            "{name} builds several errors ({}), and the source does not tell which of them says that {}",
            all[..all.len().min(3)].join(", "),
            missing.what
        ),
    }
}

/// The suffix for errors that are made of words or have one value only.
fn worded(ground: &Ground<'_, '_>, family: &Family, missing: &Missing) -> Option<String> {
    let message = &missing.message;
    Some(match family {
        Family::Text if missing.is_format => format!(".ok_or_else(|| format!(\"{message}\"))?"),
        Family::Text => format!(".ok_or_else(|| \"{message}\".to_owned())?"),
        Family::Str if missing.is_format => return None,
        Family::Str => format!(".ok_or(\"{message}\")?"),
        Family::Boxed if missing.is_format => format!(".ok_or_else(|| format!(\"{message}\"))?"),
        Family::Boxed => format!(".ok_or(\"{message}\")?"),
        Family::Anyhow if import(ground.tree, "Context").is_some() => {
            if missing.is_format {
                format!(".with_context(|| format!(\"{message}\"))?")
            } else {
                format!(".context(\"{message}\")?")
            }
        }
        Family::Anyhow => format!(".ok_or_else(|| anyhow::anyhow!({}))?", as_format(missing)),
        Family::Eyre(path) => format!(".ok_or_else(|| {path}::eyre!({}))?", as_format(missing)),
        Family::Io(prefix) => {
            let text = if missing.is_format {
                format!("format!(\"{message}\")")
            } else {
                format!("\"{message}\"")
            };
            format!(".ok_or_else(|| {prefix}Error::new({prefix}ErrorKind::InvalidData, {text}))?")
        }
        Family::Fmt(prefix) => format!(".ok_or({prefix}Error)?"),
        Family::Unit => ".ok_or(())?".to_owned(),
        Family::Own(_) | Family::Unknown => return None,
    })
}

/// The message as a format string: brackets of plain text are doubled.
fn as_format(missing: &Missing) -> String {
    if missing.is_format {
        format!("\"{}\"", missing.message)
    } else {
        let message = missing.message.replace('{', "{{").replace('}', "}}");
        format!("\"{message}\"")
    }
}

/// The one variant without data of the file's own error type whose name says what is missing.
fn variant(ground: &Ground<'_, '_>, error: &str, missing: &Missing) -> Option<String> {
    let plain = error.rsplit("::").next()?;
    let variants = ground.tree.file.items.iter().find_map(|item| match item {
        Item::Enum(found) if found.ident == plain => Some(&found.variants),
        _ => None,
    })?;
    let mut fitting = variants.iter().filter(|variant| {
        let name = variant.ident.to_string();
        matches!(variant.fields, Fields::Unit) && missing.variants.contains(&&*name)
    });
    let only = fitting.next()?;
    fitting
        .next()
        .is_none()
        .then(|| format!("{error}::{}", only.ident))
}
