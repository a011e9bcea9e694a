//! Sorts events into issues.
//!
//! In: decoded events from [`crate::ingest`]. Out: [`GroupedEvent`]s, for [`crate::store`].
//! Never: network, wall clock, deleting.
//!
//! Events are cleaned again here: not every sender is our SDK. Whether a frame is the app's own is
//! computed anew for the same reason.

pub mod regression;

use std::collections::HashMap;
use std::io::BufWriter;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use bugsage_core::batch::Batch;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, EventKind};
use bugsage_core::fingerprint::{self, frames};
use bugsage_core::scrub;
use bugsage_core::stacktrace::{Frame, StackTrace};

use crate::forward;
use crate::store::model::{GroupedBatch, GroupedEvent, StoredStack};

/// A sender's clock may be ahead by this much before it is worth a note.
const DRIFT_NOTED_US: u64 = 1_000_000;

/// Groups a batch.
pub fn group(batch: Batch, received_at: Timestamp) -> GroupedBatch {
    let mut stacks = Stacks::default();
    let events = batch.events.into_iter();
    let events = events.map(|(_, event)| group_event(event, received_at, &mut stacks));
    GroupedBatch {
        id: batch.id,
        received_at,
        events: events.collect(),
        losses: batch.losses,
    }
}

fn group_event(mut event: Event, received_at: Timestamp, stacks: &mut Stacks) -> GroupedEvent {
    scrub::event(&mut event);
    clamp(&mut event, received_at);
    let stack = event.stack.take().map(|stack| stacks.store(&stack));
    event.stack = stack.as_ref().map(|(stack, _)| stack.clone());
    let grouping = fingerprint::group(&event);
    event.stack = None;
    GroupedEvent {
        stack: stack.map(|(_, stored)| stored),
        fingerprints: grouping
            .fingerprints
            .iter()
            .map(ToString::to_string)
            .collect(),
        severity: severity(event.kind),
        wants_case: forward::wants_case(event.kind, grouping.in_app),
        class: grouping.class,
        culprit: grouping.culprit,
        title: grouping.title,
        event,
    }
}

/// Nothing was seen after it was received, whatever the sender's clock says.
fn clamp(event: &mut Event, received_at: Timestamp) {
    let ahead_us = event.last_at.micros_since(received_at);
    if ahead_us > DRIFT_NOTED_US {
        event
            .contexts
            .push(("clock.ahead_us".into(), ahead_us.to_string().into()));
    }
    event.first_at = event.first_at.min(received_at);
    event.last_at = event.last_at.min(received_at).max(event.first_at);
}

fn severity(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Panic => "high",
        EventKind::Error => "medium",
        EventKind::Log => "low",
    }
}

/// The stacks of a batch: each distinct one is judged and hashed once.
#[derive(Default)]
struct Stacks {
    /// By the address of the decoded stack, which lives as long as its entry here.
    known: HashMap<*const StackTrace, (Arc<StackTrace>, Arc<StackTrace>, StoredStack)>,
}

impl Stacks {
    fn store(&mut self, stack: &Arc<StackTrace>) -> (Arc<StackTrace>, StoredStack) {
        let known = self.known.entry(Arc::as_ptr(stack)).or_insert_with(|| {
            let judged = Arc::new(judge(stack));
            let stored = StoredStack {
                hash: hash(&judged),
                stack: judged.clone(),
            };
            (stack.clone(), judged, stored)
        });
        (known.1.clone(), known.2.clone())
    }
}

/// SHA-256 over the stack's JSON, cut to 128 bits. The text itself is made only for a stack that the
/// store does not have.
fn hash(stack: &StackTrace) -> [u8; 16] {
    let mut digest = BufWriter::new(Sha256::new());
    // Neither a hash nor plain data can fail to be written.
    let _ = serde_json::to_writer(&mut digest, stack);
    let mut hash = [0; 16];
    if let Ok(digest) = digest.into_inner() {
        hash.copy_from_slice(&digest.finalize()[..16]);
    }
    hash
}

fn judge(stack: &StackTrace) -> StackTrace {
    let frames = stack.frames.iter().map(|frame| {
        let in_app = frames::in_app(frame);
        if in_app == frame.in_app {
            return frame.clone();
        }
        Arc::new(Frame {
            in_app,
            ..Frame::clone(frame)
        })
    });
    StackTrace {
        frames: frames.collect(),
        symbolicated: stack.symbolicated,
    }
}
