//! Which items an app can name, and a line for each.

use std::collections::{BTreeMap, BTreeSet};

use super::json::Value;
use super::types::{Names, last};

/// Modules within each other, and imports of imports. They may run in a circle.
const DEPTH_MAX: usize = 16;

/// Traits that types have without being asked. Of these two an app notices the loss.
const TOLD_OF_AUTO: [&str; 2] = ["Send", "Sync"];

/// What the compiler and `pin_project!` add for themselves.
const NEVER_TOLD: [&str; 2] = ["StructuralPartialEq", "Unpin"];

/// What rustdoc says of one crate.
pub(super) struct Document {
    /// As it is imported: `bugsage_sdk`.
    pub(super) name: &'static str,
    pub(super) json: Value,
}

impl Document {
    fn item(&self, id: &Value) -> &Value {
        let id = id.text().unwrap_or_default();
        self.json.get("index").get(id)
    }

    fn root(&self) -> &Value {
        self.item(self.json.get("root"))
    }

    /// Where a thing was declared.
    fn declared(&self, id: &Value) -> Option<String> {
        let id = id.text().unwrap_or_default();
        let path = self.json.get("paths").get(id).get("path").list();
        let path: Vec<&str> = path.iter().filter_map(Value::text).collect();
        (!path.is_empty()).then(|| path.join("::"))
    }
}

/// An item at the path at which users find it.
struct Found<'a> {
    document: &'a Document,
    path: String,
    item: &'a Value,
}

/// The lines of everything that users of the first crate can name. What it shows of the other crates is
/// told as its own.
pub(super) fn lines(documents: &[Document]) -> BTreeSet<Line> {
    let Some(first) = documents.first() else {
        return BTreeSet::new();
    };
    let mut walk = Walk {
        documents,
        found: Vec::new(),
        lines: BTreeSet::new(),
    };
    walk.module(first, first.root(), "", DEPTH_MAX);
    let mut public = BTreeMap::new();
    for found in &walk.found {
        if let Some(declared) = found.document.declared(found.item.get("id")) {
            // Where there are two ways, the shorter one.
            let known = public.entry(declared).or_insert_with(|| found.path.clone());
            if found.path.len() < known.len() {
                known.clone_from(&found.path);
            }
        }
    }
    let mut lines = walk.lines;
    for found in &walk.found {
        let names = Names {
            paths: found.document.json.get("paths"),
            public: &public,
        };
        let mut teller = Teller {
            found,
            names,
            lines: &mut lines,
        };
        teller.item();
    }
    lines
}

/// A line, and the path that it is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) text: String,
}

struct Walk<'a> {
    documents: &'a [Document],
    found: Vec<Found<'a>>,
    lines: BTreeSet<Line>,
}

impl<'a> Walk<'a> {
    fn module(&mut self, document: &'a Document, module: &'a Value, at: &str, depth_left: usize) {
        let Some(depth_left) = depth_left.checked_sub(1) else {
            return;
        };
        for id in module.get("inner").get("module").get("items").list() {
            self.item(document, document.item(id), at, depth_left);
        }
    }

    fn item(&mut self, document: &'a Document, item: &'a Value, at: &str, depth_left: usize) {
        let is_public = item.get("visibility").text() == Some("public");
        let (kind, inner) = item.get("inner").kind();
        if kind == "use" && is_public {
            self.import(document, inner, at, depth_left);
            return;
        }
        let name = item.get("name").text().unwrap_or_default();
        if is_public {
            self.find(document, item, &under(at, name), depth_left);
        }
    }

    fn find(&mut self, document: &'a Document, item: &'a Value, path: &str, depth_left: usize) {
        let found = Found {
            document,
            path: path.to_owned(),
            item,
        };
        self.found.push(found);
        if item.get("inner").kind().0 == "module" {
            self.module(document, item, path, depth_left);
        }
    }

