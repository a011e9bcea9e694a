//! What surrounds a report: the open spans with their fields, the last breadcrumbs, tags and user.
//!
//! The panic hook reads all of this, so it lies in thread-locals, in cells of open spans, and behind locks
//! of our own that are held for a few instructions, never while code of the app runs: values are formatted
//! first and stored then. Readers only ever try a lock. The hook must not ask the registry of `tracing`,
//! whose locks a panicking thread may hold.

use std::cell::{Cell, RefCell};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use bugsage_core::event::FINGERPRINT_TAG;
use bugsage_core::limits;
use bugsage_core::trace_context::TraceContext;

use crate::breadcrumbs::Crumb;
use crate::capture::error::format_bounded;
use crate::client::{self, Client};
use crate::integrations::field_names::FieldNames;
use crate::spans::finished::{self, Times};
use crate::spans::{Extra, Handle, OpenSpan, Spare};

pub(crate) use crate::breadcrumbs::Ring;

/// Open spans told with a report; of a deeper nest the innermost count.
pub(crate) const SPANS_TOLD: usize = limits::SPANS_MAX;

/// Spans that a thread may have entered at once and be told of; those entered beyond that are not.
const ENTERED_MAX: usize = 1 << 16;

/// Names of an app's own contexts, and inputs, that a span or the process may have: what a record has room
/// for.
const ATTACHED_MAX: usize = 32;
const INPUTS_MAX: usize = 4;

/// How often a reader tries, about a microsecond in all.
const TRIES: usize = 64;

thread_local! {
    static LOCAL: Local = const { Local::new() };
}

/// What a thread has for itself.
pub(crate) struct Local {
    entered: RefCell<Vec<Entered>>,
    breadcrumbs: RefCell<Ring>,
    /// Memory for what is formatted, taken while it is in use.
    scratch: Cell<Vec<u8>>,
    pub(crate) spare: Spare,
    /// Where the next trace that begins here goes on from.
    remote: Cell<Option<TraceContext>>,
    pub(crate) field_names: FieldNames,
    /// The thread's number; zero until somebody asks.
    thread_number: Cell<u64>,
    /// Whether this thread is BugSage's own, whose doings are not reported.
    is_ours: Cell<bool>,
    /// Whether the app's sampler runs.
    is_deciding: Cell<bool>,
}

#[derive(Clone, Copy)]
struct Entered {
    /// The number that the registry knows the span by.
    number: u64,
    span: Handle,
    /// When, where the span's trace is sampled; else zero.
    at: u64,
}

