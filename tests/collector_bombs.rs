//! Batches that are small on the wire and large behind it, and requests that lie: each gets its answer, and
//! takes little memory and little time of a processor.
//!
//! Each is sent to a collector of its own, and what that took is read from `/proc`. The table that is
//! printed has the figures; `cargo xtask prove bombs` makes it with optimization.

use std::io::{BufReader, Write};
use std::thread;
use std::time::{Duration, Instant};

use bugsage_core::batch::HEADER_BYTES;
use bugsage_core::limits;
use flate2::{Compress, Compression, FlushCompress};

use crate::support::client::{Answer, Request, read_answer};
use crate::support::collector::{Collector, Project, collector_profile};
use crate::support::events::{EventBuilder, Forgery, content, kind, unique};
use crate::support::setting;
use crate::support::worst::{self, Batch, message, tagged_event};

/// What one request may take, in KiB and in milliseconds of a processor. Far more than it does, for test
/// machines differ: what was measured is in the table.
fn bounds() -> (u64, u64) {
    match collector_profile().as_str() {
        "dev" => (64 << 10, 30_000),
        _ => (32 << 10, 3_000),
    }
}

/// What the collector is expected to make of a request.
enum Expected {
    /// An error of ours.
    Refused(u16, &'static str),
    /// The HTTP library turns it away, in one of these ways.
    NoRequest(&'static [u16]),
    /// So many events and bad items, together; the rest of the items is no event.
    Taken(u64),
}

use Expected::{NoRequest, Refused, Taken};

struct Case {
    name: &'static str,
    request: Vec<u8>,
    expected: Expected,
}

/// A collector that has seen one good batch, so that it has what any has.
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

    /// Sends bytes, and tells the answer, the memory in KiB and the milliseconds that it took.
    fn measure(&self, bytes: &[u8]) -> (Answer, u64, u64) {
        self.collector.forget_peak();
        let before_kib = self.collector.memory_kib("VmRSS:");
        let before_ms = self.collector.cpu_ms();
        let mut stream = self.collector.client().connect().expect("is accepted");
        // It may be turned away before all of it was sent.
        let _ = stream.write_all(bytes);
        let answer = read_answer(&mut BufReader::new(stream)).expect("is answered");
        let cpu_ms = self.collector.cpu_ms() - before_ms;
        let peak_kib = self.collector.memory_kib("VmHWM:");
        (answer, peak_kib.saturating_sub(before_kib), cpu_ms)
    }
}

/// Sends each of them alone, or each fourth where `STORY_BOMBS_STRIDE` does not say 1, prints what it took, and checks its answer.
fn run(cases: Vec<fn(&Request) -> Case>) {
    let (kib_max, cpu_ms_max) = bounds();
    let mut too_much = Vec::new();
    println!(
        "{:<46} {:>9} {:>9} {:>8}  answer",
        "request", "bytes", "KiB", "CPU ms"
    );
    let stride = setting("STORY_BOMBS_STRIDE", 4) as usize;
    for case in cases.into_iter().step_by(stride) {
        let scene = Scene::new();
        let Case {
            name,
            request,
            expected,
        } = case(&Request::batch(&scene.project.key, &[]));
        let (answer, kib, cpu_ms) = scene.measure(&request);
        let said = match expected {
            Refused(status, code) => {
                let error = answer.error(status, code);
                assert_eq!(scene.collector.folder().only_issue()["events"], 1);
                format!("{status} {}", error["code"].as_str().unwrap_or_default())
            }
            NoRequest(statuses) => {
                assert!(statuses.contains(&answer.status), "{name}: {answer:?}");
                answer.status.to_string()
            }
            Taken(expected) => {
                let (accepted, duplicate) = answer.taken();
                let rejected = answer.json()["rejected"].as_array().map_or(0, Vec::len);
                let accounted = accepted + duplicate + rejected as u64;
                assert_eq!(accounted, expected, "{name}");
                format!("200, {accepted} accepted, {rejected} rejected")
            }
        };
        println!(
            "{name:<46} {:>9} {kib:>9} {cpu_ms:>8}  {said}",
            request.len()
        );
        if kib > kib_max || cpu_ms > cpu_ms_max {
            too_much.push(format!("{name}: {kib} KiB, {cpu_ms} ms"));
        }
        // Whatever it was, the next good batch is taken.
        let batch = EventBuilder::panic("price").seal();
        assert_eq!(scene.collector.send(&scene.project, &batch).taken(), (1, 0));
    }
    assert!(too_much.is_empty(), "{too_much:#?}");
}

/// A request with a body, made from one without.
fn with_body(request: &Request, name: &'static str, body: &[u8], expected: Expected) -> Case {
    Case {
        name,
        request: request.with_body(body).to_bytes(HOST).0,
        expected,
    }
}

const HOST: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Deflate of zeros that says something else about itself.
fn zeros(n: usize, declared: usize) -> Vec<u8> {
    let mut bomb = Forgery::of(&vec![0; n]);
    bomb.inflated_bytes = declared as u32;
    bomb.seal()
}

#[test]
fn a_bomb_gets_its_reason_and_costs_little() {
    const MAX: usize = limits::BATCH_INFLATED_BYTES_MAX;
    run(vec![
        |it| {
            with_body(
                it,
                "24 MiB of zeros as 1,000 bytes",
                &zeros(3 * MAX, 1_000),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "24 MiB of zeros as 8 MiB",
                &zeros(3 * MAX, MAX),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "24 MiB of zeros",
                &zeros(3 * MAX, 3 * MAX),
                Refused(413, "inflated_too_large"),
            )
        },
        |it| {
            with_body(
                it,
                "8 MiB of zeros",
                &zeros(MAX, MAX),
                Refused(413, "too_many_items"),
            )
        },
        |it| {
            with_body(
                it,
                "1 GiB of zeros, as far as 1 MiB holds it",
                &gigabyte(),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "a batch in a batch in a batch",
                &nested(),
                Refused(400, "item_truncated"),
            )
        },
        |it| {
            with_body(
                it,
                "two streams, one behind the other",
                &members(),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "a stream with 1 MiB behind it",
                &trailing(),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "1 MiB of empty stored blocks",
                &stored_blocks(),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "1 MiB of blocks with a code and nothing else",
                &code_blocks(),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "1 MiB that is no deflate",
                &noise(),
                Refused(400, "inflate"),
            )
        },
    ]);
}

/// More zeros than a batch may hold, as many as fit into a body.
fn gigabyte() -> Vec<u8> {
    let mut deflated = Vec::with_capacity(limits::BATCH_BYTES_MAX);
    let mut compress = Compress::new(Compression::best(), false);
    let zeros = vec![0; 1 << 20];
    while deflated.len() + (64 << 10) < limits::BATCH_BYTES_MAX {
        compress
            .compress_vec(&zeros, &mut deflated, FlushCompress::Sync)
            .expect("there is room");
    }
    Forgery::raw(limits::BATCH_INFLATED_BYTES_MAX, deflated).seal()
}

fn nested() -> Vec<u8> {
    let inner = zeros(
        limits::BATCH_INFLATED_BYTES_MAX,
        limits::BATCH_INFLATED_BYTES_MAX,
    );
    Forgery::of(&Forgery::of(&inner).seal()).seal()
}

fn members() -> Vec<u8> {
    let batch = EventBuilder::panic("price").seal().bytes;
    let stream = &batch[HEADER_BYTES..];
    let declared = u32::from_le_bytes([batch[22], batch[23], batch[24], batch[25]]);
    Forgery::raw(declared as usize, [stream, stream].concat()).seal()
}

fn trailing() -> Vec<u8> {
    let batch = EventBuilder::panic("price").seal().bytes;
    let declared = u32::from_le_bytes([batch[22], batch[23], batch[24], batch[25]]);
    let mut stream = batch[HEADER_BYTES..].to_vec();
    stream.resize(limits::BATCH_BYTES_MAX - HEADER_BYTES, 0);
    Forgery::raw(declared as usize, stream).seal()
}

/// Blocks of nothing: no length, and its complement.
fn stored_blocks() -> Vec<u8> {
    let n = (limits::BATCH_BYTES_MAX - HEADER_BYTES) / 5;
    Forgery::raw(1, [0, 0, 0, 0xff, 0xff].repeat(n)).seal()
}

/// Blocks that each tell a code of their own and end at once: what costs a decoder most for a byte.
fn code_blocks() -> Vec<u8> {
    let mut bits = Bits::default();
    while bits.bytes.len() + 16 < limits::BATCH_BYTES_MAX - HEADER_BYTES {
        // Not the last, dynamic; 257 literals, one distance, 18 lengths of the code for lengths.
        bits.put(0, 1).put(2, 2).put(0, 5).put(0, 5).put(14, 4);
        for at in 0..18 {
            // One bit for "many zeros", one for "a length of 1", which stand third and last here.
            bits.put(u32::from(at == 2 || at == 17), 3);
        }
        // "A length of 1" is 0 and "many zeros" is 1: 138 and 118 zeros, the end of the block, a distance.
        bits.put(1, 1)
            .put(127, 7)
            .put(1, 1)
            .put(107, 7)
            .put(0, 1)
            .put(0, 1);
        // The end of the block.
        bits.put(0, 1);
    }
    Forgery::raw(1, bits.bytes).seal()
}

fn noise() -> Vec<u8> {
    let noise = (0..(1 << 16) - 2).flat_map(|_| unique()).collect();
    Forgery::raw(limits::BATCH_INFLATED_BYTES_MAX, noise).seal()
}

/// Bits as deflate has them: the lowest of a byte first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, n: u32) -> &mut Self {
        for at in 0..n {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = ((value >> at) & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (self.used % 8);
            }
            self.used += 1;
        }
        self
    }
}

