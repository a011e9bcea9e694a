//! Memory stays bounded, whatever the bodies hold and however many come at once.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use bugsage_core::limits;
use serde::Serialize;

use crate::support::client::Request;
use crate::support::collector::{Collector, wait_for};
use crate::support::events::{EventBuilder, Forgery, content, kind, unique};

/// What the collector may take beyond what it has when idle.
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// Clients that send at the same time; more than there are bodies read at once.
const CLIENTS: usize = 24;

/// How long they do.
const SIEGE: Duration = Duration::from_secs(6);

#[test]
fn the_worst_batches_of_many_clients_at_once_take_bounded_memory() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let good = EventBuilder::panic("price").seal();
    assert_eq!(collector.send(&project, &good).taken(), (1, 0));
    let idle_kib = collector.memory_kib("VmRSS:");
    let worst: [fn() -> Vec<u8>; 6] = [
        stacks_of_long_names,
        stacks_of_many_frames,
        events_in_a_long_name,
        events_of_long_text,
        events_of_many_facts,
        zeros,
    ];

    let begun = Instant::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (collector, project) = (&collector, &project);
            scope.spawn(move || {
                let body = worst[client % worst.len()]();
                let request = Request::batch(&project.key, &body);
                while begun.elapsed() < SIEGE {
                    if client < CLIENTS / 2 {
                        let answer = collector.client().ask(&request);
                        let expected = [200, 400, 429, 503];
                        assert!(expected.contains(&answer.status), "{answer:?}");
                    } else {
                        go_away(collector, &request);
                    }
                }
            });
        }
    });

    let growth_kib = collector.memory_kib("VmHWM:") - idle_kib;
    println!("idle {idle_kib} KiB, grown by {growth_kib} KiB");
    assert!(growth_kib <= GROWTH_KIB_MAX, "grown by {growth_kib} KiB");
    wait_for("an answer to a good batch", || {
        let answer = collector.send(&project, &EventBuilder::panic("price").seal());
        (answer.status == 200).then_some(())
    });
    assert_eq!(collector.client().get("/readyz").status, 200);
}

/// Sends a request and does not wait for its answer.
fn go_away(collector: &Collector, request: &Request) {
    let mut stream = collector.client().connect().expect("is accepted");
    let (bytes, _) = request.to_bytes(collector.address());
    // The collector may have turned it away before all of it was sent.
    let _ = stream.write_all(&bytes);
    thread::sleep(Duration::from_millis(20));
}

/// The longest string that may stand on the wire.
fn long(letter: &str) -> String {
    letter.repeat(limits::VALUE_BYTES_MAX)
}

/// Stacks in which all names are long, as many as there may be, and one that is too much.
fn stacks_of_long_names() -> Vec<u8> {
    let frames: Vec<_> = (0..250_u32).map(|line| frame(1, 2, line + 1)).collect();
    let stacks: Vec<_> = (0..4).map(|shift| stack(250, shift)).collect();
    Batch::default()
        .dictionary(kind::STRINGS, &[format!("a::{}", long("f")), long("p")])
        .dictionary(kind::FRAMES, &frames)
        .dictionary(kind::STACKS, &stacks)
        .run()
        .events(2_000, |at| event(1, at as u32 % 3 + 1, 0, 0))
        .seal()
}

/// As many frames as a batch may have, and no text at all.
fn stacks_of_many_frames() -> Vec<u8> {
    let frames: Vec<_> = (0..250_u32).map(|line| frame(0, 0, line + 1)).collect();
    let stacks: Vec<_> = (0..400).map(|shift| stack(250, shift)).collect();
    Batch::default()
        .dictionary(kind::STRINGS, &["s"])
        .dictionary(kind::FRAMES, &frames)
        .dictionary(kind::STACKS, &stacks)
        .run()
        .events(400, |at| event(1, at as u32 + 1, 0, 0))
        .seal()
}