    fn import(&mut self, document: &'a Document, import: &'a Value, at: &str, depth_left: usize) {
        let source = import.get("source").text().unwrap_or_default();
        let known = document.item(import.get("id"));
        let (document, item) = if known.is_null() {
            match self.elsewhere(source) {
                Some(found) => found,
                None => {
                    self.unread(import, source, at);
                    return;
                }
            }
        } else {
            (document, known)
        };
        if import.get("is_glob").is_true() {
            self.module(document, item, at, depth_left);
            return;
        }
        let name = import.get("name").text().unwrap_or_default();
        // An import of an import.
        let (kind, inner) = item.get("inner").kind();
        match (kind, depth_left.checked_sub(1)) {
            ("use", Some(depth_left)) => self.import(document, inner, at, depth_left),
            _ => self.find(document, item, &under(at, name), depth_left),
        }
    }

    /// An item of another crate, by the path of its modules.
    fn elsewhere(&self, source: &str) -> Option<(&'a Document, &'a Value)> {
        let (name, path) = source.split_once("::")?;
        let document = self.documents.iter().find(|it| it.name == name)?;
        let item = path.split("::").try_fold(document.root(), |module, name| {
            let ids = module.get("inner").get("module").get("items").list();
            let items = ids.iter().map(|id| document.item(id));
            items
                .filter(|item| item.get("inner").kind().0 != "use")
                .find(|item| item.get("name").text() == Some(name))
        });
        Some((document, item?))
    }

    /// What is shown of a crate whose document is not at hand.
    fn unread(&mut self, import: &Value, source: &str, at: &str) {
        let name = import.get("name").text().unwrap_or_else(|| last(source));
        let path = under(at, name);
        self.lines.insert(Line {
            text: format!("use {path} = {source}"),
            path,
        });
    }
}

fn under(at: &str, name: &str) -> String {
    match at {
        "" => name.to_owned(),
        at => format!("{at}::{name}"),
    }
}

/// Tells one item with what belongs to it.
struct Teller<'a, 'b> {
    found: &'b Found<'a>,
    names: Names<'b>,
    lines: &'b mut BTreeSet<Line>,
}

