//! What became of a process is told once, whether it failed or not, and adds up to the health of its
//! release.

use std::time::Duration;

use bugsage_core::event::{Ended, RunState};

use serde_json::Value;

use crate::support::client::Request;
use crate::support::collector::{Collector, Folder, wait_for};
use crate::support::program::{Program, aborting_subject, subject};
use crate::support::sink::{Reply, Sink, closed_port_dsn};

/// The last word about the run that is not the one of `later`.
#[track_caller]
fn told(sink: &Sink) -> RunState {
    let states = sink.run_states();
    states.into_iter().next_back().expect("a run was told")
}

/// Root spans, those that failed, users, and those who met a panic; whatever the hour.
fn counts(state: &RunState) -> [u64; 4] {
    state.hours.iter().fold([0; 4], |sum, hour| {
        let users = hour.users.estimate();
        let panicked = hour.users_panicked.estimate();
        [
            sum[0] + hour.roots,
            sum[1] + hour.roots_failed,
            sum[2].max(users),
            sum[3].max(panicked),
        ]
    })
}

fn run_in(spool: &Folder, scenario: &str, how: &str, sink: &Sink) -> Program {
    let program = subject(scenario).arg(how);
    program.spool(spool.path()).dsn(sink.dsn())
}

#[test]
fn a_process_without_any_event_tells_its_run_and_its_end() {
    let sink = Sink::open();

    let ended = subject("nothing").dsn(sink.dsn()).run().well();

    let state = told(&sink);
    assert_eq!(state.ended, Ended::Clean);
    let release = state.run.release.as_deref();
    assert_eq!(release, Some("subject@1.2.3+0a1b2c3d"));
    assert_eq!(state.run.environment.as_deref(), Some("test"));
    assert!(state.alive_at >= state.run.started_at);
    assert_eq!(sink.received().len(), 1, "it is told once");
    assert_eq!(ended.account("account").produced, 0, "it is no report");
}

#[test]
fn a_run_that_goes_on_is_told_while_it_lives() {
    let sink = Sink::open();

    let running = subject("quiet").arg("linger").dsn(sink.dsn()).spawn();

    wait_for("the beginning of the run", || sink.run_states().pop());
    assert_eq!(told(&sink).ended, Ended::Running);
    running.kill();
}

#[test]
fn root_spans_are_counted_although_nothing_is_sampled() {
    let sink = Sink::open();

    subject("quiet").arg("well").dsn(sink.dsn()).run().well();

    assert_eq!(sink.events(), []);
    assert_eq!(counts(&told(&sink)), [7, 0, 0, 0]);
}

#[test]
fn failed_spans_and_users_are_counted_and_no_name_of_a_user_is_sent_for_it() {
    let sink = Sink::open();

    subject("busy").arg("well").dsn(sink.dsn()).run().well();

    assert_eq!(counts(&told(&sink)), [10, 3, 5, 1]);
    let plain = sink.plain_bytes();
    let is_sent = |name: &[u8]| plain.windows(name.len()).any(|it| it == name);
    assert!(is_sent(b"user-1"), "who met the panic is in its event");
    assert!(!is_sent(b"user-3"), "who met nothing is nowhere");
}

#[test]
fn a_main_that_panics_is_told_as_panicked() {
    let sink = Sink::open();

    subject("busy")
        .arg("panic")
        .dsn(sink.dsn())
        .run()
        .with_code(101);

    assert_eq!(told(&sink).ended, Ended::Panicked);
}

#[test]
fn a_panic_that_aborts_is_told_as_panicked() {
    let sink = Sink::open();

    let aborting = aborting_subject("panic_in_main").dsn(sink.dsn());
    aborting.run().by_abort();

    assert_eq!(told(&sink).ended, Ended::Panicked);
}

#[test]
fn a_panic_that_may_not_unwind_is_told_as_panicked_by_the_next_start() {
    for scenario in ["panic_in_extern_c", "panic_in_drop"] {
        let (sink, spool) = (Sink::open(), Folder::new());

        run_in(&spool, scenario, "", &sink).run().by_abort();
        run_in(&spool, "nothing", "", &sink).run().well();

        let is_told = |state: &RunState| state.ended == Ended::Panicked;
        assert!(sink.run_states().iter().any(is_told), "{scenario}");
    }
}

#[test]
fn a_killed_run_is_told_by_the_next_start_with_all_that_it_counted_and_once() {
    let sink = Sink::open();
    let spool = Folder::new();

    run_in(&spool, "busy", "kill", &sink).run().by_kill();
    let killed = |states: Vec<RunState>| -> Vec<RunState> {
        let is_killed = |state: &RunState| state.ended == Ended::Killed;
        states.into_iter().filter(is_killed).collect()
    };
    assert_eq!(killed(sink.run_states()), []);
    run_in(&spool, "nothing", "", &sink).run().well();
    run_in(&spool, "nothing", "", &sink).run().well();

    let killed = killed(sink.run_states());
    assert_eq!(killed.len(), 1);
    assert_eq!(counts(&killed[0]), [10, 3, 5, 1]);
    let release = killed[0].run.release.as_deref();
    assert_eq!(release, Some("subject@1.0.0"));
    assert!(killed[0].alive_at >= killed[0].run.started_at);
}

#[test]
fn without_a_spool_a_run_is_told_from_memory() {
    let sink = Sink::open();

    let program = subject("busy").arg("well").dsn(sink.dsn());
    program.env("BUGSAGE_SPOOL_DIR", "off").run().well();

    let state = told(&sink);
    assert_eq!(state.ended, Ended::Clean);
    assert_eq!(counts(&state), [10, 3, 5, 1]);
}

