//! What does it cost to say which bug an event belongs to?
//!
//! Control: cloning the event.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use bugsage_benches::events::{Maker, Shape};
use bugsage_benches::{Figures, nanos_per_call, recorded};
use bugsage_core::event::Event;
use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::source::NoSources;
use bugsage_core::fingerprint::{self, Alike, Outline};
use bugsage_core::scrub;
use bugsage_core::similar::Portrait;

fn main() -> anyhow::Result<()> {
    let mut figures = Figures::default();
    let rules = Rules::default();
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
    let group = nanos_per_call(10_000, |_| {
        drop(black_box(fingerprint::group(
            &event,
            &mut NoSources,
            &rules,
        )))
    });
    figures.add(
        "fingerprint_us",
        group / 1e3,
        "an event with 60 frames, whose stack was never seen, and of which all have to be looked at",
    );
    let long = long_stacks()?;
    let recorded = nanos_per_call(20_000, |n| {
        let event = &long[n as usize % long.len()];
        drop(black_box(fingerprint::group(event, &mut NoSources, &rules)));
    });
    figures.add(
        "recorded_us",
        recorded / 1e3,
        "the same of the longest stacks that programs of tests/corpus have reported",
    );
    let frames = long.iter().map(frames_of).sum::<usize>() as f64;
    figures.add(
        "recorded_frames",
        frames / long.len() as f64,
        "how many frames these have in the mean",
    );
    let explain = nanos_per_call(5_000, |_| {
        drop(black_box(fingerprint::explain(
            &event,
            &mut NoSources,
            &rules,
        )));
    });
    figures.add(
        "explain_us",
        explain / 1e3,
        "the same with all reasons, as pages show them",
    );
    figures.add(
        "known_stack_us",
        known_stack(&mut maker) / 1e3,
        "the next event of its batch with the same stack",
    );
    let portrait = || Portrait::of(&event, event.stack.as_deref(), "index_out_of_bounds");
    let made = nanos_per_call(10_000, |_| drop(black_box(portrait())));
    figures.add(
        "portrait_us",
        made / 1e3,
        "how it looks, once for each issue",
    );
    let vector = portrait().vector;
    let compared = nanos_per_call(1_000_000, |_| {
        black_box(black_box(&vector).similarity(&vector));
    });
    figures.add(
        "similarity_us",
        compared / 1e3,
        "to compare how two issues look",
    );
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
    Ok(())
}

fn frames_of(event: &Event) -> usize {
    event.stack.as_ref().map_or(0, |stack| stack.frames.len())
}

/// The hundred longest stacks that a debug build of the corpus has reported.
fn long_stacks() -> anyhow::Result<Vec<Event>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/events");
    let mut events = recorded::events(&corpus.join("shop.debug.legacy.batches"))?;
    events.sort_by_key(|event| std::cmp::Reverse(frames_of(event)));
    events.truncate(100);
    Ok(events)
}

/// Nanoseconds of what a collector does for an event whose stack was in its batch before: it knows the stack by its
/// address, with its outline and with what came of other events. Messages differ in their numbers.
fn known_stack(maker: &mut Maker) -> f64 {
    let events: Vec<Event> = (0..64).map(|_| maker.event()).collect();
    let mut stacks = HashMap::new();
    nanos_per_call(200_000, |n| {
        let event = &events[n as usize % events.len()];
        let Some(stack) = &event.stack else { return };
        let (outline, alike) = stacks
            .entry(Arc::as_ptr(stack))
            .or_insert_with(|| (Outline::of(stack), Alike::default()));
        drop(black_box(alike.group_on(
            event,
            outline,
            &mut NoSources,
            &Rules::default(),
        )));
    })
}
