//! What counts of an event, rule by rule.

use std::sync::Arc;

use super::{Everywhere, panic};
use crate::event::{Event, FINGERPRINT_TAG};
use crate::fingerprint::rules::Rules;
use crate::fingerprint::source::NoSources;
use crate::fingerprint::{Fingerprint, InvalidFingerprint, Strength, explain, group};
use crate::stacktrace::StackTrace;

const INDEX: &str = "index out of bounds: the len is 3 but the index is 9";
const LIBRARY: &str = "/rustc/59807616e/library/core/src/panicking.rs";

fn of(message: &str, frames: &[(&str, &str, u32)]) -> Fingerprint {
    group(&panic(message, frames), &mut NoSources, &Rules::default()).fingerprints[0]
}

fn letters(all: &[Fingerprint]) -> String {
    all.iter().map(|it| it.strength().letter()).collect()
}

#[test]
fn the_source_names_a_closure_that_debug_information_does_not() {
    let stack = |closure: &str| {
        let frames = [
            (closure, "src/greet.rs", 2),
            ("shop::serve", "src/main.rs", 9),
        ];
        panic(INDEX, &frames)
    };
    let source =
        &mut Everywhere("async fn greet() {\n  name();\n}\nfn serve() {\n\n\n\n\n  greet(); }");

    let named = group(
        &stack("shop::greet::{async_fn#0}"),
        source,
        &Rules::default(),
    );
    let nameless = group(&stack("{async_fn#0}"), source, &Rules::default());

    assert_eq!(nameless.fingerprints[0], named.fingerprints[0]);
    assert_eq!(letters(&nameless.fingerprints), "vwss");
    assert_eq!(nameless.culprit, "greet");
}

#[test]
fn who_only_runs_what_it_was_handed_does_not_count_where_the_source_shows_it() {
    let by = |caller: &str, line: u32| {
        let frames = [
            ("shop::ship", "src/ship.rs", 1),
            (caller, "src/run.rs", line),
        ];
        panic(INDEX, &frames)
    };
    let source =
        "fn run(job: fn()) { job() }\nfn retry(job: fn()) { job() }\nfn order() { ship() }";
    let first =
        |event: &Event| group(event, &mut Everywhere(source), &Rules::default()).fingerprints[0];
    let (run, retry, order) = (
        by("shop::run", 1),
        by("shop::retry", 2),
        by("shop::order", 3),
    );

    assert_eq!(first(&run), first(&retry));
    assert_ne!(first(&run), first(&order));
    let without = group(&run, &mut NoSources, &Rules::default()).fingerprints;
    let with = group(&run, &mut Everywhere(source), &Rules::default()).fingerprints;
    assert!(
        with.contains(&without[0]),
        "what came without the source is found"
    );
    assert_ne!(
        without[0],
        group(&retry, &mut NoSources, &Rules::default()).fingerprints[0]
    );
}

#[test]
fn a_rule_of_the_project_decides_beside_the_built_in_ones_or_instead_of_them() {
    let by = |rules: &str, event: &Event| {
        let rules = Rules::parse(rules).expect("are rules");
        group(event, &mut NoSources, &rules)
    };
    let frames = [("shop::price::tier", "src/price.rs", 7)];
    let (one, other) = (
        panic(INDEX, &frames),
        panic(
            "no such order: 17",
            &[("shop::order::find", "src/order.rs", 3)],
        ),
    );

    let apart = [by("", &one), by("", &other)];
    assert_ne!(apart[0].fingerprints[0], apart[1].fingerprints[0]);
    let rules = "culprit:shop::nothing -> never\nfile:src/* !message:\"a*\" -> shop\n";
    let together = [by(rules, &one), by(rules, &other)];
    assert_eq!(together[0].fingerprints, together[1].fingerprints);
    assert_eq!(letters(&together[0].fingerprints), "v");
    assert_eq!(together.map(|grouping| grouping.rule), [Some(2), Some(2)]);

    let split = "function:*tier -> {{ default }} {{ tag.tenant }}";
    let of_tenant = |tenant: &str| Event {
        tags: vec![("tenant".into(), tenant.into())],
        ..one.clone()
    };
    let north = by(split, &of_tenant("north"));
    assert_eq!(
        north.fingerprints,
        by(split, &of_tenant("north")).fingerprints
    );
    let south = by(split, &of_tenant("south"));
    assert!(
        !north
            .fingerprints
            .iter()
            .any(|it| south.fingerprints.contains(it))
    );
    assert_eq!(
        letters(&north.fingerprints),
        letters(&apart[0].fingerprints)
    );
    let kept = north.reasons[0].last().expect("has parts");
    assert_eq!((&*kept.rule, &*kept.value), ("rule", "north"));
    assert_eq!(by(split, &other), apart[1], "which no rule fits");
}

