//! Guards: what cannot be done for want of a value is left out, and nothing else.

use syn::{Expr, Pat, Stmt};

use crate::analyze::syntax::Content;
use crate::fix::lift::Missing;
use crate::fix::order::{Place, place};
use crate::fix::returns::Returns;
use crate::fix::rules::no_early_return;
use crate::fix::site::Ground;
use crate::fix::state::{Rest, keeps_state};
use crate::fix::{Candidate, Edit, Outcome, Way};

/// A value that may be missing.
pub(super) struct Fallible<'a> {
    /// What stands in the source for the value.
    pub(super) whole: &'a Expr,
    /// The `Option` or `Result`: `fees.get(kilograms)`.
    pub(super) text: String,
    /// `Some` or `Ok`.
    pub(super) variant: &'static str,
    /// What the variant holds.
    pub(super) bound: Bound,
    /// What the value is of, for its name.
    pub(super) about: &'a Expr,
}

/// What a variant holds, as compared with the expression that it replaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// The value itself.
    Itself,
    /// A reference to it.
    Place,
}

/// A guard that was written.
pub(super) struct Guarded {
    edits: Vec<Edit>,
    /// What is left out, for the claim.
    leaves_out: String,
    reason: String,
}

impl Guarded {
    pub(super) fn candidate(self, rule: &str, missing: &Missing) -> Candidate {
        Candidate {
            rule: rule.to_owned(),
            way: Way::Guard,
            claim: format!("{} where {}.", self.leaves_out, missing.what),
            reason: format!("{}.", self.reason),
            outcome: Outcome::Any,
            edits: self.edits,
            half_done: None,
        }
    }
}

/// How the rest is left out.
struct Leave {
    keyword: &'static str,
    leaves_out: String,
    reason: String,
}

/// Writes a guard before the statement of a value. Where a guard is out of the question there is no
/// reason; where one would be wrong there is.
pub(super) fn guard(
    ground: &Ground<'_, '_>,
    fallible: &Fallible<'_>,
) -> Result<Guarded, Option<String>> {
    let leave = |reason: String| Some(format!("no guard: {reason}"));
    if let Some(reason) = no_early_return(ground) {
        return match ground.carrier.returns {
            Returns::Nothing => Err(Some(reason)),
            _ => Err(None),
        };
    }
    let place = match place(ground) {
        Ok(place) => place,
        Err(_) if !matches!(ground.carrier.returns, Returns::Nothing) => return Err(None),
        Err(reason) => return Err(leave(reason)),
    };
    let how = how(ground, &place).map_err(|reason| reason.and_then(leave))?;
    let edits = edits(ground, fallible, place.statement, how.keyword).map_err(leave)?;
    Ok(Guarded {
        edits,
        leaves_out: how.leaves_out,
        reason: how.reason,
    })
}

fn how(ground: &Ground<'_, '_>, place: &Place<'_>) -> Result<Leave, Option<String>> {
    let name = &ground.carrier.name;
    match place.in_loop {
        Some(Expr::ForLoop(each)) => {
            keeps_state(ground, &each.body, place.statement, Rest::OfItem).map_err(Some)?;
            let items = ground.quoted(&each.expr);
            Ok(Leave {
                keyword: "continue",
                leaves_out: format!("The loop over {items} leaves out an item"),
                reason: format!("{name} has done nothing for the item yet when it finds out"),
            })
        }
        Some(_) => Err(Some(
            "leaving out the rest of a turn could keep the loop from ever ending".to_owned(),
        )),
        None => returning(ground, place),
    }
}

fn returning(ground: &Ground<'_, '_>, place: &Place<'_>) -> Result<Leave, Option<String>> {
    let name = &ground.carrier.name;
    if !matches!(ground.carrier.returns, Returns::Nothing) {
        return Err(None);
    }
    if ground.carrier.inner.is_none() && ground.body.path == ["main"] {
        return Err(Some(
            "a `main` that ends early looks like one that was successful; let it return a `Result`"
                .to_owned(),
        ));
    }
    let left = match (ground.carrier.inner, ground.body.content) {
        (Some(Expr::Closure(closure)), _) => match &*closure.body {
            Expr::Block(block) => Some((&block.block, Rest::OfItem)),
            _ => None,
        },
        (Some(Expr::Async(block)), _) => Some((&block.block, Rest::OfFunction)),
        (None, Content::Block(block)) => Some((block, Rest::OfFunction)),
        _ => None,
    };
    if let Some((block, rest)) = left {
        keeps_state(ground, block, place.statement, rest).map_err(Some)?;
    }
    Ok(Leave {
        keyword: "return",
        leaves_out: format!("{} ends early", capitalized(name)),
        reason: format!("{name} returns nothing, so that nobody waits for a value"),
    })
}

fn capitalized(name: &str) -> String {
    match name.strip_prefix("the ") {
        Some(rest) => format!("The {rest}"),
        None => name.to_owned(),
    }
}

