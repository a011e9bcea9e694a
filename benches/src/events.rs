//! Events as a busy app makes them.

use std::sync::Arc;

use bugsage_core::batch::BatchBuilder;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{
    Breadcrumb, Event, EventKind, Level, Location, Run, SpanContext, Text, Thread,
};
use bugsage_core::id::{BatchId, EventId, RunId};
use bugsage_core::stacktrace::{Frame, Module, StackTrace};

/// What the events of a bench have.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Frames of the stack, a third of them the app's own.
    pub frames: usize,
    /// Breadcrumbs of 80 bytes.
    pub breadcrumbs: usize,
    /// Tags.
    pub tags: usize,
    /// Different bugs.
    pub bugs: usize,
}

impl Shape {
    /// Events as large as they are in practice.
    pub const FULL: Self = Self {
        frames: 60,
        breadcrumbs: 20,
        tags: 10,
        bugs: 500,
    };
}

/// The body of a batch with some events, under an id that is made from a number.
pub fn seal(number: u64, events: impl IntoIterator<Item = Event>) -> Vec<u8> {
    let mut batch = BatchBuilder::new();
    events.into_iter().for_each(|event| batch.push(&event));
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    let at = Timestamp(1_790_000_000_000_000);
    batch.seal(BatchId::new(at, random)).bytes
}

/// Makes events of a shape, each with its own id and time.
pub struct Maker {
    shape: Shape,
    run: Arc<Run>,
    stacks: Vec<Arc<StackTrace>>,
    /// Which bug is how frequent.
    zipf: Zipf,
    made: u64,
    seed: u64,
}

impl Maker {
    /// A maker whose ids differ from those of makers with other seeds.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let run = Run {
            id: RunId::from_bytes([7; 16]),
            release: Some("shop@1.4.0+3f2a91c0".into()),
            environment: Some("production".into()),
            started_at: Timestamp(1_790_000_000_000_000),
            sdk: "bugsage-sdk@0.1.0".into(),
        };
        let stacks = (0..shape.bugs)
            .map(|bug| Arc::new(stack(bug, shape.frames)))
            .collect();
        Self {
            shape,
            run: Arc::new(run),
            stacks,
            zipf: Zipf::new(shape.bugs),
            made: 0,
            seed,
        }
    }

    /// The next event, of bug number n as often as 1/n says (Zipf).
    pub fn event(&mut self) -> Event {
        let number = self.made;
        self.made += 1;
        let bug = self.zipf.number(self.seed << 40 ^ number);
        let at = Timestamp(1_790_000_000_000_000 + number);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&(self.seed << 40 | number).to_be_bytes());
        let breadcrumbs = (0..self.shape.breadcrumbs).map(|n| Breadcrumb {
            at: Timestamp(at.0 - n as u64 * 1_000),
            level: Level::Info,
            target: "shop::checkout".into(),
            message: format!(
                "step {n} of order {number} took {} us and went on to the next one, as planned",
                number % 997
            )
            .into(),
        });
        let tags = (0..self.shape.tags).map(|n| -> (Text, Text) {
            (
                format!("tag{n}").into(),
                format!("value{}", number % 17).into(),
            )
        });
        Event {
            id: EventId::new(at, random),
            run: self.run.clone(),
            kind: EventKind::Panic,
            level: Level::Fatal,
            count: 1,
            first_at: at,
            last_at: at,
            deltas_us: Vec::new(),
            message: format!(
                "index out of bounds: the len is 3 but the index is {}",
                number % 50
            )
            .into(),
            errors: Vec::new(),
            location: Some(Location {
                file: "shop/src/price.rs".into(),
                line: 58,
                column: 15,
            }),
            thread: Thread {
                name: Some("tokio-runtime-worker".into()),
                id: number % 8,
            },
            stack: Some(self.stacks[bug].clone()),
            spans: vec![SpanContext {
                name: "checkout".into(),
                target: "shop::checkout".into(),
                fields: vec![("order".into(), number.to_string().into())],
                timing: None,
            }],
            breadcrumbs: breadcrumbs.collect(),
            tags: tags.collect(),
            user: None,
            contexts: vec![
                ("os.name".into(), "linux".into()),
                ("host.name".into(), "web-7".into()),
            ],
            attached: Vec::new(),
            inputs: Vec::new(),
            trace: None,
        }
    }

    /// The next event, of a bug beside those of the shape: there may be more of these than fit into memory.
    pub fn event_beside(&mut self, bug: usize) -> Event {
        let event = self.event();
        Event {
            stack: Some(Arc::new(stack(1 << 24 | bug, self.shape.frames))),
            ..event
        }
    }
}

/// Numbers of which n comes as often as 1/n says, counted from 1.
pub struct Zipf {
    /// 1 + 1/2 + ... + 1/n, for each n.
    harmonic: Vec<f64>,
}

impl Zipf {
    /// So many numbers, from 0.
    pub fn new(numbers: usize) -> Self {
        let sums = (1..=numbers).scan(0.0, |sum, n| {
            *sum += 1.0 / n as f64;
            Some(*sum)
        });
        Self {
            harmonic: sums.collect(),
        }
    }

    /// A number, the same for the same seed.
    pub fn number(&self, seed: u64) -> usize {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let share = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        let wanted = share * self.harmonic.last().copied().unwrap_or(1.0);
        let number = self.harmonic.partition_point(|sum| *sum < wanted);
        number.min(self.harmonic.len() - 1)
    }
}

fn stack(bug: usize, frames: usize) -> StackTrace {
    let module = Arc::new(Module {
        path: "/srv/shop/bin/shop".into(),
        build_id: "0123456789abcdef0123456789abcdef01234567".into(),
        base: 0x5555_5555_0000,
        size: 0x40_0000,
    });
    let frames = (0..frames).map(|n| {
        let (function, file) = match n % 3 {
            0 => (format!("shop::module_{bug}::<impl shop::Handler<u64> for shop::Cart>::step_{n}::{{{{closure}}}}"), format!("shop/src/module_{bug}.rs")),
            1 => ("core::ops::function::impls::<impl core::ops::function::FnOnce<A> for &mut F>::call_once".to_owned(), "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs".to_owned()),
            _ => (format!("tokio::runtime::task::harness::Harness<T,S>::poll_{}", n % 7), "/home/ci/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.54.1/src/runtime/task/harness.rs".to_owned()),
        };
        Arc::new(Frame {
            function: Some(function.into()),
            file: Some(file.into()),
            line: Some(10 + n as u32),
            column: Some(5),
            address: 0x1000 * bug as u64 + n as u64 * 16,
            module: Some(module.clone()),
            inlined: n % 5 == 0,
            in_app: n % 3 == 0,
        })
    });
    StackTrace {
        frames: frames.collect(),
        symbolicated: true,
    }
}