#[test]
fn a_run_without_reports_does_not_wait_for_a_collector_that_is_away() {
    let (silent, black_hole) = (Sink::silent(), Sink::black_hole());
    for dsn in [closed_port_dsn(), silent.dsn(), black_hole.dsn()] {
        let spool = Folder::new();
        let timeout = Duration::from_secs(30);
        let program = subject("quiet").arg("well").spool(spool.path());

        let ended = program.dsn(&dsn).timeout(timeout).run().well();

        assert!(ended.told_time("end") < timeout / 2, "{ended:?}");
    }
}

#[test]
fn how_a_run_ended_that_nobody_took_is_told_by_the_next_start() {
    let sink = Sink::replying([Reply::StatusAndPause(503, 60)]);
    let spool = Folder::new();

    run_in(&spool, "quiet", "well", &sink).run().well();
    assert_eq!(sink.run_states(), []);
    run_in(&spool, "nothing", "", &sink).run().well();

    let states = sink.run_states();
    assert!(states.iter().all(|state| state.ended == Ended::Clean));
    let counts: Vec<u64> = states.iter().map(|state| counts(state)[0]).collect();
    assert_eq!(counts, [7, 0]);
}

/// Releases as the command lists them.
#[track_caller]
fn releases(collector: &Collector, words: &[&str]) -> Vec<Value> {
    let words = [&["releases"], words].concat();
    match collector.folder().json(&words) {
        Value::Array(releases) => releases,
        other => panic!("a list is expected: {other}"),
    }
}

#[test]
fn releases_show_their_crash_free_runs_and_users() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    let spool = Folder::new();
    let run = |release: &str, how: &str| {
        let program = subject("busy").arg(how).spool(spool.path()).dsn(&shop.dsn);
        program.env("SUBJECT_RELEASE", release).run()
    };

    run("shop@1.0.0", "well").well();
    run("shop@1.0.0", "kill").by_kill();
    run("shop@1.1.0", "panic").with_code(101);
    run("shop@1.1.0", "well").well();
    run("shop@1.1.0", "well").well();
    run("shop@1.1.0", "well").well();

    let found = releases(&collector, &["--project", "shop"]);
    let names: Vec<_> = found.iter().map(|it| &it["release"]).collect();
    assert_eq!(names, ["shop@1.1.0", "shop@1.0.0"], "the newest first");
    let [new, old] = &found[..] else {
        panic!("two are expected")
    };
    assert_eq!(new["crash_free_runs"], 0.75);
    assert_eq!(old["crash_free_runs"], 1.0, "a kill is no crash");
    let ends = |release: &Value, ends: [&str; 4]| ends.map(|end| release["runs"][end].as_u64());
    let ends = |release| ends(release, ["total", "clean", "panicked", "killed"]);
    assert_eq!(ends(new), [Some(4), Some(3), Some(1), Some(0)]);
    assert_eq!(ends(old), [Some(2), Some(1), Some(0), Some(1)]);
    assert_eq!(
        (&new["users"], &new["users_panicked"]),
        (&5.into(), &1.into())
    );
    assert_eq!(new["crash_free_users"], 0.8);
    assert_eq!(
        (&old["roots"], &old["roots_failed"]),
        (&20.into(), &6.into())
    );
    assert_eq!(
        (&new["roots"], &new["roots_failed"]),
        (&40.into(), &12.into())
    );
    assert_eq!(old["environment"], "test");
    assert!(old["new_issues"].as_u64() > new["new_issues"].as_u64());
}

#[test]
fn news_of_runs_that_come_twice_or_in_another_order_count_once() {
    // What an SDK sends, caught on its way.
    let sink = Sink::open();
    let spool = Folder::new();
    run_in(&spool, "busy", "kill", &sink).run().by_kill();
    run_in(&spool, "busy", "well", &sink).run().well();
    let bodies: Vec<Vec<u8>> = {
        let received = sink.received();
        received.iter().map(|it| it.request.body.clone()).collect()
    };
    assert!(bodies.len() >= 2, "{} batches", bodies.len());
    let collector = Collector::start();
    let told = |name: &str, bodies: Vec<&Vec<u8>>| {
        let project = collector.create_project(name);
        for body in bodies {
            let request = Request::batch(&project.key, body);
            assert_eq!(collector.client().ask(&request).status, 200);
        }
        let mut releases = releases(&collector, &["--project", name]);
        assert_eq!(releases.len(), 1);
        let mut release = releases.remove(0);
        for name in ["project", "project_name"] {
            release[name] = Value::Null;
        }
        release
    };

    let once = told("once", bodies.iter().collect());
    let twice = told("twice", bodies.iter().chain(&bodies).collect());
    let backwards = told("backwards", bodies.iter().rev().collect());

    assert_eq!(once["runs"]["total"], 2);
    assert_eq!(once["roots"], 20);
    assert_eq!(twice, once);
    assert_eq!(backwards, once);
}

#[test]
fn releases_of_a_project_that_is_not_there_are_not_found() {
    let collector = Collector::start();
    let words = ["releases", "--project", "nobody"];

    let missing = collector.folder().command(&words).run();

    assert!(missing.stderr.contains("nobody"), "{missing:?}");
    missing.with_code(3);
    let nothing = collector.folder().command(&["releases"]).run().well();
    assert!(nothing.stdout.contains("no run"), "{nothing:?}");
    assert_eq!(releases(&collector, &[]), [] as [Value; 0]);
    let wrong = collector.folder().command(&["releases", "--days", "0"]);
    wrong.run().with_code(2);
}