#[test]
fn an_app_says_what_is_one_bug_where_no_rule_does() {
    let rules = Rules::parse("class:custom -> texts").expect("are rules");
    let wanting = |message: &str, wanted: &str| {
        let event = Event {
            tags: vec![(FINGERPRINT_TAG.into(), wanted.into())],
            ..panic(message, &[("shop::price::tier", "src/price.rs", 7)])
        };
        group(&event, &mut NoSources, &rules)
    };

    let wanted = wanting(INDEX, "supplier 17");
    assert_eq!(letters(&wanted.fingerprints), "v");
    assert_eq!(wanted.rule, None);
    let divided = wanting("attempt to divide by zero", "supplier 17");
    assert_eq!(divided.fingerprints, wanted.fingerprints);
    assert_ne!(
        wanting(INDEX, "supplier 18").fingerprints,
        wanted.fingerprints
    );
    assert_eq!(wanting("a text", "supplier 17").rule, Some(1));
    let unknown = wanting(INDEX, "{{ defualt }}\n\n");
    assert_eq!(unknown.reasons[0].len(), 1);
    assert_eq!(unknown.reasons[0][0].value, "{{ defualt }}");
    let plain = wanting(INDEX, "\n \n");
    assert!(plain.fingerprints.len() > 1, "nothing was said");
}

#[test]
fn a_closure_without_a_name_shares_a_weak_fingerprint_with_the_same_one_that_has_one() {
    let list = ("list::pick", "src/list.rs", 3);
    let of_build = |closure: &str| {
        let frames = [list, (closure, "src/main.rs", 7)];
        group(&panic(INDEX, &frames), &mut NoSources, &Rules::default()).fingerprints
    };

    let debug = of_build("shop::run::{{closure}}");
    let release = of_build("{closure#0}");
    let other = of_build("shop::stop::{{closure}}");

    assert_eq!(letters(&debug), "vwss");
    assert_eq!(letters(&release), "ss");
    assert_eq!(debug[3], release[0]);
    assert_ne!(debug[0], other[0]);
    assert_eq!(debug[3], other[3], "which is why it is weak");
    let named = [list, ("shop::run", "src/main.rs", 7)];
    let named = group(&panic(INDEX, &named), &mut NoSources, &Rules::default()).fingerprints;
    assert_eq!(letters(&named), "vws");
}

#[test]
fn a_closure_without_a_name_is_of_the_function_that_calls_it_from_the_same_file() {
    let std = "/rustc/59807616e/library/core/src/iter/adapters/map.rs";
    let stack = |closure: &str, caller: &str| {
        let stack = [
            (closure, "src/weigh.rs", 8),
            ("fold<u8>", std, 3),
            ("shop::weigh", caller, 7),
            ("shop::load", "src/load.rs", 2),
        ];
        group(&panic(INDEX, &stack), &mut NoSources, &Rules::default()).fingerprints
    };
    let debug = stack("shop::weigh::{{closure}}", "src/weigh.rs");

    assert_eq!(stack("{closure#1}", "src/weigh.rs")[..3], debug[..3]);
    assert_ne!(stack("{closure#1}", "src/scales.rs")[0], debug[0]);
    let of_async = stack("{async_fn#0}", "src/weigh.rs");
    assert_eq!(letters(&of_async), "s", "who awaits is another");
}