#[test]
fn a_lie_about_a_length_gets_its_reason_and_costs_little() {
    run(vec![
        |it| {
            with_body(
                it,
                "a header that says 4 GiB",
                &zeros(1_000, u32::MAX as usize),
                Refused(413, "inflated_too_large"),
            )
        },
        |it| {
            with_body(
                it,
                "a header that says 8 MiB of 1,000 bytes",
                &zeros(1_000, 8 << 20),
                Refused(400, "inflate"),
            )
        },
        |it| {
            with_body(
                it,
                "an item that says 4 GiB",
                &lying_item(),
                Refused(400, "item_truncated"),
            )
        },
        |it| {
            with_body(
                it,
                "dictionaries that say 2^64 entries",
                &lying_dictionaries(),
                Taken(5),
            )
        },
        |it| {
            with_body(
                it,
                "16,000 events that say 2^64 of everything",
                &lying_events(),
                Taken(16_000),
            )
        },
    ]);
}

fn lying_item() -> Vec<u8> {
    Forgery::of(&[kind::EVENT, 0xff, 0xff, 0xff, 0xff, 0]).seal()
}

fn lying_dictionaries() -> Vec<u8> {
    let many = message(&u64::MAX);
    (kind::STRINGS..=kind::CONTEXTS)
        .fold(Batch::default(), |batch, kind| {
            batch.item(kind, many.clone())
        })
        .seal()
}

