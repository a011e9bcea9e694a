//! How a function already says that something failed: the error expressions that it builds.

use proc_macro2::TokenStream;
use syn::visit::{self, Visit};
use syn::{Expr, Lit, Macro, Pat};

use crate::analyze::scope::Scope;
use crate::analyze::syntax::{Content, Spot};
use crate::fix::returns::last;
use crate::fix::site::Ground;

/// An error that the function builds.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) form: Form,
    /// What it stands for: `digits` and `parse` in `digits.parse().map_err(…)`.
    call: Option<Called>,
    /// How often the function builds it.
    pub(super) uses: usize,
}

/// How the error is written.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// A closure or function without arguments: `unknown`.
    Call(String),
    /// An expression: `Error::Unknown`.
    Value { text: String, is_constant: bool },
    /// A function of the error that it replaces: `Error::Parse`.
    Mapper(String),
}

impl Form {
    /// How sentences call it.
    pub(super) fn text(&self) -> String {
        let text = match self {
            Form::Call(name) => return format!("`{name}()`"),
            Form::Value { text, .. } | Form::Mapper(text) => text,
        };
        format!("`{}`", crate::evidence::quote(text))
    }
}

/// A method call that may fail.
#[derive(Clone, PartialEq, Eq)]
struct Called {
    method: String,
    receiver: String,
}

/// What the function's own errors have for the failure.
pub(super) struct Makers {
    /// Errors that it uses for several failures, or for the like. One that it uses once may be for
    /// that one failure only: the missing host is no missing port.
    pub(super) alike: Vec<Maker>,
    /// How sentences call all of them.
    pub(super) all: Vec<String>,
}

/// Collects the errors that the carrier builds, as far as they can be built at the failing place.
pub(super) fn makers(ground: &Ground<'_, '_>) -> Makers {
    let mut search = Search {
        ground,
        found: Vec::new(),
    };
    match (ground.carrier.inner, ground.body.content) {
        (Some(Expr::Closure(closure)), _) => search.visit_expr(&closure.body),
        (Some(Expr::Async(block)), _) => search.visit_block(&block.block),
        (Some(expr), _) | (None, Content::Value(expr)) => search.visit_expr(expr),
        (None, Content::Block(block)) => search.visit_block(block),
    }
    let mut found: Vec<Maker> = Vec::new();
    for maker in search.found {
        match found.iter_mut().find(|known| known.form == maker.form) {
            Some(known) => {
                known.uses += maker.uses;
                known.call = known.call.take().or(maker.call);
            }
            None => found.push(maker),
        }
    }
    let mut alike: Vec<Maker> = found
        .iter()
        .filter(|maker| maker.uses > 1 || is_shared(ground, maker) || is_alike(ground, maker))
        .cloned()
        .collect();
    alike.sort_by_key(|maker| std::cmp::Reverse(maker.uses));
    alike.truncate(2);
    Makers {
        alike,
        all: found.iter().map(|maker| maker.form.text()).collect(),
    }
}

/// A closure with a name of its own is made for more than one failure.
fn is_shared(ground: &Ground<'_, '_>, maker: &Maker) -> bool {
    matches!(&maker.form, Form::Call(name) if ground.scope.binding(name).is_some())
}

/// Whether an error stands for the like: another element of the same list, or the same method where
/// the error keeps what went wrong.
fn is_alike(ground: &Ground<'_, '_>, maker: &Maker) -> bool {
    let Some(call) = &maker.call else {
        return false;
    };
    match ground.failing {
        Expr::Index(index) => {
            let asks = matches!(&*call.method, "get" | "get_mut" | "first" | "last");
            asks && call.receiver == ground.source.of(&*index.expr)
        }
        Expr::MethodCall(failing) => {
            let failing = called(ground, &failing.receiver);
            let same = failing.is_some_and(|failing| failing.method == call.method);
            same && matches!(maker.form, Form::Mapper(_))
        }
        _ => false,
    }
}

fn called(ground: &Ground<'_, '_>, expr: &Expr) -> Option<Called> {
    match expr {
        Expr::MethodCall(call) => Some(Called {
            method: call.method.to_string(),
            receiver: ground.source.of(&*call.receiver).to_owned(),
        }),
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => Some(Called {
                method: last(&path.path)?,
                receiver: String::new(),
            }),
            _ => None,
        },
        Expr::Paren(paren) => called(ground, &paren.expr),
        _ => None,
    }
}

/// Whether an expression is as cheap as a constant, so that nothing is gained by a closure.
fn is_cheap(expr: &Expr) -> bool {
    let is_type =
        |path: &syn::Path| last(path).is_some_and(|name| name.starts_with(char::is_uppercase));
    match expr {
        Expr::Path(_) | Expr::Lit(_) => true,
        Expr::Field(field) => is_cheap(&field.base),
        Expr::Call(call) => {
            matches!(&*call.func, Expr::Path(path) if is_type(&path.path))
                && call.args.iter().all(is_cheap)
        }
        Expr::Struct(made) => {
            made.rest.is_none() && made.fields.iter().all(|field| is_cheap(&field.expr))
        }
        _ => false,
    }
}

