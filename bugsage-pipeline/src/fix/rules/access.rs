//! Indexing and slicing: `v[i]`, `&v[a..b]`, `&s[a..b]`.
//!
//! `v[i]` is a place: `*v.get(i)?` is the same place, or the function's word for there being none.

use std::ops::Range;

use bugsage_core::panic_class::PanicClass;
use syn::{Expr, ExprIndex, Lit};

use crate::fix::lift::{Lift, Missing, from_option};
use crate::fix::rules::guard::{Bound, Fallible, guard};
use crate::fix::rules::unwrap::returned;
use crate::fix::rules::usage::{Usage, Used, takes_value};
use crate::fix::rules::{Ruled, boundary, no_early_return, no_word};
use crate::fix::site::{Ground, rule_of};
use crate::fix::{Candidate, Edit, Way};

pub(super) struct Access<'g, 't, 'a> {
    pub(super) ground: &'g Ground<'t, 'a>,
    pub(super) index: &'a ExprIndex,
    used: Used<'a>,
}

/// Proposes what can be done about an index.
pub(super) fn rule(ground: &Ground<'_, '_>) -> Ruled {
    let mut ruled = Ruled::default();
    let get = rule_of(ground.class);
    let Expr::Index(index) = ground.failing else {
        let reason = format!(
            "{} is a call; only `[…]` can be turned into `get`",
            ground.quoted(ground.failing)
        );
        ruled.decline(get, reason);
        return ruled;
    };
    let access = Access::new(ground, index);
    let missing = access.missing();
    if !access.rivals_are_its_base() {
        let reason = format!(
            "the report does not tell which of {} failed",
            all_of(ground)
        );
        ruled.decline(get, reason);
        return ruled;
    }
    let rule = match get {
        "str/boundary" => "str/get",
        get => get,
    };
    access.propagate(rule, &missing, &mut ruled);
    access.guard(rule, &missing, &mut ruled);
    if ground.class == PanicClass::NotCharBoundary {
        boundary::rule(&access, &mut ruled);
    }
    if ruled.candidates.is_empty()
        && let Some(reason) = no_word(ground, &missing)
    {
        ruled
            .declined
            .retain(|declined| declined.rule == "str/boundary");
        ruled.decline(rule, reason);
    }
    ruled
}

/// The failing expression and its rivals, as a list.
pub(super) fn all_of(ground: &Ground<'_, '_>) -> String {
    let mut all = vec![ground.quoted(ground.failing)];
    all.extend(ground.rivals.iter().map(|rival| ground.quoted(rival)));
    all.dedup();
    all.join(", ")
}

impl<'g, 't, 'a> Access<'g, 't, 'a> {
    fn new(ground: &'g Ground<'t, 'a>, index: &'a ExprIndex) -> Self {
        Access {
            ground,
            index,
            used: Used::of(ground),
        }
    }

    /// What the message can only mean if the failing index is the outermost of `grid[y][x]`.
    fn rivals_are_its_base(&self) -> bool {
        let mut base = &*self.index.expr;
        let mut left: Vec<&Expr> = self.ground.rivals.clone();
        loop {
            left.retain(|rival| !std::ptr::eq(*rival, base));
            base = match base {
                Expr::Index(index) => &index.expr,
                Expr::Field(field) => &field.base,
                Expr::Paren(paren) => &paren.expr,
                _ => break,
            };
        }
        left.is_empty()
    }

    fn is_rival(&self, expr: &Expr) -> bool {
        self.ground
            .rivals
            .iter()
            .any(|rival| std::ptr::eq(*rival, expr))
    }

