//! Events and batches as an SDK makes them, and as none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bugsage_collector::clock::SystemClock;
use bugsage_core::batch::{BatchBuilder, HEADER_BYTES, Sealed};
use bugsage_core::clock::{Clock, Timestamp};
use bugsage_core::event::{ErrorLink, Event, EventKind, Level, Location, Run, Text, Thread};
use bugsage_core::id::{BatchId, EventId, RunId};
use bugsage_core::stacktrace::{Frame, StackTrace};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// The release of an event that names no other.
pub(crate) const RELEASE: &str = "shop@1.0.0";

/// Sixteen bytes that come once in this process and look like nothing else on a disk.
pub(crate) fn unique() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mixed(number).to_le_bytes());
    bytes[8..].copy_from_slice(&mixed(!number).to_le_bytes());
    bytes
}

/// The number after `state` in a sequence that looks random (splitmix64).
pub(crate) fn mixed(state: u64) -> u64 {
    let mut z = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An event in the making: a panic in the app's own code unless told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct EventBuilder(Event);

impl EventBuilder {
    /// An index out of bounds in `shop::NAME::fail`; every name is a bug of its own.
    pub(crate) fn panic(name: &str) -> Self {
        let file: Text = format!("src/{name}.rs").into();
        let frames = [
            frame(&format!("shop::{name}::fail"), &file, 7),
            frame("shop::main", "src/main.rs", 12),
        ];
        let location = Location {
            file,
            line: 7,
            column: 5,
        };
        Self(Event {
            id: EventId::from_bytes(unique()),
            run: run(RELEASE),
            kind: EventKind::Panic,
            level: Level::Fatal,
            count: 1,
            first_at: SystemClock.now(),
            last_at: SystemClock.now(),
            deltas_us: Vec::new(),
            message: "index out of bounds: the len is 3 but the index is 7".into(),
            errors: Vec::new(),
            location: Some(location),
            thread: Thread {
                name: Some("main".into()),
                id: 1,
            },
            stack: Some(stack(frames)),
            spans: Vec::new(),
            breadcrumbs: Vec::new(),
            tags: Vec::new(),
            user: None,
            contexts: vec![("os.name".into(), "linux".into())],
            attached: Vec::new(),
            inputs: Vec::new(),
            trace: None,
        })
    }

    /// A panic whose whole stack is in a dependency.
    pub(crate) fn panic_in_dependency(name: &str) -> Self {
        let file = format!(
            "/home/u/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/{name}-1.0.0/src/lib.rs"
        );
        let mut event = Self::panic(name).0;
        event.location = Some(Location {
            file: file.as_str().into(),
            line: 7,
            column: 5,
        });
        event.stack = Some(stack([frame(&format!("{name}::fail"), &file, 7)]));
        Self(event)
    }

    /// A line that the app logged at error level.
    pub(crate) fn log(message: &str) -> Self {
        let mut event = Self::panic("log").0;
        event.kind = EventKind::Log;
        event.level = Level::Error;
        event.message = message.into();
        event.stack = None;
        Self(event)
    }

    /// An error value that the app handed over.
    pub(crate) fn error(name: &str, message: &str) -> Self {
        let mut event = Self::panic(name).0;
        event.kind = EventKind::Error;
        event.level = Level::Error;
        event.message = message.into();
        event.errors = vec![ErrorLink {
            type_name: Some("shop::Error".into()),
            message: message.into(),
        }];
        Self(event)
    }

    pub(crate) fn message(self, message: &str) -> Self {
        self.with(|event| event.message = message.into())
    }

    pub(crate) fn release(self, release: &str) -> Self {
        self.with(|event| event.run = run(release))
    }

    /// How many equal reports the event stands for.
    pub(crate) fn count(self, count: u64) -> Self {
        self.with(|event| event.count = count)
    }

    pub(crate) fn user(self, user: &str) -> Self {
        self.with(|event| event.user = Some(user.into()))
    }

    pub(crate) fn at(self, at: Timestamp) -> Self {
        self.with(|event| (event.first_at, event.last_at) = (at, at))
    }

    /// Changes whatever there is no word for.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Event)) -> Self {
        change(&mut self.0);
        self
    }

    /// An event of its own each time.
    pub(crate) fn build(&self) -> Event {
        let mut event = self.0.clone();
        event.id = EventId::from_bytes(unique());
        event
    }

    /// A batch with just this event.
    pub(crate) fn seal(&self) -> Sealed {
        seal([self.build()])
    }
}

