//! The gate `diff`: what a patch may touch at all, read from its files before and after.
//!
//! Never: an opinion on whether the change is right; that is for the other gates and for a person.
//!
//! Files are compared as tokens, so that comments and strings count for nothing and the inside of
//! macros counts.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

use crate::analyze::with_tree;
use crate::limits;
use crate::patch::Change;

/// Calls that bring in what a fix has no need of: other processes, files, the network, foreign code.
const REACHING: &[&str] = &[
    "process", "fs", "net", "env", "ffi", "extern", "asm", "include",
];

/// Words that turn a failure into silence or into a wrong number.
const FORBIDDEN: &[&str] = &[
    "catch_unwind",
    "set_hook",
    "take_hook",
    "transmute",
    "unwrap_unchecked",
    "get_unchecked",
    "get_unchecked_mut",
];

/// Attributes that change what is built or what is complained of.
const ATTRIBUTES: &[&str] = &[
    "allow",
    "expect",
    "ignore",
    "cfg",
    "cfg_attr",
    "should_panic",
    "path",
    "no_mangle",
    "export_name",
    "link_section",
    "link",
    "unsafe",
    "feature",
    "warn",
];

/// Why a patch may not be tried. Each is a sentence for a person.
pub(crate) fn objections(changes: &[Change<'_>], test_module: Option<&str>) -> Vec<String> {
    let mut objections = Vec::new();
    if changes.is_empty() || changes.iter().all(|change| change.before == change.after) {
        objections.push("the patch changes nothing".to_owned());
    }
    if changes.len() > limits::PATCH_FILES_MAX {
        objections.push(format!(
            "it changes {} files, {} are allowed",
            changes.len(),
            limits::PATCH_FILES_MAX
        ));
    }
    let lines: usize = changes
        .iter()
        .map(|change| changed_lines(change, test_module))
        .sum();
    if lines > limits::PATCH_LINES_MAX {
        objections.push(format!(
            "it changes {lines} lines beside the test, {} are allowed",
            limits::PATCH_LINES_MAX
        ));
    }
    for change in changes {
        if let Some(why) = forbidden_path(change.path) {
            objections.push(format!("it changes {}: {why}", change.path));
            continue;
        }
        let (Some(before), Some(after)) = (
            Census::of(change.before, test_module),
            Census::of(change.after, test_module),
        ) else {
            objections.push(format!("{} cannot be read as Rust", change.path));
            continue;
        };
        compare(change.path, &before, &after, &mut objections);
    }
    objections
}

fn forbidden_path(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if matches!(name, "Cargo.toml" | "Cargo.lock") {
        return Some("dependencies and features are a person's to change");
    }
    if name == "build.rs" {
        return Some("a build script runs wherever the project is built");
    }
    if !name.ends_with(".rs") {
        return Some("only Rust sources are changed");
    }
    if path.split('/').any(|part| part.starts_with('.')) {
        return Some("hidden folders hold settings");
    }
    None
}

/// Lines taken away or added, without the module of the reproduction.
fn changed_lines(change: &Change<'_>, test_module: Option<&str>) -> usize {
    let after = without_module(change.after, test_module);
    let old: Vec<&str> = change.before.lines().collect();
    let new: Vec<&str> = after
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let old_lines: Vec<&str> = old
        .into_iter()
        .filter(|line| !line.trim().is_empty())
        .collect();
    similar::capture_diff_slices(similar::Algorithm::Myers, &old_lines, &new)
        .iter()
        .filter(|op| op.tag() != similar::DiffTag::Equal)
        .map(|op| op.old_range().len().max(op.new_range().len()))
        .sum()
}

/// The text up to the module of the reproduction, which stands at the end.
pub(crate) fn without_module<'a>(text: &'a str, module: Option<&str>) -> &'a str {
    let module = module.and_then(|module| text.rfind(&format!("mod {module} ")));
    let start = module.and_then(|at| text[..at].rfind("#[cfg(test)]"));
    start.map_or(text, |start| text[..start].trim_end())
}

