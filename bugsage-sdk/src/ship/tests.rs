//! Nothing captured is lost or doubled, whatever is killed when: a model of lives that end at any
//! step, and a collector that may be away, answer too late, or refuse.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bugsage_core::batch;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Ended, Event, Run};
use bugsage_core::id::{BatchId, RunId};
use proptest::prelude::*;

use crate::fold::FoldTable;
use crate::ledger::{Ledger, Reason};
use crate::queue::Queue;
use crate::record::Writer;
use crate::ship::carrier::Destination;
use crate::ship::lines::Lines;
use crate::spool::about::About;
use crate::spool::hours::Hours;
use crate::spool::layout::SLOTS;
use crate::spool::{self, Settings, fault};

use super::news::News;
use crate::spans::finished::{self, Times};
use crate::spans::{self, PageHandle, Spare};

use super::origin::{Origin, Outcome};
use super::outbox::Outbox;
use super::pending::{Due, Pending, Reports};
use super::recover::{self, Dead};
use super::symbolicate::{Spot, Symbolicator};

/// A layer that no test makes.
const LAYER: u64 = u64::MAX;

fn tracing_metadata() -> &'static tracing::Metadata<'static> {
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let span = tracing::info_span!("request", order = 7);
        span.metadata().expect("is enabled")
    })
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);

fn number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

fn id_bytes() -> [u8; 16] {
    u128::from(number()).to_be_bytes()
}

struct TempFolder(PathBuf);

