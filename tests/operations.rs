//! What the collector tells those who run it: metrics that are true, and readiness that is honest.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::support::client::{Client, Request};
use crate::support::collector::{Collector, Folder, wait_for};
use crate::support::events::{EventBuilder, Forgery, content, items, kind, seal};

/// Samples by name and labels, as they are written.
type Samples = BTreeMap<String, f64>;

/// Reads an exposition, and checks that it is one: each sample belongs to the family above it, which has
/// a type and a sentence, and nothing comes twice.
#[track_caller]
fn scrape(client: &mut Client) -> Samples {
    let answer = client.get("/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let body = answer.body.strip_suffix("# EOF\n").expect("ends so");
    let mut samples = Samples::new();
    let (mut families, mut family, mut is_counter) = (Vec::new(), "", false);
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split_once(' ').expect("has a sentence").0;
            assert!(!families.contains(&family), "{family} comes twice");
            families.push(family);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("has a type");
            assert_eq!(name, family);
            is_counter = kind == "counter";
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').expect("has a unit");
            assert!(name == family && name.ends_with(unit), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("has a value");
            let name = sample.split('{').next().unwrap_or_default();
            let suffix = name.strip_prefix(family).expect("belongs to its family");
            assert_eq!(suffix == "_total", is_counter, "{line}");
            let is_ours = name.starts_with("bugsage_") || name.starts_with("process_");
            assert!(is_ours, "{line}");
            let value = value.parse().expect("is a number");
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{line}");
        }
    }
    samples
}

/// The sum of all samples of a name.
fn sum(samples: &Samples, name: &str) -> f64 {
    let labeled = format!("{name}{{");
    let of_name = |sample: &&String| **sample == name || sample.starts_with(&labeled);
    let values = samples.iter().filter(|(sample, _)| of_name(sample));
    values.map(|(_, value)| value).sum()
}

#[test]
fn metrics_agree_with_the_ledger() {
    let collector = Collector::start();
    let shop = collector.create_project("shop");
    let bank = collector.create_project("bank");
    let mut client = collector.client();
    let event = EventBuilder::panic("price").count(5).build();
    let batch = seal([event.clone(), EventBuilder::panic("stock").build()]);
    let mut broken = items(&batch.bytes);
    let is_event = |(kind, _): &(u8, Vec<u8>)| *kind == kind::EVENT;
    let first = broken.iter().position(is_event).expect("has events");
    broken[first].1 = vec![0xff; 100];
    let broken = Forgery::of(&content(&broken)).seal();

    client.send(&shop.key, &batch.bytes).taken();
    client.send(&shop.key, &batch.bytes).taken();
    client.send(&shop.key, &seal([event]).bytes).taken();
    client.send(&bank.key, &broken).taken();
    for _ in 0..4 {
        let flood = seal((0..500).map(|_| EventBuilder::panic("price").build()));
        client.send(&bank.key, &flood.bytes).taken();
    }
    client
        .send("no-key", &batch.bytes)
        .error(401, "unknown_key");
    let plain = Request::batch(&shop.key, &batch.bytes).header("content-type", "text/plain");
    client.ask(&plain).error(415, "content_type");

    let samples = scrape(&mut client);
    let accounts = wait_for("the refusals", || {
        let accounts = collector.folder().json(&["ledger"]);
        let all = accounts.as_array().expect("is a list");
        let refused = all.iter().flat_map(|it| it["refused"].as_array());
        (refused.flatten().count() == 2).then(|| accounts.clone())
    });
    let mut lines = 0;
    for account in accounts.as_array().expect("is a list") {
        let Some(project) = account["project"].as_u64() else {
            continue;
        };
        let check = |outcome: &str, reason: &str, line: &Value| {
            for (metric, field) in [("events", "events"), ("reports", "reports")] {
                let sample = format!(
                    "bugsage_{metric}_total{{project=\"{project}\",outcome=\"{outcome}\",reason=\"{reason}\"}}"
                );
                let value = samples.get(&sample).copied();
                assert_eq!(value, line[field].as_f64(), "{sample}");
            }
        };
        check("received", "", &account["received"]);
        for line in account["outcomes"].as_array().expect("is a list") {
            let outcome = line["outcome"].as_str().expect("is text");
            check(outcome, line["reason"].as_str().unwrap_or(""), line);
            lines += 1;
        }
    }
    assert!(lines >= 6, "all outcomes of today: {accounts:#}");
    let refused = |reason: &str| {
        let labels = format!("outcome=\"refused\",reason=\"{reason}\"");
        samples
            .get(&format!("bugsage_ingest_requests_total{{{labels}}}"))
            .copied()
    };
    assert_eq!(
        (refused("unknown_key"), refused("content_type")),
        (Some(1.0), Some(1.0))
    );
    let taken = "bugsage_ingest_requests_total{outcome=\"accepted\",reason=\"\"}";
    assert_eq!(samples[taken], 8.0);
    assert_eq!(
        samples["bugsage_ingest_refused_bytes_total"],
        2.0 * batch.bytes.len() as f64
    );
}

