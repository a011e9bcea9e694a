//! From recorded fields to a test.

use std::process::Command;

use super::*;

/// The input of the function `f` in a file.
fn input(text: &str, fields: &[(&str, &str)]) -> Result<Input, String> {
    let recorded: Vec<Recorded> = fields
        .iter()
        .map(|(field, value)| recorded("f", field, value))
        .collect();
    let line = text.lines().position(|line| line.contains("fn f")).unwrap() as u32 + 1;
    let mut site = site(text, line, None, INDEX);
    site.recorded = &recorded;
    propose(&site).input
}

/// The last way to call a function with one parameter `x`: with what was recorded.
fn literal(ty: &str, value: &str) -> Option<String> {
    let text = format!("#[instrument]\nfn f(x: {ty}) {{\n    x;\n}}\n");
    let mut ways = input(&text, &[("x", value)]).ok()?.arguments;
    Some(ways.pop().unwrap().remove(0))
}

#[test]
fn recorded_values_become_literals_of_their_types() {
    for (ty, recorded, expected) in [
        ("bool", "true", "true"),
        ("u8", "255", "255"),
        ("i8", "-128", "-128"),
        ("i64", "-9223372036854775808", "-9223372036854775808"),
        (
            "u128",
            "340282366920938463463374607431768211455",
            "340282366920938463463374607431768211455",
        ),
        (
            "i128",
            "-170141183460469231731687303715884105728",
            "-170141183460469231731687303715884105728",
        ),
        ("usize", "0", "0"),
        ("&u32", "7", "&7"),
        ("&str", "a \"b\" \\ é", "\"a \\\"b\\\" \\\\ é\""),
        ("&str", "", "\"\""),
        ("&'a str", "it's\n\t", "\"it's\\n\\t\""),
        (
            "&'static str",
            "\u{202e}\u{200b}\u{a0}",
            "\"\\u{202e}\\u{200b}\\u{a0}\"",
        ),
        ("&str", "e\u{301}字😀", "\"e\\u{301}字😀\""),
        ("String", "plain", "String::from(\"plain\")"),
        ("&String", "plain", "&String::from(\"plain\")"),
        ("char", "'\\''", "'\\''"),
        ("char", "'\"'", "'\"'"),
        ("char", "'\\u{301}'", "'\\u{301}'"),
        ("Option<u8>", "Some(3)", "Some(3)"),
        ("Option<u8>", "None", "None"),
        ("Option<&str>", "Some(\"a\\nb\")", "Some(\"a\\nb\")"),
        ("Option<String>", "Some(\"a\")", "Some(String::from(\"a\"))"),
        ("&Option<bool>", "Some(false)", "&Some(false)"),
        ("&[u8]", "[1, 2]", "&[1, 2]"),
        ("&[u8]", "[]", "&[]"),
        ("&mut [i16]", "[-1]", "&mut [-1]"),
        (
            "Vec<String>",
            "[\"a, b]\", \"\"]",
            "vec![String::from(\"a, b]\"), String::from(\"\")]",
        ),
        ("&Vec<u8>", "[1]", "&vec![1]"),
        ("[u8; 2]", "[1, 2]", "[1, 2]"),
        ("&[char; N]", "['a', '\\n']", "&['a', '\\n']"),
        (
            "&[Option<&str>]",
            "[None, Some(\"x\")]",
            "&[None, Some(\"x\")]",
        ),
        (
            "std::vec::Vec<std::option::Option<u8>>",
            "[Some(1)]",
            "vec![Some(1)]",
        ),
        ("&[Vec<u8>]", "[[1], []]", "&[vec![1], vec![]]"),
    ] {
        assert_eq!(
            literal(ty, recorded).as_deref(),
            Some(expected),
            "{ty} {recorded}"
        );
    }
}

#[test]
fn what_is_no_value_of_the_type_is_no_input() {
    for (ty, recorded) in [
        ("bool", "maybe"),
        ("u8", "256"),
        ("u8", "-1"),
        ("i8", "128"),
        ("u64", "18446744073709551616"),
        ("u8", "+1"),
        ("u8", ""),
        ("char", "'ab'"),
        ("Option<u8>", "Some(3"),
        ("Option<u8>", "Some(300)"),
        ("&[u8]", "[1, 2"),
        ("&[u8]", "[1,2]"),
        ("&[u8]", "[1] and more"),
        ("[u8; 2]", "[1]"),
        ("&[&str]", "[\"a]"),
        ("Vec<u8>", "{1}"),
        ("f64", "1.5"),
        ("&dyn Any", "1"),
        ("impl Into<u8>", "1"),
        ("&PriceList", "PriceList"),
        ("(u8, u8)", "(1, 2)"),
        ("Box<str>", "a"),
        ("&mut str", "a"),
    ] {
        assert_eq!(literal(ty, recorded), None, "{ty} {recorded}");
    }
}

#[test]
fn a_recorded_text_is_masked_first() {
    let text = "#[instrument]\nfn f(name: &str, n: u8) {\n    name;\n}\n";

    let ways = input(text, &[("name", "Zoë-3 字😀𝒜!"), ("n", "12")])
        .unwrap()
        .arguments;

    assert_eq!(
        ways,
        [["\"Xxé-0 字😀𝒙!\"", "12"], ["\"Zoë-3 字😀𝒜!\"", "12"]]
    );
}