fn lying_events() -> Vec<u8> {
    let head = (
        unique(),
        0_u32,
        0_u8,
        5_u8,
        1_u64,
        1_000_u64,
        0_u64,
        u64::MAX,
    );
    let head = message(&head);
    Batch::default()
        .run()
        .events(16_000, |_| head.clone())
        .seal()
}

#[test]
fn a_batch_that_is_legal_and_as_bad_as_can_be_is_counted_and_costs_little() {
    run(vec![
        |it| {
            with_body(
                it,
                "one item of 8 MiB that nobody knows",
                &unknown(1, (8 << 20) - 5),
                Taken(0),
            )
        },
        |it| {
            with_body(
                it,
                "16,384 items with nothing",
                &unknown(limits::BATCH_ITEMS_MAX, 0),
                Taken(0),
            )
        },
        |it| {
            with_body(
                it,
                "16,384 events with nothing",
                &empty_events(),
                Taken(limits::BATCH_ITEMS_MAX as u64),
            )
        },
        |it| with_body(it, "16,384 runs and no event", &runs(), Taken(0)),
        |it| {
            with_body(
                it,
                "4,096 stacks of 250 frames",
                &stacks(),
                Taken(4_096 + 1),
            )
        },
        |it| {
            with_body(
                it,
                "62,500 frames in 250 stacks",
                &worst::stacks_of_many_frames(),
                Taken(250),
            )
        },
        |it| {
            with_body(
                it,
                "500 frames with names of 8 KiB",
                &worst::stacks_of_long_names(),
                Taken(2_000),
            )
        },
        |it| {
            with_body(
                it,
                "4,000 events in a function of 8 KiB",
                &worst::events_in_a_long_name(),
                Taken(4_000),
            )
        },
        |it| {
            with_body(
                it,
                "12 events with 10 MB of secrets",
                &worst::events_of_long_text(),
                Taken(12),
            )
        },
        |it| {
            with_body(
                it,
                "4,000 events with 100 facts",
                &worst::events_of_many_facts(),
                Taken(4_000),
            )
        },
        |it| {
            with_body(
                it,
                "3,500 events with 100 tags of their own",
                &tags(),
                Taken(3_500),
            )
        },
        |it| with_body(it, "4,000 bugs", &bugs(), Taken(4_000)),
        |it| with_body(it, "8,000 releases", &releases(), Taken(8_000)),
        |it| with_body(it, "16,000 hours", &hours(), Taken(16_000)),
        |it| {
            with_body(
                it,
                "64 states of runs with 20 hours of 2,048 users",
                &run_states(),
                Taken(0),
            )
        },
        |it| {
            with_body(
                it,
                "10,000 accounts of 64 losses",
                &losses(),
                Taken(10_000 - limits::LOSSES_MAX as u64),
            )
        },
    ]);
}

