//! From recorded fields to a test that fails as the report says.
//!
//! In: a function's signature and the fields that its span recorded. Out: [`Input`], a call with
//! literal arguments, or why there is none.
//! Never: a value that was cut or cleaned, a guess at a type, or a recorded text before its mask.

// The types that a recorded field can rebuild.
mod shape;
// Recorded text, read as a value of such a type.
mod value;
// Values as Rust literals.
mod literal;
// What `#[instrument]` records of a parameter.
mod instrument;
// The test module.
mod test_module;

use serde::{Deserialize, Serialize};
use syn::{FnArg, GenericParam, Pat, Signature, Visibility};

use self::instrument::{Recording, recording};
use self::shape::{Shape, shape};
use self::value::{Value, read};
use crate::analyze::syntax::{Body, SourceTree};
use crate::evidence::Recorded;
use crate::fix::owner::{Container, Owner};
use crate::fix::returns::{Returns, declared};

/// A call of the failing function with the input that was recorded when it failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The function as it is called from a module inside the file: `super::Cart::total`.
    pub function: String,
    /// Its arguments as literals, best first: each list is one way to call it. The first ones hold
    /// masks of the recorded texts, the last one the texts themselves.
    pub arguments: Vec<Vec<String>>,
    /// Whether the function returns nothing.
    #[serde(default)]
    pub returns_nothing: bool,
}

/// A parameter, and the values that its recorded text can stand for.
struct Parameter {
    shape: Shape,
    values: Vec<Value>,
}

/// Rebuilds the input of a function from what its span recorded.
pub(super) fn input(
    tree: &SourceTree<'_>,
    body: &Body<'_>,
    recorded: &[Recorded],
) -> Result<Input, String> {
    let name = body.simple_name();
    let Some(signature) = body.signature else {
        return Err(format!("`{name}` is a constant, which nothing calls"));
    };
    let owner = Owner::of(tree.file, signature);
    let Some(owner) = owner else {
        return Err(format!("`{name}` is no item of its file"));
    };
    let function = path(signature, &owner)?;
    let mut parameters = Vec::new();
    for input in &signature.inputs {
        parameters.push(parameter(tree, signature, &owner, input, recorded)?);
    }
    if parameters.is_empty() {
        return Err(format!(
            "`{name}` takes no arguments, so that what it failed on was not handed to it"
        ));
    }
    Ok(Input {
        function,
        arguments: variants(&parameters),
        returns_nothing: matches!(
            declared(tree, Some(&owner), &signature.output),
            Returns::Nothing
        ),
    })
}

fn parameter(
    tree: &SourceTree<'_>,
    signature: &Signature,
    owner: &Owner<'_>,
    input: &FnArg,
    recorded: &[Recorded],
) -> Result<Parameter, String> {
    let function = signature.ident.to_string();
    let FnArg::Typed(typed) = input else {
        return Err(format!(
            "`{function}` is a method, and no recorded field rebuilds its `self`"
        ));
    };
    let Pat::Ident(name) = &*typed.pat else {
        return Err(format!(
            "a parameter of `{function}` is a pattern, which has no field of its own"
        ));
    };
    let name = name.ident.to_string();
    let Some(shape) = shape(&typed.ty) else {
        return Err(format!(
            "parameter `{name}` of `{function}` is a `{}`, which no recorded field can rebuild",
            tree.text(&typed.ty)
        ));
    };
    let of_function = |field: &&Recorded| field.span.as_str() == function;
    if !recorded.iter().any(|field| of_function(&field)) {
        return Err(format!(
            "no span named `{function}` was recorded; `#[tracing::instrument]` on it records its arguments"
        ));
    }
    let found = recorded
        .iter()
        .filter(of_function)
        .find(|field| field.field.as_str() == name);
    let Some(text) = found.and_then(|field| field.values.first()) else {
        return Err(format!(
            "the span of `{function}` did not record parameter `{name}`"
        ));
    };
    let text = text.as_str();
    if let Some(reason) = spoiled(text) {
        return Err(format!("the recorded `{name}` of `{function}` {reason}"));
    }
    let recording = recording(owner.attrs, &name, &typed.ty);
    if recording == Recording::Other {
        return Err(format!(
            "the span of `{function}` records something else as `{name}` than the parameter"
        ));
    }
    let values = read(&shape, text, recording);
    if values.is_empty() {
        return Err(format!(
            "the recorded `{name}` of `{function}` is no `{}`",
            tree.text(&typed.ty)
        ));
    }
    Ok(Parameter { shape, values })
}