#[test]
fn a_mask_keeps_every_length() {
    let text = "#[instrument]\nfn f(name: &str) {\n    name;\n}\n";
    let name = "Ünï 字x😀\u{10400}_9";

    let ways = input(text, &[("name", name)]).unwrap().arguments;

    let lengths = |text: &str| -> Vec<usize> { text.chars().map(char::len_utf8).collect() };
    assert_eq!(lengths(ways[0][0].trim_matches('"')), lengths(name));
    assert_ne!(ways[0], ways[1]);
}

#[test]
fn all_texts_but_one_are_masked_before_none_is() {
    let text = "#[instrument]\nfn f(a: &str, b: Option<&str>) {\n    a;\n}\n";

    let ways = input(text, &[("a", "DE"), ("b", "Some(\"me\")")])
        .unwrap()
        .arguments;

    assert_eq!(
        ways,
        [
            ["\"XX\"", "Some(\"xx\")"],
            ["\"DE\"", "Some(\"xx\")"],
            ["\"XX\"", "Some(\"me\")"],
            ["\"DE\"", "Some(\"me\")"],
        ]
    );
}

#[test]
fn without_texts_there_is_one_way_to_call() {
    let text = "#[instrument]\nfn f(a: u8, b: &[bool]) {\n    a;\n}\n";

    let ways = input(text, &[("a", "1"), ("b", "[true]")])
        .unwrap()
        .arguments;

    assert_eq!(ways, [["1", "&[true]"]]);
}

#[test]
fn a_string_may_have_been_recorded_with_its_quotes() {
    let text = "#[instrument]\nfn f(a: String) {\n    a;\n}\n";

    let ways = input(text, &[("a", "\"-\"")]).unwrap().arguments;

    assert_eq!(
        ways,
        [["String::from(\"-\")"], ["String::from(\"\\\"-\\\"\")"]]
    );
}

#[test]
fn the_attribute_says_what_a_field_holds() {
    let with = |attribute: &str, recorded: &str| {
        let text = format!("#[{attribute}]\nfn f(a: &str) {{\n    a;\n}}\n");
        input(&text, &[("a", recorded)]).map(|input| input.arguments.concat())
    };

    let quoted = with(
        "tracing::instrument(skip_all, fields(n = 1, a = ?a))",
        "\"-\"",
    );
    assert_eq!(quoted.unwrap(), ["\"-\""]);
    let shown = with("instrument(fields(a = %a, n))", "\"-\"");
    assert_eq!(shown.unwrap(), ["\"\\\"-\\\"\""]);
    let other = with("instrument(fields(a = a.len()))", "3");
    assert_eq!(
        other.unwrap_err(),
        "the span of `f` records something else as `a` than the parameter"
    );
}

#[test]
fn what_cannot_be_called_is_told() {
    let all = [("a", "1"), ("b", "2")];
    for (text, reason) in [
        (
            "fn f(&self, a: u8) {\n}\n",
            "`f` is a method, and no recorded field rebuilds its `self`",
        ),
        (
            "async fn f(a: u8) {\n}\n",
            "`f` is an `async fn`, which needs a runtime",
        ),
        ("unsafe fn f(a: u8) {\n}\n", "`f` is an `unsafe fn`"),
        (
            "fn f<T>(a: u8) {\n}\n",
            "`f` is generic, and no field records its types",
        ),
        ("fn f<const N: usize>(a: [u8; N]) {\n}\n", "`f` is generic"),
        (
            "fn f(a: u8, prices: &PriceList) {\n}\n",
            "parameter `prices` of `f` is a `&PriceList`, which no recorded field can rebuild",
        ),
        (
            "fn f((a, b): (u8, u8)) {\n}\n",
            "a parameter of `f` is a pattern",
        ),
        (
            "fn f(a: u8, c: u8) {\n}\n",
            "the span of `f` did not record parameter `c`",
        ),
        ("fn f() {\n}\n", "`f` takes no arguments"),
        (
            "impl Cart for Basket { fn f(a: u8) {\n} }\n",
            "`f` implements a trait",
        ),
        (
            "impl<T> Cart<T> { fn f(a: u8) {\n} }\n",
            "`f` belongs to a generic type",
        ),
        (
            "trait Cart { fn f(a: u8) {\n} }\n",
            "`f` belongs to a trait",
        ),
        (
            "mod inner { fn f(a: u8) {\n} }\n",
            "`f` is private to its module",
        ),
        (
            "fn outer() {\n fn f(a: u8) {\n}\n}\n",
            "`f` is a function inside of a function",
        ),
        ("#[test]\nfn f(a: u8) {\n}\n", "`f` is a test"),
    ] {
        let found = input(text, &all).unwrap_err();
        assert!(found.contains(reason), "{found}");
    }
}