#[test]
fn metrics_tell_of_every_stage() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let mut client = collector.client();
    client
        .send(&project.key, &EventBuilder::panic("price").seal().bytes)
        .taken();

    let samples = scrape(&mut client);

    for name in [
        "bugsage_ready",
        "bugsage_build_info",
        "bugsage_connections_open",
        "bugsage_connections_accepted_total",
        "bugsage_ingest_read_bytes_total",
        "bugsage_ingest_request_seconds_count",
        "bugsage_ingest_decode_seconds_count",
        "bugsage_ingest_group_seconds_count",
        "bugsage_writer_wait_seconds_count",
        "bugsage_writer_transactions_total",
        "bugsage_writer_batches_count",
        "bugsage_writer_commit_seconds_count",
        "bugsage_writer_commit_seconds_sum",
        "bugsage_store_database_bytes",
        "bugsage_store_log_bytes",
        "bugsage_store_pages",
        "bugsage_store_kept_bytes",
        "bugsage_store_schema_version",
        "bugsage_disk_free_bytes",
        "bugsage_sweep_step_seconds_count",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(sum(&samples, name) > 0.0, "{name} is not in {samples:#?}");
    }
    for name in [
        "bugsage_writer_queue",
        "bugsage_store_free_pages",
        "process_cpu_seconds_total",
    ] {
        assert!(samples.contains_key(name), "{name} is not in {samples:#?}");
    }
    let named = Request::get("/metrics").header("host", "bugsage.example");
    assert_eq!(client.ask(&named).status, 403, "to this machine alone");
}

/// The names of the checks that are bad, with the status that they lead to.
fn bad_checks(client: &mut Client) -> Vec<String> {
    let answer = client.get("/readyz");
    let readiness = answer.json();
    let checks = readiness["checks"].as_array().expect("is a list").iter();
    let bad = checks.filter(|check| check["ok"] == false);
    let bad: Vec<String> = bad
        .map(|it| it["name"].as_str().expect("is text").to_owned())
        .collect();
    assert_eq!(answer.status, if bad.is_empty() { 200 } else { 503 });
    assert_eq!(readiness["ready"], bad.is_empty());
    assert_eq!(readiness["reason"].is_null(), bad.is_empty());
    bad
}

