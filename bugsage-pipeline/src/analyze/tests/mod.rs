//! Analyses of small sources. `«` marks where the compiler reports the failure.

// Why it failed, class by class.
mod causes;
// Other files, other functions, and sources that cannot be read.
mod sources;
// Since which commit, and how bad.
mod suspects;

use super::*;
use crate::evidence::{Collected, collect};
use crate::repository::testing::{EventBuilder, TestRepository, release, subject};
use bugsage_core::event::Event;

/// Takes the mark out of a source, and tells its line and column.
fn marked(source: &str) -> (String, u32, u32) {
    let before = &source[..source.find('«').expect("the source has a mark")];
    let line = before.lines().count().max(1) as u32;
    let column = before.lines().last().map_or(0, |line| line.chars().count()) as u32 + 1;
    (source.replacen('«', "", 1), line, column)
}

fn analyze_event(repository: &TestRepository, event: Event) -> Analysis {
    let subject = subject(repository, event);
    analyze_subject(&subject)
}

fn analyze_subject(subject: &Subject) -> Analysis {
    let evidence = match collect(subject).unwrap() {
        Collected::Evidence(evidence) => evidence,
        Collected::Nothing { reason } => panic!("{reason}"),
    };
    let repository = Repository::open(subject.repository.as_deref().unwrap()).unwrap();
    analyze(subject, &evidence, &repository).unwrap()
}

/// Analyzes a panic at the mark of a source.
fn panic_in(source: &str, message: &str) -> Analysis {
    let (text, line, column) = marked(source);
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", &text, "first");
    analyze_event(
        &repository,
        EventBuilder::panic(message)
            .at("src/lib.rs", line, column)
            .build(),
    )
}

/// Checks a cause sentence by sentence, in any order, and the class.
fn check(source: &str, message: &str, class: &str, sentences: &[&str]) {
    let analysis = panic_in(source, message);

    assert_eq!(analysis.class, class, "{analysis:#?}");
    for sentence in sentences {
        assert!(
            analysis.root_cause.contains(sentence),
            "no {sentence:?} in {:#?}",
            analysis
        );
    }
}
