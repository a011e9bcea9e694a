//! Bad input is refused with its reason, costs its neighbors nothing, and bounded memory.

use serde_json::{Value, json};

use bugsage_core::batch::{HEADER_BYTES, Sealed};
use bugsage_core::limits;

use crate::support::client::{Answer, Client, Request};
use crate::support::collector::{Collector, Project};
use crate::support::events::{EventBuilder, Forgery, content, items, kind, mixed, seal};

/// A collector with one issue, which no refusal may change.
struct Scene {
    collector: Collector,
    project: Project,
}

impl Scene {
    fn new() -> Self {
        let collector = Collector::start();
        let project = collector.create_project("shop");
        let batch = EventBuilder::panic("price").seal();
        assert_eq!(collector.send(&project, &batch).taken(), (1, 0));
        Self { collector, project }
    }

    fn send(&self, body: &[u8]) -> Answer {
        self.collector.client().send(&self.project.key, body)
    }

    fn ask(&self, change: impl FnOnce(Request) -> Request) -> Answer {
        let request = Request::batch(&self.project.key, &batch().bytes);
        self.collector.client().ask(&change(request))
    }

    /// Checks that nothing came in, and that good batches still do.
    #[track_caller]
    fn is_unharmed(&self) {
        assert_eq!(self.collector.folder().only_issue()["events"], 1);
        assert_eq!(self.collector.send(&self.project, &batch()).taken(), (1, 0));
        assert_eq!(self.collector.folder().only_issue()["events"], 2);
    }
}

fn batch() -> Sealed {
    EventBuilder::panic("price").seal()
}

#[test]
fn a_body_that_is_cut_off_is_refused_wherever_it_ends() {
    let scene = Scene::new();
    let body = batch().bytes;

    let empty = scene.send(&[]).error(400, "truncated");
    assert_eq!((&empty["limit"], &empty["value"]), (&json!(30), &json!(0)));
    for end in [1, 4, 6, HEADER_BYTES - 1] {
        scene.send(&body[..end]).error(400, "truncated");
    }
    for end in [HEADER_BYTES, body.len() / 2, body.len() - 1] {
        scene.send(&body[..end]).error(400, "checksum");
    }
    scene
        .send(&[&body[..], b"more"].concat())
        .error(400, "checksum");

    scene.is_unharmed();
}

#[test]
fn a_bit_that_flipped_anywhere_is_noticed() {
    let scene = Scene::new();
    let body = batch().bytes;
    let mut client = scene.collector.client();

    for at in 0..body.len() {
        let mut flipped = body.clone();
        flipped[at] ^= 1 << (mixed(at as u64) % 8);
        let answer = client.send(&scene.project.key, &flipped);
        match at {
            0..4 => answer.error(400, "not_a_batch"),
            4..6 => answer.error(415, "unsupported_version"),
            _ => answer.error(400, "checksum"),
        };
    }

    scene.is_unharmed();
}

#[test]
fn a_header_that_lies_is_refused_with_its_lie() {
    let scene = Scene::new();
    let content = content(&items(&batch().bytes));
    let lie = |change: fn(&mut Forgery)| {
        let mut forgery = Forgery::of(&content);
        change(&mut forgery);
        scene.send(&forgery.seal())
    };

    lie(|forgery| forgery.inflated_bytes += 1).error(400, "inflate");
    lie(|forgery| forgery.inflated_bytes -= 1).error(400, "inflate");
    lie(|forgery| forgery.inflated_bytes = 0).error(400, "inflate");
    let huge = lie(|forgery| forgery.inflated_bytes = u32::MAX).error(413, "inflated_too_large");
    assert_eq!(huge["limit"], limits::BATCH_INFLATED_BYTES_MAX);
    assert_eq!(huge["value"], u32::MAX);
    let newer = lie(|forgery| forgery.version = 2).error(415, "unsupported_version");
    assert_eq!((&newer["limit"], &newer["value"]), (&json!(1), &json!(2)));

    scene.is_unharmed();
}

#[test]
fn a_bomb_is_refused_and_inflated_no_further_than_it_may() {
    let scene = Scene::new();
    let zeros = vec![0; 3 * limits::BATCH_INFLATED_BYTES_MAX];
    let mut bomb = Forgery::of(&zeros);
    assert!(bomb.seal().len() < 200 << 10, "it is a bomb");

    bomb.inflated_bytes = 1_000;
    scene.send(&bomb.seal()).error(400, "inflate");
    bomb.inflated_bytes = limits::BATCH_INFLATED_BYTES_MAX as u32;
    scene.send(&bomb.seal()).error(400, "inflate");
    bomb.inflated_bytes = zeros.len() as u32;
    scene.send(&bomb.seal()).error(413, "inflated_too_large");
    let many = Forgery::of(&[kind::RUN, 0, 0, 0, 0].repeat(limits::BATCH_ITEMS_MAX + 1));
    scene.send(&many.seal()).error(413, "too_many_items");

    scene.is_unharmed();
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let scene = Scene::new();
    let size = limits::BATCH_BYTES_MAX + 1;

    // None of it is sent, so an answer shows that none of it was waited for.
    let announced = scene.ask(|request| {
        let request = request.header("content-length", &size.to_string());
        request.head_alone()
    });
    let error = announced.error(413, "too_large");
    assert_eq!(error["limit"], limits::BATCH_BYTES_MAX);
    assert_eq!(error["value"], size);
    let body = vec![0; size];
    let unannounced = Request::batch(&scene.project.key, &body).chunked();
    scene
        .collector
        .client()
        .ask(&unannounced)
        .error(413, "too_large");

    scene.is_unharmed();
}