#[test]
fn who_runs_a_task_does_not_count() {
    let std = "/rustc/59807616e/library/std/src/panicking.rs";
    let task = ("shop::deliver", "src/courier.rs", 3);

    let in_debug = of(
        INDEX,
        &[
            task,
            ("std::panicking::catch_unwind::do_call", std, 1),
            ("__rust_try", "", 0),
            ("shop::main", "src/main.rs", 9),
        ],
    );
    let in_release = of(
        INDEX,
        &[
            task,
            ("do_call<&fn(), ()>", std, 1),
            ("shop::serve", "src/server.rs", 9),
        ],
    );

    assert_eq!(in_debug, in_release);
}

#[test]
fn builds_and_lines_do_not_matter() {
    let debug = of(
        INDEX,
        &[
            ("core::panicking::panic_fmt", LIBRARY, 1),
            ("shop::price::tier", "src/price.rs", 7),
            ("shop::price::total::{{closure}}", "src/price.rs", 20),
            ("shop::price::total", "src/price.rs", 19),
            (
                "std::sys::backtrace::__rust_begin_short_backtrace",
                LIBRARY,
                1,
            ),
        ],
    );
    let release = of(
        "index out of bounds: the len is 5 but the index is 5",
        &[
            ("tier", "/build/shop/src/price.rs", 9),
            ("total", "/build/shop/src/price.rs", 29),
            ("main", "/build/shop/src/main.rs", 29),
        ],
    );

    assert_eq!(debug, release);
}

#[test]
fn different_bugs_in_one_helper_are_two() {
    let helper = ("shop::pick", "src/lib.rs", 7);
    let from_cart = of(INDEX, &[helper, ("shop::cart", "src/lib.rs", 20)]);
    let from_mail = of(INDEX, &[helper, ("shop::mail", "src/lib.rs", 40)]);
    let other_class = of(
        "attempt to divide by zero",
        &[helper, ("shop::cart", "src/lib.rs", 20)],
    );

    assert_ne!(from_cart, from_mail);
    assert_ne!(from_cart, other_class);
}

#[test]
fn recursion_is_one_call() {
    let deep = ("shop::walk", "src/lib.rs", 7);
    let top = ("shop::start", "src/lib.rs", 1);

    assert_eq!(of(INDEX, &[deep, top]), of(INDEX, &[deep, deep, deep, top]));
}

#[test]
fn words_count_where_the_class_says_nothing() {
    let stack = [("shop::check", "src/lib.rs", 7)];

    assert_ne!(
        of("no such order: 17", &stack),
        of("stock is empty", &stack)
    );
    assert_eq!(
        of("no such order: 17", &stack),
        of("no such order: 18", &stack)
    );
}

#[test]
fn without_debug_information_the_source_says_what_failed() {
    let without = panic(INDEX, &[("shop::price::total", "", 0), ("main", "", 0)]);
    let with = panic(
        INDEX,
        &[
            ("shop::price::tier", "src/price.rs", 7),
            ("shop::price::total", "src/price.rs", 19),
        ],
    );
    let alone = panic(INDEX, &[("shop::price::tier", "src/price.rs", 7)]);

    let source = "fn total() { tier(); }\nfn tier() {\n\n\n\n\n\n}";
    let told = group(&without, &mut Everywhere(source), &Rules::default());

    let explanation = explain(&without, &mut Everywhere(source), &Rules::default());
    assert!(!explanation.provisional);
    assert!(
        told.fingerprints
            .iter()
            .all(|it| it.strength() < Strength::Strong)
    );
    let shared = |event: &Event| {
        group(event, &mut NoSources, &Rules::default())
            .fingerprints
            .contains(&told.fingerprints[0])
    };
    assert!(shared(&with) && !shared(&alone));
    let failed = told.fingerprints[1];
    assert!(
        group(&alone, &mut NoSources, &Rules::default())
            .fingerprints
            .contains(&failed)
    );
    let later = group(&without, &mut NoSources, &Rules::default()).fingerprints;
    assert_eq!(
        told.fingerprints.last(),
        later.last(),
        "it stays in its issue"
    );
}

