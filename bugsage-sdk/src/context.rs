//! What surrounds a report: the open spans with their fields, the last breadcrumbs, tags and user.
//!
//! The panic hook reads all of this, so it lies in thread-locals and behind locks of our own that
//! are held for a few instructions, never while code of the app runs: values are formatted first
//! and stored then. Readers only ever try a lock. The hook must not ask the registry of
//! `tracing`, whose locks a panicking thread may hold.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use bugsage_core::event::Level;
use bugsage_core::limits;

use crate::client;

/// Breadcrumbs kept per thread and per tree of spans.
const BREADCRUMBS_KEPT: usize = limits::BREADCRUMBS_MAX;

/// Open spans told with a report; of a deeper nest the innermost count.
pub(crate) const SPANS_TOLD: usize = limits::SPANS_MAX;

/// How often a reader tries, about a microsecond in all.
const TRIES: usize = 64;

thread_local! {
    /// With the number that the registry knows each by.
    static ENTERED: RefCell<Vec<(u64, Arc<OpenSpan>)>> = const { RefCell::new(Vec::new()) };
    static BREADCRUMBS: RefCell<Ring> = const { RefCell::new(Ring::new()) };
    /// Whether this thread is BugSage's own, whose doings are not reported.
    static OURS: Cell<bool> = const { Cell::new(false) };
}

static PROCESS: RwLock<Scope> = RwLock::new(Scope::new());

