//! What a function or a closure can say to its caller, as far as its type shows.

use proc_macro2::TokenStream;
use syn::visit::{self, Visit};
use syn::{Expr, GenericArgument, Path, PathArguments, ReturnType, Stmt, Type, UseTree};

use crate::analyze::syntax::SourceTree;
use crate::fix::owner::Owner;

/// What leaves a function early.
#[derive(Clone)]
pub(super) enum Returns {
    /// `None`.
    Option,
    /// An `Err` of some kind.
    Result(Family),
    /// Nothing: it just ends.
    Nothing,
    /// A type without a word for what is missing, as the source writes it.
    Other(String),
    /// The source does not say.
    Unknown,
}

/// The kind of an error type.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Family {
    /// `String`.
    Text,
    /// `&'static str`.
    Str,
    /// `Box<dyn Error>`.
    Boxed,
    /// `anyhow::Error`.
    Anyhow,
    /// `eyre::Report`, with the crate that brings it.
    Eyre(&'static str),
    /// `io::Error`, with the path before the name.
    Io(String),
    /// `fmt::Error`, with the path before the name.
    Fmt(String),
    /// `()`.
    Unit,
    /// A type of the app's own, or of another crate.
    Own(String),
    /// Behind an alias that this file does not explain.
    Unknown,
}

/// Reads a declared return type.
pub(super) fn declared(
    tree: &SourceTree<'_>,
    owner: Option<&Owner<'_>>,
    output: &ReturnType,
) -> Returns {
    let ReturnType::Type(_, ty) = output else {
        return Returns::Nothing;
    };
    let reader = Reader { tree, owner };
    match &**ty {
        Type::Tuple(tuple) if tuple.elems.is_empty() => Returns::Nothing,
        Type::Path(path) => match last(&path.path).as_deref() {
            Some("Option") => Returns::Option,
            Some("Result") => Returns::Result(reader.of_result(&path.path)),
            _ => Returns::Other(tree.text(ty)),
        },
        _ => Returns::Other(tree.text(ty)),
    }
}

/// What a closure or an async block without a declared type gives, where its end shows it.
pub(super) fn inferred(body: &Expr) -> Returns {
    match end(body) {
        End::Some => Returns::Option,
        End::Ok => Returns::Result(Family::Unknown),
        End::Nothing if !returns_values(body) => Returns::Nothing,
        End::Nothing | End::Unclear => Returns::Unknown,
    }
}

struct Reader<'t, 'a> {
    tree: &'t SourceTree<'a>,
    owner: Option<&'t Owner<'a>>,
}

impl Reader<'_, '_> {
    fn of_result(&self, path: &Path) -> Family {
        let types = type_arguments(path);
        if let [_, error] = types.as_slice() {
            return self.of_error(error, 0);
        }
        let prefix = prefix(path);
        let full = if prefix.is_empty() {
            self.import("Result").unwrap_or_default()
        } else {
            prefix.clone()
        };
        match crate_of(&full) {
            Some(known) => known,
            None if full.contains("io::") => Family::Io(self.std_prefix(&prefix, "std::io::")),
            None if full.contains("fmt::") => Family::Fmt(self.std_prefix(&prefix, "std::fmt::")),
            None => match self.alias("Result") {
                Some(error) => self.of_error(error, 1),
                None => Family::Unknown,
            },
        }
    }

    fn of_error(&self, ty: &Type, depth: usize) -> Family {
        match ty {
            Type::Tuple(tuple) if tuple.elems.is_empty() => Family::Unit,
            Type::Reference(reference) => match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => Family::Str,
                _ => Family::Own(self.tree.text(ty)),
            },
            Type::Path(path) => self.of_error_path(&path.path, ty, depth),
            _ => Family::Own(self.tree.text(ty)),
        }
    }

    fn of_error_path(&self, path: &Path, ty: &Type, depth: usize) -> Family {
        let own = || Family::Own(self.tree.text(ty));
        let name = last(path).unwrap_or_default();
        let prefix = prefix(path);
        if prefix == "Self::" && depth < 2 {
            return match self.associated(&name) {
                Some(ty) => self.of_error(ty, depth + 1),
                None => own(),
            };
        }
        let full = if prefix.is_empty() {
            self.import(&name).unwrap_or_default()
        } else {
            prefix.clone()
        };
        match &*name {
            "String" => Family::Text,
            "Box" => match type_arguments(path).as_slice() {
                [Type::TraitObject(_)] => Family::Boxed,
                _ => own(),
            },
            "Error" | "Report" => match crate_of(&full) {
                Some(known) => known,
                None if full.contains("io::") => Family::Io(self.std_prefix(&prefix, "std::io::")),
                None if full.contains("fmt::") => {
                    Family::Fmt(self.std_prefix(&prefix, "std::fmt::"))
                }
                None => own(),
            },
            _ => own(),
        }
    }

    /// The path that reaches a module of the standard library: as the function writes it.
    fn std_prefix(&self, written: &str, full: &str) -> String {
        if written.is_empty() { full } else { written }.to_owned()
    }

    fn import(&self, name: &str) -> Option<String> {
        import(self.tree, name)
    }

    /// The error of `type Result<T> = std::result::Result<T, Error>;`.
    fn alias(&self, name: &str) -> Option<&Type> {
        self.tree.file.items.iter().find_map(|item| match item {
            syn::Item::Type(alias) if alias.ident == name => match &*alias.ty {
                Type::Path(path) => type_arguments(&path.path).get(1).copied(),
                _ => None,
            },
            _ => None,
        })
    }

    /// `type Err = …;` of the implementation around the function.
    fn associated(&self, name: &str) -> Option<&Type> {
        let items = &self.owner?.implementation()?.items;
        items.iter().find_map(|item| match item {
            syn::ImplItem::Type(ty) if ty.ident == name => Some(&ty.ty),
            _ => None,
        })
    }
}

