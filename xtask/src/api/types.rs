//! Writes types, generics and signatures as a reader of Rust knows them.

use std::collections::BTreeMap;

use super::json::Value;

/// How things are called.
pub(super) struct Names<'a> {
    /// Of the document that is being read: the path at which each thing was declared, by its number.
    pub(super) paths: &'a Value,
    /// The path at which users find what was declared elsewhere.
    pub(super) public: &'a BTreeMap<String, String>,
}

impl Names<'_> {
    /// A type.
    pub(super) fn ty(&self, ty: &Value) -> String {
        let (kind, it) = ty.kind();
        match kind {
            "resolved_path" => self.path(it),
            "dyn_trait" => {
                let traits = it.get("traits").list().iter();
                let traits = traits.map(|one| self.path(one.get("trait")));
                let lifetime = it.get("lifetime").text().map(str::to_owned);
                format!("dyn {}", joined(traits.chain(lifetime), " + "))
            }
            "generic" | "primitive" => it.text().unwrap_or_default().to_owned(),
            "tuple" => match it.list() {
                [one] => format!("({},)", self.ty(one)),
                several => format!("({})", self.tys(several)),
            },
            "slice" => format!("[{}]", self.ty(it)),
            "array" => {
                let length = it.get("len").text().unwrap_or_default();
                format!("[{}; {length}]", self.ty(it.get("type")))
            }
            "impl_trait" => format!("impl {}", self.bounds(it)),
            "raw_pointer" => {
                let mutability = if it.get("is_mutable").is_true() {
                    "mut"
                } else {
                    "const"
                };
                format!("*{mutability} {}", self.ty(it.get("type")))
            }
            "borrowed_ref" => {
                let lifetime = it.get("lifetime").text();
                let lifetime = lifetime.map_or_else(String::new, |it| format!("{it} "));
                let mutable = if it.get("is_mutable").is_true() {
                    "mut "
                } else {
                    ""
                };
                format!("&{lifetime}{mutable}{}", self.ty(it.get("type")))
            }
            "qualified_path" => {
                let name = it.get("name").text().unwrap_or_default();
                let this = self.ty(it.get("self_type"));
                match it.get("trait") {
                    Value::Null => format!("{this}::{name}"),
                    of => format!("<{this} as {}>::{name}", self.path(of)),
                }
            }
            "function_pointer" => format!("fn{}", self.signature(it.get("sig"))),
            // Of a kind that no public item has had so far: better said than wrong.
            other => format!("<{other}>"),
        }
    }

    fn tys(&self, tys: &[Value]) -> String {
        joined(tys.iter().map(|ty| self.ty(ty)), ", ")
    }

    /// A type or trait with what it is applied to.
    pub(super) fn path(&self, path: &Value) -> String {
        let args = self.args(path.get("args"));
        format!("{}{args}", self.name(path))
    }

    fn name(&self, path: &Value) -> String {
        let written = path.get("path").text().unwrap_or_default();
        let id = path.get("id").text().unwrap_or_default();
        let declared = self.paths.get(id).get("path").list();
        let declared: Vec<&str> = declared.iter().filter_map(Value::text).collect();
        match declared[..] {
            [] => last(written).to_owned(),
            // `Error` and `Result` are several things.
            ["core" | "alloc" | "std", module @ ("fmt" | "io"), .., name] => {
                format!("{module}::{name}")
            }
            ["core" | "alloc" | "std", .., name] => name.to_owned(),
            _ => {
                let declared = declared.join("::");
                self.public.get(&declared).cloned().unwrap_or(declared)
            }
        }
    }

    fn args(&self, args: &Value) -> String {
        let (kind, it) = args.kind();
        match kind {
            "angle_bracketed" => {
                let given = it.get("args").list().iter().map(|arg| self.arg(arg));
                let constraints = it.get("constraints").list().iter();
                let constraints = constraints.map(|one| self.constraint(one));
                let all = joined(given.chain(constraints), ", ");
                match &*all {
                    "" => String::new(),
                    all => format!("<{all}>"),
                }
            }
            "parenthesized" => {
                let output = it.get("output");
                let output = (!output.is_null()).then(|| format!(" -> {}", self.ty(output)));
                let inputs = self.tys(it.get("inputs").list());
                format!("({inputs}){}", output.unwrap_or_default())
            }
            _ => String::new(),
        }
    }

    fn arg(&self, arg: &Value) -> String {
        match arg.kind() {
            ("lifetime", lifetime) => lifetime.text().unwrap_or_default().to_owned(),
            ("type", ty) => self.ty(ty),
            ("const", value) => value.get("expr").text().unwrap_or_default().to_owned(),
            _ => "_".to_owned(),
        }
    }

    fn constraint(&self, constraint: &Value) -> String {
        let name = constraint.get("name").text().unwrap_or_default();
        match constraint.get("binding").kind() {
            ("equality", term) => format!("{name} = {}", self.arg(term)),
            (_, bounds) => format!("{name}: {}", self.bounds(bounds)),
        }
    }

    /// What something must be: `Send + 'static`.
    pub(super) fn bounds(&self, bounds: &Value) -> String {
        let bounds = bounds.list().iter().map(|bound| match bound.kind() {
            ("trait_bound", bound) => {
                let modifier = match bound.get("modifier").text() {
                    Some("maybe") => "?",
                    _ => "",
                };
                let all = bound.get("generic_params").list().iter();
                let all = joined(all.filter_map(|param| self.param(param)), ", ");
                let all = match &*all {
                    "" => String::new(),
                    all => format!("for<{all}> "),
                };
                format!("{modifier}{all}{}", self.path(bound.get("trait")))
            }
            (_, lifetime) => lifetime.text().unwrap_or_default().to_owned(),
        });
        joined(bounds, " + ")
    }

    /// `<T: Bound>`, without what stands for `impl Trait`.
    pub(super) fn generics(&self, generics: &Value) -> String {
        let params = generics.get("params").list().iter();
        let params: Vec<String> = params.filter_map(|param| self.param(param)).collect();
        match params.is_empty() {
            true => String::new(),
            false => format!("<{}>", params.join(", ")),
        }
    }

    fn param(&self, param: &Value) -> Option<String> {
        let name = param.get("name").text().unwrap_or_default();
        match param.get("kind").kind() {
            ("type", it) if it.get("is_synthetic").is_true() => None,
            ("type", it) => Some(bounded(name, &self.bounds(it.get("bounds")))),
            ("const", it) => Some(format!("const {name}: {}", self.ty(it.get("type")))),
            _ => Some(name.to_owned()),
        }
    }

    /// ` where T: Bound`.
    pub(super) fn wheres(&self, generics: &Value) -> String {
        let predicates = generics.get("where_predicates").list().iter();
        let predicates = predicates.map(|predicate| match predicate.kind() {
            ("bound_predicate", it) => {
                bounded(&self.ty(it.get("type")), &self.bounds(it.get("bounds")))
            }
            ("eq_predicate", it) => {
                let (left, right) = (self.ty(it.get("lhs")), self.arg(it.get("rhs")));
                format!("{left} = {right}")
            }
            (_, it) => it.get("lifetime").text().unwrap_or_default().to_owned(),
        });
        match &*joined(predicates, ", ") {
            "" => String::new(),
            all => format!(" where {all}"),
        }
    }

    /// `(&self, u32) -> bool`. Names of arguments bind nobody, and are left out.
    pub(super) fn signature(&self, signature: &Value) -> String {
        let inputs = signature.get("inputs").list().iter();
        let inputs = inputs.map(|input| match input.list() {
            [name, ty] if name.text() == Some("self") => receiver(&self.ty(ty)),
            [_, ty] => self.ty(ty),
            _ => String::new(),
        });
        let inputs = joined(inputs, ", ");
        match signature.get("output") {
            Value::Null => format!("({inputs})"),
            output => format!("({inputs}) -> {}", self.ty(output)),
        }
    }
}