/// What a file holds of everything that matters here.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Names, how often.
    pub(crate) names: BTreeMap<String, u32>,
    /// Functions and macros that are called, how often.
    pub(crate) calls: BTreeMap<String, u32>,
    attributes: BTreeMap<String, u32>,
    tests: u32,
    asserts: u32,
    signatures: Vec<String>,
}

impl Census {
    /// Counts what stands in a text, without the module of the reproduction. `None` where it is no
    /// Rust.
    pub(crate) fn of(text: &str, test_module: Option<&str>) -> Option<Self> {
        let text = without_module(text, test_module);
        with_tree(text, |tree| {
            let mut census = Census::default();
            if let Ok(tokens) = text.parse() {
                census.count(tokens);
            }
            census.visit_file(tree.file);
            census
        })
    }

    fn count(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1);
            match token {
                TokenTree::Group(group) => self.count(group.stream()),
                TokenTree::Ident(ident) => {
                    let name = ident.to_string();
                    let is_macro = matches!(next, Some(TokenTree::Punct(p)) if p.as_char() == '!');
                    let is_call = matches!(next, Some(TokenTree::Group(group))
                        if group.delimiter() == proc_macro2::Delimiter::Parenthesis);
                    if is_macro && (name.starts_with("assert") || name.starts_with("debug_assert"))
                    {
                        self.asserts += 1;
                    }
                    if is_macro || is_call {
                        *self.calls.entry(name.clone()).or_default() += 1;
                    }
                    *self.names.entry(name).or_default() += 1;
                }
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let inner = matches!(next, Some(TokenTree::Punct(p)) if p.as_char() == '!');
                    let group = tokens.get(at + if inner { 2 } else { 1 });
                    if let Some(TokenTree::Group(group)) = group {
                        self.attribute(group.stream());
                    }
                }
                _ => {}
            }
        }
    }

    fn attribute(&mut self, tokens: TokenStream) {
        let names = tokens.into_iter().filter_map(|token| match token {
            TokenTree::Ident(ident) => Some(ident.to_string()),
            _ => None,
        });
        let names: Vec<String> = names.collect();
        if names.last().is_some_and(|name| name == "test") {
            self.tests += 1;
        }
        if let Some(name) = names.into_iter().next() {
            *self.attributes.entry(name).or_default() += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Census {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.signatures.push(signature_text(signature));
        syn::visit::visit_signature(self, signature);
    }
}

fn signature_text(signature: &syn::Signature) -> String {
    use quote::ToTokens;
    signature.to_token_stream().to_string()
}

fn compare(path: &str, before: &Census, after: &Census, objections: &mut Vec<String>) {
    let more = |name: &str| after.names.get(name) > before.names.get(name);
    if more("unsafe") {
        objections.push(format!("it adds `unsafe` to {path}"));
    }
    for name in FORBIDDEN {
        if more(name) {
            objections.push(format!("it adds `{name}` to {path}"));
        }
    }
    let wrapping = |census: &Census| -> u32 {
        let names = census.names.iter();
        names
            .filter(|(name, _)| name.starts_with("wrapping_") || name.starts_with("unchecked_"))
            .map(|(_, count)| count)
            .sum()
    };
    if wrapping(after) > wrapping(before) {
        objections.push(format!("it adds arithmetic that wraps to {path}"));
    }
    for name in REACHING {
        if more(name) {
            objections.push(format!("it reaches for `{name}` in {path}"));
        }
    }
    for name in ATTRIBUTES {
        if after.attributes.get(*name) > before.attributes.get(*name) {
            objections.push(format!("it adds `#[{name}]` to {path}"));
        }
    }
    if after.asserts < before.asserts {
        objections.push(format!("it removes an assertion from {path}"));
    }
    if after.tests < before.tests {
        objections.push(format!("it removes a test from {path}"));
    }
    let gone = before
        .signatures
        .iter()
        .find(|signature| !after.signatures.contains(signature));
    if let Some(signature) = gone {
        let shown = crate::evidence::quote(signature);
        objections.push(format!("it changes the signature `{shown}` in {path}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "use std::fmt;\n\npub fn pick(v: &[u8], i: usize) -> Option<u8> {\n    \
        assert!(i < 100);\n    Some(v[i])\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    \
        fn picks() {\n        assert_eq!(super::pick(&[1], 0), Some(1));\n    }\n}\n";

    fn objections_to(after: &str) -> String {
        let change = Change {
            path: "src/lib.rs",
            before: BEFORE,
            after,
        };
        objections(&[change], Some("repro")).join("; ")
    }

    #[test]
    fn a_small_change_with_its_test_is_let_through() {
        let fixed = BEFORE.replace("Some(v[i])", "v.get(i).copied()");
        let with_test = format!(
            "{fixed}\n#[cfg(test)]\nmod repro {{\n    #[test]\n    fn pick() {{\n        \
             assert!(unsafe {{ true }});\n    }}\n}}\n"
        );

        assert_eq!(objections_to(&fixed), "");
        assert_eq!(objections_to(&with_test), "");
    }

    #[test]
    fn what_a_fix_has_no_need_of_is_refused() {
        let cases = [
            (
                "Some(v[i])",
                "Some(unsafe { *v.as_ptr().add(i) })",
                "adds `unsafe`",
            ),
            ("Some(v[i])", "Some(v[i.wrapping_sub(1)])", "wraps"),
            (
                "Some(v[i])",
                "std::panic::catch_unwind(|| v[i]).ok()",
                "catch_unwind",
            ),
            (
                "Some(v[i])",
                "{ std::process::exit(0) }",
                "reaches for `process`",
            ),
            ("    assert!(i < 100);\n", "", "removes an assertion"),
            ("    #[test]\n", "", "removes a test"),
            (
                "    #[test]\n",
                "    #[test]\n    #[ignore]\n",
                "adds `#[ignore]`",
            ),
            (
                "pub fn pick",
                "#[allow(unused)]\npub fn pick",
                "adds `#[allow]`",
            ),
            ("i: usize)", "i: u8)", "changes the signature"),
            ("pub fn pick", "pub fn pick(", "cannot be read as Rust"),
        ];
        for (from, to, objection) in cases {
            let found = objections_to(&BEFORE.replacen(from, to, 1));
            assert!(found.contains(objection), "{to}: {found}");
        }
        assert!(objections_to(BEFORE).contains("changes nothing"));
    }

    #[test]
    fn words_in_comments_and_strings_count_for_nothing() {
        let fixed = BEFORE.replace(
            "Some(v[i])",
            "// unsafe #[allow] assert!(x)\n    let _name = \"unsafe\";\n    v.get(i).copied()",
        );

        assert_eq!(objections_to(&fixed), "");
    }

    #[test]
    fn only_rust_sources_are_changed_and_few_of_them() {
        let refused = |path: &str| {
            let change = Change {
                path,
                before: "a = 1\n",
                after: "a = 2\n",
            };
            objections(&[change], None).join("; ")
        };

        for path in [
            "Cargo.toml",
            "a/Cargo.lock",
            "build.rs",
            ".github/ci.yml",
            "a/b.sh",
            ".cargo/x.rs",
        ] {
            assert!(refused(path).contains("it changes"), "{path}");
        }
        let many: Vec<String> = (0..9).map(|n| format!("src/f{n}.rs")).collect();
        let changes: Vec<Change<'_>> = many
            .iter()
            .map(|path| Change {
                path,
                before: "",
                after: "fn f() {}\n",
            })
            .collect();
        assert!(
            objections(&changes, None)
                .join("; ")
                .contains("it changes 9 files")
        );
        let long = format!("{BEFORE}{}", "fn f() {}\n".repeat(99));
        assert!(
            objections_to(&long).contains("99 lines"),
            "{}",
            objections_to(&long)
        );
    }
}