fn unknown(n: usize, bytes: usize) -> Vec<u8> {
    let items = vec![(200, vec![0; bytes]); n];
    Forgery::of(&content(&items)).seal()
}

fn empty_events() -> Vec<u8> {
    let items = vec![(kind::EVENT, Vec::new()); limits::BATCH_ITEMS_MAX];
    Forgery::of(&content(&items)).seal()
}

fn runs() -> Vec<u8> {
    let runs = (0..limits::BATCH_ITEMS_MAX).fold(Batch::default(), |batch, _| batch.run());
    runs.seal()
}

fn stacks() -> Vec<u8> {
    let frames: Vec<_> = (0..250_u32)
        .map(|line| worst::frame(0, 0, line + 1))
        .collect();
    let stacks: Vec<_> = (0..4_096).map(|shift| worst::stack(250, shift)).collect();
    Batch::default()
        .dictionary(kind::STRINGS, &["s"])
        .dictionary(kind::FRAMES, &frames)
        .dictionary(kind::STACKS, &stacks)
        .run()
        .events(4_096, |at| worst::event(1, at as u32 + 1, 0, 0))
        .seal()
}

fn strings(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|at| format!("{prefix}{at}")).collect()
}

fn tags() -> Vec<u8> {
    Batch::default()
        .dictionary(kind::STRINGS, &strings("t", 10_000))
        .run()
        .events(3_500, |at| {
            let tags = (0..100).map(|tag| (tag + 1, (at as u32 * 7 + tag) % 10_000 + 1));
            tagged_event(0, 1_000, &tags.collect::<Vec<_>>())
        })
        .seal()
}

