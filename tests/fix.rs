//! From an explained issue to a branch: written, proved in a sandbox, approved by a person, applied
//! once.

use std::path::PathBuf;

use serde_json::Value;

use bugsage_collector::clock::SystemClock;
use bugsage_core::clock::Clock;
use bugsage_core::event::SpanContext;

use crate::support::collector::{Collector, Folder, Project, wait_for};
use crate::support::events::EventBuilder;
use crate::support::program::Ended;
use crate::support::repository::{self, git};

/// The exit codes of the contract.
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const REFUSED: i32 = 4;

/// The bug of the package: `FEES[weight]` in a function that returns an `Option`.
fn price() -> EventBuilder {
    EventBuilder::panic("price").with(|event| {
        event.location.as_mut().expect("has one").column = 15;
        event.spans = vec![SpanContext {
            name: "fail".into(),
            target: "shop::price".into(),
            fields: vec![("weight".into(), "7".into())],
            timing: None,
        }];
    })
}

/// A project whose package has the bug, and its collector.
struct Shop {
    collector: Collector,
    repository: PathBuf,
    project: Project,
}

impl Shop {
    fn open(environment: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let (repository, _) = repository::make_package(&folder);
        let project = folder.create_project("shop", Some(&repository));
        Shop {
            collector: Collector::start_with(folder, environment),
            repository,
            project,
        }
    }

    /// The bug, reported, and its case at rest.
    #[track_caller]
    fn reported(environment: &[(&str, &str)]) -> (Self, Value) {
        let shop = Self::open(environment);
        shop.collector.send(&shop.project, &price().seal()).taken();
        let case = shop.case_in(&["ready", "needs_human", "failed"]);
        (shop, case)
    }

    fn folder(&self) -> &Folder {
        self.collector.folder()
    }