#[test]
fn a_body_of_another_type_is_refused() {
    let scene = Scene::new();
    for content_type in ["application/json", "text/plain", "", "application/octet"] {
        scene
            .ask(|request| request.header("content-type", content_type))
            .error(415, "content_type");
    }
    scene
        .ask(|request| request.without("content-type"))
        .error(415, "content_type");
    for encoding in ["gzip", "deflate", "zstd"] {
        scene
            .ask(|request| request.header("content-encoding", encoding))
            .error(415, "content_encoding");
    }

    scene.is_unharmed();
}

#[test]
fn a_wrong_key_opens_nothing() {
    let scene = Scene::new();
    let missing = scene.ask(|request| request.without("authorization"));
    missing.error(401, "missing_key");
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    let key = &scene.project.key;
    for value in [
        format!("Basic {key}"),
        key.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {}", "k".repeat(10_000)),
    ] {
        scene
            .ask(|request| request.header("authorization", &value))
            .error(401, "missing_key");
    }
    for wrong in [
        format!("{key}x"),
        key[..key.len() - 1].to_owned(),
        key.to_uppercase(),
    ] {
        scene
            .ask(|request| request.header("authorization", &format!("Bearer {wrong}")))
            .error(401, "unknown_key");
    }

    scene.is_unharmed();
}

#[test]
fn a_dsn_whose_project_is_not_that_of_its_key_is_told() {
    let scene = Scene::new();

    for other in ["2", "", "1x"] {
        scene
            .ask(|request| request.header("bugsage-project", other))
            .error(403, "other_project");
    }

    let own = scene.ask(|request| request.header("bugsage-project", "1"));
    own.taken();
}

#[test]
fn a_bad_item_is_named_and_leaves_its_neighbors() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let events = ["a", "b", "c"].map(|name| EventBuilder::panic(name).build());
    let mut items = items(&seal(events).bytes);
    let is_event = |(kind, _): &(u8, Vec<u8>)| *kind == kind::EVENT;
    let first = items.iter().position(is_event).expect("has events");
    items[first + 1].1 = vec![0xff; 1_000];

    let answer = collector
        .client()
        .send(&project.key, &Forgery::of(&content(&items)).seal());

    assert_eq!(answer.taken(), (2, 0));
    let rejected = answer.json()["rejected"].clone();
    assert_eq!(rejected.as_array().map(Vec::len), Some(1), "{rejected}");
    assert_eq!(rejected[0]["index"], first + 1);
    assert_eq!(rejected[0]["reason"], "malformed");
    let culprits = collector.folder().issues();
    let culprits: Vec<&Value> = culprits.iter().map(|issue| &issue["culprit"]).collect();
    assert_eq!(culprits, ["shop::a::fail", "shop::c::fail"]);
}

#[test]
fn items_of_garbage_are_each_named() {
    let scene = Scene::new();
    // What a decoder that recurses would follow down: lengths and options, one in the other.
    for byte in [0x01, 0x7f, 0x80, 0xff] {
        let garbage: Vec<_> = (0..=9).map(|kind| (kind, vec![byte; 100_000])).collect();
        let answer = scene.send(&Forgery::of(&content(&garbage)).seal());
        assert_eq!(answer.taken(), (0, 0));
        let answer = answer.json();
        let rejected = answer["rejected"].as_array().expect("is a list");
        assert!(rejected.len() >= 6, "{byte:#x}: {answer}");
        assert!(rejected.iter().all(|item| item["reason"].is_string()));
    }
    let cut_off = [kind::EVENT, 0xff, 0xff, 0xff, 0x7f, 0];
    scene
        .send(&Forgery::of(&cut_off).seal())
        .error(400, "item_truncated");

    scene.is_unharmed();
}

#[test]
fn what_is_no_batch_request_is_told_so() {
    let collector = Collector::start();
    let mut client = collector.client();

    assert_eq!(client.get("/v1/batches").status, 405);
    assert_eq!(client.get("/v2/batches").status, 404);
    assert_eq!(Client::new(collector.address()).get("/healthz").status, 200);
}