/// A span that is not closed yet.
pub(crate) struct OpenSpan {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    fields: RwLock<Vec<(&'static str, String)>>,
    scope: RwLock<Scope>,
    tree: Arc<Tree>,
    parent: Option<Arc<OpenSpan>>,
}

/// What a root span shares with all spans below it.
struct Tree {
    /// A task's breadcrumbs follow it from thread to thread.
    breadcrumbs: RwLock<Ring>,
    /// Whether an error or a panic was captured.
    has_failed: AtomicBool,
}

impl OpenSpan {
    pub(crate) fn new(
        name: &'static str,
        target: &'static str,
        fields: Vec<(&'static str, String)>,
        parent: Option<Arc<OpenSpan>>,
    ) -> Arc<Self> {
        let tree = match &parent {
            Some(parent) => parent.tree.clone(),
            None => Arc::new(Tree {
                breadcrumbs: RwLock::new(Ring::new()),
                has_failed: AtomicBool::new(false),
            }),
        };
        Arc::new(Self {
            name,
            target,
            fields: RwLock::new(fields),
            scope: RwLock::new(Scope::new()),
            tree,
            parent,
        })
    }

    /// Whether no other span is around it.
    pub(crate) fn is_root(&self) -> bool {
        self.parent.is_none()
    }

    /// Notes that an error or a panic was captured in the span or below it.
    pub(crate) fn fail(&self) {
        self.tree.has_failed.store(true, Ordering::Relaxed);
    }

    /// Whether anything failed between the root span and all that is below it.
    pub(crate) fn has_failed(&self) -> bool {
        self.tree.has_failed.load(Ordering::Relaxed)
    }

    /// Adds fields that were recorded after the span was made.
    pub(crate) fn record(&self, fields: Vec<(&'static str, String)>) {
        let mut known = write(&self.fields);
        for (name, value) in fields {
            let has_room = known.len() < limits::PAIRS_MAX;
            match known.iter_mut().find(|(known, _)| *known == name) {
                Some(field) => field.1 = value,
                None if has_room => known.push((name, value)),
                None => {}
            }
        }
    }

    /// Hands the fields to `read`, unless another thread is changing them at this moment.
    pub(crate) fn read_fields(&self, read: impl FnOnce(&[(&'static str, String)])) {
        if let Some(fields) = try_read(&self.fields) {
            read(&fields);
        }
    }
}

/// Drops a chain of parents one by one: a deep nest must not overflow the stack.
impl Drop for OpenSpan {
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(mut span) = next.and_then(Arc::into_inner) {
            next = span.parent.take();
        }
    }
}

/// Marks the calling thread as BugSage's own.
pub(crate) fn mark_thread_ours() {
    let _ = OURS.try_with(|ours| ours.set(true));
}

/// Whether the calling thread is BugSage's own.
pub(crate) fn thread_is_ours() -> bool {
    OURS.try_with(Cell::get).unwrap_or(false)
}

pub(crate) fn enter(number: u64, span: Arc<OpenSpan>) {
    let _ = ENTERED.try_with(|entered| {
        if let Ok(mut entered) = entered.try_borrow_mut() {
            entered.push((number, span));
        }
    });
}

/// Leaves a span, by its number alone: a thread that panicked under the registry's lock leaves its
/// spans too, and asking the registry then would panic again and abort.
pub(crate) fn exit(number: u64) {
    let left = ENTERED.try_with(|entered| {
        let mut entered = entered.try_borrow_mut().ok()?;
        // Guards may be dropped in any order.
        let at = entered.iter().rposition(|(known, _)| *known == number)?;
        Some(entered.remove(at))
    });
    // Dropped here, outside the borrow: it may be the last reference.
    drop(left);
}

/// The innermost span that this thread has entered.
pub(crate) fn current() -> Option<Arc<OpenSpan>> {
    ENTERED
        .try_with(|entered| {
            let entered = entered.try_borrow().ok()?;
            entered.last().map(|(_, span)| span.clone())
        })
        .ok()
        .flatten()
}

/// The open spans, innermost first: the current one and its parents.
pub(crate) fn open_spans(current: Option<&Arc<OpenSpan>>) -> impl Iterator<Item = &OpenSpan> {
    std::iter::successors(current.map(|span| &**span), |span| span.parent.as_deref())
}

/// Something that was logged.
#[derive(Clone)]
pub(crate) struct Crumb {
    pub(crate) at: u64,
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    pub(crate) message: Box<str>,
}

struct Ring(VecDeque<Crumb>);

impl Ring {
    const fn new() -> Self {
        Self(VecDeque::new())
    }

    fn push(&mut self, crumb: Crumb) -> Option<Crumb> {
        let oldest = if self.0.len() >= BREADCRUMBS_KEPT {
            self.0.pop_front()
        } else {
            None
        };
        self.0.push_back(crumb);
        oldest
    }
}

/// Keeps a breadcrumb with the current span's tree, or else with the thread.
pub(crate) fn add_breadcrumb(crumb: Crumb) {
    let oldest = match current() {
        Some(span) => write(&span.tree.breadcrumbs).push(crumb),
        None => BREADCRUMBS
            .try_with(|ring| {
                ring.try_borrow_mut()
                    .ok()
                    .and_then(|mut ring| ring.push(crumb))
            })
            .ok()
            .flatten(),
    };
    drop(oldest);
}

/// Hands the breadcrumbs to `read`, newest first, while it answers true: those of the current
/// span's tree, then those that the thread left outside of any span.
pub(crate) fn read_breadcrumbs(
    current: Option<&Arc<OpenSpan>>,
    mut read: impl FnMut(&Crumb) -> bool,
) {
    if let Some(ring) = current.and_then(|span| try_read(&span.tree.breadcrumbs))
        && !ring.0.iter().rev().all(&mut read)
    {
        return;
    }
    let _ = BREADCRUMBS.try_with(|ring| {
        if let Ok(ring) = ring.try_borrow() {
            let _ = ring.0.iter().rev().all(&mut read);
        }
    });
}

/// Tags and user of a span or of the process.
pub(crate) struct Scope {
    tags: Vec<(Box<str>, Box<str>)>,
    user: Option<Box<str>>,
}

impl Scope {
    pub(crate) const fn new() -> Self {
        Self {
            tags: Vec::new(),
            user: None,
        }
    }

    fn set_tag(&mut self, key: Box<str>, value: Box<str>) {
        let has_room = self.tags.len() < limits::PAIRS_MAX;
        match self.tags.iter_mut().find(|(known, _)| *known == key) {
            Some(tag) => tag.1 = value,
            None if has_room => self.tags.push((key, value)),
            None => {}
        }
    }
}

/// Attaches a tag to what is reported from here on: by the current span and the spans below it,
/// or by the whole process where no span is open.
///
/// Tags tell events apart that are otherwise equal (a tenant, a region). The name is cut at 200
/// bytes, the value at 8 KiB; of a span's or the process's tags the first 100 names are kept.
pub fn set_tag(key: impl AsRef<str>, value: impl AsRef<str>) {
    let key: Box<str> = limits::cut(key.as_ref(), limits::KEY_BYTES_MAX).into();
    let value: Box<str> = limits::cut(value.as_ref(), limits::VALUE_BYTES_MAX).into();
    with_scope(|scope| scope.set_tag(key, value));
}

/// Tells who is using the app, for what is reported from here on: by the current span and the
/// spans below it, or by the whole process where no span is open.
///
/// Use an id that means nothing outside the app; an e-mail address is replaced by a pseudonym
/// before it leaves the process. Cut at 200 bytes. It also counts as a user of the release, in a
/// sketch that holds no names.
pub fn set_user(user: impl AsRef<str>) {
    let user: Box<str> = limits::cut(user.as_ref(), limits::NAME_BYTES_MAX).into();
    if let Some(client) = client::active() {
        client.hours.user_seen(&user);
    }
    with_scope(|scope| scope.user = Some(user));
}

fn with_scope(change: impl FnOnce(&mut Scope)) {
    match current() {
        Some(span) => change(&mut write(&span.scope)),
        None => change(&mut write(outermost())),
    }
}

/// Hands tags to `tag` and the user to `user`, the innermost scope first: a reader keeps the first
/// value of each name.
pub(crate) fn read_scopes(
    current: Option<&Arc<OpenSpan>>,
    mut tag: impl FnMut(&str, &str),
    mut user: impl FnMut(&str),
) {
    let mut read = |scope: &Scope| {
        scope.tags.iter().for_each(|(key, value)| tag(key, value));
        if let Some(name) = &scope.user {
            user(name);
        }
    };
    for span in open_spans(current).take(SPANS_TOLD) {
        if let Some(scope) = try_read(&span.scope) {
            read(&scope);
        }
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
    use super::*;

    fn crumb(message: &str) -> Crumb {
        Crumb {
            at: 0,
            level: Level::Info,
            target: "t",
            message: message.into(),
        }
    }

    fn crumbs(current: Option<&Arc<OpenSpan>>) -> Vec<String> {
        let mut seen = Vec::new();
        read_breadcrumbs(current, |crumb| {
            seen.push(crumb.message.to_string());
            true
        });
        seen
    }

    #[test]
    fn breadcrumbs_follow_the_span_to_another_thread() {
        let root = OpenSpan::new("request", "t", Vec::new(), None);
        let child = OpenSpan::new("query", "t", Vec::new(), Some(root.clone()));
        enter(1, root.clone());
        add_breadcrumb(crumb("before"));
        exit(1);

        let seen = std::thread::spawn(move || {
            enter(2, child);
            add_breadcrumb(crumb("after"));
            crumbs(current().as_ref())
        });

        assert_eq!(seen.join().expect("no panic"), ["after", "before"]);
    }

    #[test]
    fn threads_that_read_at_the_same_moment_all_see_the_tags() {
        let span = OpenSpan::new("request", "t", Vec::new(), None);
        write(&span.scope).set_tag("region".into(), "eu".into());
        let reading = try_read(&span.scope);

        let seen = std::thread::scope(|scope| {
            let read = || {
                let mut tags = 0;
                read_scopes(Some(&span), |_, _| tags += 1, |_| {});
                tags
            };
            scope.spawn(read).join()
        });

        assert_eq!(seen.ok(), Some(1));
        drop(reading);
    }

    #[test]
    fn the_ring_keeps_the_newest() {
        std::thread::spawn(|| {
            (0..=BREADCRUMBS_KEPT).for_each(|n| add_breadcrumb(crumb(&n.to_string())));

            let seen = crumbs(None);

            assert_eq!(seen.len(), BREADCRUMBS_KEPT);
            assert_eq!((&*seen[0], &*seen[BREADCRUMBS_KEPT - 1]), ("100", "1"));
        })
        .join()
        .expect("no panic");
    }

    #[test]
    fn a_very_deep_nest_can_be_dropped() {
        let mut span = OpenSpan::new("s", "t", Vec::new(), None);
        for _ in 0..200_000 {
            span = OpenSpan::new("s", "t", Vec::new(), Some(span));
        }
        drop(span);
    }

    #[test]
    fn the_innermost_tag_wins_and_guards_may_leave_in_any_order() {
        std::thread::spawn(|| {
            let outer = OpenSpan::new("outer", "t", Vec::new(), None);
            let inner = OpenSpan::new("inner", "t", Vec::new(), Some(outer.clone()));
            enter(1, outer.clone());
            set_tag("region", "outer");
            enter(2, inner);
            set_tag("region", "inner");
            set_user("u1");
            exit(1);

            let mut tags = Vec::new();
            let mut users = Vec::new();
            read_scopes(
                current().as_ref(),
                |key, value| tags.push(format!("{key}={value}")),
                |user| users.push(user.to_owned()),
            );

            assert_eq!(tags[..2], ["region=inner", "region=outer"]);
            assert_eq!(users, ["u1"]);
        })
        .join()
        .expect("no panic");
    }
}