    #[track_caller]
    fn case_in(&self, states: &[&str]) -> Value {
        wait_for("the case", || {
            let case = self.folder().issue(1)["case"].clone();
            let state = case["state"].as_str()?;
            states.contains(&state).then_some(case)
        })
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Ended {
        self.folder().run(words)
    }

    /// What git says of everything that a person works with.
    fn work_tree(&self) -> (String, String, Vec<u8>) {
        let index = self.repository.join(".git/index");
        (
            git(&self.repository, &["status", "--porcelain=v2", "--branch"]),
            git(
                &self.repository,
                &["for-each-ref", "refs/heads/main", "refs/tags"],
            ),
            std::fs::read(index).expect("is there"),
        )
    }
}

fn text<'v>(document: &'v Value, name: &str) -> &'v str {
    document[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {document:#}"))
}

mod sandboxed {
    use super::*;

    #[test]
    fn an_issue_is_fixed_proved_approved_and_applied_without_touching_the_work_tree() {
        let (shop, case) = Shop::reported(&[]);
        assert_eq!(case["state"], "ready", "{case:#}");
        std::fs::write(
            shop.repository.join("src/lib.rs"),
            "// somebody works here\n",
        )
        .expect("can be written");
        let before = shop.work_tree();
        let id = text(&case, "id");
        let hash = text(&case["patch"], "sha256");

        let approved = shop
            .folder()
            .json(&["fix", "approve", id, "--hash", &hash[..12]]);
        let applied = shop.folder().json(&["fix", "apply", id]);
        let again = shop.folder().json(&["fix", "apply", &id[id.len() - 8..]]);

        assert_eq!(approved["state"], "approved");
        assert_eq!(approved["approval"]["sha256"], hash);
        assert!(text(&approved["approval"], "approver").starts_with("local:"));
        assert_eq!(applied["state"], "applied");
        assert_eq!(again["branch"], applied["branch"]);
        let branch = format!("bugsage/case-{id}");
        assert_eq!(applied["branch"]["name"], branch.as_str());
        assert_eq!(shop.work_tree(), before);
        let base = text(&case["patch"], "base_commit");
        let parents = git(&shop.repository, &["log", "--format=%P", &branch]);
        assert_eq!(parents.lines().next(), Some(base));
        let changed = git(&shop.repository, &["diff", base, &branch]);
        assert!(
            changed.contains("-    let fee = FEES[weight];"),
            "{changed}"
        );
        assert!(
            changed.contains("+    let fee = *FEES.get(weight)?;"),
            "{changed}"
        );
        let message = git(&shop.repository, &["log", "-1", "--format=%B", &branch]);
        for part in ["red: passed", "BugSage-Issue: 1", "Approved-By: local:"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }

    #[test]
    fn a_case_keeps_the_contract_and_the_page_shows_claim_diff_gates_and_numbers() {
        let (shop, case) = Shop::reported(&[]);

        let patch = &case["patch"];
        for name in ["sha256", "base_commit", "files", "diff"] {
            assert!(!patch[name].is_null(), "{name}: {patch:#}");
        }
        let id = text(&case, "id");
        let whole = shop.folder().json(&["fix", "show", id]);
        let verdicts = whole["verdicts"].as_array().expect("is a list");
        assert_eq!(verdicts.len(), 6);
        for verdict in verdicts {
            assert_eq!(verdict["passed"], true, "{verdict:#}");
            assert!(!text(verdict, "detail").is_empty());
            if verdict["gate"] != "diff" {
                assert!(
                    text(verdict, "command").starts_with("cargo "),
                    "{verdict:#}"
                );
                assert!(!text(verdict, "output").is_empty());
            }
        }
        assert!(case["confidence"].as_f64().is_some_and(|sure| sure > 0.5));
        assert!(case["risk"].as_f64().is_some_and(|risk| risk < 0.7));
        assert_eq!(&whole["patch"], patch);
        // Lists leave out what the gates printed.
        assert!(case["verdicts"][1]["output"].is_null());
        let listed = shop.folder().json(&["fix", "list", "--state", "ready"]);
        assert_eq!(listed, Value::from(vec![case.clone()]));
        assert_eq!(
            shop.folder().json(&["fix", "list", "--state", "failed"]),
            Value::from(vec![0; 0])
        );
        let log = shop.run(&["fix", "show", id, "--log", "red"]).well().stdout;
        assert!(
            log.contains("index out of bounds: the len is 3 but the index is 7"),
            "{log}"
        );
        let shown = shop.run(&["fix", "show", id]).well().stdout;
        assert!(
            shown.contains("+    let fee = *FEES.get(weight)?;"),
            "{shown}"
        );
        assert!(shown.contains("bugsage fix approve"), "{shown}");

        let page = shop.collector.client().get("/issues/1");
        let page = page.body;
        for part in [
            "+    let fee = *FEES.get(weight)?;",
            "3 of 3 runs fail as reported",
            text(patch, "sha256"),
            "bugsage fix approve",
            "confidence",
            "risk",
        ] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn what_moved_changed_or_expired_is_refused() {
        let (shop, case) = Shop::reported(&[]);
        let id = text(&case, "id");
        let apply = ["fix", "apply", id];

        let unapproved = shop.run(&apply).with_code(REFUSED);
        let other = shop
            .run(&["fix", "approve", id, "--hash", "00000000"])
            .with_code(REFUSED);
        let brief = shop
            .folder()
            .json(&["fix", "approve", id, "--valid-for", "1s"]);
        let expires: jiff::Timestamp = text(&brief["approval"], "expires_at")
            .parse()
            .expect("is a time");
        wait_for("the approval's end", || {
            (SystemClock.now().0 > expires.as_microsecond() as u64).then_some(())
        });
        let expired = shop.run(&apply).with_code(REFUSED);
        assert_eq!(shop.case_in(&["ready"])["approval"], Value::Null);
        shop.folder().json(&["fix", "approve", id]);
        std::fs::write(shop.repository.join("README.md"), "more\n").expect("can be written");
        let head = repository::commit(&shop.repository, "readme: begin");
        let moved = shop.run(&apply).with_code(REFUSED);

        assert!(
            unapproved.stderr.contains("approve it first"),
            "{unapproved:?}"
        );
        assert!(other.stderr.contains("look at it again"), "{other:?}");
        assert!(expired.stderr.contains("expired"), "{expired:?}");
        assert!(moved.stderr.contains("has moved"), "{moved:?}");
        assert_eq!(
            git(&shop.repository, &["branch", "--list", "bugsage/*"]),
            ""
        );

        // Proved anew on the new base, it can be approved again.
        let anew = shop.folder().json(&["fix", "run", "1"]);
        assert_eq!(anew["state"], "ready", "{anew:#}");
        assert_eq!(anew["patch"]["base_commit"], head.as_str());
        assert_ne!(anew["id"], case["id"]);
        assert_eq!(
            shop.folder().json(&["fix", "show", id])["state"],
            "cancelled"
        );
    }

    #[test]
    fn what_is_in_the_way_of_a_branch_costs_no_proof() {
        let (shop, case) = Shop::reported(&[]);
        let id = text(&case, "id");
        let apply = ["fix", "apply", id];
        let moved = shop.repository.with_extension("moved");

        // The repository is away for a while.
        shop.folder().json(&["fix", "approve", id]);
        std::fs::rename(&shop.repository, &moved).expect("is ours");
        let away = shop.run(&apply).with_code(1);
        std::fs::rename(&moved, &shop.repository).expect("is ours");
        // A branch called `bugsage` leaves no room for `bugsage/case-…`.
        git(&shop.repository, &["branch", "bugsage"]);
        let blocked = shop.run(&apply).with_code(1);
        git(&shop.repository, &["branch", "-D", "bugsage"]);
        shop.folder().json(&["fix", "approve", id]);
        let applied = shop.folder().json(&apply);

        assert!(away.stderr.contains("there is no folder"), "{away:?}");
        assert!(
            blocked.stderr.contains("does not write the branch"),
            "{blocked:?}"
        );
        assert_eq!(applied["state"], "applied");
    }

    #[test]
    fn a_rejected_patch_is_not_applied_and_the_issue_can_be_run_again() {
        let (shop, case) = Shop::reported(&[]);
        let id = text(&case, "id");

        let reason = "the caller cannot deal with that";
        let rejected = shop
            .folder()
            .json(&["fix", "reject", id, "--reason", reason]);
        shop.run(&["fix", "approve", id]).with_code(REFUSED);
        shop.run(&["fix", "apply", id]).with_code(REFUSED);
        let again = shop.folder().json(&["fix", "run", "1"]);

        assert_eq!(
            (&rejected["state"], &rejected["reason"]),
            (&"rejected".into(), &reason.into())
        );
        assert_eq!(again["state"], "ready");
        assert_ne!(again["id"], case["id"]);
    }

    #[test]
    fn a_worker_that_is_killed_while_it_proves_is_followed_by_one_that_ends_the_same() {
        let (whole, expected) = Shop::reported(&[]);
        drop(whole);
        let mut shop = Shop::open(&[]);
        shop.collector.send(&shop.project, &price().seal()).taken();

        // Each time in another moment: before anything is built, while the base is, and after.
        for what in ["run-", "answer-run-", ".json"] {
            shop.case_in(&["validating"]);
            let workshop = shop.folder().data().join("sandbox");
            wait_for(what, || is_in(&workshop, what).then_some(()));
            let folder = shop.collector.kill();
            shop.collector = Collector::start_on(folder);
        }
        let case = shop.case_in(&["ready", "needs_human", "failed"]);

        let diff = |case: &Value| {
            let id = text(case, "id").replace('-', "");
            text(&case["patch"], "diff").replace(&id[id.len() - 8..], "ID")
        };
        assert_eq!(case["state"], "ready", "{case:#}");
        assert_eq!(diff(&case), diff(&expected));
        let gates = |case: &Value| -> Vec<(Value, Value, Value)> {
            let verdicts = case["verdicts"].as_array().expect("is a list").iter();
            verdicts
                .map(|v| (v["gate"].clone(), v["passed"].clone(), v["detail"].clone()))
                .collect()
        };
        assert_eq!(gates(&case), gates(&expected));
        let states = |case: &Value| -> Vec<Value> {
            let history = case["history"].as_array().expect("is a list").iter();
            history.map(|step| step["to"].clone()).collect()
        };
        assert_eq!(states(&case), states(&expected));
        assert_eq!(case["confidence"], expected["confidence"]);
    }

    /// Whether a file or folder is there whose name holds a text.
    fn is_in(folder: &std::path::Path, what: &str) -> bool {
        let entries = |folder: &std::path::Path| std::fs::read_dir(folder).into_iter().flatten();
        let all = entries(folder)
            .chain(entries(&folder.join("bases")))
            .flatten();
        all.map(|entry| entry.file_name())
            .any(|name| name.to_string_lossy().contains(what))
    }

    #[test]
    fn a_collector_that_is_told_to_stop_while_it_proves_stops_at_once() {
        let shop = Shop::open(&[]);
        shop.collector.send(&shop.project, &price().seal()).taken();
        shop.case_in(&["validating"]);

        let begun = std::time::Instant::now();
        let (status, _folder) = shop.collector.stop();

        assert!(status.success(), "{status}");
        assert!(begun.elapsed().as_secs() < 15, "{:?}", begun.elapsed());
    }
}

#[test]
fn without_a_sandbox_nothing_is_proved_and_the_way_to_one_is_told() {
    let nowhere = [("BUGSAGE_BWRAP", "/nonexistent/bwrap")];

    let (shop, case) = Shop::reported(&nowhere);

    assert_eq!(case["state"], "needs_human");
    let reason = text(&case, "reason");
    assert!(reason.contains("install bubblewrap"), "{reason}");
    assert!(case["analysis"].is_object());
    assert!(text(&case["patch"], "diff").contains("FEES.get(weight)"));
    assert_eq!(case["verdicts"].as_array().map(Vec::len), Some(0));
    let id = text(&case, "id");
    shop.run(&["fix", "approve", id]).with_code(REFUSED);
    shop.run(&["fix", "apply", id]).with_code(REFUSED);
    assert_eq!(
        git(&shop.repository, &["branch", "--list", "bugsage/*"]),
        ""
    );
    let ended = shop.folder().command(&["fix", "run", "1"]);
    let ended = ended
        .env("BUGSAGE_BWRAP", "/nonexistent/bwrap")
        .run()
        .well();
    // One word of the advice: lines are wrapped.
    assert!(ended.stdout.contains("BUGSAGE_BWRAP"), "{ended:?}");
}

#[test]
fn wrong_words_are_refused_with_their_reason() {
    let folder = Folder::new();
    folder.create_project("shop", None);
    let collector = Collector::start_on(folder);
    let project = collector.create_project("other");
    collector.send(&project, &price().seal()).taken();
    let folder = collector.folder();

    folder
        .run(&["fix", "show", "nonsense"])
        .with_code(NOT_FOUND);
    folder
        .run(&["fix", "show", "019a0000-0000-7000-8000-000000000000"])
        .with_code(NOT_FOUND);
    folder
        .run(&["fix", "apply", "00000000"])
        .with_code(NOT_FOUND);
    folder.run(&["fix", "run", "77"]).with_code(NOT_FOUND);
    folder.run(&["fix", "reject", "00000000"]).with_code(USAGE);
    folder
        .run(&["fix", "list", "--state", "done"])
        .with_code(USAGE);
    folder
        .run(&["fix", "approve", "00000000", "--valid-for", "9d"])
        .with_code(USAGE);
    let without = folder.run(&["fix", "run", "1"]).with_code(1);
    assert!(
        without.stderr.contains("bugsage project set"),
        "{without:?}"
    );
    assert_eq!(folder.json(&["fix", "list"]), Value::from(vec![0; 0]));
}