impl TempFolder {
    fn new() -> Self {
        let name = format!("bugsage-sdk-test-{}-{}", std::process::id(), number());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the collector has.
#[derive(Default)]
struct Collector {
    batches: HashSet<BatchId>,
    events: HashSet<[u8; 16]>,
    /// Reports delivered, and losses told, by run.
    delivered: HashMap<RunId, u64>,
    lost: HashMap<RunId, BTreeMap<String, u64>>,
    /// How each run ended, and its root spans by hour.
    ended: HashMap<RunId, Ended>,
    roots: HashMap<RunId, BTreeMap<u64, u64>>,
    /// Names of spans, how many were delivered, and how many are told to be lost.
    spans: HashSet<[u8; 8]>,
    spans_delivered: HashMap<RunId, u64>,
    spans_lost: HashMap<RunId, u64>,
}

impl Collector {
    fn take(&mut self, body: &[u8]) {
        let batch = batch::decode(body).expect("whole batches are sent");
        assert_eq!(batch.rejected, []);
        if !self.batches.insert(batch.id) {
            return;
        }
        for (_, event) in batch.events {
            let is_new = self.events.insert(event.id.to_bytes());
            assert!(is_new, "an event comes in one batch only");
            *self.delivered.entry(event.run.id).or_default() += event.count;
        }
        for state in batch.run_states {
            let id = state.run.id;
            let ended = self.ended.entry(id).or_insert(Ended::Running);
            *ended = state.ended.max(*ended);
            for hour in state.hours {
                let hours = self.roots.entry(id).or_default();
                let roots = hours.entry(hour.hour).or_default();
                *roots = hour.roots.max(*roots);
            }
        }
        for (_, span) in batch.spans {
            let is_new = self.spans.insert(span.id.to_bytes());
            assert!(is_new, "a span comes in one batch only");
            *self.spans_delivered.entry(span.run.id).or_default() += 1;
        }
        for losses in batch.span_losses {
            let lost: u64 = losses.dropped.iter().map(|(_, spans)| spans).sum();
            let known = self.spans_lost.entry(losses.run).or_default();
            *known = lost.max(*known);
        }
        for losses in batch.losses {
            let lost = self.lost.entry(losses.run).or_default();
            for (reason, reports) in losses.dropped {
                let known = lost.entry(reason.to_string()).or_default();
                *known = reports.max(*known);
            }
        }
    }

    fn lost(&self, run: RunId) -> u64 {
        let lost = self.lost.get(&run);
        lost.map_or(0, |lost| lost.values().sum())
    }
}

/// One process: what capturing threads and the shipping thread have.
struct Life {
    ledger: Ledger,
    queue: Queue,
    folds: FoldTable,
    hours: Hours,
    roots: u64,
    /// Spans that were closed, and the page that they go to.
    spans: u64,
    page: Option<PageHandle>,
    own: Rc<Origin>,
    pending: Pending,
    outbox: Outbox,
    dead: Vec<spool::folder::RunFolder>,
}

fn new_id() -> (BatchId, Timestamp) {
    (BatchId::from_bytes(id_bytes()), crate::client::now())
}

/// Keys that end in 9 are dropped by the app's filter.
fn prepare(due: Due, reports: Reports) -> Result<Event, Reason> {
    let mut symbolicator = Symbolicator::new(0);
    let event = due.into_event(reports, &mut symbolicator, &Spot::Here, || true);
    if event.message.ends_with('9') {
        return Err(Reason::BeforeSend);
    }
    Ok(event)
}

impl Life {
    fn begin(folder: &Path, settings: &Settings) -> Self {
        let run = Run {
            id: RunId::from_bytes(id_bytes()),
            release: Some("app@1.0.0".into()),
            environment: None,
            started_at: crate::client::now(),
            sdk: "test".into(),
        };
        let about = About {
            run: Arc::new(run),
            executable: "app".to_owned(),
            contexts: Vec::new(),
            modules: Vec::new(),
        };
        let settings = Settings {
            folder: Some(folder.to_owned()),
            ..settings.clone()
        };
        let destination = Destination::Lines(Lines::Stdout);
        let (mut opened, failure) = spool::open(&settings, &destination, &about);
        assert!(failure.is_none(), "{failure:?}");
        let memory = opened.take_memory(Timestamp(0));
        let ledger = Ledger::new(memory.words, memory.is_file);
        let own = Origin {
            about,
            books: ledger.books.clone(),
            folder: opened.own,
            is_own: true,
            is_packed: false.into(),
            news: News::new(0),
        };
        Self {
            queue: Queue::new(memory.words, memory.records),
            folds: FoldTable::new(memory.words),
            hours: Hours::new(memory.words),
            roots: 0,
            spans: 0,
            page: None,
            own: Rc::new(own),
            ledger,
            pending: Pending::default(),
            outbox: Outbox::new(settings.bytes_max, settings.age_max),
            dead: spool::take_over(&opened.home.expect("there is a spool"), usize::MAX),
        }
    }

    /// Spans are closed, each of a trace of its own.
    fn close_spans(&mut self, count: u8) {
        for _ in 0..count {
            let (metadata, spare) = (tracing_metadata(), Spare::new());
            let origin = spans::Origin::Root { is_sampled: true };
            let mut fields = Vec::new();
            let span = spans::open(LAYER, number(), metadata, origin, &spare, &mut fields);
            let span = span.expect("there is room");
            let times = Times {
                closed_at: crate::ticks::now(),
            };
            self.spans += 1;
            if !finished::leave(&self.queue, &mut self.page, &span, &times, |_| {}) {
                self.ledger.span_lost();
            }
            span.forget(Some(&spare));
        }
    }

    /// A root span is closed.
    fn close_root(&mut self) {
        self.roots += 1;
        self.hours.root_closed(false);
    }

    /// It is so many hours after 1970.
    fn live(&mut self, hour: u64) {
        let now = Timestamp(hour * 3_600_000_000);
        self.own.news.alive(&self.own.books.words, now);
        self.own.news.ask();
    }

    /// What a capturing thread does.
    fn capture(&self, key: u64) {
        self.ledger.produced();
        if self.folds.repeat(key, 5).is_some() {
            return;
        }
        let Some(mut claim) = self.queue.claim() else {
            self.ledger.lost_at_capture(Reason::QueueFull);
            return;
        };
        let id = [0, number()];
        let ticket = self.folds.take(key, id, 5);
        let mut out = Writer::new(&mut claim);
        out.u8(0);
        out.u8(5);
        out.u64(key);
        let (slot, generation) = ticket.map_or((u16::MAX, 0), |ticket| ticket.to_parts());
        out.u16(slot);
        out.u64(generation);
        id.iter().for_each(|half| out.u64(*half));
        out.u64(crate::client::now().0);
        out.u64(1);
        out.text("main", 100);
        out.text(&format!("message {key}"), 100);
        out.text("", 100);
        (0..2).for_each(|_| out.u64(0));
        (0..3).for_each(|_| out.u16(0));
        out.text("", 100);
        out.u8(crate::record::NO_TRACE);
        // Spans, inputs, contexts, breadcrumbs.
        (0..4).for_each(|_| out.u16(0));
        claim.publish();
        if let Some(ticket) = ticket {
            self.folds.open(ticket);
        }
    }

    fn read(&mut self) {
        let run = self.own.about.run.clone();
        let now = Instant::now();
        let add = |slot, record: &[u8]| self.pending.add(slot, record, &run, now);
        self.queue.drain(add);
        for slot in self.queue.take_pages(u64::MAX) {
            self.pending.add_page(slot, self.queue.page(slot));
        }
    }

    fn seal(&mut self) {
        while self.outbox.has_room() {
            let (id, now) = new_id();
            let packed = self
                .own
                .pack(&mut self.pending, true, id, &mut prepare, &Ok);
            let Some(packed) = packed else { return };
            if let Some(parcel) = self.own.store(packed, now) {
                self.outbox.push(parcel);
            }
        }
    }

    fn recover(&mut self) {
        while !self.dead.is_empty() {
            let Some(mut dead) = Dead::open(self.dead.remove(0)) else {
                continue;
            };
            let parcels: Vec<_> = dead.parcels.drain(..).collect();
            parcels
                .into_iter()
                .for_each(|parcel| self.outbox.push(parcel));
            let mut pending = dead.records();
            let mut prepare = |due: Due, reports: Reports| prepare(due, reports);
            let outbox = &mut self.outbox;
            recover::pack_all(
                &dead.origin,
                &mut pending,
                outbox,
                &new_id,
                &mut prepare,
                &Ok,
            );
        }
    }

    /// Sends the first batch; `answer` is whether it is taken, and whether we hear of it.
    fn send(&mut self, collector: &RefCell<Collector>, answer: Answer) -> bool {
        let (first, damaged) = self.outbox.first();
        for origin in damaged {
            recover::end(&origin, &mut self.outbox, &new_id);
        }
        let Some(sealed) = first else {
            return false;
        };
        // What was taken once is a duplicate, and never refused.
        let is_known = collector.borrow().batches.contains(&sealed.id);
        let is_refusable = !is_known && sealed.reports + sealed.spans > 0;
        let outcome = match answer {
            Answer::Refused if is_refusable => {
                Outcome::dropped(Reason::Refused, sealed.reports, sealed.spans)
            }
            _ => {
                collector.borrow_mut().take(&sealed.bytes);
                Outcome {
                    delivered: sealed.reports,
                    spans_delivered: sealed.spans,
                    ..Outcome::default()
                }
            }
        };
        if !matches!(answer, Answer::TakenUnheard) {
            fault::point();
            if let Some(origin) = self.outbox.settle_first(&outcome) {
                recover::end(&origin, &mut self.outbox, &new_id);
            }
        }
        true
    }
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Taken,
    TakenUnheard,
    Refused,
}

#[derive(Debug, Clone)]
enum Step {
    /// Ten times as many different reports as can wait.
    Flood,
    Capture {
        key: u64,
        times: u8,
    },
    CloseRoot,
    CloseSpans(u8),
    NextHour,
    Read,
    Seal,
    Send(Answer),
    Recover,
    Bound,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<(Step, Option<u32>)>> {
    steps_with(prop_oneof![
        4 => Just(Answer::Taken),
        2 => Just(Answer::TakenUnheard),
        1 => Just(Answer::Refused),
    ])
}

/// Without answers that get lost: what was taken, unheard, and is dropped here before it is sent again
/// is counted on both sides, and nobody can know.
fn heard_steps() -> impl Strategy<Value = Vec<(Step, Option<u32>)>> {
    steps_with(prop_oneof![2 => Just(Answer::Taken), 1 => Just(Answer::Refused)])
}

fn steps_with(
    answer: impl Strategy<Value = Answer>,
) -> impl Strategy<Value = Vec<(Step, Option<u32>)>> {
    let step = prop_oneof![
        6 => (0..30_u64, 1..4_u8).prop_map(|(key, times)| Step::Capture { key, times }),
        3 => Just(Step::CloseRoot),
        4 => (1..40_u8).prop_map(Step::CloseSpans),
        2 => Just(Step::NextHour),
        3 => Just(Step::Read),
        3 => Just(Step::Seal),
        3 => answer.prop_map(Step::Send),
        2 => Just(Step::Recover),
        1 => Just(Step::Bound),
        1 => Just(Step::Kill),
    ];
    let killed = prop_oneof![3 => Just(None), 1 => (0..25_u32).prop_map(Some)];
    prop::collection::vec((step, killed), 1..60)
}

/// A world with a folder, a collector and what every run produced.
struct World {
    folder: TempFolder,
    settings: Settings,
    collector: RefCell<Collector>,
    life: Option<Life>,
    produced: HashMap<RunId, u64>,
    roots: HashMap<RunId, u64>,
    spans: HashMap<RunId, u64>,
    hour: u64,
}

impl World {
    fn new(bytes_max: u64) -> Self {
        let settings = Settings {
            bytes_max,
            ..Settings::default()
        };
        Self {
            folder: TempFolder::new(),
            settings,
            collector: RefCell::default(),
            life: None,
            produced: HashMap::new(),
            roots: HashMap::new(),
            spans: HashMap::new(),
            // Later than any run of a test has begun.
            hour: 5_000_000,
        }
    }

    fn life(&mut self) -> &mut Life {
        let (folder, settings) = (&self.folder.0, &self.settings);
        self.life
            .get_or_insert_with(|| Life::begin(folder, settings))
    }

    /// `kill -9`: everything goes but what is in files.
    fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            let run = life.own.about.run.id;
            self.produced.insert(run, life.ledger.report().produced);
            self.roots.insert(run, life.roots);
            let spans = life.ledger.report().spans.produced;
            assert_eq!(spans, life.spans, "every span is counted at any time");
            self.spans.insert(run, spans);
        }
    }

    fn step(&mut self, step: &Step, kill_after: Option<u32>) {
        self.life();
        let Some(mut life) = self.life.take() else {
            return;
        };
        self.hour += 1;
        let (collector, hour) = (&self.collector, self.hour);
        let run = || match step {
            Step::Capture { key, times } => (0..*times).for_each(|_| life.capture(*key)),
            Step::Flood => (0..10 * SLOTS as u64).for_each(|_| life.capture(number() << 8)),
            Step::CloseRoot => life.close_root(),
            Step::CloseSpans(count) => life.close_spans(*count),
            Step::NextHour => life.live(hour),
            Step::Read => life.read(),
            Step::Seal => life.seal(),
            Step::Send(answer) => drop(life.send(collector, *answer)),
            Step::Recover => life.recover(),
            Step::Bound => {
                for origin in life.outbox.bound(false, crate::client::now()) {
                    recover::end(&origin, &mut life.outbox, &new_id);
                }
            }
            Step::Kill => {}
        };
        let is_killed = fault::kill_after(kill_after.unwrap_or(u32::MAX), run);
        self.life = Some(life);
        if is_killed || matches!(step, Step::Kill) {
            self.kill();
        }
    }

    /// Restarts until nothing is left, with a collector that takes everything.
    fn deliver_all(&mut self) {
        self.kill();
        let life = self.life();
        life.recover();
        let mut rest = 10_000;
        while rest > 0 {
            rest -= 1;
            let life = self.life.as_mut().expect("was begun");
            if !life.send(&self.collector, Answer::Taken) {
                break;
            }
        }
        assert!(rest > 0, "it comes to an end");
    }

    fn check(&self) {
        let collector = self.collector.borrow();
        for (run, produced) in &self.produced {
            let delivered = collector.delivered.get(run).copied().unwrap_or(0);
            let lost = collector.lost.get(run);
            let accounted = delivered + collector.lost(*run);
            assert_eq!(*produced, accounted, "{run}: {delivered} and {lost:?}");
        }
        for (run, spans) in &self.spans {
            let delivered = collector.spans_delivered.get(run).copied().unwrap_or(0);
            let lost = collector.spans_lost.get(run).copied().unwrap_or(0);
            assert_eq!(*spans, delivered + lost, "{run}: {delivered} and {lost}");
        }
    }

    /// How every run ended was told, and all of its root spans.
    fn check_runs(&self) {
        let collector = self.collector.borrow();
        for (run, roots) in &self.roots {
            assert_eq!(collector.ended.get(run), Some(&Ended::Killed), "{run}");
            let told = collector.roots.get(run);
            let told = told.map_or(0, |hours| hours.values().sum::<u64>());
            assert_eq!(told, *roots, "{run}: {:?}", collector.roots.get(run));
        }
    }

    fn lost_for(&self, reason: Reason) -> u64 {
        let collector = self.collector.borrow();
        let lost = collector.lost.values();
        lost.filter_map(|lost| lost.get(reason.as_str())).sum()
    }
}

proptest! {
    // A flood takes its time without optimization.
    #![proptest_config(ProptestConfig { cases: 3, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ten_times_too_much_is_counted_and_costs_nobody_else(
        before in steps(),
        after in steps(),
        floods in 1..=2_usize,
    ) {
        let mut world = World::new(u64::MAX);
        let flood = vec![(Step::Flood, None); floods];
        for (step, kill_after) in before.iter().chain(&flood).chain(&after) {
            world.step(step, *kill_after);
        }
        world.deliver_all();
        world.check();
        prop_assert!(world.lost_for(Reason::QueueFull) >= 8 * SLOTS as u64);
        prop_assert_eq!(world.lost_for(Reason::SpoolCorrupt), 0, "nothing was damaged");
    }
}

