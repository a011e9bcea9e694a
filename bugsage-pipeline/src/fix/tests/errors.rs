//! Errors that a function builds already.

use super::*;

#[test]
fn an_error_that_the_function_uses_for_all_else_comes_first() {
    let source = "fn percent_of(code: &str) -> Result<u64, OrderError> {\n    let unknown = || OrderError::UnknownCoupon(code.to_owned());\n    let (name, digits) = code.split_once('-').ok_or_else(unknown)?;\n    let max = percent_max(name).ok_or_else(unknown)?;\n\n    let percent: u64 = digits.parse().«unwrap();\n    if percent > max {\n        return Err(unknown());\n    }\n    Ok(percent)\n}\n";

    edits(
        source,
        ERR,
        "result/propagate",
        ".unwrap()",
        ".map_err(|_| unknown())?",
    );
    let (plain, ..) = marked(source);
    offers(
        source,
        ERR,
        "result/propagate",
        &plain.replace(".unwrap()", "?"),
    );
    assert_eq!(
        proposal(source, ERR).1.candidates[0].reason,
        "`percent_of` answers 3 other failures with `unknown()`."
    );
}

#[test]
fn a_missing_element_takes_the_error_of_the_function() {
    edits(
        "fn f(rows: &[Row], at: usize) -> Result<u8, Failure> {\n    if rows.is_empty() {\n        return Err(Failure::Empty(at).into());\n    }\n    let next = rows.get(at + 1).ok_or(Failure::Short { at })?;\n    Ok(next.n - «rows[at].n)\n}\n",
        INDEX,
        "index/get",
        "rows[at]",
        "rows.get(at).ok_or(Failure::Short { at })?",
    );
}

#[test]
fn the_same_call_elsewhere_tells_the_error() {
    edits(
        "fn f(a: &str, b: &str) -> Result<u8, Failure> {\n    let a: u8 = a.parse().map_err(Failure::Number)?;\n    if b.is_empty() {\n        return Err(Failure::Empty);\n    }\n    let b: u8 = b.parse().«unwrap();\n    Ok(a - b)\n}\n",
        ERR,
        "result/propagate",
        ".unwrap()",
        ".map_err(Failure::Number)?",
    );
}

#[test]
fn several_errors_are_no_choice() {
    declines(
        "fn f(env: &Env) -> Result<u8, Failure> {\n    let host = env.host.ok_or(Failure::Host)?;\n    let port = env.port().ok_or(Failure::Port)?;\n    let user = env.user.last().«unwrap();\n    Ok(host + port + user)\n}\n",
        NONE,
        "`f` builds several errors (`Failure::Host`, `Failure::Port`), and the source does not tell which",
    );
}

#[test]
fn an_error_with_variables_that_are_gone_is_not_used() {
    declines(
        "fn f(rows: &[Row]) -> Result<u8, Failure> {\n    for (line, row) in rows.iter().enumerate() {\n        row.check().ok_or_else(|| Failure::Row(line))?;\n        row.check_all().ok_or_else(|| Failure::Row(line))?;\n    }\n    let last = rows.last().«unwrap();\n    Ok(last.n)\n}\n",
        NONE,
        "neither the function nor its file shows",
    );
}

#[test]
fn variables_within_format_strings_count() {
    declines(
        "fn f(rows: &[Row]) -> Result<u8, Failure> {\n    for row in rows {\n        row.check().ok_or_else(|| fail(format!(\"bad {row:?}\")))?;\n        row.recheck().ok_or_else(|| fail(format!(\"bad {row:?}\")))?;\n    }\n    let last = rows.last().«unwrap();\n    Ok(last.n)\n}\n",
        NONE,
        "neither the function nor its file shows",
    );
}

#[test]
fn a_passed_on_error_is_none_that_is_built() {
    edits(
        "fn f(text: &str) -> Result<u8, Failure> {\n    if let Err(error) = check(text) {\n        return Err(error);\n    }\n    let n = text.parse().«unwrap();\n    Ok(n)\n}\n",
        ERR,
        "result/propagate",
        ".unwrap()",
        "?",
    );
}

#[test]
fn the_one_variant_that_fits_is_taken() {
    let file = |variants: &str| {
        format!(
            "enum Failure {{\n    {variants}\n}}\n\nfn f(bytes: &[u8], at: usize) -> Result<u8, Failure> {{\n    Ok(«bytes[at] + 1)\n}}\n"
        )
    };
    edits(
        &file("Magic(u8),\n    Truncated,"),
        INDEX,
        "index/get",
        "bytes[at]",
        "*bytes.get(at).ok_or(Failure::Truncated)?",
    );
    declines(
        &file("Truncated,\n    TooShort,"),
        INDEX,
        "neither the function nor its file shows",
    );
    declines(
        &file("Truncated(u8),"),
        INDEX,
        "neither the function nor its file shows",
    );
    declines(
        &file("Magic,"),
        INDEX,
        "neither the function nor its file shows",
    );
}

#[test]
fn an_error_of_a_closure_is_its_own() {
    declines(
        "fn f(ids: &[u8], v: &[u8]) -> Result<Vec<u8>, Failure> {\n    let a = v.first().ok_or(Failure::A)?;\n    let b = v.last().ok_or(Failure::A)?;\n    ids.iter().map(|id| Ok(«v[usize::from(*id)] + a + b)).collect()\n}\n",
        INDEX,
        "the closure handed to `map` can fail with its error type",
    );
}

#[test]
fn an_error_that_is_used_once_is_for_that_failure_only() {
    declines(
        "fn f(env: &Env) -> Result<u8, Failure> {\n    let host = env.get(\"host\").ok_or(Failure::NoHost)?;\n    let port = env.get(\"port\").«unwrap();\n    Ok(host + port)\n}\n",
        NONE,
        "the source does not tell which of them says that `env.get(\"port\")` is `None`",
    );
    edits(
        "enum Failure {\n    Magic(u8),\n    Truncated,\n}\n\nfn f(bytes: &[u8], at: usize) -> Result<u8, Failure> {\n    if bytes.len() == 7 {\n        return Err(Failure::Magic(7));\n    }\n    let x = «bytes[at];\n    Ok(x)\n}\n",
        INDEX,
        "index/get",
        "bytes[at]",
        "*bytes.get(at).ok_or(Failure::Truncated)?",
    );
}

#[test]
fn an_error_behind_a_function_is_built_late() {
    edits(
        "fn f(rows: &[Row], at: usize) -> Result<u8, Failure> {\n    let next = rows.get(at + 1).ok_or_else(|| Failure::short(at))?;\n    let here = &«rows[at];\n    Ok(next.n - here.n)\n}\n",
        INDEX,
        "index/get",
        "&rows[at]",
        "rows.get(at).ok_or_else(|| Failure::short(at))?",
    );
}