impl Local {
    const fn new() -> Self {
        Self {
            entered: RefCell::new(Vec::new()),
            breadcrumbs: RefCell::new(Ring::new()),
            scratch: Cell::new(Vec::new()),
            spare: Spare::new(),
            remote: Cell::new(None),
            field_names: FieldNames::new(),
            thread_number: Cell::new(0),
            is_ours: Cell::new(false),
            is_deciding: Cell::new(false),
        }
    }

    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours.get()
    }

    /// Lends memory for something to be formatted into, empty. What is formatted may come here again, and
    /// finds fresh memory then.
    #[inline]
    pub(crate) fn with_scratch<T>(&self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut scratch = self.scratch.take();
        scratch.clear();
        let written = write(&mut scratch);
        if scratch.capacity() <= SCRATCH_BYTES_MAX {
            self.scratch.set(scratch);
        }
        written
    }

    #[inline]
    pub(crate) fn enter(&self, number: u64, span: Handle, mut at: u64) {
        if let Ok(mut entered) = self.entered.try_borrow_mut()
            && entered.len() < ENTERED_MAX
        {
            // Entered twice, its time runs already.
            if at != 0
                && entered
                    .iter()
                    .rev()
                    .take(SPANS_TOLD)
                    .any(|it| it.span == span)
            {
                at = 0;
            }
            entered.push(Entered { number, span, at });
        }
    }

    /// Leaves a span, by its number alone: a thread that panicked under the registry's lock leaves its
    /// spans too, and asking the registry then would panic again and abort. Tells which it was, and when
    /// it was entered.
    #[inline]
    pub(crate) fn exit(&self, number: u64) -> Option<(Handle, u64)> {
        let mut entered = self.entered.try_borrow_mut().ok()?;
        if entered.last().is_some_and(|last| last.number == number) {
            return entered.pop().map(|left| (left.span, left.at));
        }
        // Guards may be dropped in any order.
        let at = entered.iter().rposition(|it| it.number == number)?;
        let left = entered.remove(at);
        Some((left.span, left.at))
    }

    /// The innermost span that this thread has entered.
    #[inline]
    pub(crate) fn current(&self) -> Option<Handle> {
        let entered = self.entered.try_borrow().ok()?;
        entered.last().map(|entered| entered.span)
    }

    /// Lets the app decide, unless it is what it is doing already.
    pub(crate) fn deciding<T>(&self, decide: impl FnOnce() -> T) -> Option<T> {
        if self.is_deciding.replace(true) {
            return None;
        }
        let decided = decide();
        self.is_deciding.set(false);
        Some(decided)
    }

    /// Where the trace that begins now goes on from, once.
    #[inline]
    pub(crate) fn take_remote(&self) -> Option<TraceContext> {
        self.remote.take()
    }

    /// Says where the next trace that begins here goes on from, and tells what was said before.
    pub(crate) fn swap_remote(&self, remote: Option<TraceContext>) -> Option<TraceContext> {
        self.remote.replace(remote)
    }

    /// Leaves a finished span of a sampled trace to the shipping thread. False where there is no room.
    pub(crate) fn leave(&self, client: &'static Client, span: &OpenSpan, times: &Times) -> bool {
        let Ok(mut page) = self.spare.page.try_borrow_mut() else {
            return false;
        };
        finished::leave(&client.queue, &mut page, span, times, |slot| {
            client.wake(slot)
        })
    }

    /// Keeps a breadcrumb with the current span's tree, or else with the thread.
    pub(crate) fn add_breadcrumb(&self, crumb: &[u8]) {
        let root = self.current().and_then(OpenSpan::root_of);
        match root {
            Some(root) => root.change_extra(
                || self.spare.extra(),
                |extra: &mut Extra| extra.breadcrumbs.push(crumb),
            ),
            None => {
                if let Ok(mut ring) = self.breadcrumbs.try_borrow_mut() {
                    ring.push(crumb);
                }
            }
        }
    }
}

/// Memory that a thread keeps for formatting: more than any span's fields or any line of a log.
const SCRATCH_BYTES_MAX: usize = 16 << 10;

static PROCESS: RwLock<Scope> = RwLock::new(Scope::new());

/// Runs something with what this thread has for itself; not while the thread is being taken down.
#[inline]
pub(crate) fn with_local<T>(run: impl FnOnce(&Local) -> T) -> Option<T> {
    LOCAL.try_with(run).ok()
}

/// The number of the calling thread, as its `Debug` text tells it: there is no other way on stable.
pub(crate) fn thread_number(thread: &std::thread::Thread) -> u64 {
    let known = with_local(|local| match local.thread_number.get() {
        0 => {
            let number = read_thread_number(thread);
            local.thread_number.set(number);
            number
        }
        number => number,
    });
    known.unwrap_or_else(|| read_thread_number(thread))
}

fn read_thread_number(thread: &std::thread::Thread) -> u64 {
    struct Number(u64);
    impl std::fmt::Write for Number {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            for digit in text.bytes().filter(u8::is_ascii_digit) {
                self.0 = self
                    .0
                    .wrapping_mul(10)
                    .wrapping_add(u64::from(digit - b'0'));
            }
            Ok(())
        }
    }
    let mut number = Number(0);
    let _ = std::fmt::Write::write_fmt(&mut number, format_args!("{:?}", thread.id()));
    number.0
}

