//! The rules: one family of panic classes a file.
//!
//! In: the [`Ground`] of a failing expression. Out: ranked candidates, and what was declined.
//! Never: a made-up value. Where a function has no word for what is missing, the rules decline, and
//! the reason says what a person has to decide.

// `v[i]`, `v[a..b]`, `s[a..b]`.
mod access;
// How an element is used.
mod usage;
// A string cut inside of a character.
mod boundary;
// `let … else`: leave out what cannot be done.
mod guard;
// `unwrap` and `expect`.
mod unwrap;

use bugsage_core::panic_class::PanicClass;

use crate::fix::lift::Missing;
use crate::fix::returns::{Family, Returns};
use crate::fix::site::{Ground, is_log, rule_of};
use crate::fix::{Candidate, Declined};

/// What the rules make of a failing expression.
#[derive(Default)]
pub(super) struct Ruled {
    pub(super) candidates: Vec<Candidate>,
    pub(super) declined: Vec<Declined>,
}

impl Ruled {
    fn decline(&mut self, rule: &str, reason: impl Into<String>) {
        self.declined.push(Declined {
            rule: rule.to_owned(),
            reason: reason.into(),
        });
    }
}

/// Lets the rules of the class look.
pub(super) fn rule(ground: &Ground<'_, '_>) -> Ruled {
    use PanicClass::*;
    match ground.class {
        IndexOutOfBounds | SliceRange | NotCharBoundary | StrOutOfBounds | StrRangeReversed => {
            access::rule(ground)
        }
        UnwrapNone | UnwrapErr | Expect => unwrap::rule(ground),
        class => {
            let mut ruled = Ruled::default();
            let reason = if class.is_secondary() {
                format!("`{class}` is the echo of an earlier panic, and that is the one to fix")
            } else {
                format!("no rule is written for `{class}`")
            };
            ruled.decline(rule_of(class), reason);
            ruled
        }
    }
}

/// Why no early return may be written at the place, whatever the function returns.
fn no_early_return(ground: &Ground<'_, '_>) -> Option<String> {
    let name = &ground.carrier.name;
    if let Some(log) = ground.in_macro().filter(|name| is_log(name)) {
        return Some(format!(
            "the failing expression is an argument of `{log}!`, which runs only where its level is \
             on; whether {name} ends early must not depend on that"
        ));
    }
    let signature = ground.body.signature?;
    if ground.carrier.inner.is_none() && signature.constness.is_some() {
        return Some(format!("{name} is a `const fn`, which allows no `?`"));
    }
    let is_fmt = matches!(ground.carrier.returns, Returns::Result(Family::Fmt(_)));
    (is_fmt && signature.ident == "fmt")
        .then(|| "an error from `fmt` makes `to_string` panic in its place".to_owned())
}

/// Why nothing is left but a made-up value.
fn no_word(ground: &Ground<'_, '_>, missing: &Missing) -> Option<String> {
    let (name, what) = (&ground.carrier.name, &missing.what);
    match &ground.carrier.returns {
        Returns::Other(_) if ground.body.signature.is_none() && ground.carrier.inner.is_none() => {
            Some(format!(
                "{} is a constant, which cannot say that {what}",
                ground.function()
            ))
        }
        Returns::Other(ty) => Some(format!(
            "{name} returns `{ty}`, which has no way to say that {what}; a made-up value would hide \
             that from its callers, so change its signature, or what it is called with, by hand"
        )),
        Returns::Unknown => Some(format!(
            "it fails in {name}, whose type the source does not show; `?` would leave that, not {}",
            ground.function()
        )),
        Returns::Option | Returns::Result(_) | Returns::Nothing => None,
    }
}
