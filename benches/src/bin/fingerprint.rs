//! What does it cost to say which bug an event belongs to?
//!
//! Control: cloning the event.

use std::hint::black_box;

use bugsage_benches::events::{Maker, Shape};
use bugsage_benches::{Figures, nanos_per_call};
use bugsage_core::fingerprint::source::NoSources;
use bugsage_core::{fingerprint, scrub};

fn main() {
    let mut figures = Figures::default();
    let mut maker = Maker::new(
        Shape {
            frames: 60,
            breadcrumbs: 20,
            tags: 10,
            bugs: 1,
        },
        1,
    );
    let event = maker.event();
    let control = nanos_per_call(20_000, |_| drop(black_box(event.clone())));
    figures.add("clone_us", control / 1e3, "the control: cloning the event");
    let group = nanos_per_call(2_000, |_| {
        drop(black_box(fingerprint::group(&event, &mut NoSources)))
    });
    figures.add("fingerprint_us", group / 1e3, "an event with 60 frames");
    let clean = nanos_per_call(2_000, |_| {
        let mut event = event.clone();
        scrub::event(&mut event);
        drop(black_box(event));
    });
    figures.add(
        "scrub_us",
        (clean - control) / 1e3,
        "the same event, 20 breadcrumbs and 10 tags",
    );
    figures.print();
}
