//! What is collected from events, friendly and hostile.

use proptest::prelude::*;

use super::*;
use crate::repository::testing::{EventBuilder, TestRepository, release, subject};

const SOURCE: &str = "fn a() {}\n\npub fn pick(v: &[u8], i: usize) -> u8 {\n    v[i]\n}\n";
const MESSAGE: &str = "index out of bounds: the len is 1 but the index is 1";

fn evidence(subject: &Subject) -> Evidence {
    match collect(subject).unwrap() {
        Collected::Evidence(evidence) => *evidence,
        Collected::Nothing { reason } => panic!("{reason}"),
    }
}

fn reason(subject: &Subject) -> String {
    match collect(subject).unwrap() {
        Collected::Evidence(evidence) => panic!("{evidence:#?}"),
        Collected::Nothing { reason } => reason,
    }
}

fn event() -> EventBuilder {
    EventBuilder::panic(MESSAGE).at("src/lib.rs", 4, 5)
}

#[test]
fn the_commit_is_the_events_then_the_tags_then_a_guess() {
    let repository = TestRepository::new();
    let first = repository.commit_file("src/lib.rs", SOURCE, "first");
    repository.git(&["tag", "v1.0.0"]);
    let second = repository.commit_file("src/lib.rs", SOURCE, "second");
    let known = |release: Option<&str>| {
        let event = match release {
            Some(release) => event().release(release),
            None => event(),
        };
        let commit = evidence(&subject(&repository, event.build())).commit;
        (
            commit.commit.sha,
            commit.known_by,
            commit.note.unwrap_or_default(),
        )
    };

    let short = format!("shop@1.0.0+{}", &second[..9]);
    assert_eq!(
        known(Some(&short)),
        (second.clone(), KnownBy::Event, String::new())
    );
    let (sha, known_by, note) = known(Some("shop@1.0.0+0123456789"));
    assert_eq!((sha, known_by), (first.clone(), KnownBy::Tag));
    assert_eq!(note, "no ref of the repository leads to commit 0123456789");
    assert_eq!(
        known(Some("shop@1.0.0")),
        (first, KnownBy::Tag, String::new())
    );
    let (sha, known_by, note) = known(Some("shop@9.9.9"));
    assert_eq!((sha, known_by), (second, KnownBy::Guessed));
    assert_eq!(
        note,
        "there is no tag v9.9.9; the source is that of HEAD, which is a guess"
    );
    assert_eq!(known(None).1, KnownBy::Guessed);
    assert_eq!(known(Some("--output=x@--all+--bare")).1, KnownBy::Guessed);
}

#[test]
fn frames_blame_and_lines_come_from_the_commit_and_not_from_the_work_tree() {
    let repository = TestRepository::new();
    let first = repository.commit_file("src/lib.rs", SOURCE, "first");
    let shown = SOURCE.replace("v[i]", "v[i + 0]");
    let second = repository.commit_file("src/lib.rs", &shown, "second");
    repository.write("src/lib.rs", "// edited\n");
    let event = event()
        .frame("shop::pick", "/build/shop/src/lib.rs", 4, 5)
        .frame("shop::main", "src/main.rs", 7, 1)
        .build();

    let evidence = evidence(&subject(&repository, event));

    assert_eq!(evidence.place.path, "src/lib.rs");
    assert_eq!(evidence.place.known_by, PlaceKnownBy::Location);
    assert_eq!(evidence.place.function, Some(Untrusted::new("shop::pick")));
    let lines: Vec<_> = evidence
        .place
        .lines
        .iter()
        .map(|line| (line.line, &*line.text))
        .collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[3], (4, "    v[i + 0]"));
    assert_eq!(evidence.frames[0].path.as_deref(), Some("src/lib.rs"));
    assert_eq!(
        evidence.frames[1].note.as_deref(),
        Some("src/main.rs is not there")
    );
    let blamed: Vec<_> = evidence
        .blame
        .iter()
        .map(|blamed| (blamed.line, blamed.commit.sha.clone()))
        .collect();
    assert_eq!(blamed[2..4], [(3, first), (4, second)]);
}

#[test]
fn the_window_lies_between_the_last_good_and_the_first_bad_release() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", "", "first");
    repository.git(&["tag", "v1.0.0"]);
    repository.commit_file("src/lib.rs", "//\n", "second");
    repository.git(&["tag", "v1.1.0"]);
    let third = repository.commit_file("src/lib.rs", SOURCE, "third");
    repository.git(&["tag", "v1.2.0"]);
    repository.commit_file("docs.md", "", "fourth");
    repository.git(&["tag", "v1.3.0"]);
    let event = event().release("shop@1.3.0").build();
    let mut subject = subject(&repository, event);
    subject.releases = vec![
        release("shop@1.3.0", 40, true),
        release("shop@1.1.0", 20, false),
        release("shop@1.2.0", 30, true),
        release("shop@1.0.0", 10, false),
        release("shop@1.4.0", 50, false),
        release("untagged@7", 25, false),
    ];

    let window = evidence(&subject).window.unwrap();

    assert_eq!(window.good_release, "shop@1.1.0");
    assert_eq!(window.bad_release.as_deref(), Some("shop@1.2.0"));
    let commits: Vec<_> = window
        .commits
        .iter()
        .map(|commit| commit.sha.clone())
        .collect();
    assert_eq!(commits, [third]);
    assert!(!window.truncated);
}

