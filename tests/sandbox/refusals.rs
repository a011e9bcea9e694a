//! Where there is no sandbox, nothing is run, and the refusal says what is missing and how to get it.

use std::path::PathBuf;

use super::Operator;

/// What the attempt would leave if it ran.
const ATTEMPT: &str = "creates";

/// A program of that name in the operator's folder.
fn fake(operator: &Operator, script: &str) -> PathBuf {
    operator.plant("fake/bwrap", &format!("#!/bin/sh\n{script}"), 0o755)
}

/// Checks that starting the sandbox is refused with all of these words, and that nothing ran.
#[track_caller]
fn refused(operator: &Operator, name: &str, value: PathBuf, words: &[&str]) {
    let word = format!("{ATTEMPT}={}", operator.folder.display());

    let ended = operator.outside(&[&word]).env(name, value).run().well();

    let refusal = ended.told("refused");
    for word in words {
        assert!(refusal.contains(word), "{word} is not in: {refusal}");
    }
    let lines = ended.stdout.lines().count();
    assert_eq!(lines, 1, "as {}: {}", operator.name(), ended.stdout);
}

#[test]
fn without_bubblewrap_nothing_is_run_and_the_way_to_it_is_told() {
    for operator in Operator::all() {
        operator.plant("empty/other", "", 0o755);
        let empty = operator.folder.join("empty");
        let words = ["bubblewrap is not installed", "apt-get install bubblewrap"];
        refused(&operator, "PATH", empty, &words);
        let missing = operator.folder.join("no-such-bwrap");
        refused(
            &operator,
            "BUGSAGE_BWRAP",
            missing,
            &["no-such-bwrap", "install"],
        );
        refused(
            &operator,
            "BUGSAGE_BWRAP",
            "bwrap".into(),
            &["names bwrap", "install"],
        );
    }
}

#[test]
fn an_old_bubblewrap_is_named_with_its_version() {
    for operator in Operator::all() {
        let old = fake(&operator, "echo bubblewrap 0.4.1\n");
        let words = ["bubblewrap 0.4.1 is too old", "0.8", "install a newer one"];
        refused(&operator, "BUGSAGE_BWRAP", old, &words);
    }
}

#[test]
fn a_sandbox_that_shuts_nothing_off_is_found_out() {
    for operator in Operator::all() {
        // It starts what it is to start, as if there was no sandbox around it.
        let open = fake(
            &operator,
            "[ \"$1\" = --version ] && { echo bubblewrap 0.11.0; exit; }\n\
             while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"\n",
        );
        refused(&operator, "BUGSAGE_BWRAP", open, &["does not hold here"]);
        // And one that starts nothing, and says that all is well.
        let silent = fake(&operator, "echo bubblewrap 0.11.0\n");
        refused(&operator, "BUGSAGE_BWRAP", silent, &["does not hold here"]);
    }
}
