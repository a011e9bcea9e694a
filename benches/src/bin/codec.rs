//! What does a batch cost to encode and to decode, and how large is it?
//!
//! Control: copying the encoded bytes.

use std::hint::black_box;

use bugsage_benches::events::{Maker, Shape};
use bugsage_benches::{Figures, nanos_per_call};
use bugsage_core::batch::{self, BatchBuilder, Sealed};
use bugsage_core::event::Event;
use bugsage_core::id::BatchId;

fn seal(events: &[Event]) -> Sealed {
    let mut batch = BatchBuilder::new();
    events.iter().for_each(|event| batch.push(event));
    batch.seal(BatchId::from_bytes([1; 16]))
}

fn main() {
    let mut figures = Figures::default();
    let shape = Shape {
        frames: 60,
        breadcrumbs: 20,
        tags: 10,
        bugs: 50,
    };
    for count in [1, 100] {
        let mut maker = Maker::new(shape, 1);
        let events: Vec<Event> = (0..count).map(|_| maker.event()).collect();
        let sealed = seal(&events);
        let calls = 2_000 / count as u64 + 20;
        let per_event = |nanos: f64| nanos / 1e3 / count as f64;
        let name = |what: &str| format!("{what}_of_{count}_us_per_event");
        let control = nanos_per_call(calls, |_| drop(black_box(sealed.bytes.clone())));
        figures.add(
            &name("copy"),
            per_event(control),
            "the control: copying the bytes",
        );
        let encode = nanos_per_call(calls, |_| drop(black_box(seal(&events))));
        figures.add(
            &name("encode"),
            per_event(encode),
            "push and seal, compression included",
        );
        let decode = nanos_per_call(calls, |_| drop(black_box(batch::decode(&sealed.bytes))));
        figures.add(&name("decode"), per_event(decode), "check, inflate, decode");
        let bytes = sealed.bytes.len() as f64 / count as f64;
        figures.add(
            &format!("size_of_{count}_bytes_per_event"),
            bytes,
            "60 frames, 20 breadcrumbs, 10 tags",
        );
    }
    figures.print();
}
