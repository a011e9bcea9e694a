//! `unwrap` and `expect`.

use super::*;

#[test]
fn a_missing_value_becomes_none() {
    edits(
        "fn host(url: &Url) -> Option<String> {\n    let host = url.host_str().«unwrap();\n    Some(host.to_owned())\n}\n",
        NONE,
        "option/propagate",
        ".unwrap()",
        "?",
    );
}

#[test]
fn a_chain_over_several_lines_ends_with_the_question_mark() {
    edits(
        "fn host(urls: &[Url]) -> Option<String> {\n    let host = urls\n        .iter()\n        // The newest one.\n        .max_by_key(|url| url.at)\n        .«unwrap()\n        .host();\n    Some(host.to_owned())\n}\n",
        NONE,
        "option/propagate",
        "\n        .unwrap()",
        "?",
    );
}

#[test]
fn a_comment_before_the_unwrap_stays() {
    edits(
        "fn f(v: &[u8]) -> Option<u8> {\n    let x = v.iter().max()\n        // Never empty.\n        .«unwrap();\n    Some(*x)\n}\n",
        NONE,
        "option/propagate",
        ".unwrap()",
        "?",
    );
}

#[test]
fn a_result_in_a_function_with_an_option_becomes_none() {
    edits(
        "fn f(text: &str) -> Option<u8> {\n    Some(text.trim().parse::<u8>().«unwrap() / 2)\n}\n",
        ERR,
        "result/propagate",
        ".unwrap()",
        ".ok()?",
    );
}

#[test]
fn an_answer_that_is_the_option_itself_is_not_wrapped_again() {
    edits(
        "fn f(m: &Map) -> Option<u8> {\n    match m.kind {\n        Kind::A => Some(m.get(\"é\").«unwrap()),\n        Kind::B => None,\n    }\n}\n",
        NONE,
        "option/propagate",
        "Some(m.get(\"é\").unwrap())",
        "m.get(\"é\")",
    );
    edits(
        "fn f(m: &Map) -> Option<u8> {\n    let first = Some(m.get(1).«unwrap());\n    first.or(m.other())\n}\n",
        NONE,
        "option/propagate",
        ".unwrap()",
        "?",
    );
    edits(
        "fn f(m: &Map) -> Option<u8> {\n    match Some(m.get(1).«unwrap()) {\n        x => m.other(x),\n    }\n}\n",
        NONE,
        "option/propagate",
        ".unwrap()",
        "?",
    );
}

#[test]
fn an_error_is_passed_on_where_the_function_has_none_of_its_own() {
    edits(
        "fn read(path: &Path) -> Result<Config, ConfigError> {\n    let text = std::fs::read_to_string(path).«unwrap();\n    Ok(Config::new(&text))\n}\n",
        "called `Result::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound, message: \"No such file or directory\" }",
        "result/propagate",
        ".unwrap()",
        "?",
    );
}

#[test]
fn known_error_types_get_what_they_are_made_of() {
    let source = |ty: &str, uses: &str| {
        format!(
            "{uses}fn f(text: &str) -> {ty} {{\n    let n: u8 = text.parse().«unwrap();\n    Ok(n)\n}}\n"
        )
    };
    for (ty, uses, suffix) in [
        (
            "Result<u8, String>",
            "",
            ".map_err(|error| error.to_string())?",
        ),
        ("Result<u8, Box<dyn std::error::Error>>", "", "?"),
        ("anyhow::Result<u8>", "", "?"),
        ("Result<u8>", "use anyhow::{Context, Result};\n", "?"),
        ("Result<u8, ()>", "", ".map_err(drop)?"),
        ("io::Result<u8>", "use std::io;\n", "?"),
        ("crate::Result<u8>", "", "?"),
    ] {
        edits(
            &source(ty, uses),
            ERR,
            "result/propagate",
            ".unwrap()",
            suffix,
        );
    }
    offers(
        &source("io::Result<u8>", "use std::io;\n"),
        ERR,
        "result/propagate",
        "use std::io;\nfn f(text: &str) -> io::Result<u8> {\n    let n: u8 = text.parse().map_err(io::Error::other)?;\n    Ok(n)\n}\n",
    );
}

#[test]
fn known_error_types_say_what_is_missing() {
    let source = |ty: &str, uses: &str| {
        format!(
            "{uses}fn f(env: &Env) -> {ty} {{\n    let home = env.home.«unwrap();\n    Ok(home)\n}}\n"
        )
    };
    for (ty, uses, suffix) in [
        (
            "Result<u8, String>",
            "",
            ".ok_or_else(|| \"no env.home\".to_owned())?",
        ),
        ("Result<u8, &'static str>", "", ".ok_or(\"no env.home\")?"),
        (
            "Result<u8, Box<dyn Error + Send + Sync>>",
            "",
            ".ok_or(\"no env.home\")?",
        ),
        (
            "anyhow::Result<u8>",
            "",
            ".ok_or_else(|| anyhow::anyhow!(\"no env.home\"))?",
        ),
        (
            "Result<u8, anyhow::Error>",
            "use anyhow::Context as _;\n",
            ".ok_or_else(|| anyhow::anyhow!(\"no env.home\"))?",
        ),
        (
            "Result<u8>",
            "use anyhow::{Context, Result};\n",
            ".context(\"no env.home\")?",
        ),
        (
            "eyre::Result<u8>",
            "",
            ".ok_or_else(|| eyre::eyre!(\"no env.home\"))?",
        ),
        (
            "std::io::Result<u8>",
            "",
            ".ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, \"no env.home\"))?",
        ),
        ("Result<u8, ()>", "", ".ok_or(())?"),
        (
            "Result<u8>",
            "type Result<T> = std::result::Result<T, String>;\n",
            ".ok_or_else(|| \"no env.home\".to_owned())?",
        ),
    ] {
        edits(
            &source(ty, uses),
            NONE,
            "option/propagate",
            ".unwrap()",
            suffix,
        );
    }
}