#[test]
fn without_debug_information_two_bugs_in_a_visible_helper_are_two() {
    let source = "fn total() { tier(); }\nfn tier() {\n\n\n\n\n\n}\nfn price() { tier(); }";
    let by = |caller: &str| {
        let caller = format!("shop::price::{caller}");
        let frames = [
            ("shop::price::tier", "", 0),
            (&*caller, "", 0),
            ("main", "", 0),
        ];
        let event = panic(INDEX, &frames);
        group(&event, &mut Everywhere(source), &Rules::default()).fingerprints
    };
    let with = panic(
        INDEX,
        &[
            ("shop::price::tier", "src/price.rs", 7),
            ("shop::price::total", "src/price.rs", 19),
        ],
    );
    let with = group(&with, &mut NoSources, &Rules::default()).fingerprints;

    assert_ne!(by("total")[0], by("price")[0]);
    assert!(with.contains(&by("total")[0]) && !with.contains(&by("price")[0]));
}

#[test]
fn what_could_not_be_read_in_time_is_not_taken_for_what_is_not_there() {
    let whole = [
        ("shop::price::tier", "src/price.rs", 7),
        ("shop::price::total", "src/price.rs", 19),
        ("shop::main", "src/main.rs", 3),
    ];
    let of = |unread: &[usize]| {
        let mut frames = whole;
        unread.iter().for_each(|at| frames[*at] = ("", "", 0));
        let mut event = panic(INDEX, &frames);
        let mut stack = StackTrace::clone(event.stack.as_deref().expect("has one"));
        stack.symbolicated = unread.is_empty();
        event.stack = Some(Arc::new(stack));
        let explanation = explain(&event, &mut NoSources, &Rules::default());
        let grouping = group(&event, &mut NoSources, &Rules::default());
        (grouping.fingerprints, explanation.provisional)
    };
    let (all, _) = of(&[]);

    let (caller_unread, is_for_now) = of(&[1]);
    assert!(is_for_now);
    assert_eq!(caller_unread.len(), 1);
    assert!(all.contains(&caller_unread[0]));
    assert_eq!(caller_unread[0].strength(), Strength::Single);
    let (failed_unread, is_for_now) = of(&[0, 1]);
    assert!(is_for_now);
    assert_eq!(failed_unread.len(), 1);
    assert_eq!(failed_unread[0].strength(), Strength::Provisional);
    assert_eq!(of(&[2]).0, all, "enough was read");
}

#[test]
fn without_debug_information_the_place_decides_for_now() {
    let event = panic(INDEX, &[("shop::price::tier", "", 0), ("main", "", 0)]);
    let explanation = explain(&event, &mut NoSources, &Rules::default());

    assert!(explanation.provisional);
    let grouping = group(&event, &mut NoSources, &Rules::default());
    assert_eq!(grouping.culprit, "shop::price::tier");
    let kept: Vec<&str> = explanation.kept.iter().map(|kept| &*kept.value).collect();
    let expected = ["index_out_of_bounds", "src/price.rs#tier"];
    assert_eq!(kept, expected);
}

#[test]
fn the_explanation_names_what_counted_and_what_did_not() {
    let frames = [
        ("core::panicking::panic_fmt", LIBRARY, 1),
        ("shop::tier", "src/price.rs", 7),
    ];
    let explanation = explain(&panic(INDEX, &frames), &mut NoSources, &Rules::default());

    let kept: Vec<_> = explanation
        .kept
        .iter()
        .map(|k| (&*k.rule, &*k.value))
        .collect();
    assert_eq!(
        kept,
        [
            ("class", "index_out_of_bounds"),
            ("function", "src/price.rs#tier")
        ]
    );
    let dropped: Vec<_> = explanation
        .dropped
        .iter()
        .map(|d| (&*d.rule, &*d.frame))
        .collect();
    assert_eq!(dropped, [("panic machinery", "core::panicking::panic_fmt")]);
}

#[test]
fn a_fingerprint_survives_its_text() {
    let fingerprint = of(INDEX, &[("shop::tier", "src/price.rs", 7)]);

    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    assert_eq!("v1-xyz".parse::<Fingerprint>(), Err(InvalidFingerprint));
}