#[test]
fn an_issue_of_the_first_release_has_no_window() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", SOURCE, "first");
    repository.git(&["tag", "v1.0.0"]);
    let mut subject = subject(&repository, event().release("shop@1.0.0").build());
    subject.releases = vec![
        release("shop@1.0.0", 10, true),
        release("shop@1.1.0", 20, false),
    ];

    assert_eq!(evidence(&subject).window, None);
}

#[test]
fn the_latest_sample_with_a_place_is_explained_and_the_others_add_to_it() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", SOURCE, "first");
    let mut subject = subject(
        &repository,
        event().last_at(10).span("pick", &[("i", "1")]).build(),
    );
    let other = "index out of bounds: the len is 1 but the index is 7";
    let latest = EventBuilder::panic(other)
        .at("src/lib.rs", 4, 5)
        .last_at(30);
    subject.samples.push(
        latest
            .span("pick", &[("i", "7")])
            .frame("shop::pick", "src/lib.rs", 4, 5)
            .build(),
    );
    subject
        .samples
        .push(EventBuilder::panic(MESSAGE).last_at(50).build());

    let evidence = evidence(&subject);

    assert_eq!(evidence.report.message.as_str(), other);
    assert_eq!(evidence.report.other_messages, [Untrusted::new(MESSAGE)]);
    assert_eq!(evidence.recorded[0].field.as_str(), "i");
    let values: Vec<_> = evidence.recorded[0]
        .values
        .iter()
        .map(Untrusted::as_str)
        .collect();
    assert_eq!(values, ["7", "1"]);
}

#[test]
fn names_that_events_bring_are_only_ever_compared() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", SOURCE, "first");
    for file in [
        "--output=canary",
        "../../../etc/passwd",
        "/etc/passwd",
        "",
        ".",
        "..",
        "a\0b",
        "\n",
        "HEAD:src",
    ] {
        let event = EventBuilder::panic(MESSAGE).at(file, 4, 5).build();
        assert!(
            reason(&subject(&repository, event)).contains("is not there"),
            "{file:?}"
        );
    }
    assert!(!repository.path().join("canary").exists());

    let event = EventBuilder::panic(MESSAGE)
        .at(&"a/".repeat(100_000), 4, 5)
        .build();
    assert!(reason(&subject(&repository, event)).len() < 1_000);
    let event = EventBuilder::panic(MESSAGE)
        .at("../shop/src/lib.rs", 4, u32::MAX)
        .build();
    assert_eq!(
        evidence(&subject(&repository, event)).place.path,
        "src/lib.rs"
    );
    for line in [0, 6, u32::MAX] {
        let event = EventBuilder::panic(MESSAGE)
            .at("src/lib.rs", line, 1)
            .build();
        assert!(
            reason(&subject(&repository, event)).contains("has no line"),
            "{line}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_shown_gives_way_to_the_next_frame() {
    let repository = TestRepository::new();
    repository.write("src/latin.rs", b"// \xe9\n");
    repository.write(
        "src/wide.rs",
        format!("// {}\nfn f() {{}}\n", "x".repeat(500_000)),
    );
    repository.commit_file("src/lib.rs", SOURCE, "first");
    let event = EventBuilder::panic(MESSAGE)
        .at("src/latin.rs", 1, 1)
        .frame("shop::latin", "src/latin.rs", 1, 1)
        .frame("", "src/wide.rs", 2, 1)
        .build();

    let evidence = evidence(&subject(&repository, event));

    assert_eq!(
        (evidence.place.path.as_str(), evidence.place.line),
        ("src/wide.rs", 2)
    );
    assert_eq!(evidence.place.known_by, PlaceKnownBy::Frame);
    assert_eq!(evidence.place.function, None);
    assert!(
        evidence
            .place
            .lines
            .iter()
            .all(|line| line.text.len() <= limits::LINE_BYTES_MAX)
    );
    let note = evidence.frames[0].note.as_deref();
    assert_eq!(note, Some("src/latin.rs: the file is not UTF-8 text"));
}

#[test]
fn without_a_place_the_reason_tells_what_to_build_with() {
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", SOURCE, "first");
    let std = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/option.rs";
    let event = EventBuilder::panic(MESSAGE).at(std, 1, 1).build();

    assert!(reason(&subject(&repository, event)).contains("line-tables-only"));
}

#[test]
fn text_of_events_is_labelled_and_quoted_on_one_short_line() {
    let text = Untrusted::new("one\n\u{1b}[31mtwo   three");

    assert_eq!(text.quote(), "one [31mtwo three");
    assert_eq!(
        serde_json::to_string(&Untrusted::new("x")).unwrap(),
        r#"{"untrusted":"x"}"#
    );
    assert!(Untrusted::new(&"x".repeat(1 << 20)).as_str().len() <= limits::UNTRUSTED_BYTES_MAX);
    assert!(quote(&"word ".repeat(10_000)).len() <= limits::QUOTE_BYTES_MAX);
}

proptest! {
    #[test]
    fn names_of_any_form_are_taken_apart_without_a_panic(text in "\\PC*", more in any::<String>()) {
        for text in [text, more] {
            simple_name(&text);
            quote(&text);
            let parts = crate::subject::ReleaseParts::of(&text);
            prop_assert!(parts.commit.is_none_or(|commit| commit.len() >= 7));
            crate::repository::is_foreign(&text);
        }
    }
}