/// A frame of the app, or of whatever its file says.
pub(crate) fn frame(function: &str, file: &str, line: u32) -> Frame {
    Frame {
        function: Some(function.into()),
        file: Some(file.into()),
        line: Some(line),
        column: Some(5),
        address: 0x1000 + u64::from(line),
        module: None,
        inlined: false,
        in_app: true,
    }
}

/// A resolved stack, innermost frame first.
pub(crate) fn stack(frames: impl IntoIterator<Item = Frame>) -> Arc<StackTrace> {
    Arc::new(StackTrace {
        frames: frames.into_iter().map(Arc::new).collect(),
        symbolicated: true,
    })
}

/// One run of the app for each release.
fn run(release: &str) -> Arc<Run> {
    let mut id = [0; 16];
    let n = release.len().min(16);
    id[..n].copy_from_slice(&release.as_bytes()[release.len() - n..]);
    Arc::new(Run {
        id: RunId::from_bytes(id),
        release: Some(release.into()),
        environment: Some("test".into()),
        started_at: Timestamp(1_700_000_000_000_000),
        sdk: "bugsage-tests/0".into(),
    })
}

/// A batch of its own with these events.
pub(crate) fn seal(events: impl IntoIterator<Item = Event>) -> Sealed {
    let mut builder = BatchBuilder::new();
    for event in events {
        builder.push(&event);
    }
    builder.seal(BatchId::from_bytes(unique()))
}

/// An item as it stands in a batch: its kind and its bytes.
pub(crate) type Item = (u8, Vec<u8>);

/// The numbers of the kinds, from the description of the format.
pub(crate) mod kind {
    pub(crate) const STRINGS: u8 = 1;
    pub(crate) const FRAMES: u8 = 3;
    pub(crate) const STACKS: u8 = 4;
    pub(crate) const CONTEXTS: u8 = 5;
    pub(crate) const RUN: u8 = 6;
    pub(crate) const EVENT: u8 = 7;
    pub(crate) const SPAN: u8 = 8;
    pub(crate) const LOSSES: u8 = 9;
    pub(crate) const RUN_STATE: u8 = 10;
}

/// Takes a body apart.
pub(crate) fn items(body: &[u8]) -> Vec<Item> {
    let mut content = Vec::with_capacity(16 << 20);
    Decompress::new(false)
        .decompress_vec(&body[HEADER_BYTES..], &mut content, FlushDecompress::Finish)
        .expect("the batch is whole");
    let mut items = Vec::new();
    let mut rest = &content[..];
    while let Some((head, behind)) = rest.split_first_chunk::<5>() {
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        items.push((head[0], behind[..length].to_vec()));
        rest = &behind[length..];
    }
    items
}

/// The content of a batch that has these items.
pub(crate) fn content(items: &[Item]) -> Vec<u8> {
    let mut content = Vec::new();
    for (kind, bytes) in items {
        content.push(*kind);
        content.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        content.extend_from_slice(bytes);
    }
    content
}

/// A body of version 1 around any content, with a header that may say something else about it.
pub(crate) struct Forgery {
    pub(crate) version: u16,
    pub(crate) inflated_bytes: u32,
    deflated: Vec<u8>,
}

impl Forgery {
    pub(crate) fn of(content: &[u8]) -> Self {
        let mut deflated = Vec::with_capacity(content.len() + content.len() / 1_024 + 64);
        Compress::new(Compression::default(), false)
            .compress_vec(content, &mut deflated, FlushCompress::Finish)
            .expect("there is room for all of it");
        Self {
            version: 1,
            inflated_bytes: content.len() as u32,
            deflated,
        }
    }

    /// Around a stream as it is.
    pub(crate) fn raw(inflated_bytes: usize, deflated: Vec<u8>) -> Self {
        Self {
            version: 1,
            inflated_bytes: inflated_bytes as u32,
            deflated,
        }
    }

    /// The body, under a checksum that fits.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut body = b"BUGS".to_vec();
        body.extend_from_slice(&self.version.to_le_bytes());
        body.extend_from_slice(&unique());
        body.extend_from_slice(&self.inflated_bytes.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&body), &self.deflated);
        body.extend_from_slice(&crc.to_le_bytes());
        body.extend_from_slice(&self.deflated);
        body
    }
}