/// Thousands of small events that all fail in one function with a long name.
fn events_in_a_long_name() -> Vec<u8> {
    let strings = [format!("a::{}", long("f")), "src/a.rs".to_owned()];
    Batch::default()
        .dictionary(kind::STRINGS, &strings)
        .dictionary(kind::FRAMES, &[frame(1, 2, 1)])
        .dictionary(kind::STACKS, &[(true, vec![0_u32])])
        .run()
        .events(4_000, |_| event(2, 1, 0, 0))
        .seal()
}

/// As much text as a batch may stand for, all of it secrets that must be cleaned away.
fn events_of_long_text() -> Vec<u8> {
    let secret = "password=hunter2 token=abcdef0123456789 mail ann@example.com ";
    let text = secret.repeat(limits::VALUE_BYTES_MAX / secret.len());
    Batch::default()
        .dictionary(kind::STRINGS, &[text])
        .run()
        .events(16, |_| event(1, 0, 100, 0))
        .seal()
}

/// Thousands of events with a hundred facts each.
fn events_of_many_facts() -> Vec<u8> {
    let facts: Vec<Vec<(u32, u32)>> = vec![vec![(1, 1); limits::PAIRS_MAX]];
    Batch::default()
        .dictionary(kind::STRINGS, &["k"])
        .dictionary(kind::CONTEXTS, &facts)
        .run()
        .events(4_000, |_| event(1, 0, 0, 1))
        .seal()
}

fn zeros() -> Vec<u8> {
    let mut bomb = Forgery::of(&vec![0; 2 * limits::BATCH_INFLATED_BYTES_MAX]);
    bomb.inflated_bytes = limits::BATCH_INFLATED_BYTES_MAX as u32;
    bomb.seal()
}

/// A batch in the making, from the description of the format alone.
#[derive(Default)]
struct Batch(Vec<(u8, Vec<u8>)>);

impl Batch {
    fn dictionary<T: Serialize>(mut self, kind: u8, entries: &[T]) -> Self {
        self.0.push((kind, message(&entries)));
        self
    }

    fn run(mut self) -> Self {
        let run = (unique(), 0_u32, 0_u32, 5_u64, 0_u32);
        self.0.push((kind::RUN, message(&run)));
        self
    }

    fn events(mut self, n: usize, event: impl Fn(usize) -> Vec<u8>) -> Self {
        let events = (0..n).map(|at| (kind::EVENT, event(at)));
        self.0.extend(events);
        self
    }

    fn seal(self) -> Vec<u8> {
        let body = Forgery::of(&content(&self.0)).seal();
        assert!(body.len() <= limits::BATCH_BYTES_MAX, "{}", body.len());
        body
    }
}

fn message(message: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(message).expect("it has a known length")
}

fn frame(function: u32, file: u32, line: u32) -> impl Serialize {
    (function, file, line, 1_u32, 1_u64, 0_u32, 0_u8)
}

/// A stack of so many frames that begins somewhere else than its neighbors.
fn stack(n: u32, shift: u32) -> (bool, Vec<u32>) {
    let frames = (0..n).map(|at| (at * (shift / n + 1) + shift) % n);
    (true, frames.collect())
}

fn event(text: u32, stack: u32, n_breadcrumbs: usize, contexts: u32) -> Vec<u8> {
    let mut bytes = message(&(unique(), 0_u32, 0_u8, 5_u8, 1_u64, 1_000_u64, 0_u64));
    let (deltas, errors): (Vec<u64>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
    let location: Option<(u32, u32, u32)> = None;
    bytes.extend(message(&(
        deltas, text, errors, location, 0_u32, 1_u64, stack,
    )));
    let spans: Vec<u8> = Vec::new();
    let breadcrumbs = vec![(0_i64, 2_u8, 0_u32, text); n_breadcrumbs];
    let tags: Vec<(u32, u32)> = Vec::new();
    bytes.extend(message(&(spans, breadcrumbs, tags, 0_u32, contexts)));
    bytes
}
