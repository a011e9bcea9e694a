//! Other files, other functions, and sources that cannot be read.

use super::*;

#[test]
fn what_spans_recorded_and_what_the_caller_passes() {
    let source = "\
pub fn checkout(order: &Order) -> u64 {
    price(&order.items, order.slot)
}
fn price(items: &[u64], slot: usize) -> u64 {
    items[slot]
}
";
    let repository = TestRepository::new();
    repository.commit_file("shop/src/lib.rs", source, "first");
    let event = EventBuilder::panic("index out of bounds: the len is 2 but the index is 9")
        .at("/build/shop/src/lib.rs", 5, 5)
        .frame("shop::price", "/build/shop/src/lib.rs", 5, 5)
        .frame("shop::checkout", "/build/shop/src/lib.rs", 2, 5)
        .span("price", &[("slot", "9"), ("unrelated", "x")])
        .build();

    let analysis = analyze_event(&repository, event);

    assert_eq!(analysis.function.as_deref(), Some("shop::price"));
    assert_eq!(analysis.suspect_commit.unwrap().subject, "first");
    for sentence in [
        "In the explained event, the span recorded `slot` as `9`.",
        "`checkout` passes `order.slot` for `slot` (shop/src/lib.rs:2).",
        "`checkout` passes `&order.items` for `items` (shop/src/lib.rs:2).",
    ] {
        assert!(
            analysis.root_cause.contains(sentence),
            "{}",
            analysis.root_cause
        );
    }
    assert!(
        !analysis
            .reasons
            .iter()
            .any(|reason| reason.contains("the releases confirm"))
    );
}

#[test]
fn a_value_that_a_function_of_another_file_made() {
    let repository = TestRepository::new();
    repository.write(
        "src/prices.rs",
        "impl PriceList {\n    pub fn cents(&self, sku: &str) -> Option<u64> {\n        self.cents.get(sku).copied()\n    }\n}\n#[cfg(test)]\nmod tests {\n    fn cents() {}\n}\n",
    );
    let source = "fn unit_price(prices: &PriceList, sku: &str) -> u64 {\n    let cents = prices.cents(sku);\n    cents.unwrap()\n}\n";
    repository.commit_file("src/lib.rs", source, "first");
    let event = EventBuilder::panic("called `Option::unwrap()` on a `None` value")
        .at("src/lib.rs", 3, 11)
        .build();

    let analysis = analyze_event(&repository, event);

    let told = "`cents` (src/prices.rs:2) hands on `self.cents.get(sku).copied()` (line 3), so \
                `self.cents` has nothing at `sku`.";
    assert!(analysis.root_cause.contains(told), "{analysis:#?}");
}