fn edits(
    ground: &Ground<'_, '_>,
    fallible: &Fallible<'_>,
    statement: &Stmt,
    keyword: &str,
) -> Result<Vec<Edit>, String> {
    let source = ground.source;
    let start = source.range(statement).start;
    let Some(indent) = source.indent(start) else {
        return Err("its statement shares its line with another".to_owned());
    };
    let newline = source.newline();
    let otherwise = format!(" else {{{newline}{indent}    {keyword};{newline}{indent}}}");
    if let Stmt::Expr(expr, Some(_)) = statement
        && std::ptr::eq(expr, fallible.whole)
    {
        return Err(format!(
            "{} has no use for the value, so that the failure would go unnoticed",
            ground.carrier.name
        ));
    }
    if let Stmt::Local(local) = statement
        && let Some(init) = &local.init
        && init.diverge.is_none()
        && std::ptr::eq(&*init.expr, fallible.whole)
        && let Some((pattern, text)) = bound_pattern(ground, fallible, &local.pat)
    {
        return Ok(vec![
            Edit::replace(source.range(&local.pat), pattern),
            Edit::replace(source.range(&*init.expr), text),
            Edit::insert(source.range(&local.semi_token).start, otherwise),
        ]);
    }
    let name = fresh_name(ground, fallible.about)
        .ok_or("no name is free for the value in this function")?;
    let (variant, text) = (fallible.variant, &fallible.text);
    let used = match fallible.bound {
        Bound::Itself => name.clone(),
        Bound::Place => format!("*{name}"),
    };
    Ok(vec![
        Edit::insert(
            start,
            format!("let {variant}({name}) = {text}{otherwise};{newline}{indent}"),
        ),
        Edit::replace(source.range(fallible.whole), used),
    ])
}

/// The pattern of a `let` around the variant, and the value that it takes apart.
fn bound_pattern(
    ground: &Ground<'_, '_>,
    fallible: &Fallible<'_>,
    pattern: &Pat,
) -> Option<(String, String)> {
    let (source, variant, text) = (ground.source, fallible.variant, &fallible.text);
    let is_place = fallible.bound == Bound::Place;
    match pattern {
        Pat::Type(typed) => {
            let (name, ty) = (source.of(&*typed.pat), source.of(&*typed.ty));
            let whole = match variant {
                "Ok" => format!("Result<{ty}, _>"),
                _ => format!("Option<{ty}>"),
            };
            let copied = if is_place { ".copied()" } else { "" };
            Some((
                format!("{variant}({name}): {whole}"),
                format!("{text}{copied}"),
            ))
        }
        Pat::Ident(name) if name.by_ref.is_some() || name.subpat.is_some() => None,
        Pat::Ident(name) if is_place && name.mutability.is_some() => Some((
            format!("{variant}({})", source.of(name)),
            format!("{text}.copied()"),
        )),
        pattern if is_place => Some((format!("{variant}(&{})", source.of(pattern)), text.clone())),
        pattern => Some((format!("{variant}({})", source.of(pattern)), text.clone())),
    }
}

/// A name for the value that the function does not use: `fee` for an element of `fees`.
fn fresh_name(ground: &Ground<'_, '_>, about: &Expr) -> Option<String> {
    let body = match ground.body.content {
        Content::Block(block) => ground.source.of(block),
        Content::Value(expr) => ground.source.of(expr),
    };
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let is_free = |name: &str| {
        let used = body.split(|c| !is_part(c)).any(|word| word == name);
        !used && syn::parse_str::<syn::Ident>(name).is_ok()
    };
    let own = noun(about).map(|noun| singular(&noun));
    let common = ["item", "found", "value"].map(str::to_owned);
    let parameters = ground
        .body
        .signature
        .map(|signature| ground.source.of(signature));
    let is_parameter = |name: &str| {
        parameters.is_some_and(|text| text.split(|c| !is_part(c)).any(|word| word == name))
    };
    let mut names = own.into_iter().chain(common);
    names.find(|name| is_free(name) && !is_parameter(name))
}

/// The last name of an expression.
fn noun(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name.to_string()),
            syn::Member::Unnamed(_) => noun(&field.base),
        },
        Expr::MethodCall(call) if call.args.is_empty() => {
            let method = call.method.to_string();
            let is_shape = matches!(
                &*method,
                "as_ref"
                    | "as_mut"
                    | "as_deref"
                    | "take"
                    | "clone"
                    | "cloned"
                    | "copied"
                    | "next"
                    | "iter"
            );
            if is_shape {
                noun(&call.receiver)
            } else {
                Some(method)
            }
        }
        Expr::Paren(paren) => noun(&paren.expr),
        Expr::Index(index) => noun(&index.expr),
        _ => None,
    }
    .filter(|name| !name.starts_with(|c: char| c.is_uppercase()) && name != "self")
}

fn singular(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    let stem = name.strip_suffix("es");
    if let Some(stem) = stem.filter(|stem| stem.ends_with(['x', 'z']) || ends_hissing(stem)) {
        return stem.to_owned();
    }
    match name.strip_suffix('s') {
        Some(stem) if stem.len() > 1 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => name.to_owned(),
    }
}

fn ends_hissing(stem: &str) -> bool {
    ["sh", "ch", "ss"].iter().any(|end| stem.ends_with(end))
}