/// What keeps a recorded text from being the value that was passed.
fn spoiled(text: &str) -> Option<&'static str> {
    // The marks of `bugsage_core::scrub`.
    const CLEANED: &[&str] = &["[secret]", "[email]", "[card]", "[private key]"];
    if text.ends_with(bugsage_core::limits::CUT) {
        Some("was cut when it was recorded")
    } else if CLEANED.iter().any(|mark| text.contains(mark)) {
        Some("was cleaned of private data when it was recorded")
    } else {
        None
    }
}

/// The ways to call the function: all texts masked, all but one, none.
fn variants(parameters: &[Parameter]) -> Vec<Vec<String>> {
    let n_readings = parameters
        .iter()
        .map(|parameter| parameter.values.len())
        .max();
    let call = |reading: usize, is_masked: &dyn Fn(usize) -> bool| -> Vec<String> {
        let arguments = parameters.iter().enumerate().map(|(at, parameter)| {
            let value = &parameter.values[reading.min(parameter.values.len() - 1)];
            if is_masked(at) {
                literal::write(&parameter.shape, &value.masked())
            } else {
                literal::write(&parameter.shape, value)
            }
        });
        arguments.collect()
    };
    let mut calls: Vec<Vec<String>> = Vec::new();
    let mut add = |call: Vec<String>| {
        if !calls.contains(&call) {
            calls.push(call);
        }
    };
    let readings = 0..n_readings.unwrap_or(0);
    for reading in readings.clone() {
        add(call(reading, &|_| true));
    }
    for reading in readings.clone() {
        for shown in 0..parameters.len() {
            add(call(reading, &|at| at != shown));
        }
    }
    for reading in readings {
        add(call(reading, &|_| false));
    }
    calls
}

/// The function as a module inside its file calls it.
fn path(signature: &Signature, owner: &Owner<'_>) -> Result<String, String> {
    let name = signature.ident.to_string();
    if signature.asyncness.is_some() {
        return Err(format!("`{name}` is an `async fn`, which needs a runtime"));
    }
    if matches!(signature.safety, syn::Safety::Unsafe(_)) {
        return Err(format!("`{name}` is an `unsafe fn`"));
    }
    if name == "main" && owner.containers.is_empty() {
        return Err("`main` is the program itself".to_owned());
    }
    if is_generic(&signature.generics) {
        return Err(format!(
            "`{name}` is generic, and no field records its types"
        ));
    }
    if owner.is_test() {
        return Err(format!("`{name}` is a test, or for tests"));
    }
    let mut path = "super::".to_owned();
    let mut is_inside = false;
    for container in &owner.containers {
        match container {
            Container::Module(module) => {
                path.push_str(&format!("{}::", module.ident));
                is_inside = true;
            }
            Container::Impl(item) => {
                path = within(item, &path, &name)?;
            }
            Container::Trait(_) => {
                return Err(format!(
                    "`{name}` belongs to a trait, and no field records for which type"
                ));
            }
            Container::Function => {
                return Err(format!("`{name}` is a function inside of a function"));
            }
        }
    }
    if is_inside && !is_visible(owner) {
        return Err(format!(
            "`{name}` is private to its module, where no test can be added at the end of the file"
        ));
    }
    path.push_str(&name);
    Ok(path)
}

fn within(item: &syn::ItemImpl, path: &str, name: &str) -> Result<String, String> {
    if item.trait_.is_some() {
        return Err(format!("`{name}` implements a trait for its type"));
    }
    if is_generic(&item.generics) {
        return Err(format!(
            "`{name}` belongs to a generic type, and no field records its types"
        ));
    }
    match &*item.self_ty {
        syn::Type::Path(ty) if ty.qself.is_none() => {
            let names: Vec<String> = ty
                .path
                .segments
                .iter()
                .map(|part| part.ident.to_string())
                .collect();
            match names.first().map(String::as_str) {
                Some("crate") => Ok(format!("{}::", names.join("::"))),
                Some("self") => Err(format!("`{name}` belongs to a type of another module")),
                _ => Ok(format!("{path}{}::", names.join("::"))),
            }
        }
        _ => Err(format!("`{name}` belongs to a type without a name")),
    }
}

fn is_visible(owner: &Owner<'_>) -> bool {
    match owner.visibility {
        Some(Visibility::Public(_)) => true,
        Some(Visibility::Restricted(to)) => !to.path.is_ident("self"),
        _ => false,
    }
}

fn is_generic(generics: &syn::Generics) -> bool {
    let mut parameters = generics.params.iter();
    parameters.any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)))
}
