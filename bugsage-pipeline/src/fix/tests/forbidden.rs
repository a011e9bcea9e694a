//! What no rule may touch.

use super::*;

#[test]
fn tests_are_declined() {
    for source in [
        "#[test]\nfn f() {\n    let v = vec![1];\n    let x = «v[7];\n    show(x);\n}\n",
        "#[tokio::test]\nasync fn f() {\n    let x = «v[7];\n    show(x);\n}\n",
        "#[cfg(test)]\nmod tests {\n    fn helper(v: &[u8]) -> Option<u8> {\n        Some(«v[7])\n    }\n}\n",
        "#[cfg(all(test, unix))]\nmod tests {\n    fn helper(v: &[u8]) -> Option<u8> {\n        Some(«v[7])\n    }\n}\n",
    ] {
        declines(source, INDEX, "the failing function is a test");
    }
}

#[test]
fn an_assertion_is_never_changed() {
    declines(
        "fn f(v: &[u8], i: usize) -> Option<u8> {\n    assert_eq!(«v[i], 3, \"é\");\n    None\n}\n",
        INDEX,
        "part of `assert_eq!`",
    );
    declines(
        "fn f(v: &[u8]) -> Option<u8> {\n    «assert!(v.len() > 3);\n    None\n}\n",
        "assertion failed: v.len() > 3",
        "on purpose",
    );
}

#[test]
fn a_macro_that_nobody_knows_is_not_edited() {
    declines(
        "fn f(v: &[u8], i: usize) -> Option<u8> {\n    twice!(«v[i], 3);\n    None\n}\n",
        INDEX,
        "an argument of `twice!`",
    );
    declines(
        "macro_rules! third {\n    ($v:expr) => {\n        «$v[3]\n    };\n}\n",
        INDEX,
        "no function",
    );
}

#[test]
fn what_a_function_returns_does_not_depend_on_the_log_level() {
    declines(
        "fn f(v: &[u8], i: usize) -> Option<u8> {\n    tracing::debug!(first = «v[i], \"started\");\n    Some(1)\n}\n",
        INDEX,
        "an argument of `debug!`, which runs only where its level is on",
    );
}

#[test]
fn a_const_fn_and_a_constant_are_declined() {
    declines(
        "const fn f(v: &[u8], i: usize) -> Option<u8> {\n    Some(«v[i] + 1)\n}\n",
        INDEX,
        "is a `const fn`",
    );
    declines("static X: u8 = «TABLE[7];\n", INDEX, "`X` is a constant");
}

#[test]
fn a_lazy_constant_is_its_closure() {
    declines(
        "static X: LazyLock<u8> = LazyLock::new(|| TABLE.last().«unwrap() + 1);\n",
        NONE,
        "the closure, whose type the source does not show",
    );
}

#[test]
fn unsafe_code_is_declined() {
    declines(
        "fn f(v: &[u8], i: usize) -> Option<u8> {\n    let x = unsafe { read(«v[i]) };\n    Some(x)\n}\n",
        INDEX,
        "`unsafe` block",
    );
    declines(
        "unsafe fn f(v: &[u8], i: usize) -> Option<u8> {\n    Some(«v[i] + 1)\n}\n",
        INDEX,
        "`unsafe fn`",
    );
}

#[test]
fn a_display_that_fails_is_no_better() {
    declines(
        "impl fmt::Display for Id {\n    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {\n        f.write_str(«self.names[self.at])\n    }\n}\n",
        INDEX,
        "makes `to_string` panic",
    );
}

#[test]
fn a_call_that_panics_inside_is_no_index() {
    declines(
        "fn f(v: &mut Vec<u8>, n: usize) -> Option<u8> {\n    v.«drain(..n);\n    v.pop()\n}\n",
        RANGE,
        "`v.drain(..n)` is a call",
    );
}

#[test]
fn what_fails_otherwise_has_no_rule() {
    declines(
        "fn f(a: u8, b: u8) -> Option<u8> {\n    Some(«a - b)\n}\n",
        "attempt to subtract with overflow",
        "no rule is written for `arithmetic_overflow`",
    );
    declines(
        "fn f(a: Result<u8, u8>) -> Option<u8> {\n    Some(a.«unwrap_err())\n}\n",
        "called `Result::unwrap_err()` on an `Ok` value: 3",
        "no rule is written for `unwrap_ok`",
    );
}
