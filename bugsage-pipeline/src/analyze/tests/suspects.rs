//! Since which commit, and how bad.

use super::*;

const GUARDED: &str = "\
pub fn pick(items: &[u32], slot: usize) -> u32 {
    if slot >= items.len() {
        return 0;
    }
    items[slot]
}
";
const UNGUARDED: &str = "\
pub fn pick(items: &[u32], slot: usize) -> u32 {
    items[slot]
}
";

#[test]
fn a_commit_that_took_a_check_away_since_the_good_release_is_suspected() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", GUARDED, "pick: add");
    repository.git(&["tag", "v1.0.0"]);
    repository.commit_file("README.md", "docs", "docs: add");
    let culprit = repository.commit_file("src/lib.rs", UNGUARDED, "pick: simplify");
    let moved = format!("{UNGUARDED}\npub fn other() {{}}\n");
    let last = repository.commit_file("src/lib.rs", &moved, "other: add");
    let event = EventBuilder::panic("index out of bounds: the len is 0 but the index is 0")
        .release(&format!("shop@1.1.0+{last}"))
        .at("src/lib.rs", 2, 5)
        .build();
    let mut subject = subject(&repository, event);
    subject.releases = vec![
        release(&format!("shop@1.1.0+{last}"), 200, true),
        release("shop@1.0.0", 100, false),
    ];

    let analysis = analyze_subject(&subject);

    let suspect = analysis.suspect_commit.unwrap();
    assert_eq!(
        (suspect.sha.as_str(), suspect.subject.as_str()),
        (&*culprit, "pick: simplify")
    );
    assert_eq!(suspect.author, "Ada");
    assert!(
        suspect
            .reason
            .contains("changed the failing function between shop@1.0.0 and shop@1.1.0")
    );
}

#[test]
fn without_a_good_release_the_last_change_of_the_lines_of_the_cause_is_suspected() {
    let source = |limit: &str| {
        format!("fn f(v: &[u8], n: usize) -> u8 {{\n    let at = {limit};\n    v[at]\n}}\n")
    };
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", &source("n.min(v.len() - 1)"), "first");
    let culprit = repository.commit_file("src/lib.rs", &source("n"), "second");
    repository.commit_file("src/lib.rs", &format!("{}// end\n", source("n")), "third");
    let event = EventBuilder::panic("index out of bounds: the len is 1 but the index is 1")
        .at("src/lib.rs", 3, 5)
        .build();

    let analysis = analyze_event(&repository, event);

    let suspect = analysis.suspect_commit.unwrap();
    assert_eq!(suspect.sha, culprit);
    assert!(
        suspect.reason.contains("a line that the cause rests on"),
        "{}",
        suspect.reason
    );
    assert!(
        analysis
            .reasons
            .iter()
            .any(|reason| reason.contains("the commit is a guess"))
    );
}

#[test]
fn severity_grows_with_reach_and_tells_why() {
    let repository = TestRepository::new();
    repository.commit_file(
        "src/lib.rs",
        "fn f(v: &[u8]) -> u8 {\n    v[0]\n}\n",
        "first",
    );
    let event = EventBuilder::panic("index out of bounds: the len is 0 but the index is 0")
        .at("src/lib.rs", 2, 5)
        .build();
    let severity = |events: u64, users: u64| {
        let mut subject = subject(&repository, event.clone());
        (subject.events, subject.users) = (events, users);
        analyze_subject(&subject).severity
    };

    assert_eq!(severity(1, 0), Severity::Medium);
    assert_eq!(severity(500, 0), Severity::High);
    assert_eq!(severity(1, 50), Severity::High);
    assert_eq!(severity(100_000, 0), Severity::Critical);
}

#[test]
fn without_a_good_release_a_commit_that_took_a_check_away_is_suspected() {
    let mean = |check: &str, end: &str| {
        format!("fn mean(total: u64, buyers: u64) -> u64 {{\n{check}    total / buyers\n}}\n{end}")
    };
    let repository = TestRepository::new();
    let check = "    if buyers == 0 {\n        return 0;\n    }\n";
    repository.commit_file("src/lib.rs", &mean(check, ""), "mean: add");
    repository.commit_file("README.md", "docs", "docs: add");
    let culprit = repository.commit_file("src/lib.rs", &mean("", ""), "mean: simplify");
    repository.commit_file("src/lib.rs", &mean("", "// end\n"), "comment: add");
    let event = EventBuilder::panic("attempt to divide by zero")
        .at("src/lib.rs", 2, 5)
        .build();

    let analysis = analyze_event(&repository, event);

    let suspect = analysis.suspect_commit.unwrap();
    assert_eq!(suspect.sha, culprit, "{suspect:?}");
    assert_eq!(
        suspect.reason,
        "it took away `if buyers == 0 {`, which names `buyers`"
    );
    let blamed = |reason: &String| reason.contains("nothing but blame");
    assert!(!analysis.reasons.iter().any(blamed));
}

#[test]
fn the_reasons_add_up_to_the_confidence() {
    let analysis = panic_in(
        "fn f(v: &[u8], at: usize) -> u8 {\n    «v[at]\n}\n",
        "index out of bounds: the len is 0 but the index is 0",
    );

    let points = analysis.reasons.iter().filter_map(|reason| {
        let (points, _) = reason.strip_prefix("confidence ")?.split_once(':')?;
        points.parse::<i32>().ok()
    });
    assert_eq!(f64::from(points.sum::<i32>()) / 100.0, analysis.confidence);
    assert!(
        analysis
            .reasons
            .contains(&"confidence -5: nothing but blame speaks against the suspect commit".into())
    );
    assert!(
        analysis
            .reasons
            .contains(&"severity: a panic in 1 event".into())
    );
}

#[test]
fn a_caught_panic_of_the_main_thread_does_not_end_the_process() {
    let repository = TestRepository::new();
    let source = "fn f(v: &[u8]) -> u8 {\n    v[0]\n}\n";
    repository.commit_file("src/lib.rs", source, "first");
    let severity = |functions: &[&str]| {
        let mut event = EventBuilder::panic("index out of bounds: the len is 0 but the index is 0")
            .at("src/lib.rs", 2, 5);
        for function in functions {
            event = event.frame(function, "src/main.rs", 1, 1);
        }
        let mut event = event.build();
        event.thread.name = Some("main".into());
        let analysis = analyze_event(&repository, event);
        let ends = |reason: &String| reason.contains("ends the process");
        (analysis.severity, analysis.reasons.iter().any(ends))
    };

    let caught = ["shop::f", "std::panic::catch_unwind", "shop::main"];
    let by_the_runtime = [
        "shop::f",
        "shop::main",
        "std::sys::backtrace::__rust_begin_short_backtrace",
        "std::panic::catch_unwind",
        "std::rt::lang_start_internal",
        "main",
    ];
    assert_eq!(severity(&caught), (Severity::Medium, false));
    assert_eq!(severity(&by_the_runtime), (Severity::High, true));
    assert_eq!(severity(&[]), (Severity::High, true));
}
