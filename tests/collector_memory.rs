//! Memory stays bounded, whatever the bodies hold and however many come at once.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::Request;
use crate::support::collector::{Collector, wait_for};
use crate::support::events::EventBuilder;
use crate::support::worst::{
    events_in_a_long_name, events_of_long_text, events_of_many_facts, spans_of_long_text,
    spans_of_many_fields, spans_of_many_traces, stacks_of_long_names, stacks_of_many_frames, zeros,
};

/// What the collector may take beyond what it has when idle: three batches at a time, each with its body (1
/// MiB), its inflated content (8) and what it stands for (11), other bodies (16), and what the allocator
/// keeps of it all. With what it has when idle that is less than the 150 MiB that it may ever have.
const GROWTH_KIB_MAX: u64 = 96 << 10;

/// Clients that send at the same time; more than there are bodies read at once.
const CLIENTS: usize = 36;

/// How long they do.
const SIEGE: Duration = Duration::from_secs(8);

#[test]
fn the_worst_batches_of_many_clients_at_once_take_bounded_memory() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let good = EventBuilder::panic("price").seal();
    assert_eq!(collector.send(&project, &good).taken(), (1, 0));
    let idle_kib = collector.memory_kib("VmRSS:");
    for spans in [
        spans_of_many_traces,
        spans_of_long_text,
        spans_of_many_fields,
    ] {
        let answer = collector.client().send(&project.key, &spans());
        assert!(
            answer.json()["spans"]["accepted"].as_u64() > Some(10),
            "{answer:?}"
        );
    }
    let worst: [fn() -> Vec<u8>; 9] = [
        stacks_of_long_names,
        stacks_of_many_frames,
        events_in_a_long_name,
        events_of_long_text,
        events_of_many_facts,
        spans_of_many_traces,
        spans_of_long_text,
        spans_of_many_fields,
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