    /// What stands between the brackets, comments included.
    fn inside(&self, index: &ExprIndex) -> &'t str {
        let source = self.ground.source;
        let bracket = index.bracket_token.span;
        let (open, close) = (source.bytes(bracket.open()), source.bytes(bracket.close()));
        source.slice(open.end..close.start)
    }

    /// `v.get(i)`, followed by the suffix; each rival in its base likewise.
    fn got(&self, mutable: bool, suffix: &str) -> String {
        self.got_of(self.index, mutable, suffix, suffix)
    }

    fn got_of(&self, index: &ExprIndex, mutable: bool, inner_suffix: &str, suffix: &str) -> String {
        let base = self.base(&index.expr, mutable, inner_suffix);
        let inside = self.inside(index);
        let which = match self.special(index) {
            Some(which) => format!("{which}{}()", if mutable { "_mut" } else { "" }),
            None => format!("get{}({inside})", if mutable { "_mut" } else { "" }),
        };
        format!("{base}.{which}{suffix}")
    }

    /// The text of what is indexed, with the rivals in it asked rather than indexed.
    fn base(&self, base: &Expr, mutable: bool, suffix: &str) -> String {
        let source = self.ground.source;
        let mut part = base;
        loop {
            if let Expr::Index(index) = part
                && self.is_rival(part)
            {
                let (whole, replaced) = (source.range(base), source.range(part));
                let got = self.got_of(index, mutable, suffix, suffix);
                let before = source.slice(whole.start..replaced.start);
                return format!("{before}{got}{}", source.slice(replaced.end..whole.end));
            }
            part = match part {
                Expr::Index(index) => &index.expr,
                Expr::Field(field) => &field.base,
                Expr::Paren(paren) => &paren.expr,
                _ => return source.of(base).to_owned(),
            };
        }
    }

    /// `first` and `last` have names of their own.
    fn special(&self, index: &ExprIndex) -> Option<&'static str> {
        let tight = |text: &str| text.split_whitespace().collect::<String>();
        let inside = tight(self.inside(index));
        let last = format!("{}.len()-1", tight(self.ground.source.of(&*index.expr)));
        match &*inside {
            "0" | "0usize" => Some("first"),
            inside if inside == last => Some("last"),
            _ => None,
        }
    }

    /// What the failure is, in words.
    fn missing(&self) -> Missing {
        let ground = self.ground;
        let base = ground.quoted(&self.index.expr);
        let inside = ground.quoted(&self.index.index);
        let is_part = ground.class != PanicClass::IndexOutOfBounds;
        let what = match self.special(self.index) {
            Some(_) => format!("{base} is empty"),
            None if is_part => format!("{base} has no part {inside}"),
            None => format!("{base} has no element {inside}"),
        };
        let list = plain(ground.source.of(&*self.index.expr)).unwrap_or("the list");
        let (message, is_format) = match (&*self.index.index, self.special(self.index)) {
            (_, Some(_)) => (format!("{list} is empty"), false),
            (Expr::Path(path), _) if !is_part && path.path.get_ident().is_some_and(is_variable) => {
                (
                    format!("no element {{{}}} in {list}", ground.source.of(path)),
                    true,
                )
            }
            (Expr::Lit(literal), _) if matches!(literal.lit, Lit::Int(_)) => (
                format!("no element {} in {list}", ground.source.of(literal)),
                false,
            ),
            _ if is_part => (
                format!("{list} is too short, or cut within a character"),
                false,
            ),
            _ => (format!("no such element in {list}"), false),
        };
        let message = match ground.class {
            PanicClass::SliceRange if is_part => format!("{list} is too short"),
            _ => message,
        };
        Missing {
            what,
            message,
            is_format,
            variants: &[
                "OutOfBounds",
                "OutOfRange",
                "IndexOutOfBounds",
                "IndexOutOfRange",
                "TooShort",
                "Truncated",
                "UnexpectedEnd",
                "UnexpectedEof",
                "UnexpectedEndOfInput",
                "EndOfInput",
                "Eof",
                "Incomplete",
            ],
        }
    }

    fn propagate(&self, rule: &str, missing: &Missing, ruled: &mut Ruled) {
        let ground = self.ground;
        let lifts = match no_early_return(ground) {
            Some(reason) => Err(reason),
            None => from_option(ground, missing),
        };
        let lifts = match lifts {
            Ok(lifts) => lifts,
            Err(reason) => return ruled.decline(rule, reason),
        };
        for lift in &lifts {
            for (range, text) in self.forms(lift) {
                ruled.candidates.push(Candidate {
                    rule: rule.to_owned(),
                    way: Way::Propagate,
                    claim: format!(
                        "{} gives {} where {}.",
                        ground.carrier.name, lift.gives, missing.what
                    ),
                    reason: format!("{}.", lift.reason),
                    outcome: lift.outcome,
                    edits: vec![Edit::replace(range, text)],
                    half_done: None,
                });
            }
        }
    }

    /// The forms of the element, the likeliest first. The compiler tells which has the right type.
    fn forms(&self, lift: &Lift) -> Vec<(Range<usize>, String)> {
        let ground = self.ground;
        let got = |mutable| self.got(mutable, &lift.suffix);
        let mut texts = match &self.used.usage {
            Usage::Value => vec![format!("*{}", got(self.used.mutable))],
            Usage::Called => vec![format!("(*{})", got(self.used.mutable))],
            Usage::Borrowed => vec![got(self.used.mutable)],
            Usage::Base if self.used.mutable => vec![got(true)],
            Usage::Base => vec![got(false), got(true)],
            Usage::Receiver(_) if self.used.mutable => vec![got(true), got(false)],
            Usage::Receiver(method) if takes_value(method) => {
                vec![format!("(*{})", got(false)), got(false), got(true)]
            }
            Usage::Receiver(_) => vec![got(false), format!("(*{})", got(false)), got(true)],
        };
        texts.dedup();
        let range = ground.source.range(self.used.whole);
        let mut forms: Vec<_> = texts
            .into_iter()
            .map(|text| (range.clone(), text))
            .collect();
        // `Some(v.get(i)?)` is `v.get(i)`.
        if matches!(self.used.usage, Usage::Borrowed)
            && ground.rivals.is_empty()
            && let Some((wrapped, suffix, at)) = returned(ground, self.used.whole, &lift.suffix)
        {
            let text = self.got(self.used.mutable, suffix);
            forms.insert(at, (ground.source.range(wrapped), text));
        }
        forms
    }

    fn guard(&self, rule: &str, missing: &Missing, ruled: &mut Ruled) {
        let ground = self.ground;
        let rule = rule.replace("/get", "/guard");
        if !ground.rivals.is_empty() {
            return;
        }
        let bound = match &self.used.usage {
            Usage::Value | Usage::Called => Bound::Place,
            Usage::Receiver(_) | Usage::Borrowed | Usage::Base => Bound::Itself,
        };
        let fallible = Fallible {
            whole: self.used.whole,
            text: self.got(self.used.mutable, ""),
            variant: "Some",
            bound,
            about: &self.index.expr,
        };
        match guard(ground, &fallible) {
            Ok(guarded) => ruled.candidates.push(guarded.candidate(&rule, missing)),
            Err(Some(reason)) => ruled.decline(&rule, reason),
            Err(None) => {}
        }
    }
}

fn is_variable(name: &syn::Ident) -> bool {
    name.to_string()
        .starts_with(|c: char| c.is_ascii_lowercase())
}

/// A short piece of source that needs no escape within a string.
pub(super) fn plain(text: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_alphanumeric() || "_.:()".contains(c);
    (text.len() <= 40 && text.chars().all(is_plain)).then_some(text)
}