fn bugs() -> Vec<u8> {
    let names: Vec<String> = (0..4_000)
        .map(|at| format!("shop::bug{at}::fail"))
        .collect();
    let frames: Vec<_> = (0..4_000_u32)
        .map(|at| worst::frame(at + 1, at + 1, 1))
        .collect();
    let stacks: Vec<_> = (0..4_000_u32).map(|at| (true, vec![at])).collect();
    Batch::default()
        .dictionary(kind::STRINGS, &names)
        .dictionary(kind::FRAMES, &frames)
        .dictionary(kind::STACKS, &stacks)
        .run()
        .events(4_000, |at| worst::event(1, at as u32 + 1, 0, 0))
        .seal()
}

fn releases() -> Vec<u8> {
    let batch = Batch::default().dictionary(kind::STRINGS, &strings("shop@1.0.", 8_000));
    let batch = (0..8_000_u32).fold(batch, |batch, at| batch.run_of(at + 1));
    let event = |at| tagged_event(at as u32, 1_000, &[]);
    batch.events(8_000, event).seal()
}

fn hours() -> Vec<u8> {
    let hour = |at| tagged_event(0, at as u64 * 3_600_000_000, &[]);
    Batch::default()
        .dictionary(kind::STRINGS, &["s"])
        .run()
        .events(16_000, hour)
        .seal()
}

fn run_states() -> Vec<u8> {
    // The first register, and each next one: a register stands in the upper bits of a mark, above its rank.
    let users: Vec<u16> = (0..2_048).map(|at| if at == 0 { 1 } else { 32 }).collect();
    let hours: Vec<_> = (0..20_u64)
        .map(|hour| (hour, 1_u64, 1_u64, &users, &users))
        .collect();
    let batch = (0..limits::RUN_STATES_MAX).fold(Batch::default(), |batch, _| batch.run());
    let states = 0..limits::RUN_STATES_MAX as u32;
    states
        .fold(batch, |batch, run| {
            batch.item(kind::RUN_STATE, message(&(run, 1_u8, 1_000_u64, &hours)))
        })
        .seal()
}

fn losses() -> Vec<u8> {
    let reasons: Vec<(u32, u64)> = (0..64).map(|reason| (reason + 1, 1)).collect();
    let batch = Batch::default().dictionary(kind::STRINGS, &strings("reason", 64));
    (0..10_000)
        .fold(batch, |batch, _| {
            batch.item(kind::LOSSES, message(&(unique(), 1_u64, &reasons)))
        })
        .seal()
}

#[test]
fn a_request_that_lies_about_its_form_gets_its_reason_and_costs_little() {
    run(vec![
        |it| encoded(it, "gzip"),
        |it| encoded(it, "zstd"),
        |it| encoded(it, "br"),
        |it| encoded(it, "gzip, gzip, gzip"),
        |it| {
            lying(
                it,
                "a length of 2^64",
                "content-length: 18446744073709551616",
                b"",
                NoRequest(&[400]),
            )
        },
        |it| {
            lying(
                it,
                "a length below zero",
                "content-length: -1",
                b"",
                NoRequest(&[400]),
            )
        },
        |it| {
            lying(
                it,
                "a length beyond what is taken",
                "content-length: 9223372036854775807",
                b"",
                Refused(413, "too_large"),
            )
        },
        |it| {
            lying(
                it,
                "two lengths",
                "content-length: 5\r\ncontent-length: 6",
                b"12345",
                NoRequest(&[400]),
            )
        },
        |it| {
            lying(
                it,
                "chunks of 2^64 bytes",
                "transfer-encoding: chunked",
                b"ffffffffffffffffff\r\n",
                Refused(400, "body"),
            )
        },
        |it| {
            lying(
                it,
                "chunks that are none",
                "transfer-encoding: chunked",
                b"zz\r\n\r\n",
                Refused(400, "body"),
            )
        },
        |it| {
            lying(
                it,
                "chunks that go on behind their end",
                "transfer-encoding: chunked",
                b"1\r\nBUGS\r\n",
                Refused(400, "body"),
            )
        },
        |it| {
            lying(
                it,
                "a chunk with 1 MiB of remarks",
                "transfer-encoding: chunked",
                &remarks(),
                Refused(400, "body"),
            )
        },
        |it| {
            lying(
                it,
                "2 MiB in chunks of one byte",
                "transfer-encoding: chunked",
                &b"1\r\nB\r\n".repeat(2 << 20),
                Refused(400, "body"),
            )
        },
        |it| {
            lying(
                it,
                "a head of 1 MiB",
                &format!("x-long: {}", "x".repeat(1 << 20)),
                b"",
                NoRequest(&[431]),
            )
        },
        |it| {
            lying(
                it,
                "a head of 10,000 lines",
                &"x: y\r\n".repeat(10_000),
                b"",
                NoRequest(&[431, 400]),
            )
        },
    ]);
}