fn crate_of(path: &str) -> Option<Family> {
    let mut parts = path.split("::");
    match parts.next()? {
        "anyhow" => Some(Family::Anyhow),
        "eyre" => Some(Family::Eyre("eyre")),
        "color_eyre" => Some(Family::Eyre("color_eyre::eyre")),
        _ => None,
    }
}

/// The path that the file imports a name by, without the name: `std::io::`.
pub(super) fn import(tree: &SourceTree<'_>, name: &str) -> Option<String> {
    tree.file.items.iter().find_map(|item| match item {
        syn::Item::Use(import) => imported(&import.tree, name, String::new()),
        _ => None,
    })
}

fn imported(tree: &UseTree, name: &str, before: String) -> Option<String> {
    match tree {
        UseTree::Path(path) => imported(&path.tree, name, format!("{before}{}::", path.ident)),
        UseTree::Name(found) => (found.ident == name).then_some(before),
        UseTree::Rename(found) => (found.rename == name).then_some(before),
        UseTree::Group(group) => {
            let mut trees = group.items.iter();
            trees.find_map(|tree| imported(tree, name, before.clone()))
        }
        _ => None,
    }
}

pub(super) fn last(path: &Path) -> Option<String> {
    path.segments.last().map(|last| last.ident.to_string())
}

/// A path up to its last name: `std::io::`.
fn prefix(path: &Path) -> String {
    let n_before = path.segments.len().saturating_sub(1);
    let names = path.segments.iter().take(n_before);
    names.map(|part| format!("{}::", part.ident)).collect()
}

pub(super) fn type_arguments(path: &Path) -> Vec<&Type> {
    let Some(PathArguments::AngleBracketed(list)) =
        path.segments.last().map(|last| &last.arguments)
    else {
        return Vec::new();
    };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

enum End {
    Some,
    Ok,
    Nothing,
    Unclear,
}

/// What an expression ends with: the value that it gives, where its form alone tells the type.
fn end(expr: &Expr) -> End {
    let of_block = |block: &syn::Block| match block.stmts.last() {
        Some(Stmt::Expr(expr, None)) => end(expr),
        Some(Stmt::Macro(call)) if call.semi_token.is_none() => End::Unclear,
        _ => End::Nothing,
    };
    let first_clear = |ends: Vec<End>| {
        let clear = ends.into_iter().find(|end| !matches!(end, End::Unclear));
        clear.unwrap_or(End::Unclear)
    };
    match expr {
        Expr::Block(block) => of_block(&block.block),
        Expr::Async(block) => of_block(&block.block),
        Expr::Unsafe(block) => of_block(&block.block),
        Expr::Paren(paren) => end(&paren.expr),
        Expr::ForLoop(_) | Expr::While(_) | Expr::Assign(_) => End::Nothing,
        Expr::If(branch) => match &branch.else_branch {
            None => End::Nothing,
            Some((_, otherwise)) => {
                first_clear(vec![of_block(&branch.then_branch), end(otherwise)])
            }
        },
        Expr::Match(branches) => {
            first_clear(branches.arms.iter().map(|arm| end(&arm.body)).collect())
        }
        Expr::Path(path) => match last(&path.path).as_deref() {
            Some("None") => End::Some,
            _ => End::Unclear,
        },
        Expr::Call(call) => match &*call.func {
            Expr::Path(path) => match last(&path.path).as_deref() {
                Some("Some") => End::Some,
                Some("Ok" | "Err") => End::Ok,
                _ => End::Unclear,
            },
            _ => End::Unclear,
        },
        _ => End::Unclear,
    }
}

/// Whether a closure's body has a `return` with a value, or a `?`, of its own.
fn returns_values(body: &Expr) -> bool {
    #[derive(Default)]
    struct Search {
        found: bool,
    }
    impl<'ast> Visit<'ast> for Search {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            match expr {
                Expr::Return(leave) => self.found |= leave.expr.is_some(),
                Expr::Try(_) => self.found = true,
                Expr::Closure(_) | Expr::Async(_) => return,
                _ => {}
            }
            visit::visit_expr(self, expr);
        }

        fn visit_token_stream(&mut self, _: &'ast TokenStream) {}
    }
    let mut search = Search::default();
    match body {
        Expr::Async(block) => search.visit_block(&block.block),
        body => search.visit_expr(body),
    }
    search.found
}