/// Marks the calling thread as BugSage's own.
pub(crate) fn mark_thread_ours() {
    with_local(|local| local.is_ours.set(true));
}

/// Whether the calling thread is BugSage's own.
pub(crate) fn thread_is_ours() -> bool {
    with_local(Local::is_ours).unwrap_or(false)
}

/// The innermost span that this thread has entered, while it is open.
pub(crate) fn current() -> Option<OpenSpan> {
    with_local(Local::current).flatten().and_then(OpenSpan::of)
}

/// The open spans, innermost first: the current one and its parents.
pub(crate) fn open_spans(current: Option<&OpenSpan>) -> impl Iterator<Item = OpenSpan> {
    std::iter::successors(current.copied(), OpenSpan::parent)
}

/// Nanoseconds in which a span was entered, up to now where this thread has entered it.
pub(crate) fn busy_ns(span: &OpenSpan, now: u64) -> u64 {
    let since = with_local(|local| {
        let entered = local.entered.try_borrow().ok()?;
        let at = entered
            .iter()
            .filter(|it| it.span == span.handle && it.at != 0);
        at.map(|it| it.at).next()
    });
    let running = since.flatten().map_or(0, |at| now.saturating_sub(at));
    span.busy_ns().saturating_add(running)
}

/// Hands the breadcrumbs to `read`, newest first, while it answers true: those of the current
/// span's tree, then those that the thread left outside of any span.
pub(crate) fn read_breadcrumbs(
    current: Option<&OpenSpan>,
    mut read: impl FnMut(Crumb<'_>) -> bool,
) {
    let mut goes_on = true;
    if let Some(root) = current.and_then(OpenSpan::root) {
        root.read_extra(|extra| goes_on = extra.breadcrumbs.iter().all(&mut read));
    }
    if goes_on {
        with_local(|local| {
            if let Ok(ring) = local.breadcrumbs.try_borrow() {
                let _ = ring.iter().all(&mut read);
            }
        });
    }
}

/// What the app told of a span or of the process.
#[derive(Default)]
pub(crate) struct Scope {
    tags: Vec<(Box<str>, Box<str>)>,
    contexts: Vec<(Box<str>, Box<str>)>,
    inputs: Vec<(Box<str>, Box<str>)>,
    user: Option<Box<str>>,
}

impl Scope {
    pub(crate) const fn new() -> Self {
        Self {
            tags: Vec::new(),
            contexts: Vec::new(),
            inputs: Vec::new(),
            user: None,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.tags.clear();
        self.contexts.clear();
        self.inputs.clear();
        self.user = None;
    }

    /// Hands out what the app attached.
    pub(crate) fn attached(&self) -> impl Iterator<Item = (&str, &str)> {
        self.contexts.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Hands out what the app was working on.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inputs.iter().map(|(key, value)| (&**key, &**value))
    }
}

/// Sets a name's value, where there is room for a further name.
fn set(pairs: &mut Vec<(Box<str>, Box<str>)>, names_max: usize, key: Box<str>, value: Box<str>) {
    let has_room = pairs.len() < names_max;
    match pairs.iter_mut().find(|(known, _)| *known == key) {
        Some(pair) => pair.1 = value,
        None if has_room => pairs.push((key, value)),
        None => {}
    }
}

/// Attaches a tag to what is reported from here on: by the current span and the spans below it,
/// or by the whole process where no span is open.
///
/// Tags tell events apart that are otherwise equal (a tenant, a region). The name is cut at 200
/// bytes, the value at 8 KiB; of a span's or the process's tags the first 100 names are kept. Of one name the
/// innermost span's value counts, and the latest. Costs two small allocations and a lock of our own.
///
/// ```
/// bugsage_sdk::set_tag("region", "eu-west");
/// ```
pub fn set_tag(key: impl AsRef<str>, value: impl AsRef<str>) {
    let key: Box<str> = limits::cut(key.as_ref(), limits::KEY_BYTES_MAX).into();
    let value: Box<str> = limits::cut(value.as_ref(), limits::VALUE_BYTES_MAX).into();
    with_scope(|scope| set(&mut scope.tags, limits::PAIRS_MAX, key, value));
}

/// Says what is one bug of what is reported from here on: by the current span and the spans below it, or by the whole
/// process where no span is open.
///
/// Reports whose parts are the same become one issue. The part `{{ default }}` stands for what BugSage would group by
/// itself, so that others beside it split what would be one issue; without it, whatever has the same parts is one,
/// wherever it failed. `{{ class }}`, `{{ message }}`, `{{ culprit }}`, `{{ file }}`, `{{ release }}`,
/// `{{ environment }}` and `{{ tag.NAME }}` stand for what the report says. No parts take it back.
///
/// The first 16 parts count, each up to 200 bytes. It is a tag named `bugsage.fingerprint`, and costs what [`set_tag`]
/// costs; rules of the collector may say otherwise.
///
/// ```
/// // One issue for each supplier, otherwise as usual.
/// bugsage_sdk::set_fingerprint(["{{ default }}", "supplier 17"]);
/// ```
pub fn set_fingerprint<P: AsRef<str>>(parts: impl IntoIterator<Item = P>) {
    const PARTS_MAX: usize = 16;
    const PART_BYTES_MAX: usize = 200;
    let mut lines = String::new();
    for part in parts.into_iter().take(PARTS_MAX) {
        if !lines.is_empty() {
            lines.push('\n');
        }
        let part = limits::cut(part.as_ref(), PART_BYTES_MAX);
        lines.extend(part.chars().map(|c| if c == '\n' { ' ' } else { c }));
    }
    set_tag(FINGERPRINT_TAG, lines);
}

/// Attaches a fact of the app's own, under a name of its own, to what is reported from here on: by the
/// current span and the spans below it, or by the whole process where no span is open.
///
/// It is shown with an event, and does not tell events apart. The name is cut at 200 bytes, the value at
/// 8 KiB; of a span's or the process's the first 32 names are kept. Secrets are removed before it leaves
/// the process. Costs what [`set_tag`] costs.
///
/// ```
/// bugsage_sdk::set_context("plan", "team, 12 seats");
/// ```
pub fn set_context(name: impl AsRef<str>, value: impl AsRef<str>) {
    let name: Box<str> = limits::cut(name.as_ref(), limits::KEY_BYTES_MAX).into();
    let value: Box<str> = limits::cut(value.as_ref(), limits::VALUE_BYTES_MAX).into();
    with_scope(|scope| set(&mut scope.contexts, ATTACHED_MAX, name, value));
}

/// Keeps the input at hand, a request or a job, to be sent with an error or a panic in the current span or
/// below it, and only then; see [`input!`](crate::input). It is what a failure can be made again from.
///
/// The name is cut at 200 bytes, the text at 8 KiB; a span has 4 inputs at most. Secrets are removed
/// before it leaves the process. Costs formatting the value, up to the limit. A `Display` that panics is
/// contained, except under `panic = "abort"`.
pub fn set_input(name: impl AsRef<str>, value: impl std::fmt::Display) {
    let name: Box<str> = limits::cut(name.as_ref(), limits::KEY_BYTES_MAX).into();
    let value = format_bounded(
        limits::VALUE_BYTES_MAX - limits::CUT.len(),
        format_args!("{value}"),
    );
    with_scope(|scope| set(&mut scope.inputs, INPUTS_MAX, name, value.into()));
}

/// Keeps the input at hand, a request or a job, to be sent with an error or a panic: by its name with
/// `Debug`, or under a name with a format.
///
/// ```
/// #[derive(Debug)]
/// struct Order { items: u32 }
/// let order = Order { items: 0 };
///
/// bugsage_sdk::input!(order);
/// bugsage_sdk::input!("request", "POST /orders items={}", order.items);
/// ```
///
/// See [`set_input`] for its limits.
#[macro_export]
macro_rules! input {
    ($value:ident) => {
        $crate::set_input(::core::stringify!($value), ::core::format_args!("{:?}", $value))
    };
    ($name:expr, $($format:tt)+) => {
        $crate::set_input($name, ::core::format_args!($($format)+))
    };
}

/// Tells who is using the app, for what is reported from here on: by the current span and the
/// spans below it, or by the whole process where no span is open.
///
/// Use an id that means nothing outside the app; an e-mail address is replaced by a pseudonym
/// before it leaves the process. Cut at 200 bytes. It also counts as a user of the release, in a
/// sketch that holds no names. Costs an allocation and a lock of our own.
///
/// ```
/// bugsage_sdk::set_user("customer-4711");
/// ```
pub fn set_user(user: impl AsRef<str>) {
    let user: Box<str> = limits::cut(user.as_ref(), limits::NAME_BYTES_MAX).into();
    if let Some(client) = client::active()
        && !client::is_paused()
    {
        client.hours.user_seen(&user);
    }
    with_scope(|scope| scope.user = Some(user));
}

fn with_scope(change: impl FnOnce(&mut Scope)) {
    match current() {
        Some(span) => span.change_extra(|| None, |extra| change(&mut extra.scope)),
        None => change(&mut write(outermost())),
    }
}

/// Hands tags to `tag` and the user to `user`, the innermost scope first: a reader keeps the first
/// value of each name.
pub(crate) fn read_scopes(
    current: Option<&OpenSpan>,
    mut tag: impl FnMut(&str, &str),
    mut user: impl FnMut(&str),
) {
    let read = |scope: &Scope| {
        scope.tags.iter().for_each(|(key, value)| tag(key, value));
        if let Some(name) = &scope.user {
            user(name);
        }
    };
    each_scope(current, read);
}

/// Hands every scope to `read`, the innermost first.
pub(crate) fn each_scope(current: Option<&OpenSpan>, mut read: impl FnMut(&Scope)) {
    for span in open_spans(current).take(SPANS_TOLD) {
        span.read_extra(|extra| read(&extra.scope));
    }
    if let Some(scope) = try_read(outermost()) {
        read(&scope);
    }
}

/// What holds where no span is open: for the whole process, or for a test's recorder.
fn outermost() -> &'static RwLock<Scope> {
    crate::test::recording().map_or(&PROCESS, |client| &client.scope)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Tries to read, a few times where somebody writes: writers are done after some instructions, unless
/// the system has stopped them in between. Readers do not keep each other out.
fn try_read<T>(lock: &RwLock<T>) -> Option<RwLockReadGuard<'_, T>> {
    (0..TRIES).find_map(|_| match lock.try_read() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            std::hint::spin_loop();
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use tracing::{Span, info, info_span};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Runs something with a registry and our layer, and without anybody's breadcrumbs.
    fn with_layer(run: impl FnOnce() + Send + 'static) {
        let subscriber = tracing_subscriber::registry().with(crate::layer());
        let on_a_fresh_thread = || {
            let recorder = crate::test::Recorder::new();
            let _attached = recorder.attach();
            tracing::subscriber::with_default(subscriber, run);
        };
        let thread = std::thread::spawn(on_a_fresh_thread);
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }

    fn crumbs() -> Vec<String> {
        let mut seen = Vec::new();
        read_breadcrumbs(current().as_ref(), |crumb| {
            seen.push(crumb.message.to_owned());
            true
        });
        seen
    }

    fn tags_and_users() -> (Vec<String>, Vec<String>) {
        let (mut tags, mut users) = (Vec::new(), Vec::new());
        read_scopes(
            current().as_ref(),
            |key, value| tags.push(format!("{key}={value}")),
            |user| users.push(user.to_owned()),
        );
        (tags, users)
    }

    #[test]
    fn breadcrumbs_follow_the_span_to_another_thread() {
        with_layer(|| {
            let root = info_span!("request");
            let child = root.in_scope(|| {
                info!("before");
                info_span!("query")
            });
            let subscriber = tracing::dispatcher::get_default(Clone::clone);

            let seen = std::thread::spawn(move || {
                tracing::dispatcher::with_default(&subscriber, || {
                    child.in_scope(|| {
                        info!("after");
                        crumbs()
                    })
                })
            });

            assert_eq!(seen.join().expect("no panic"), ["after", "before"]);
        });
    }

    #[test]
    fn breadcrumbs_of_a_span_that_is_closed_are_nobodys() {
        with_layer(|| {
            info!("of the thread");
            for request in 0..3 {
                info_span!("request").in_scope(|| {
                    info!("request {request}");
                    let expected = [format!("request {request}"), "of the thread".to_owned()];
                    assert_eq!(crumbs(), expected);
                });
            }
            assert_eq!(crumbs(), ["of the thread"]);
        });
    }

    #[test]
    fn a_breadcrumb_has_its_message_first_and_no_secrets() {
        with_layer(|| {
            info!(user = 7, password = "hunter2", "cache miss for {}", "key");
            assert_eq!(crumbs(), ["cache miss for key user=7 password=[secret]"]);
        });
    }

    #[test]
    fn threads_that_read_at_the_same_moment_all_see_the_tags() {
        with_layer(|| {
            let span = info_span!("request");
            span.in_scope(|| set_tag("region", "eu"));
            let current = span.in_scope(current).expect("is open");

            let mut seen = None;
            current.read_extra(|_| {
                seen = std::thread::scope(|scope| {
                    let read = || {
                        let mut tags = 0;
                        read_scopes(Some(&current), |_, _| tags += 1, |_| {});
                        tags
                    };
                    scope.spawn(read).join().ok()
                });
            });
            assert_eq!(seen, Some(1));
        });
    }

    #[test]
    fn the_innermost_tag_wins_and_guards_may_leave_in_any_order() {
        with_layer(|| {
            let outer = info_span!("outer").entered();
            set_tag("region", "outer");
            let inner = info_span!("inner").entered();
            set_tag("region", "inner");
            set_user("u1");
            let outer = outer.exit();

            let (tags, users) = tags_and_users();

            assert_eq!(tags, ["region=inner", "region=outer"]);
            assert_eq!(users, ["u1"]);
            drop((outer, inner));
        });
    }

    #[test]
    fn a_very_deep_nest_is_told_by_its_innermost_spans_and_can_be_dropped() {
        with_layer(|| {
            let mut spans: Vec<Span> = Vec::new();
            for depth in 0..20_000 {
                let parent = spans.last().cloned().unwrap_or_else(Span::none);
                spans.push(info_span!(parent: &parent, "deep", depth));
            }
            let last = spans.last().expect("there are some").clone();
            let told = last.in_scope(|| {
                let innermost = current();
                let spans = open_spans(innermost.as_ref()).take(SPANS_TOLD);
                let depths = spans.map(|span| {
                    let mut depth = String::new();
                    span.read_fields(|_, value| depth = value.to_string());
                    depth
                });
                depths.collect::<Vec<_>>()
            });
            assert_eq!(told.len(), SPANS_TOLD);
            assert_eq!((&*told[0], &*told[1]), ("19999", "19998"));
            // From the outermost on: each is held by the next.
            drop(last);
            spans.reverse();
            drop(spans);
        });
    }

    #[test]
    fn fields_that_are_recorded_later_take_the_place_of_older_ones() {
        with_layer(|| {
            let span = info_span!("request", order = 1, note = tracing::field::Empty);
            span.record("note", "x".repeat(600).as_str());
            span.record("order", -5);
            let fields = || {
                let mut fields = Vec::new();
                let current = span.in_scope(current).expect("is open");
                current.read_fields(|name, value| fields.push(format!("{name}={value}")));
                fields
            };
            assert_eq!(
                fields(),
                [format!("note={}", "x".repeat(600)), "order=-5".to_owned()]
            );
            span.record("note", true);
            assert_eq!(fields(), ["order=-5", "note=true"]);
        });
    }
}