impl<'a> Teller<'a, '_> {
    fn document(&self) -> &'a Document {
        self.found.document
    }

    fn tell(&mut self, path: &str, text: String) {
        self.lines.insert(Line {
            path: path.to_owned(),
            text,
        });
    }

    fn item(&mut self) {
        let path = &*self.found.path;
        let (kind, it) = self.found.item.get("inner").kind();
        let open = non_exhaustive(self.found.item);
        let generics = self.names.generics(it.get("generics"));
        let wheres = self.names.wheres(it.get("generics"));
        match kind {
            "module" => self.tell(path, format!("mod {path}")),
            "function" => self.function(path, it),
            "struct" | "union" => {
                let hidden = self.fields(path, it.get("kind"));
                let text = format!("{open}{kind} {path}{generics}{wheres}{hidden}");
                self.tell(path, text);
                self.impls(it.get("impls"));
            }
            "enum" => {
                self.tell(path, format!("{open}enum {path}{generics}{wheres}"));
                for id in it.get("variants").list() {
                    self.variant(path, self.document().item(id));
                }
                self.impls(it.get("impls"));
            }
            "trait" => {
                let bounds = match &*self.names.bounds(it.get("bounds")) {
                    "" => String::new(),
                    bounds => format!(": {bounds}"),
                };
                let text = format!("trait {path}{generics}{bounds}{wheres}");
                self.tell(path, text);
                self.members(path, it.get("items"), true);
                self.impls(it.get("implementations"));
            }
            "type_alias" => {
                let ty = self.names.ty(it.get("type"));
                self.tell(path, format!("type {path}{generics} = {ty}"));
            }
            "constant" | "static" => {
                let ty = self.names.ty(it.get("type"));
                self.tell(path, format!("{kind} {path}: {ty}"));
            }
            "macro" | "proc_macro" => self.tell(path, format!("macro {path}!")),
            other => self.tell(path, format!("{other} {path}")),
        }
    }

    fn function(&mut self, path: &str, it: &Value) {
        let header = it.get("header");
        let mut words = String::new();
        for (name, word) in [
            ("is_const", "const "),
            ("is_async", "async "),
            ("is_unsafe", "unsafe "),
        ] {
            if header.get(name).is_true() {
                words.push_str(word);
            }
        }
        let generics = self.names.generics(it.get("generics"));
        let signature = self.names.signature(it.get("sig"));
        let wheres = self.names.wheres(it.get("generics"));
        self.tell(
            path,
            format!("{words}fn {path}{generics}{signature}{wheres}"),
        );
    }

    /// A line for each field that can be named; tells whether there are others.
    fn fields(&mut self, path: &str, kind: &Value) -> &'static str {
        let (kind, it) = kind.kind();
        let ids = match kind {
            "plain" | "struct" => it.get("fields").list(),
            _ => it.list(),
        };
        let mut is_hidden = it.get("has_stripped_fields").is_true();
        for id in ids {
            let field = self.document().item(id);
            is_hidden |= field.is_null();
            if let ("struct_field", ty) = field.get("inner").kind() {
                let name = field.get("name").text().unwrap_or_default();
                let ty = self.names.ty(ty);
                self.tell(
                    &under(path, name),
                    format!("field {}: {ty}", under(path, name)),
                );
            }
        }
        if is_hidden { " { .. }" } else { "" }
    }

    fn variant(&mut self, path: &str, variant: &Value) {
        let name = variant.get("name").text().unwrap_or_default();
        let path = under(path, name);
        let open = non_exhaustive(variant);
        self.tell(&path, format!("{open}variant {path}"));
        self.fields(&path, variant.get("inner").get("variant").get("kind"));
    }

    /// Functions, constants and types that belong to a type or trait.
    fn members(&mut self, path: &str, ids: &Value, is_trait: bool) {
        for id in ids.list() {
            let member = self.document().item(id);
            let is_public = is_trait || member.get("visibility").text() == Some("public");
            let name = member.get("name").text().unwrap_or_default();
            let path = under(path, name);
            match member.get("inner").kind() {
                _ if !is_public => {}
                ("function", it) => self.function(&path, it),
                ("assoc_const", it) => {
                    let ty = self.names.ty(it.get("type"));
                    self.tell(&path, format!("constant {path}: {ty}"));
                }
                (kind, _) => self.tell(&path, format!("{kind} {path}")),
            }
        }
    }

    fn impls(&mut self, ids: &Value) {
        for id in ids.list() {
            let it = self.document().item(id).get("inner").get("impl");
            if it.get("trait").is_null() {
                let path = self.found.path.clone();
                self.members(&path, it.get("items"), false);
            } else {
                self.implementation(it);
            }
        }
    }

    fn implementation(&mut self, it: &Value) {
        let name = last(it.get("trait").get("path").text().unwrap_or_default());
        let is_auto = it.get("is_synthetic").is_true();
        let is_everybodys = !it.get("blanket_impl").is_null();
        if is_everybodys || NEVER_TOLD.contains(&name) || (is_auto && !TOLD_OF_AUTO.contains(&name))
        {
            return;
        }
        let not = if it.get("is_negative").is_true() {
            "!"
        } else {
            ""
        };
        let of = self.names.path(it.get("trait"));
        let ty = self.names.ty(it.get("for"));
        let generics = self.names.generics(it.get("generics"));
        let wheres = self.names.wheres(it.get("generics"));
        let path = self.found.path.clone();
        self.tell(&path, format!("impl{generics} {not}{of} for {ty}{wheres}"));
    }
}

