//! The failing expression and the function around it, as the rules see them.

use bugsage_core::panic_class::{Classified, PanicClass, classify};
use syn::{Expr, Signature};

use crate::analyze::panic_class::{class_in_source, failing_at, macro_name, plain_message};
use crate::analyze::scope::Scope;
use crate::analyze::syntax::{Body, SourceTree, Spot};
use crate::fix::owner::Owner;
use crate::fix::path::{Node, around};
use crate::fix::returns::{Returns, declared, inferred};
use crate::fix::splice::Source;
use crate::fix::{Declined, Outcome, Site};

/// What the rules know about a site.
pub(super) struct Ground<'t, 'a> {
    pub(super) tree: &'t SourceTree<'a>,
    pub(super) source: Source<'t>,
    pub(super) body: Body<'a>,
    pub(super) class: PanicClass,
    /// What failed.
    pub(super) failing: &'a Expr,
    /// Others that the report fits as well.
    pub(super) rivals: Vec<&'a Expr>,
    /// What holds the failing expression, outermost first.
    pub(super) around: Vec<Node<'a>>,
    /// What an early return leaves.
    pub(super) carrier: Carrier<'a>,
    pub(super) scope: Scope<'a>,
    /// The end of a range that the message names.
    pub(super) bound: Option<Bound>,
    pub(super) rust_version: Option<(u32, u32)>,
}

/// Which end of a range was wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Start,
    End,
}

/// The function, closure or async block that `return` and `?` leave.
pub(super) struct Carrier<'a> {
    /// How sentences call it.
    pub(super) name: String,
    pub(super) returns: Returns,
    /// The closure or the async block, where it is none of the function itself.
    pub(super) inner: Option<&'a Expr>,
    /// Where in [`Ground::around`] it begins.
    pub(super) from: usize,
    /// The method that a closure is handed to.
    pub(super) handed_to: Option<String>,
}

/// The rule that a class is for.
pub(super) fn rule_of(class: PanicClass) -> &'static str {
    match class {
        PanicClass::IndexOutOfBounds => "index/get",
        PanicClass::SliceRange => "slice/get",
        PanicClass::StrOutOfBounds | PanicClass::StrRangeReversed => "str/get",
        PanicClass::NotCharBoundary => "str/boundary",
        PanicClass::UnwrapNone | PanicClass::Expect => "option/propagate",
        PanicClass::UnwrapErr => "result/propagate",
        other => other.as_str(),
    }
}

fn decline<T>(class: PanicClass, reason: impl Into<String>) -> Result<T, Declined> {
    Err(Declined {
        rule: rule_of(class).to_owned(),
        reason: reason.into(),
    })
}

impl<'t, 'a> Ground<'t, 'a> {
    /// Looks at a site. Declines what no rule may touch.
    pub(super) fn at(
        tree: &'t SourceTree<'a>,
        body: Body<'a>,
        site: &Site<'t>,
    ) -> Result<Self, Declined> {
        let message = site.message;
        let classified = classify(message);
        let function = body.simple_name().to_owned();
        let found = failing_at(tree, &body, site.line, site.column, &classified);
        let Some(failing) = found else {
            return decline(
                classified.class,
                format!(
                    "nothing on line {} of `{function}` can fail in the way that the message says",
                    site.line
                ),
            );
        };
        let class = class_in_source(message, failing.spot);
        let Spot::Expr(expr) = failing.spot else {
            return decline(
                class,
                format!(
                    "`{function}` panics by a macro of its own, on purpose; no rule takes that away"
                ),
            );
        };
        let owner = body
            .signature
            .and_then(|signature| Owner::of(tree.file, signature));
        if body.is_test || owner.as_ref().is_some_and(Owner::is_test) {
            return decline(class, "the failing function is a test");
        }
        let Some(around) = around(tree, &body, expr) else {
            return decline(
                class,
                "the failing expression stands where no edit can reach it",
            );
        };
        if let Some(reason) = forbidden(&body, &around) {
            return decline(class, reason);
        }
        let rivals = failing.rivals.iter().filter_map(|spot| match spot {
            Spot::Expr(expr) => Some(*expr),
            Spot::Macro(_) => None,
        });
        let rivals = rivals.collect();
        let carrier = carrier(tree, &body, owner.as_ref(), &around);
        let plain = plain_message(message, class, Some(failing.spot));
        Ok(Ground {
            tree,
            source: Source::new(site.text),
            scope: Scope::at(tree, &body, failing.spot),
            bound: bound(&classify(&plain), &plain),
            body,
            class,
            failing: expr,
            rivals,
            around,
            carrier,
            rust_version: site.rust_version,
        })
    }

    /// The source of a piece of syntax as a short quotation.
    pub(super) fn quoted(&self, expr: &Expr) -> String {
        format!("`{}`", self.tree.text(expr))
    }

    /// What holds the failing expression within the carrier, outermost first.
    pub(super) fn within(&self) -> &[Node<'a>] {
        &self.around[self.carrier.from..]
    }

