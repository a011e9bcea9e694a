//! What was captured outlives the process, and arrives once.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bugsage_core::event::{Event, EventKind};

use crate::support::collector::{Collector, Folder};
use crate::support::program::{Ended, Program, aborting_subject, subject};
use crate::support::setting;
use crate::support::sink::{KEY, Reply, Sink, closed_port_dsn};
use crate::support::source;

/// Events and reports of one life that captures.
const EVENTS: usize = 4;
const REPORTS: u64 = 7;

fn life(scenario: &str, number: u32, spool: &Folder, dsn: &str) -> Program {
    let program = subject(scenario).spool(spool.path()).dsn(dsn);
    program.env("SUBJECT_LIFE", number.to_string())
}

/// A life that takes care of what the ones before it have left.
fn later_life(spool: &Folder, dsn: &str) -> Ended {
    life("nothing", 0, spool, dsn).run().well()
}

/// Checks that every report of these lives arrived, and arrived once.
#[track_caller]
fn all_arrived(sink: &Sink, lives: impl IntoIterator<Item = u32>) -> Vec<Event> {
    let events = sink.events();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for event in &events {
        *counts.entry(event.message.to_string()).or_default() += event.count;
    }
    let lives: Vec<u32> = lives.into_iter().collect();
    for life in &lives {
        for number in 0..3 {
            let message = format!("message {number} of life {life}");
            assert_eq!(counts.remove(&message), Some(2), "{message}");
        }
    }
    let panics: u64 = counts.values().sum();
    assert_eq!(panics, lives.len() as u64, "{counts:?}");
    assert_eq!(events.len(), lives.len() * EVENTS);
    events
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("is a folder") {
        let path = entry.expect("can be read").path();
        if fs::symlink_metadata(&path).expect("is there").is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn named<'a>(files: &'a [PathBuf], name: &str) -> &'a PathBuf {
    let mut found = files.iter().filter(|file| file.ends_with(name));
    found.next().expect("is there")
}

/// The folders of runs in a spool: they lie below the one of the DSN.
fn runs(spool: &Folder) -> Vec<PathBuf> {
    let homes = fs::read_dir(spool.path()).expect("is a folder");
    let homes = homes.map(|home| home.expect("can be read").path());
    let runs = homes.flat_map(|home| fs::read_dir(home).expect("is a folder"));
    let runs = runs.map(|run| run.expect("can be read").path());
    runs.filter(|run| run.is_dir()).collect()
}

#[test]
fn what_was_captured_survives_kill_9_at_the_next_moment() {
    let kills = setting("STORY_KILLS", 30) as u32;
    let sink = Sink::open();
    let spool = Folder::new();

    for number in 1..=kills {
        let dying = life("die", number, &spool, &sink.dsn()).arg("kill");
        dying.run().by_kill();
    }
    // One is enough for hundreds, unless the machine is busy.
    while !runs(&spool).is_empty() {
        let before = sink.events().len();
        later_life(&spool, &sink.dsn());
        assert!(sink.events().len() > before, "it gets on");
    }

    all_arrived(&sink, 1..=kills);
    assert_eq!(sink.losses(), None);
    assert_eq!(runs(&spool), [] as [PathBuf; 0], "nothing is left");
}

/// Ten minutes where `STORY_OFFLINE_SECONDS` says 600: `cargo xtask prove offline`.
#[test]
fn a_load_without_a_network_arrives_in_order_and_once_after_the_restart() {
    let seconds = setting("STORY_OFFLINE_SECONDS", 2);
    let (sink, spool) = (Sink::open(), Folder::new());
    // One address for both lives, which only the second can reach: through a proxy.
    let life = |scenario, proxy: String| {
        let program = subject(scenario).spool(spool.path());
        let program = program.dsn(format!("http://{KEY}@collector.invalid:4100/1"));
        program.env("HTTP_PROXY", proxy)
    };
    let nobody = closed_port_dsn()
        .replace(&format!("{KEY}@"), "")
        .replace("/1", "");
    let loaded = life("load", nobody).spawn();
    std::thread::sleep(Duration::from_secs(seconds));
    loaded.kill();

    while !runs(&spool).is_empty() {
        life("nothing", sink.address()).run().well();
    }

    let events = sink.events();
    let numbers: Vec<u64> = events
        .iter()
        .map(|event| event.message.strip_prefix("load ").expect("is load"))
        .map(|number| number.parse().expect("is a number"))
        .collect();
    let lost = sink.losses().map_or(0, |losses| {
        losses.dropped.iter().map(|(_, n)| n).sum::<u64>()
    });
    // A second for the start of a busy machine.
    assert!(
        numbers.len() as u64 + lost >= (seconds - 1) * 500,
        "{} and {lost}",
        numbers.len()
    );
    assert_eq!(lost, 0, "the cap was not reached: {:?}", sink.losses());
    let all: Vec<u64> = (0..numbers.len() as u64).collect();
    assert!(numbers == all, "each once, in order: {numbers:?}");
}