/// How a type or variant says that more may come.
fn non_exhaustive(item: &Value) -> &'static str {
    let attributes = item.get("attrs").list().iter();
    let mut names = attributes.filter_map(|it| it.kind().1.text().or(it.text()));
    match names.any(|name| name.contains("non_exhaustive")) {
        true => "#[non_exhaustive] ",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &'static str, index: &str, paths: &str) -> Document {
        let json = format!(r#"{{"root": 0, "index": {{{index}}}, "paths": {{{paths}}}}}"#);
        Document {
            name,
            json: Value::parse(&json).expect("is JSON"),
        }
    }

    fn told(documents: &[Document]) -> Vec<String> {
        lines(documents).into_iter().map(|it| it.text).collect()
    }

    /// Two crates: one shows what a private module of it and the other crate have.
    fn crates() -> Vec<Document> {
        let sdk = document(
            "sdk",
            r#"
            "0": {"id": 0, "name": "sdk", "visibility": "public", "inner": {"module": {"items": [1, 2, 9]}}},
            "1": {"id": 1, "name": null, "visibility": "public", "inner": {"use":
                {"source": "inside", "name": "inside", "id": 3, "is_glob": true}}},
            "2": {"id": 2, "name": null, "visibility": "public", "inner": {"use":
                {"source": "core_words::id", "name": "id", "id": 77, "is_glob": false}}},
            "3": {"id": 3, "name": "inside", "visibility": "crate", "inner": {"module": {"items": [4, 5, 8]}}},
            "4": {"id": 4, "name": "Guard", "visibility": "public", "attrs": ["non_exhaustive"], "inner": {"struct":
                {"kind": {"plain": {"fields": [], "has_stripped_fields": true}}, "generics": {}, "impls": [6]}}},
            "5": {"id": 5, "name": "init", "visibility": "public", "inner": {"function":
                {"sig": {"inputs": [["rate", {"primitive": "f64"}]],
                         "output": {"resolved_path": {"path": "Guard", "id": 4, "args": null}}},
                 "generics": {}, "header": {"is_const": false}}}},
            "6": {"id": 6, "name": null, "visibility": "default", "inner": {"impl":
                {"trait": null, "for": {}, "items": [7], "generics": {}}}},
            "7": {"id": 7, "name": "id", "visibility": "public", "inner": {"function":
                {"sig": {"inputs": [["self", {"borrowed_ref": {"type": {"generic": "Self"}}}]],
                         "output": {"resolved_path": {"path": "EventId", "id": 78, "args": null}}},
                 "generics": {}, "header": {"is_const": true}}}},
            "8": {"id": 8, "name": "private", "visibility": "crate", "inner": {"function": {}}},
            "9": {"id": 9, "name": null, "visibility": "public", "inner": {"use":
                {"source": "macros::release", "name": "release", "id": 79, "is_glob": false}}}
            "#,
            r#""4": {"path": ["sdk", "inside", "Guard"]}, "78": {"path": ["core_words", "id", "EventId"]}"#,
        );
        let words = document(
            "core_words",
            r#"
            "0": {"id": 0, "name": "core_words", "visibility": "public", "inner": {"module": {"items": [1]}}},
            "1": {"id": 1, "name": "id", "visibility": "public", "inner": {"module": {"items": [2]}}},
            "2": {"id": 2, "name": "EventId", "visibility": "public", "inner": {"struct":
                {"kind": {"tuple": [null]}, "generics": {}, "impls": []}}}
            "#,
            r#""2": {"path": ["core_words", "id", "EventId"]}"#,
        );
        vec![sdk, words]
    }

    #[test]
    fn what_a_private_module_and_another_crate_have_is_told_where_users_find_it() {
        assert_eq!(
            told(&crates()),
            [
                "#[non_exhaustive] struct Guard { .. }",
                "const fn Guard::id(&self) -> id::EventId",
                "mod id",
                "struct id::EventId { .. }",
                "fn init(f64) -> Guard",
                "use release = macros::release",
            ]
        );
    }

    #[test]
    fn imports_in_a_circle_end() {
        let circle = document(
            "sdk",
            r#"
            "0": {"id": 0, "name": "sdk", "visibility": "public", "inner": {"module": {"items": [1]}}},
            "1": {"id": 1, "name": null, "visibility": "public", "inner": {"use":
                {"source": "self", "name": "again", "id": 0, "is_glob": false}}}
            "#,
            "",
        );

        assert!(told(&[circle]).len() <= DEPTH_MAX);
    }
}