struct Search<'g, 't, 'a> {
    ground: &'g Ground<'t, 'a>,
    found: Vec<Maker>,
}

impl<'a> Search<'_, '_, 'a> {
    fn add(&mut self, form: Form, expr: &'a Expr, of: Option<Called>) {
        if self.is_valid_at_site(expr) {
            self.found.push(Maker {
                form,
                call: of,
                uses: 1,
            });
        }
    }

    /// An error value: what stands in `Err(…)`, `ok_or(…)` or a closure.
    fn value(&mut self, expr: &'a Expr, of: Option<Called>) {
        match expr {
            // `?` converts by itself.
            Expr::MethodCall(call) if call.method == "into" && call.args.is_empty() => {
                self.value(&call.receiver, of);
            }
            Expr::Call(call) if call.args.is_empty() => {
                if matches!(&*call.func, Expr::Path(_)) {
                    let form = Form::Call(self.ground.source.of(&*call.func).to_owned());
                    self.add(form, expr, of);
                }
            }
            // An error that is handed on is none that is built.
            Expr::Path(path)
                if path.path.get_ident().is_some_and(|name| {
                    name.to_string().starts_with(|c: char| c.is_lowercase())
                }) => {}
            expr => {
                let form = Form::Value {
                    text: self.ground.source.of(expr).to_owned(),
                    is_constant: is_cheap(expr),
                };
                self.add(form, expr, of);
            }
        }
    }

    /// What `ok_or_else(…)` or `map_err(…)` is given.
    fn function(&mut self, expr: &'a Expr, of: Option<Called>, takes_error: bool) {
        match expr {
            Expr::Closure(closure) => match closure.inputs.first() {
                None | Some(Pat::Wild(_)) => self.value(&closure.body, of),
                Some(_) => {
                    let text = self.ground.source.of(expr).to_owned();
                    self.add(Form::Mapper(text), &closure.body, of);
                }
            },
            Expr::Path(_) => {
                let text = self.ground.source.of(expr).to_owned();
                let form = if takes_error {
                    Form::Mapper(text)
                } else {
                    Form::Call(text)
                };
                self.add(form, expr, of);
            }
            _ => {}
        }
    }

    /// Whether every variable that an expression uses is the same one at the failing place.
    fn is_valid_at_site(&self, expr: &'a Expr) -> bool {
        let ground = self.ground;
        let mut names = Names {
            tree_macros: |mac: &Macro| ground.tree.arguments(mac),
            found: Vec::new(),
        };
        names.visit_expr(expr);
        let there = Scope::at(ground.tree, &ground.body, Spot::Expr(expr));
        let line = |scope: &Scope<'_>, name: &str| scope.binding(name).map(|binding| binding.line);
        let is_parameter_of_closure = |name: &str| {
            there.binding(name).is_some_and(|binding| {
                matches!(
                    binding.origin,
                    crate::analyze::scope::Origin::Closure { .. }
                )
            })
        };
        names.found.iter().all(|name| {
            line(&there, name) == line(&ground.scope, name) || is_parameter_of_closure(name)
        })
    }
}

impl<'a> Visit<'a> for Search<'_, '_, 'a> {
    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        let of = called(self.ground, &call.receiver);
        match (&*call.method.to_string(), call.args.first()) {
            ("ok_or", Some(value)) => self.value(value, of),
            ("ok_or_else", Some(function)) => self.function(function, of, false),
            ("map_err", Some(function)) => self.function(function, of, true),
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
        if let Expr::Path(path) = &*call.func
            && last(&path.path).as_deref() == Some("Err")
            && let Some(value) = call.args.first()
        {
            self.value(value, None);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}

    fn visit_expr_async(&mut self, _: &'a syn::ExprAsync) {}

    fn visit_item(&mut self, _: &'a syn::Item) {}

    fn visit_token_stream(&mut self, _: &'a TokenStream) {}
}

/// The variables that an expression uses, also within format strings.
struct Names<F> {
    tree_macros: F,
    found: Vec<String>,
}

impl<'a, F: Fn(&Macro) -> &'a [Expr]> Visit<'a> for Names<F> {
    fn visit_expr_path(&mut self, path: &'a syn::ExprPath) {
        if let Some(name) = path.path.get_ident() {
            self.found.push(name.to_string());
        }
    }

    fn visit_macro(&mut self, mac: &'a Macro) {
        for argument in (self.tree_macros)(mac) {
            if let Expr::Lit(literal) = argument
                && let Lit::Str(text) = &literal.lit
            {
                self.found.extend(captured(&text.value()));
            }
            self.visit_expr(argument);
        }
    }
}

/// The variables that a format string captures: `code` in `"bad {code:?}"`.
fn captured(format: &str) -> Vec<String> {
    let parts = format.split('{').skip(1);
    let names = parts.filter_map(|part| {
        let name = part.split(['}', ':']).next()?;
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        is_name.then(|| name.to_owned())
    });
    names.collect()
}