#[test]
fn the_words_of_an_expect_become_the_error() {
    edits(
        "fn f(env: &Env) -> Result<u8, String> {\n    let home = env.var(\"HOME\").«expect(\"a home directory\");\n    Ok(home)\n}\n",
        "a home directory",
        "option/propagate",
        ".expect(\"a home directory\")",
        ".ok_or_else(|| \"expected: a home directory\".to_owned())?",
    );
    edits(
        "fn f(env: &Env) -> Result<u8, Failure> {\n    let port = env.port.parse().«expect(\"a port\");\n    Ok(port)\n}\n",
        "a port: ParseIntError { kind: Empty }",
        "result/propagate",
        ".expect(\"a port\")",
        "?",
    );
}

#[test]
fn computed_words_do_not_tell_an_option_from_a_result() {
    let source = "fn f(env: &Env) -> Option<u8> {\n    let home = env.home(1).«expect(&format!(\"no {}\", env.name));\n    Some(home)\n}\n";

    let results = results(source, "no shop");

    let rules: Vec<&str> = results.iter().map(|(rule, _)| &**rule).collect();
    assert_eq!(rules, ["option/propagate", "result/propagate"]);
    assert!(results[0].1.contains("env.home(1)?"));
    assert!(results[1].1.contains("env.home(1).ok()?"));
}

#[test]
fn the_error_type_of_an_implementation_is_looked_up() {
    edits(
        "impl FromStr for Color {\n    type Err = String;\n\n    fn from_str(text: &str) -> Result<Self, Self::Err> {\n        let rest = text.strip_prefix('#').«unwrap();\n        Ok(Color(rest.len()))\n    }\n}\n",
        NONE,
        "option/propagate",
        ".unwrap()",
        ".ok_or_else(|| \"no value\".to_owned())?"
            .replace("no value", "a value is missing")
            .as_str(),
    );
}

#[test]
fn a_value_in_a_function_with_an_unknown_error_is_declined() {
    declines(
        "fn f(order: &Order) -> Result<u8, OrderError> {\n    let line = order.lines.last().«unwrap();\n    Ok(line.quantity)\n}\n",
        NONE,
        "`f` can fail with `OrderError`, but neither the function nor its file shows which error says that `order.lines.last()` is `None`",
    );
}

#[test]
fn a_function_that_returns_a_number_is_declined() {
    declines(
        "/// What one piece costs.\npub fn unit_price(prices: &PriceList, sku: &str) -> u64 {\n    let cents = prices.cents(sku).«unwrap();\n    cents\n}\n",
        NONE,
        "`unit_price` returns `u64`, which has no way to say that `prices.cents(sku)` is `None`; a made-up value would hide that",
    );
}

#[test]
fn an_earlier_panic_is_the_one_to_fix() {
    declines(
        "fn f(&self) -> Option<u8> {\n    Some(*self.lock.lock().«unwrap())\n}\n"
            .replace("fn", "impl L { fn")
            .replace("())\n}", "())\n}}")
            .as_str(),
        "called `Result::unwrap()` on an `Err` value: PoisonError { .. }",
        "the echo of an earlier panic",
    );
}

#[test]
fn two_unwraps_on_a_line_without_a_column_are_declined() {
    let text = "fn f(a: Option<u8>, b: Option<u8>) -> Option<u8> {\n    Some(a.unwrap() + b.unwrap())\n}\n";

    let proposal = propose(&site(text, 2, None, NONE));

    assert_eq!(proposal.candidates, []);
    assert!(
        proposal.declined[0]
            .reason
            .contains("which of `a.unwrap()`, `b.unwrap()` failed")
    );
}

#[test]
fn the_column_tells_which_of_two_failed() {
    edits(
        "fn f(a: Option<u8>, b: Option<u8>) -> Option<u8> {\n    Some(a.unwrap() + b.«unwrap())\n}\n",
        NONE,
        "option/propagate",
        "b.unwrap()",
        "b?",
    );
}

#[test]
fn main_may_pass_its_error_on() {
    edits(
        "fn main() -> Result<(), Box<dyn std::error::Error>> {\n    let port: u16 = std::env::args().nth(1).«unwrap().parse()?;\n    serve(port)\n}\n",
        NONE,
        "option/propagate",
        ".unwrap()",
        ".ok_or(\"a value is missing\")?",
    );
}

#[test]
fn an_async_block_is_left_by_its_own_question_mark() {
    let source = "fn f(a: Option<u8>) -> impl Future<Output = Option<u8>> {\n    async move {\n        let x = a.«unwrap();\n        Some(x + 1)\n    }\n}\n";
    edits(source, NONE, "option/propagate", ".unwrap()", "?");
    assert_eq!(proposal(source, NONE).1.candidates[0].outcome, Outcome::Any);

    declines(
        "fn f(a: Option<u8>) -> Option<u8> {\n    let later = async move { a.«unwrap() };\n    block_on(later)\n}\n",
        NONE,
        "the async block, whose type the source does not show",
    );
}

#[test]
fn an_answer_that_is_the_result_itself_is_offered_as_such() {
    let source = "fn f(text: &str) -> Result<u8, ParseIntError> {\n    Ok(text.trim().parse().«unwrap())\n}\n";

    edits(source, ERR, "result/propagate", ".unwrap()", "?");
    offers(
        source,
        ERR,
        "result/propagate",
        "fn f(text: &str) -> Result<u8, ParseIntError> {\n    text.trim().parse()\n}\n",
    );
}