#[test]
fn the_span_must_be_that_of_the_function() {
    let text = "fn f(a: u8) -> Option<u8> {\n    Some(TABLE[7] + a)\n}\n";
    let fields = [recorded("outer", "a", "1")];
    let mut site = site(text, 2, None, INDEX);
    site.recorded = &fields;

    let reason = propose(&site).input.unwrap_err();

    assert!(
        reason.starts_with("no span named `f` was recorded"),
        "{reason}"
    );
}

#[test]
fn a_value_that_was_cut_or_cleaned_is_no_input() {
    let text = "fn f(a: &str) {\n}\n";
    let long = "x".repeat(5_000);

    let cut = input(text, &[("a", &long)]).unwrap_err();
    assert_eq!(cut, "the recorded `a` of `f` was cut when it was recorded");
    for private in [
        "mail ann@example.com",
        "password=hunter2",
        "4111 1111 1111 1111",
        "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
    ] {
        let clean = bugsage_core::scrub::text(private);
        assert_ne!(clean, private);
        let cleaned = input(text, &[("a", &clean)]).unwrap_err();
        assert_eq!(
            cleaned,
            "the recorded `a` of `f` was cleaned of private data when it was recorded"
        );
    }
}

#[test]
fn a_function_is_called_by_its_path() {
    for (text, path) in [
        ("pub fn f(a: u8) {\n}\n", "super::f"),
        ("fn f<'a>(a: u8) {\n}\n", "super::f"),
        ("impl Cart { fn f(a: u8) {\n} }\n", "super::Cart::f"),
        (
            "impl<'a> cart::Cart<'a> { fn f(a: u8) {\n} }\n",
            "super::cart::Cart::f",
        ),
        ("impl crate::Cart { fn f(a: u8) {\n} }\n", "crate::Cart::f"),
        (
            "mod inner { pub(super) fn f(a: u8) {\n} }\n",
            "super::inner::f",
        ),
    ] {
        assert_eq!(input(text, &[("a", "1")]).unwrap().function, path);
    }
}

fn test_of(text: &str, input: &Input, outcome: Outcome) -> String {
    let edit = input.test(text, "panics_once", &input.arguments[0], outcome, false);
    splice(text, &[edit]).unwrap()
}

#[test]
fn the_test_stands_at_the_end_of_the_file() {
    let text = "#[instrument]\nfn f(a: &str, n: u32) -> Option<u8> {\n    None\n}";
    let input = input(text, &[("a", "XX"), ("n", "24000")]).unwrap();

    let expected = "\n\n#[cfg(test)]\nmod panics_once {\n    /// The input has the form of one that was recorded when the function panicked.\n    #[test]\n    fn f_does_not_panic() {\n        let result = super::f(\"XX\", 24000);\n\n        assert!(result.is_none());\n    }\n}\n";
    assert_eq!(
        test_of(text, &input, Outcome::None),
        format!("{text}{expected}")
    );

    let windows = "fn f(a: u8) {}\r\n";
    let crlf = test_of(windows, &input, Outcome::Err);
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());
    assert!(crlf.contains("assert!(result.is_err());\r\n"));
}

#[test]
fn the_test_compiles_without_warnings_and_passes_and_is_formatted() {
    let directory = std::env::temp_dir().join(format!("bugsage-reproduce-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let long = "a long name, ".repeat(6);
    for (at, (text, fields, outcome)) in [
        (
            "pub fn f(a: &str, n: u32) -> Option<u8> {\n    a.as_bytes().get(n as usize).copied()\n}\n",
            vec![("a", "é\u{202e}\"\n"), ("n", "4000000000")],
            Outcome::None,
        ),
        (
            "pub fn f(a: Vec<String>, b: Option<char>, c: &[i64]) -> Result<u8, std::num::ParseIntError> {\n    c.iter().chain(b.map(|_| &1)).for_each(drop);\n    a[0].parse()\n}\n",
            vec![("a", "[\"x\"]"), ("b", "Some('\\'')"), ("c", "[-9223372036854775808, 5]")],
            Outcome::Err,
        ),
        ("pub fn f(a: &str) {\n    a.to_owned().push('.');\n}\n", vec![("a", &*long)], Outcome::Any),
        (
            "#[must_use]\npub fn f(a: &str, b: &mut Vec<u8>) -> usize {\n    b.push(1);\n    a.len()\n}\n",
            vec![("a", &*long), ("b", "[]")],
            Outcome::Any,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let input = input(text, &fields).unwrap();
        let whole = format!("//! Docs.\n#![deny(warnings, missing_docs)]\n\n/// Docs.\n{}", test_of(text, &input, outcome));
        let (source, binary) = (directory.join(format!("{at}.rs")), directory.join(format!("{at}")));
        std::fs::write(&source, &whole).unwrap();
        let rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["--edition", "2024", "--test", "-Dwarnings", "-o"])
            .args([&binary, &source])
            .output()
            .unwrap();
        assert!(rustc.status.success(), "{whole}\n{}", String::from_utf8_lossy(&rustc.stderr));
        assert!(Command::new(&binary).output().unwrap().status.success(), "{whole}");
        let formatted = Command::new("rustfmt")
            .args(["--edition", "2024", "--check"])
            .arg(&source)
            .output()
            .unwrap();
        assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