#[test]
fn what_was_captured_survives_exit_and_abort() {
    let sink = Sink::open();
    let spool = Folder::new();

    let exiting = life("die", 1, &spool, &sink.dsn()).arg("exit");
    exiting.run().with_code(3);
    let aborting = life("die", 2, &spool, &sink.dsn()).arg("abort");
    aborting.run().by_abort();
    later_life(&spool, &sink.dsn());

    all_arrived(&sink, 1..=2);
}

#[test]
fn a_recovered_report_is_what_it_would_have_been() {
    let sink = Sink::open();
    let spool = Folder::new();

    let dying = life("die", 1, &spool, &sink.dsn()).arg("kill").spawn();
    dying.wait().by_kill();
    let later = life("nothing", 0, &spool, &sink.dsn()).env("BUGSAGE_RELEASE", "other@2");
    later.run().well();

    let events = all_arrived(&sink, [1]);
    let of_kind = |kind| events.iter().find(move |event| event.kind == kind);
    let panic = of_kind(EventKind::Panic).expect("arrived");
    source::in_panics("pick").is(panic.location.as_ref());
    let stack = panic.stack.as_ref().expect("a stack was taken");
    source::in_panics("pick").is_called(&stack.frames[0], "panics::pick");
    assert_eq!(panic.run.release.as_deref(), Some("subject@1.2.3+0a1b2c3d"));
    assert_eq!(panic.run.environment.as_deref(), Some("test"));
    assert!(panic.run.started_at <= panic.first_at);
    let context = |name: &str| panic.contexts.iter().any(|(key, _)| &**key == name);
    assert!(context("process.pid") && context("os.name"), "{panic:#?}");
    let message = of_kind(EventKind::Log).expect("arrived");
    assert_eq!((message.count, message.deltas_us.len()), (2, 1));
}

#[test]
fn a_dead_network_is_outlived() {
    let sink = Sink::replying([Reply::Status(503); 6]);
    let spool = Folder::new();

    let offline = life("die", 1, &spool, &sink.dsn()).arg("finish");
    let ended = offline.timeout(Duration::from_millis(300)).run().well();
    let account = ended.account("account");
    assert_eq!((account.produced, account.spooled), (REPORTS, REPORTS));
    later_life(&spool, &sink.dsn());

    all_arrived(&sink, [1]);
    let received = sink.received();
    let first = &received[0].request.body;
    let mut with_events = received.iter().filter(|it| !it.batch().events.is_empty());
    assert!(
        with_events.all(|again| again.request.body == *first),
        "what was sealed comes again unchanged"
    );
}

#[test]
fn a_crash_loop_at_start_delivers_once_the_network_is_back() {
    let sink = Sink::replying([Reply::Status(503); 3]);
    let spool = Folder::new();

    for number in 1..=5 {
        let dying = aborting_subject("die").arg("panic").spool(spool.path());
        let dying = dying
            .dsn(sink.dsn())
            .env("SUBJECT_LIFE", number.to_string());
        let dying = dying.timeout(Duration::from_millis(50));
        dying.run().by_abort();
    }
    later_life(&spool, &sink.dsn());

    let messages = sink.events().into_iter().map(|event| event.message);
    let ends = messages.filter(|message| message.starts_with("the end of life"));
    assert_eq!(
        ends.count(),
        0,
        "a build that aborts dies in its first panic"
    );
    let events = sink.events();
    let once = |number: u32| {
        let message = format!("message 0 of life {number}");
        let same = events.iter().filter(|event| *event.message == *message);
        same.map(|event| event.count).sum::<u64>()
    };
    assert_eq!((1..=5).map(once).collect::<Vec<_>>(), [2; 5]);
}