fn encoded(request: &Request, encoding: &'static str) -> Case {
    let batch = EventBuilder::panic("price").seal();
    let request = request.clone().header("content-encoding", encoding);
    with_body(
        &request,
        encoding,
        &batch.bytes,
        Refused(415, "content_encoding"),
    )
}

fn remarks() -> Vec<u8> {
    [b"4;", &vec![b'x'; 1 << 20][..], b"\r\nBUGS\r\n0\r\n\r\n"].concat()
}

/// A request with one more line in its head, and bytes behind it.
fn lying(
    request: &Request,
    name: &'static str,
    line: &str,
    rest: &[u8],
    expected: Expected,
) -> Case {
    let (head, _) = request.clone().without("content-length").to_bytes(HOST);
    let head = head.strip_suffix(b"\r\n").expect("a head ends so");
    let line = line.trim_end();
    Case {
        name,
        request: [head, line.as_bytes(), b"\r\n\r\n", rest].concat(),
        expected,
    }
}

#[test]
fn bodies_that_never_end_are_given_up_with_their_reason_and_cost_little() {
    const SLOW: usize = 64;
    let scene = Scene::new();
    let batch = EventBuilder::panic("price").seal();
    let request = Request::batch(&scene.project.key, &batch.bytes);
    let (bytes, body_at) = request.to_bytes(scene.collector.address());
    scene.collector.forget_peak();
    let before_kib = scene.collector.memory_kib("VmRSS:");
    let before_ms = scene.collector.cpu_ms();

    let connect = |_| scene.collector.client().connect().expect("is accepted");
    let mut slow: Vec<_> = (0..SLOW).map(connect).collect();
    for stream in &mut slow {
        stream.write_all(&bytes[..body_at]).expect("is taken");
    }
    let begun = Instant::now();
    for byte in &bytes[body_at..body_at + 10] {
        for stream in &mut slow {
            stream.write_all(&[*byte]).expect("is taken");
        }
        thread::sleep(Duration::from_millis(100));
    }
    for stream in slow {
        let answer = read_answer(&mut BufReader::new(stream)).expect("is answered");
        answer.error(408, "too_slow");
    }

    let cpu_ms = scene.collector.cpu_ms() - before_ms;
    let kib = scene
        .collector
        .memory_kib("VmHWM:")
        .saturating_sub(before_kib);
    println!(
        "{SLOW} slow bodies in {:?}: {kib} KiB, {cpu_ms} ms",
        begun.elapsed()
    );
    let (kib_max, cpu_ms_max) = bounds();
    assert!(
        kib <= kib_max && cpu_ms <= cpu_ms_max,
        "{kib} KiB, {cpu_ms} ms"
    );
    assert_eq!(scene.collector.send(&scene.project, &batch).taken(), (1, 0));
}