#[test]
fn a_store_that_somebody_holds_turns_readiness_red_within_seconds_until_they_let_go() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = EventBuilder::panic("price").seal();
    let mut client = collector.client();
    wait_for("readiness", || {
        bad_checks(&mut client).is_empty().then_some(())
    });
    let file = collector.folder().data().join("bugsage.db");
    let holder = Connection::open(file).expect("can be opened");
    holder
        .execute_batch("begin immediate")
        .expect("nobody else holds it");

    let begun = Instant::now();
    thread::scope(|scope| {
        let sent = scope.spawn(|| collector.send(&project, &batch));
        wait_for("a red light", || {
            let bad = bad_checks(&mut client);
            bad.contains(&"queue".to_owned()).then_some(())
        });
        let red_after = begun.elapsed();
        assert!(red_after < Duration::from_secs(9), "{red_after:?}");
        assert_eq!(client.get("/healthz").status, 200);
        assert_eq!(scrape(&mut client)["bugsage_ready"], 0.0);
        let answer = sent.join().expect("does not panic");
        answer.error(503, "store_unavailable");
    });
    // Nothing is sent any more, and nothing is written: still red.
    assert!(!bad_checks(&mut client).is_empty());
    holder.execute_batch("rollback").expect("is held");

    wait_for("readiness", || {
        bad_checks(&mut client).is_empty().then_some(())
    });
    assert_eq!(collector.send(&project, &batch).taken(), (1, 0));
}

#[test]
fn a_disk_without_room_takes_no_batch_and_says_so() {
    let environment = [("BUGSAGE_LIMITS_DISK_FREE_BYTES", "1 PiB")];
    let collector = Collector::start_with(Folder::new(), &environment);
    let project = collector.create_project("shop");
    let mut client = collector.client();

    let refused = collector.send(&project, &EventBuilder::panic("price").seal());

    refused.error(429, "disk_low");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(bad_checks(&mut client), ["disk"]);
    let reason = client.get("/readyz").json()["reason"].to_string();
    assert!(reason.contains("limits.disk_free_bytes"), "{reason}");
    assert_eq!(client.get("/issues").status, 200, "reading goes on");
}

#[test]
fn a_store_that_a_newer_program_has_changed_turns_readiness_red() {
    let collector = Collector::start();
    let mut client = collector.client();
    let file = collector.folder().data().join("bugsage.db");
    let other = Connection::open(file).expect("can be opened");

    other
        .pragma_update(None, "user_version", 999)
        .expect("can be written");

    wait_for("a red light", || {
        (bad_checks(&mut client) == ["schema"]).then_some(())
    });
}

#[test]
fn the_doctor_says_what_to_do_about_each_thing_that_is_wrong() {
    let folder = Folder::new();
    fs::create_dir(folder.data()).expect("is not there yet");
    let data = folder.data();
    let set_mode = |mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&data, fs::Permissions::from_mode(mode)).expect("is ours");
    };
    set_mode(0o755);
    fs::write(
        data.join("bugsage.db"),
        "no database, but as long as a page of one".repeat(200),
    )
    .expect("can be written");
    fs::write(data.join("bugsage.toml"), "lisen = 1\n").expect("can be written");

    let ended = folder.command(&["doctor", "--json"]).run().with_code(1);

    let report: Value = serde_json::from_str(&ended.stdout).expect("is JSON");
    assert_eq!(report["ok"], false);
    let detail = |name: &str| {
        let findings = report["findings"].as_array().expect("is a list");
        let finding = findings
            .iter()
            .find(|it| it["name"] == name)
            .expect("is checked");
        assert_eq!(finding["ok"], false, "{finding}");
        finding["detail"].as_str().expect("is text").to_owned()
    };
    assert!(detail("data folder").contains("chmod 700"));
    assert!(detail("settings").contains("did you mean listen?"));
    assert!(
        detail("store").contains("restore it"),
        "{}",
        detail("store")
    );
}

#[test]
fn the_doctor_sees_a_clock_that_was_later_once() {
    let folder = Folder::new();
    folder.create_project("shop", None);
    let file = folder.data().join("bugsage.db");
    let tomorrow = file
        .metadata()
        .expect("is there")
        .modified()
        .expect("is known");
    let tomorrow = tomorrow + Duration::from_secs(86_400);
    let file = fs::File::options()
        .append(true)
        .open(&file)
        .expect("is ours");
    file.set_modified(tomorrow).expect("is ours");

    let ended = folder.command(&["doctor"]).run().with_code(1);

    assert!(ended.stdout.contains("BAD  clock"), "{ended:#?}");
    assert!(ended.stdout.contains("set the clock"), "{ended:#?}");
}