#[test]
fn a_report_sealed_beside_spans_arrives_once_whenever_the_two_lives_after_it_end() {
    for (sealing, recovering) in (0..8).flat_map(|a| (0..20).map(move |b| (a, b))) {
        let mut world = World::new(u64::MAX);
        for (step, kill_after) in [
            (Step::CloseSpans(1), None),
            (Step::Read, None),
            (Step::Capture { key: 0, times: 1 }, None),
            (Step::Seal, Some(sealing)),
            (Step::Recover, Some(recovering)),
        ] {
            world.step(&step, kill_after);
        }
        world.deliver_all();
        world.check();
        assert_eq!(world.lost_for(Reason::SpoolCorrupt), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_report_arrives_once_or_is_counted_whatever_is_killed_when(steps in steps()) {
        let mut world = World::new(u64::MAX);
        for (step, kill_after) in &steps {
            world.step(step, *kill_after);
        }
        world.deliver_all();
        world.check();
        prop_assert_eq!(world.lost_for(Reason::SpoolCorrupt), 0, "nothing was damaged");
    }

    #[test]
    fn how_every_run_ended_is_told_with_all_that_it_counted_whatever_is_killed_when(
        steps in steps_with(prop_oneof![Just(Answer::Taken), Just(Answer::TakenUnheard)]),
    ) {
        let mut world = World::new(u64::MAX);
        for (step, kill_after) in &steps {
            world.step(step, *kill_after);
        }
        world.deliver_all();
        world.check();
        world.check_runs();
    }

    #[test]
    fn what_a_small_spool_drops_is_counted(mut steps in heard_steps()) {
        for (step, kill_after) in &mut steps {
            if matches!(step, Step::Send(_)) {
                *kill_after = None;
            }
        }
        let mut world = World::new(300);
        for (step, kill_after) in &steps {
            world.step(step, *kill_after);
        }
        world.deliver_all();
        world.check();
    }

    #[test]
    fn damaged_files_cost_what_was_in_them_and_are_counted(
        mut steps in heard_steps(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>(), any::<u8>()), 1..6),
    ) {
        let mut world = World::new(u64::MAX);
        for (step, kill_after) in &mut steps {
            if matches!(step, Step::Send(_)) {
                *kill_after = None;
            }
            world.step(step, *kill_after);
        }
        world.kill();
        let files = files(&world.folder.0);
        for (index, at, byte) in damage {
            let Some(file) = files.get(index.index(files.len().max(1))) else { continue };
            let Ok(mut bytes) = std::fs::read(file) else { continue };
            // Records and batches; counters are nobody's to check.
            let start = if file.ends_with("records") { spool::layout::WORDS_BYTES } else { 0 };
            if bytes.len() > start {
                let at = start + at as usize % (bytes.len() - start).min(40_000);
                bytes[at] ^= byte;
                std::fs::write(file, bytes).expect("can be written");
            }
        }
        world.deliver_all();
        world.check();
    }
}

/// All files of all runs.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

#[test]
fn a_kill_after_each_single_step_of_a_delivery_costs_nothing() {
    for steps in 0..60 {
        let mut world = World::new(u64::MAX);
        let all = [
            Step::Capture { key: 1, times: 3 },
            Step::Capture { key: 2, times: 1 },
            Step::Capture { key: 9, times: 2 },
        ];
        all.iter().for_each(|step| world.step(step, None));
        let mut life = world.life.take().expect("was begun");
        let collector = &world.collector;
        fault::kill_after(steps, || {
            life.read();
            life.seal();
            while life.send(collector, Answer::Taken) {}
        });
        world.life = Some(life);
        world.kill();
        // And whoever recovers is killed at the same step.
        world.step(&Step::Recover, Some(steps));
        world.step(&Step::Send(Answer::Taken), Some(steps));
        world.deliver_all();

        world.check();
        let delivered: u64 = world.collector.borrow().delivered.values().sum();
        assert_eq!(delivered, 4, "after {steps} steps");
        assert_eq!(world.lost_for(Reason::BeforeSend), 2);
        assert_eq!(world.lost_for(Reason::SpoolCorrupt), 0);
    }
}

#[test]
fn batches_that_wait_are_delivered_in_order_and_leave_nothing() {
    let mut world = World::new(u64::MAX);
    for key in 0..5 {
        world.step(&Step::Capture { key, times: 1 }, None);
        world.step(&Step::Read, None);
        world.step(&Step::Seal, None);
    }
    world.kill();
    world.step(&Step::Recover, None);

    let mut messages = Vec::new();
    let life = world.life();
    while let (Some(sealed), _) = life.outbox.first() {
        let batch = batch::decode(&sealed.bytes).expect("is whole");
        messages.extend(batch.events.into_iter().map(|(_, e)| e.message.to_string()));
        let delivered = sealed.reports;
        let origin = life.outbox.settle_first(&Outcome {
            delivered,
            ..Outcome::default()
        });
        recover::end(&origin.expect("there was one"), &mut life.outbox, &new_id);
    }

    let expected: Vec<String> = (0..5).map(|key| format!("message {key}")).collect();
    assert_eq!(messages, expected);
    let own = life.own.about.run.id.to_string();
    let left = files(&world.folder.0);
    assert!(
        left.iter()
            .all(|file| file.to_string_lossy().contains(&own))
    );
}

#[test]
fn what_is_too_old_is_dropped_and_counted() {
    let mut world = World::new(u64::MAX);
    world.settings.age_max = Duration::ZERO;
    world.step(&Step::Capture { key: 1, times: 2 }, None);
    world.step(&Step::Read, None);
    world.step(&Step::Seal, None);
    world.step(&Step::Bound, None);

    world.deliver_all();

    world.check();
    assert_eq!(world.lost_for(Reason::SpoolExpired), 2);
}

#[test]
fn a_disk_that_takes_nothing_does_not_keep_recovery_busy_for_ever() {
    let mut world = World::new(u64::MAX);
    world.step(&Step::Capture { key: 1, times: 1 }, None);
    world.step(&Step::CloseRoot, None);
    let run = world.life().own.about.run.id.to_string();
    world.kill();
    let life = world.life();
    let dead = life.dead.pop().and_then(Dead::open).expect("there is one");
    let path = files(&world.folder.0).into_iter();
    let path = path.map(|file| file.parent().expect("has one").to_owned());
    let folder = path.clone().find(|path| path.ends_with(&run));
    std::fs::remove_dir_all(folder.expect("is there")).expect("can be removed");

    let life = world.life.as_mut().expect("was begun");
    let mut pending = dead.records();
    let mut prepare = |due: Due, reports: Reports| prepare(due, reports);
    let outbox = &mut life.outbox;
    recover::pack_all(
        &dead.origin,
        &mut pending,
        outbox,
        &new_id,
        &mut prepare,
        &Ok,
    );
    while life.send(&world.collector, Answer::Taken) {}

    let collector = world.collector.borrow();
    assert_eq!(collector.delivered.values().sum::<u64>(), 1);
    assert_eq!(
        collector.ended.values().collect::<Vec<_>>(),
        [&Ended::Killed]
    );
}

#[test]
fn an_app_that_flushes_often_while_nobody_answers_makes_one_batch_of_news_an_hour() {
    let mut world = World::new(u64::MAX);
    for hour in [5_000_000, 5_000_001, 5_000_002] {
        world.life().live(hour);
        for _ in 0..100 {
            world.step(&Step::CloseRoot, None);
            world.life().own.news.ask();
            world.step(&Step::Seal, None);
        }
    }

    let life = world.life.as_ref().expect("was begun");
    assert_eq!(life.own.books.settled().batch, 3);
    world.deliver_all();
    world.check_runs();
}