#[test]
fn processes_share_a_folder_and_leave_each_other_alone() {
    let sink = Sink::open();
    let silent = Sink::silent();
    let spool = Folder::new();

    let living = life("linger", 1, &spool, &silent.dsn()).spawn();
    living.wait_for_stderr("lingers");
    let finishing = life("die", 2, &spool, &silent.dsn()).arg("finish");
    let ended = finishing.timeout(Duration::from_millis(200)).run().well();
    let both = runs(&spool).len();
    living.kill();
    later_life(&spool, &sink.dsn());

    assert_eq!(ended.account("account").spooled, REPORTS);
    assert_eq!(both, 2, "who lives is left alone");
    assert_eq!(
        sink.reports(),
        0,
        "what is for one collector is not for another"
    );
    assert_eq!(runs(&spool).len(), 2);
}

#[test]
fn a_clean_exit_leaves_nothing_but_how_it_ended() {
    let sink = Sink::open();
    let spool = Folder::new();

    let finishing = life("die", 1, &spool, &sink.dsn()).arg("finish");
    let ended = finishing.run().well();

    assert_eq!(ended.account("account").delivered, REPORTS);
    let left = files(spool.path());
    assert_eq!((runs(&spool).len(), left.len()), (0, 1), "{left:?}");
}

#[test]
fn the_app_can_ask_how_its_last_run_ended() {
    let sink = Sink::open();
    let spool = Folder::new();
    let asked = || {
        let ended = life("last_run", 0, &spool, &sink.dsn()).run().well();
        let told = ended.told("last run").to_owned();
        told.split_whitespace().next().unwrap_or("").to_owned()
    };

    assert_eq!(asked(), "none");
    assert_eq!(asked(), "Clean");
    let dying = life("die", 1, &spool, &sink.dsn()).arg("kill");
    dying.run().by_kill();
    assert_eq!(asked(), "Killed");
    let panicking = life("die", 2, &spool, &sink.dsn()).arg("panic");
    panicking.run().with_code(101);
    assert_eq!(asked(), "Panicked");
}

#[test]
fn a_filter_sees_what_was_recovered_and_its_losses_are_told() {
    let sink = Sink::open();
    let spool = Folder::new();

    let dying = life("die", 1, &spool, &sink.dsn()).arg("kill");
    dying.run().by_kill();
    let filtering = life("drop_recovered", 2, &spool, &sink.dsn());
    filtering.run().well();

    let event = sink.only_event();
    assert_eq!(&*event.message, "message 1 of life 1");
    let losses = sink.losses().expect("the collector is told");
    assert_eq!((losses.run, losses.produced), (event.run.id, REPORTS));
    assert_eq!(losses.dropped, [("before_send".into(), 5)]);
}