fn bounded(name: &str, bounds: &str) -> String {
    match bounds {
        "" => name.to_owned(),
        bounds => format!("{name}: {bounds}"),
    }
}

fn receiver(ty: &str) -> String {
    match ty {
        "Self" => "self".to_owned(),
        "&Self" => "&self".to_owned(),
        "&mut Self" => "&mut self".to_owned(),
        other => format!("self: {other}"),
    }
}

/// The name at the end of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

fn joined(parts: impl Iterator<Item = String>, by: &str) -> String {
    parts.collect::<Vec<_>>().join(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> String {
        let paths = r#"{
            "1": {"path": ["core", "option", "Option"]},
            "2": {"path": ["std", "io", "error", "Error"]},
            "3": {"path": ["here", "inside", "Guard"]},
            "4": {"path": ["core", "ops", "function", "Fn"]},
            "5": {"path": ["core", "fmt", "Debug"]},
            "6": {"path": ["core", "iter", "Iterator"]}
        }"#;
        let paths = Value::parse(paths).expect("is JSON");
        let public = [("here::inside::Guard".to_owned(), "Guard".to_owned())];
        let public = public.into_iter().collect();
        let names = Names {
            paths: &paths,
            public: &public,
        };
        names.ty(&Value::parse(json).expect("is JSON"))
    }

    fn resolved(id: u32, args: &str) -> String {
        format!(r#"{{"resolved_path": {{"path": "a::B", "id": {id}, "args": {args}}}}}"#)
    }

    #[test]
    fn types_read_as_in_rust() {
        let guard = resolved(3, "null");
        let option = |of: &str| {
            let args = r#"{"angle_bracketed": {"args": [{"type": OF}], "constraints": []}}"#;
            resolved(1, &args.replace("OF", of))
        };

        assert_eq!(written(&guard), "Guard");
        assert_eq!(written(&option(&guard)), "Option<Guard>");
        assert_eq!(written(&resolved(9, "null")), "B");
        let borrowed = |it: &str| {
            format!(r#"{{"borrowed_ref": {{"lifetime": "'a", "is_mutable": true, "type": {it}}}}}"#)
        };
        assert_eq!(written(&borrowed(&guard)), "&'a mut Guard");
        let text = r#"{"primitive": "str"}"#;
        assert_eq!(written(&format!(r#"{{"slice": {text}}}"#)), "[str]");
        assert_eq!(
            written(&format!(r#"{{"tuple": [{text}, {guard}]}}"#)),
            "(str, Guard)"
        );
        assert_eq!(written(r#"{"tuple": []}"#), "()");
    }

    #[test]
    fn a_closure_reads_as_in_rust() {
        let closure = r#"{"impl_trait": [
            {"trait_bound": {"modifier": "none", "generic_params": [
                {"name": "'a", "kind": {"lifetime": {"outlives": []}}}
            ], "trait": {"path": "Fn", "id": 4, "args":
                {"parenthesized": {"inputs": [{"primitive": "u8"}], "output": {"primitive": "bool"}}}}}},
            {"outlives": "'static"}
        ]}"#;

        assert_eq!(written(closure), "impl for<'a> Fn(u8) -> bool + 'static");
    }

    #[test]
    fn what_several_modules_of_std_have_keeps_its_module() {
        assert_eq!(written(&resolved(2, "null")), "io::Error");
        assert_eq!(written(&resolved(5, "null")), "fmt::Debug");
        assert_eq!(written(&resolved(6, "null")), "Iterator");
    }
}
