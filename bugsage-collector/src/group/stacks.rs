//! Judges stacks: which frames are the app's own, what counts of them, and what they are stored as.
//!
//! To judge a stack takes a hundred microseconds, and the same few come again and again, in one batch and
//! from batch to batch. What came of them is remembered.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io::BufWriter;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};

use bugsage_core::event::Event;
use bugsage_core::fingerprint::frames::{self, Part};
use bugsage_core::fingerprint::rules::Rules;
use bugsage_core::fingerprint::{Alike, Grouping, Outline};
use bugsage_core::stacktrace::{Frame, StackTrace};

use crate::store::pack::StoredStack;

use super::sources::EventSources;

/// Frames of all stacks that are remembered. One takes some 300 bytes, so this is 30 MB.
const FRAMES_MAX: usize = 100_000;

/// Stacks of one hash that are remembered: two are chance, more are somebody's will.
const SAME_MAX: usize = 4;

/// A stack as it counts and as it is stored.
#[derive(Debug)]
struct Judged {
    outline: Outline,
    stored: StoredStack,
}

/// Stacks that were judged a while ago, whoever sent them: what comes of a stack is the same for all.
#[derive(Default)]
pub struct StackCache {
    hasher: RandomState,
    known: Mutex<Remembered>,
}

/// A stack as it came, and what came of it.
type Known = (Arc<StackTrace>, Arc<Judged>);

#[derive(Default)]
struct Remembered {
    /// By the hash of the stack. What has the same hash is compared, so the hash may be a cheap one.
    stacks: HashMap<u64, Vec<Known>, RandomState>,
    frames: usize,
}

impl StackCache {
    fn judge(&self, stack: &Arc<StackTrace>, frames: &mut Frames) -> Arc<Judged> {
        let hash = self.hasher.hash_one(stack);
        if let Some(judged) = self.find(hash, stack) {
            return judged;
        }
        let judged = Arc::new(judge(stack, frames));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.frames > FRAMES_MAX {
            *known = Remembered::default();
        }
        known.frames += stack.frames.len();
        let same = known.stacks.entry(hash).or_default();
        if same.len() == SAME_MAX {
            same.clear();
        }
        same.push((stack.clone(), judged.clone()));
        judged
    }

    fn find(&self, hash: u64, stack: &Arc<StackTrace>) -> Option<Arc<Judged>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut same = known.stacks.get(&hash)?.iter();
        same.find(|(known, _)| known == stack)
            .map(|(_, judged)| judged.clone())
    }
}

/// The stacks of a batch. Frames and stacks are shared by reference, so each is judged once,
/// however often a sender refers to it.
pub(super) struct Stacks<'a> {
    cache: &'a StackCache,
    frames: Frames,
    /// By the address of what was decoded, which lives as long as its entry here.
    known: HashMap<*const StackTrace, KnownStack, RandomState>,
}

/// A stack of a batch, and what came of its events.
pub(super) struct KnownStack {
    /// As it was decoded.
    _stack: Arc<StackTrace>,
    judged: Arc<Judged>,
    alike: Alike,
}

impl KnownStack {
    pub(super) fn stored(&self) -> StoredStack {
        self.judged.stored.clone()
    }

    /// Groups an event that had this stack. It has it for that again.
    pub(super) fn group(
        &mut self,
        event: &mut Event,
        sources: &mut EventSources<'_>,
        rules: &Rules,
    ) -> Grouping {
        let outline = &self.judged.outline;
        event.stack = Some(self.judged.stored.stack.clone());
        let grouping = self.alike.group_on(event, outline, sources, rules);
        event.stack = None;
        grouping
    }
}

/// What became of frames, and what they are doing, by the address of what was decoded.
type Frames = HashMap<*const Frame, (Arc<Frame>, Arc<Frame>, Part), RandomState>;

impl<'a> Stacks<'a> {
    pub(super) fn new(cache: &'a StackCache) -> Self {
        Self {
            cache,
            frames: Frames::default(),
            known: HashMap::default(),
        }
    }

    pub(super) fn judge(&mut self, stack: Arc<StackTrace>) -> &mut KnownStack {
        let known = self.known.entry(Arc::as_ptr(&stack));
        known.or_insert_with(|| KnownStack {
            judged: self.cache.judge(&stack, &mut self.frames),
            _stack: stack,
            alike: Alike::default(),
        })
    }
}

fn judge(stack: &StackTrace, frames: &mut Frames) -> Judged {
    let judged = stack.frames.iter().map(|frame| judge_frame(frame, frames));
    let (frames, parts): (Vec<_>, Vec<_>) = judged.unzip();
    let judged = StackTrace {
        frames,
        symbolicated: stack.symbolicated,
    };
    let outline = Outline::judged(&judged, &parts);
    let stored = StoredStack {
        hash: hash(&judged),
        stack: Arc::new(judged),
    };
    Judged { outline, stored }
}

fn judge_frame(frame: &Arc<Frame>, known: &mut Frames) -> (Arc<Frame>, Part) {
    let (_, judged, part) = known.entry(Arc::as_ptr(frame)).or_insert_with(|| {
        let part = frames::judge(frame);
        let in_app = part == Part::App;
        let judged = if in_app == frame.in_app {
            frame.clone()
        } else {
            Arc::new(Frame {
                in_app,
                ..Frame::clone(frame)
            })
        };
        (frame.clone(), judged, part)
    });
    (judged.clone(), *part)
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