#[test]
fn secrets_lie_in_a_file_of_this_user_and_are_not_sent() {
    let sink = Sink::open();
    let spool = Folder::new();

    let dying = life("secret_and_die", 1, &spool, &sink.dsn());
    dying.run().with_code(3);
    let raw = files(spool.path());
    let modes = raw
        .iter()
        .map(|file| fs::metadata(file).expect("is there").mode() & 0o777);
    let modes: Vec<u32> = modes.collect();
    let folder = runs(&spool)[0].metadata().expect("is there").mode() & 0o777;
    later_life(&spool, &sink.dsn());

    assert!(modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
    assert_eq!(folder, 0o700);
    let event = sink.only_event();
    assert!(event.message.contains("cannot log in"), "{event:?}");
    let plain = sink.plain_bytes();
    assert!(!plain.windows(10).any(|window| window == b"hunter2abc"));
}

#[test]
fn a_damaged_record_is_counted_and_costs_its_neighbors_nothing() {
    let sink = Sink::open();
    let spool = Folder::new();
    let dying = life("die", 1, &spool, &sink.dsn()).arg("kill");
    dying.run().by_kill();

    let records = named(&files(spool.path()), "records").clone();
    let mut bytes = fs::read(&records).expect("can be read");
    let text = b"message 1 of life 1";
    let mut windows = bytes.windows(text.len());
    let at = windows.position(|window| window == text).expect("is there");
    bytes[at] ^= 1;
    fs::write(&records, bytes).expect("can be written");
    later_life(&spool, &sink.dsn());

    assert_eq!(
        (sink.events().len(), sink.reports()),
        (EVENTS - 1, REPORTS - 2)
    );
    let losses = sink.losses().expect("the collector is told");
    assert_eq!(losses.produced, REPORTS);
    assert_eq!(losses.dropped, [("spool_corrupt".into(), 2)]);
}

#[test]
fn whatever_lies_in_the_folder_harms_nobody() {
    let sink = Sink::open();
    let spool = Folder::new();
    let precious = Folder::new();
    fs::write(precious.path().join("file"), "precious").expect("can be written");
    for number in 1..=6 {
        let dying = life("die", number, &spool, &sink.dsn()).arg("kill");
        dying
            .env("BUGSAGE_DSN", "http://k@127.0.0.1:1/1")
            .run()
            .by_kill();
    }
    let runs = runs(&spool);
    let [short, empty, link, pipe, huge, batch] = &runs[..] else {
        panic!("each life has left a run: {runs:?}");
    };
    let cut = |run: &Path, length| {
        let file = fs::OpenOptions::new().write(true).open(run.join("records"));
        file.and_then(|file| file.set_len(length))
            .expect("can be cut");
    };
    cut(short, 100_000);
    cut(empty, 0);
    cut(huge, 1 << 40);
    fs::remove_file(link.join("records")).expect("was there");
    symlink(precious.path().join("file"), link.join("records")).expect("can be made");
    fs::remove_file(pipe.join("records")).expect("was there");
    fs::create_dir(pipe.join("records")).expect("can be made");
    fs::write(batch.join("0000000000000001.batch"), "no batch").expect("can be written");
    fs::write(batch.join("stranger"), "stranger").expect("can be written");
    let home = batch.parent().expect("lies in a folder");
    symlink(
        precious.path(),
        home.join("00000000-0000-7000-8000-000000000000"),
    )
    .expect("can be");
    fs::write(home.join("00000000-0000-7000-8000-000000000001"), "").expect("can be written");

    let later = life("die", 9, &spool, "http://k@127.0.0.1:1/1").arg("finish");
    let ended = later.timeout(Duration::from_millis(500)).run().well();

    assert_eq!(ended.account("account").spooled, REPORTS);
    let kept = fs::read_to_string(precious.path().join("file")).expect("is there");
    assert_eq!(kept, "precious");
    assert!(batch.join("stranger").exists());
}

#[test]
fn a_folder_that_cannot_be_trusted_is_not_used_and_costs_one_warning() {
    let outer = Folder::new();
    let open = outer.path().join("open");
    fs::create_dir(&open).expect("can be made");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("is ours");
    let link = outer.path().join("link");
    symlink(&open, &link).expect("can be made");
    let file = outer.path().join("file");
    fs::write(&file, "").expect("can be written");
    let below_a_file = file.join("spool");

    for folder in [&open, &link, &file, &below_a_file] {
        let sink = Sink::open();
        let ended = subject("messages")
            .arg("3")
            .spool(folder)
            .dsn(sink.dsn())
            .run()
            .well();

        assert_eq!(ended.account("account").delivered, 3);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert!(ended.stderr.contains("there is no spool"), "{ended:?}");
    }
    assert_eq!(files(outer.path()), [file, link]);
}

#[test]
fn a_disk_without_room_costs_one_warning_and_no_signal() {
    let sink = Sink::open();

    let program = subject("messages").arg("100").with_file_limit(2_000);
    let ended = program.dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("account").delivered, 100);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("there is no spool"), "{ended:?}");
}

#[test]
fn a_spool_that_is_switched_off_writes_nothing() {
    let sink = Sink::open();
    let home = Folder::new();

    let program = subject("messages").arg("3").env("BUGSAGE_SPOOL_DIR", "off");
    let program = program.env("XDG_STATE_HOME", home.path());
    let ended = program.dsn(sink.dsn()).run().well();

    assert_eq!(ended.account("account").delivered, 3);
    assert_eq!(ended.stderr, "");
    assert_eq!(files(home.path()), [] as [PathBuf; 0]);
}

#[test]
fn the_collector_counts_what_was_recovered_once() {
    let collector = Collector::start();
    let project = collector.create_project("subject");
    let spool = Folder::new();

    for number in 1..=3 {
        let dying = life("die", number, &spool, &project.dsn).arg("kill");
        dying.run().by_kill();
    }
    later_life(&spool, &project.dsn);

    let issues = collector.folder().issues();
    let events = issues.iter().filter_map(|issue| issue["events"].as_u64());
    assert_eq!(events.sum::<u64>(), 3 * REPORTS, "{issues:#?}");
}