/// One function with most of what Rust has, so that every place of it can be asked about.
const EVERYTHING: &str = "\
use std::collections::HashMap;
const N: usize = 3;
mod inner {
    pub trait Shape { fn area(&self) -> u64 { self.side() * self.side() } fn side(&self) -> u64; }
    impl<T: AsRef<[u64]>> Shape for super::Box2<T> { fn side(&self) -> u64 { self.0.as_ref()[0] } }
}
pub struct Box2<T>(T);
pub async fn work<'a, T>(map: &'a HashMap<String, Vec<T>>, key: &str, (a, b): (u64, i64)) -> Option<&'a T> {
    let n = n_of(key)? + 1; let n = n + N;
    let Some(list) = map.get(key) else { return None };
    assert!(n <= list.len(), \"{}\", list.len() - n);
    for (i, item) in list.iter().enumerate().skip(n - 1) {
        if i % 2 == 0 && a / (i as u64) > 3 || !key.is_empty() { continue; }
        let x = match b { 0 => unreachable!(), c @ 1..=9 if c > 2 => c << n, _ => -b };
        while let Some(y) = list.iter().map(|z| (z, &list[i])).filter(|(_, w)| true).next() {
            println!(\"{:?} {}\", vec![1; n], key[..n].len() as i64 - x);
        }
    }
    let mut v = vec![1, 2]; v[n] += 1; v.remove(n); *v.first_mut().unwrap() -= 1;
    let r = async { (|q: u64| a - q)(4) }.await; let z = loop { break todo!(\"{}\", r) };
    fn nested(k: u8) -> u8 { [1, 2][k as usize] }
    unsafe { list.get_unchecked(n) }; list.get(n - nested(0) as usize)
}
fn n_of(key: &str) -> Option<usize> { key.parse().ok() }
";

#[test]
fn every_class_can_be_asked_for_at_every_line() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", EVERYTHING, "first");
    let messages = [
        "index out of bounds: the len is 2 but the index is 5",
        "no entry found for key",
        "range end index 9 out of range for slice of length 4",
        "end byte index 2 is not a char boundary; it is inside 'é' (bytes 1..3) of `é`",
        "called `Option::unwrap()` on a `None` value",
        "called `Result::unwrap()` on an `Err` value: PoisonError { .. }",
        "attempt to subtract with overflow",
        "attempt to shift left with overflow",
        "attempt to divide by zero",
        "RefCell already borrowed",
        "not yet implemented: 4",
        "assertion failed: n <= list.len()",
        "removal index (is 4) should be < len (is 2)",
        "overflow when subtracting durations",
        "words of the app",
    ];
    let event = EventBuilder::panic("words of the app")
        .at("src/lib.rs", 1, 0)
        .build();
    let Collected::Evidence(mut evidence) = collect(&subject(&repository, event)).unwrap() else {
        panic!()
    };
    let opened = repository.open();
    let tree = opened.tree(&evidence.commit.commit).unwrap();
    let elsewhere = Elsewhere {
        repository: &opened,
        tree: &tree,
    };
    let context = Context {
        recorded: &[],
        caller: None,
        elsewhere,
    };
    for message in messages {
        evidence.report.message = crate::evidence::Untrusted::new(message);
        for line in 1..=EVERYTHING.lines().count() as u32 {
            evidence.place.line = line;

            // A look that panics gives nothing.
            let seen = with_tree(EVERYTHING, |tree| look(tree, &evidence, &context));

            let seen = seen.unwrap_or_else(|| panic!("{message} on line {line}"));
            assert!(!seen.sentences.is_empty(), "{message} on line {line}");
        }
    }
}

#[test]
fn a_location_in_the_standard_library_gives_way_to_the_first_frame_of_the_app() {
    let source = "fn f(v: &mut Vec<u8>, at: usize) {\n    v.swap_remove(at);\n}\n";
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", source, "first");
    let event = EventBuilder::panic("swap_remove index (is 3) should be < len (is 1)")
        .at(
            "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/alloc/src/vec/mod.rs",
            2,
            1,
        )
        .frame("shop::f", "src/lib.rs", 2, 7)
        .build();

    let analysis = analyze_event(&repository, event);

    assert_eq!(analysis.class, "vec_index");
    assert_eq!((analysis.file.as_str(), analysis.line), ("src/lib.rs", 2));
    assert!(
        analysis
            .root_cause
            .contains("It was asked for 3, and `v` has 1."),
        "{analysis:#?}"
    );
    assert!(
        analysis
            .root_cause
            .contains("`at: usize` is a parameter of `f` (line 1). It was 3 here.")
    );
}

#[test]
fn an_error_is_told_from_its_chain_and_from_the_call_that_failed() {
    let source = "\
fn pay(order: &Order) {
    if let Err(error) = charge(order) {
        bugsage_sdk::capture_error(&error);
    }
}
";
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", source, "first");
    let chain = [
        ("ChargeError", "cannot charge"),
        ("std::io::Error", "connection refused"),
    ];
    let event = EventBuilder::error("cannot charge", &chain)
        .at("src/lib.rs", 3, 9)
        .build();

    let analysis = analyze_event(&repository, event);

    assert_eq!(analysis.class, "error");
    assert_eq!(analysis.severity, Severity::Low);
    assert_eq!(analysis.function.as_deref(), Some("pay"));
    for sentence in [
        "The innermost cause is: connection refused (`std::io::Error`).",
        "`error` is the failure of `charge(order)`.",
        "`order: &Order` is a parameter of `pay` (line 1).",
    ] {
        assert!(analysis.root_cause.contains(sentence), "{analysis:#?}");
    }
}

#[test]
fn a_file_that_is_no_rust_is_explained_by_its_message_and_line() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", "fn f( {\n    v[i]\n", "first");
    let event = EventBuilder::panic("index out of bounds: the len is 0 but the index is 0")
        .at("src/lib.rs", 2, 5)
        .build();

    let analysis = analyze_event(&repository, event);

    assert_eq!(analysis.class, "index_out_of_bounds");
    assert_eq!(analysis.expression, None);
    assert!(
        analysis
            .root_cause
            .contains("It happened on line 2 of src/lib.rs: `v[i]`.")
    );
    assert!(analysis.confidence < 0.3, "{analysis:#?}");
}

#[test]
fn sources_that_would_exhaust_a_parser_are_not_parsed() {
    let nested = format!("fn f() {{ {}1{} }}", "(".repeat(9_000), ")".repeat(9_000));
    let signs = format!("fn f() {{ {}1 }}", "-".repeat(100_000));
    let chain = format!("fn f() {{ x{} }}", ".y()".repeat(50_000));
    let blocks = format!("fn f() {{ if a {{}} {} }}", "else if a {} ".repeat(20_000));
    for source in [nested, signs, chain, blocks] {
        assert!(with_tree(&source, |_| ()).is_none());
    }

    let long = format!("static T: [u8; 9] = [{}];", "1, ".repeat(100_000));
    let arms = format!(
        "fn f() {{ match a {{ {} }} }}",
        "A => { 1 } ".repeat(10_000)
    );
    let functions = "fn f() {}\n".repeat(20_000);
    let deep = format!("fn f() {{ {}1{} }}", "(".repeat(4_000), ")".repeat(4_000));
    let negated = format!("fn f() {{ {}1 }}", "-".repeat(4_000));
    let links = format!("fn f() {{ x{} }}", ".y()".repeat(1_300));
    let sum = format!("fn f() {{ 1{} }}", " + 1".repeat(2_000));
    let types = format!("fn f(a: {}u8) {{}}", "&".repeat(4_000));
    for source in [long, arms, functions, deep, negated, links, sum, types] {
        let found = with_tree(&source, |tree| {
            tree.body_at(1)
                .map_or(0, |body| tree.candidates(&body, 1).len())
        });
        assert!(found.is_some(), "{}", &source[..40]);
    }
}

#[test]
fn a_first_line_for_the_shell_and_a_byte_order_mark_move_nothing() {
    for start in ["#!/usr/bin/env run\n", "\u{feff}\n"] {
        let source = format!("{start}fn f(v: &[u8]) -> u8 {{\n    «v[0]\n}}\n");
        let analysis = panic_in(
            &source,
            "index out of bounds: the len is 0 but the index is 0",
        );
        assert_eq!(
            (analysis.line, analysis.expression.as_deref()),
            (3, Some("v[0]"))
        );
    }
}