    /// The expressions around the failing one, innermost first, up to its statement.
    pub(super) fn parents(&self) -> impl Iterator<Item = &'a Expr> {
        let nodes = self.within().iter().rev();
        nodes.map_while(|node| match node {
            Node::Expr(expr) => Some(*expr),
            _ => None,
        })
    }

    /// The macro whose argument the failing expression is part of.
    pub(super) fn in_macro(&self) -> Option<String> {
        self.around.iter().rev().find_map(|node| match node {
            Node::Macro(mac) => Some(macro_name(mac)),
            _ => None,
        })
    }

    /// What a call of the function gives where the carrier is left with a word for the failure.
    pub(super) fn outcome(&self, told: Outcome) -> Outcome {
        if self.carrier.inner.is_some() {
            Outcome::Any
        } else {
            told
        }
    }

    /// The function's name, quoted.
    pub(super) fn function(&self) -> String {
        format!("`{}`", self.body.simple_name())
    }
}

/// Why nothing may be changed at a place, whatever failed there.
fn forbidden(body: &Body<'_>, around: &[Node<'_>]) -> Option<String> {
    let name = body.simple_name();
    for node in around {
        match node {
            Node::Macro(mac) => {
                let called = macro_name(mac);
                if called.contains("assert") {
                    return Some(format!(
                        "the failing expression is part of `{called}!`, and a check is never weakened"
                    ));
                }
                if !is_known(&called) {
                    return Some(format!(
                        "the failing expression is an argument of `{called}!`, and what that macro \
                         makes of its arguments is not known"
                    ));
                }
            }
            Node::Expr(Expr::Unsafe(_)) => {
                return Some("the failing expression stands in an `unsafe` block".to_owned());
            }
            Node::Expr(Expr::Const(_)) => {
                return Some("the failing expression is computed by the compiler".to_owned());
            }
            _ => {}
        }
    }
    let signature = body.signature?;
    let is_unsafe = matches!(signature.safety, syn::Safety::Unsafe(_));
    is_unsafe.then(|| format!("`{name}` is an `unsafe fn`"))
}

/// Macros of the standard library and of logging whose arguments are plain expressions.
fn is_known(name: &str) -> bool {
    const FORMATS: &[&str] = &[
        "format",
        "format_args",
        "print",
        "println",
        "eprint",
        "eprintln",
        "write",
        "writeln",
        "vec",
        "dbg",
        "matches",
        "panic",
        "unreachable",
        "todo",
        "unimplemented",
        "anyhow",
        "bail",
        "eyre",
    ];
    FORMATS.contains(&name) || is_log(name)
}

/// Macros whose arguments run only where their level is on.
pub(super) fn is_log(name: &str) -> bool {
    matches!(
        name,
        "trace" | "debug" | "info" | "warn" | "error" | "log" | "event"
    )
}

/// Which end of a range the message names.
fn bound(classified: &Classified<'_>, message: &str) -> Option<Bound> {
    use PanicClass::*;
    if !matches!(
        classified.class,
        SliceRange | NotCharBoundary | StrOutOfBounds
    ) {
        return None;
    }
    let has = |word| message.starts_with(word);
    if has("start byte index") || has("range start index") {
        Some(Bound::Start)
    } else if has("end byte index") || has("range end index") {
        Some(Bound::End)
    } else {
        None
    }
}

fn carrier<'a>(
    tree: &SourceTree<'a>,
    body: &Body<'a>,
    owner: Option<&Owner<'a>>,
    around: &[Node<'a>],
) -> Carrier<'a> {
    let inner = around
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, node)| match node {
            Node::Expr(expr @ (Expr::Closure(_) | Expr::Async(_))) => Some((at, *expr)),
            _ => None,
        });
    let Some((at, expr)) = inner else {
        return Carrier {
            name: format!("`{}`", body.simple_name()),
            returns: of_function(tree, owner, body.signature),
            inner: None,
            from: 0,
            handed_to: None,
        };
    };
    let handed_to = match at.checked_sub(1).map(|before| around[before]) {
        Some(Node::Expr(Expr::MethodCall(call))) => Some(call.method.to_string()),
        _ => None,
    };
    let returns = match expr {
        Expr::Closure(closure) if closure.asyncness.is_some() => Returns::Unknown,
        Expr::Closure(closure) => match (&closure.output, handed_to.as_deref()) {
            (output @ syn::ReturnType::Type(..), _) => declared(tree, owner, output),
            (_, Some("filter_map" | "find_map" | "map_while")) => Returns::Option,
            (_, Some("for_each")) => Returns::Nothing,
            _ => inferred(&closure.body),
        },
        expr => inferred(expr),
    };
    let name = match (expr, &handed_to) {
        (Expr::Async(_), _) => "the async block".to_owned(),
        (_, Some(method)) => format!("the closure handed to `{method}`"),
        _ => "the closure".to_owned(),
    };
    Carrier {
        name,
        returns,
        inner: Some(expr),
        from: at + 1,
        handed_to,
    }
}

fn of_function(
    tree: &SourceTree<'_>,
    owner: Option<&Owner<'_>>,
    signature: Option<&Signature>,
) -> Returns {
    match signature {
        Some(signature) => declared(tree, owner, &signature.output),
        None => Returns::Other("a constant".to_owned()),
    }
}
