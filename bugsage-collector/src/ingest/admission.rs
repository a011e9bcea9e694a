//! Who may go on, before a body is read: fair shares under load, rates of keys and projects. And what a
//! quota leaves of a batch. What else is wanted of a project for each batch is remembered here too: it is read with
//! its limits.
//!
//! While there is little to do, everybody goes on. Once requests pile up, those of each project are held
//! to its share, so that a loud one is turned away and a quiet one is not. Once the store is far
//! behind, all are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bugsage_core::clock::Timestamp;
use bugsage_core::remote::RemoteSettings;

use crate::api::error::ApiError;
use crate::clock::month_of;
use crate::group::{self, By};
use crate::store::Store;
use crate::store::model::Quota;
use crate::store::scope::Scope;

use super::RETRY_AFTER;

/// Requests under way up to which nobody is held to a share: several transactions' worth of ordinary
/// batches.
const UNDER_WAY_FREE: usize = 64;

/// Requests of one project that may always be under way: a quiet one has hardly more.
const SHARE_MIN: usize = 4;

/// A write that waited so long means that more comes in than goes out, however few requests there are.
const WAIT_LONG: Duration = Duration::from_millis(500);

/// A write that waited so long means that nobody should add to it.
const WAIT_MAX: Duration = Duration::from_secs(4);

/// How long a project counts as one that shares after its last request.
const ACTIVE: Duration = Duration::from_secs(10);

/// How long limits are believed after they were read: what is set takes effect within this.
const BELIEVED: Duration = Duration::from_secs(1);

/// The longest that a sender is asked to wait or pause: what it was told may have changed by then.
const TOLD_MAX: Duration = Duration::from_secs(3_600);

/// An hour of a project with a quota may have so many times what is to be expected.
const SPIKE_FACTOR: u64 = 10;

/// And at least this part of the month's quota: who has no history is not stopped on the first day.
const SPIKE_PART: u64 = 100;

/// And at least so many events: the hundredth of a small quota is nothing to speak of a spike for.
const SPIKE_MIN: u64 = 1_000;

/// Projects and keys that are remembered. Only those that exist are.
const REMEMBERED_MAX: usize = 20_000;

const MINUTE_S: f64 = 60.0;
const HOUR_US: u64 = 3_600_000_000;

/// What is under way, and what was used.
#[derive(Default)]
pub(super) struct Admission {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    under_way: usize,
    projects: HashMap<u64, Project>,
    keys: HashMap<u64, Bucket>,
}

struct Project {
    under_way: usize,
    seen: Instant,
    bucket: Bucket,
    quota: Quota,
    by: By,
    /// When the quota was read.
    read: Option<Instant>,
    /// Events since then.
    since_read: u64,
}

/// Events that may still come, where there is a rate. Filled bit by bit, up to what a minute may have;
/// below zero after a batch that was larger than what was left.
#[derive(Default)]
struct Bucket {
    level: Option<(f64, Instant)>,
}

/// A request under way, until it is dropped.
pub(super) struct Admitted {
    admission: Arc<Admission>,
    project: u64,
    settings: RemoteSettings,
    by: By,
}

impl Admitted {
    /// What its project's events are grouped by.
    pub(super) fn by(&self) -> By {
        self.by.clone()
    }

    /// What its project asks of the app that has sent it.
    pub(super) fn settings(&self) -> RemoteSettings {
        self.settings
    }
}

/// Why the events of a batch are only counted, and for how long its sender should make no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted {
    pub(super) reason: &'static str,
    pub(super) pause: Duration,
}

impl Admission {
    /// Lets a request in, or says when to come back.
    pub(super) async fn admit(
        self: &Arc<Self>,
        store: &dyn Store,
        scope: &Scope,
        at: Timestamp,
    ) -> Result<Admitted, ApiError> {
        let project = scope.ingest_project().ok_or_else(ApiError::internal)?;
        let key = scope.ingest_key().ok_or_else(ApiError::internal)?;
        let now = Instant::now();
        if !self.knows(project, now) {
            let quota = store.quota(scope, at).await?;
            self.learn(project, quota, now);
        }
        let wait = store.oldest_wait();
        let settings = self.state().admit(project, key, wait, now)?;
        Ok(Admitted {
            admission: self.clone(),
            project,
            settings,
            by: self.by(project),
        })
    }

    /// What a quota says about the next events of a project.
    pub(super) fn exhausted(&self, project: u64, at: Timestamp) -> Option<Exhausted> {
        let state = self.state();
        let project = state.projects.get(&project)?;
        exhausted(&project.quota, project.since_read, at)
    }

    fn by(&self, project: u64) -> By {
        let state = self.state();
        let project = state.projects.get(&project);
        project.map(|it| it.by.clone()).unwrap_or_default()
    }

    /// Takes events from what may still come.
    pub(super) fn used(&self, project: u64, key: u64, events: u64) {
        let mut state = self.state();
        if let Some(project) = state.projects.get_mut(&project) {
            project.bucket.take(events);
            project.since_read += events;
        }
        if let Some(bucket) = state.keys.get_mut(&key) {
            bucket.take(events);
        }
    }

    fn knows(&self, project: u64, now: Instant) -> bool {
        let state = self.state();
        let read = state.projects.get(&project).and_then(|it| it.read);
        read.is_some_and(|read| now.duration_since(read) < BELIEVED)
    }

    fn learn(&self, project: u64, quota: Quota, now: Instant) {
        let mut state = self.state();
        if state.projects.len() + state.keys.len() > REMEMBERED_MAX {
            state.projects.retain(|_, it| it.under_way > 0);
            state.keys.clear();
        }
        let project = state.projects.entry(project).or_insert_with(|| Project {
            under_way: 0,
            seen: now,
            bucket: Bucket::default(),
            quota: Quota::default(),
            by: By::default(),
            read: None,
            since_read: 0,
        });
        if project.quota.rules != quota.rules {
            project.by.rules = group::rules(&quota.rules);
        }
        project.by.repository = quota.repository.clone();
        (project.quota, project.read, project.since_read) = (quota, Some(now), 0);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(
        &mut self,
        number: u64,
        key: u64,
        oldest_wait: Duration,
        now: Instant,
    ) -> Result<RemoteSettings, ApiError> {
        if oldest_wait > WAIT_MAX {
            return Err(ApiError::busy("the store is behind", RETRY_AFTER));
        }
        let is_pressed = self.under_way >= UNDER_WAY_FREE || oldest_wait > WAIT_LONG;
        let share = if is_pressed {
            self.share(number, now)
        } else {
            usize::MAX
        };
        let Some(project) = self.projects.get_mut(&number) else {
            return Ok(RemoteSettings::default());
        };
        project.seen = now;
        if project.under_way >= share {
            let message = "more comes in than can be stored, most of it from this project";
            return Err(ApiError::busy(message, RETRY_AFTER));
        }
        let limits = project.quota.limits;
        let bucket = self.keys.entry(key).or_default();
        let waits = [
            (
                "project",
                limits.rate,
                project.bucket.wait(limits.rate, now),
            ),
            (
                "ingest key",
                limits.key_rate,
                bucket.wait(limits.key_rate, now),
            ),
        ];
        for (whose, rate, wait) in waits {
            if let (Some(rate), Some(wait)) = (rate, wait) {
                return Err(ApiError::rate_limited(whose, rate, wait.min(TOLD_MAX)));
            }
        }
        project.under_way += 1;
        self.under_way += 1;
        Ok(project.quota.settings)
    }

    /// Requests that a project may have under way while there is too much.
    fn share(&self, number: u64, now: Instant) -> usize {
        let others = self.projects.iter().filter(|(other, it)| {
            **other != number && (it.under_way > 0 || now.duration_since(it.seen) < ACTIVE)
        });
        (UNDER_WAY_FREE / (1 + others.count())).max(SHARE_MIN)
    }
}

impl Bucket {
    /// How long until an event may come, where none may.
    fn wait(&mut self, rate: Option<u64>, now: Instant) -> Option<Duration> {
        let Some(rate) = rate else {
            self.level = None;
            return None;
        };
        let full = rate as f64;
        let per_second = full / MINUTE_S;
        let (level, since) = self.level.unwrap_or((full, now));
        let filled = level + now.duration_since(since).as_secs_f64() * per_second;
        let level = filled.min(full);
        self.level = Some((level, now));
        if level >= 1.0 {
            return None;
        }
        let seconds = (1.0 - level) / per_second;
        Some(Duration::try_from_secs_f64(seconds).unwrap_or(TOLD_MAX))
    }

    fn take(&mut self, events: u64) {
        if let Some((level, _)) = &mut self.level {
            *level -= events as f64;
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.under_way = state.under_way.saturating_sub(1);
        if let Some(project) = state.projects.get_mut(&self.project) {
            project.under_way = project.under_way.saturating_sub(1);
        }
    }
}

/// Whether a quota is used up, or an hour has far more than is to be expected.
fn exhausted(quota: &Quota, since_read: u64, at: Timestamp) -> Option<Exhausted> {
    let month_max = quota.limits.monthly_quota?;
    let until = |end: u64| {
        let pause = Duration::from_micros(end.saturating_sub(at.0));
        pause.clamp(Duration::from_secs(1), TOLD_MAX)
    };
    if quota.month + since_read >= month_max {
        return Some(Exhausted {
            reason: "monthly_quota",
            pause: until(month_of(at).end.0),
        });
    }
    let hour_max = (quota.expected * SPIKE_FACTOR).max(month_max / SPIKE_PART);
    if quota.hour + since_read >= hour_max.max(SPIKE_MIN) {
        return Some(Exhausted {
            reason: "spike",
            pause: until((at.0 / HOUR_US + 1) * HOUR_US),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::store::model::Limits;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    fn admission(projects: &[(u64, Limits)]) -> Arc<Admission> {
        let admission = Arc::new(Admission::default());
        for (project, limits) in projects {
            let quota = Quota {
                limits: *limits,
                ..Quota::default()
            };
            admission.learn(*project, quota, Instant::now());
        }
        admission
    }

    fn enter(admission: &Arc<Admission>, project: u64) -> Option<Admitted> {
        enter_at(admission, project, Duration::ZERO, Instant::now())
    }

    fn enter_at(
        admission: &Arc<Admission>,
        project: u64,
        wait: Duration,
        now: Instant,
    ) -> Option<Admitted> {
        let key = project * 10;
        let entered = admission.state().admit(project, key, wait, now);
        entered.ok().map(|settings| Admitted {
            admission: admission.clone(),
            project,
            settings,
            by: By::default(),
        })
    }

    #[test]
    fn a_loud_project_is_held_to_its_share_and_a_quiet_one_goes_on() {
        let none = Limits::default();
        let admission = admission(&[(1, none), (2, none)]);
        let mut loud: Vec<Admitted> = (0..1_000).map_while(|_| enter(&admission, 1)).collect();
        assert_eq!(loud.len(), UNDER_WAY_FREE, "while nobody else comes");

        let quiet: Vec<Admitted> = (0..10).map_while(|_| enter(&admission, 2)).collect();

        assert_eq!(quiet.len(), 10);
        loud.truncate(UNDER_WAY_FREE / 2);
        loud.extend((0..UNDER_WAY_FREE).map_while(|_| enter(&admission, 1)));
        let rest = UNDER_WAY_FREE - quiet.len();
        assert_eq!(loud.len(), rest, "what the other one leaves");
        loud.truncate(UNDER_WAY_FREE / 2);
        let more: Vec<Admitted> = (0..22).map_while(|_| enter(&admission, 2)).collect();
        assert_eq!(more.len(), 22);
        assert!(enter(&admission, 1).is_none(), "each has its half");
        drop((loud, quiet, more));
        assert!(enter(&admission, 1).is_some(), "room comes back");
        assert_eq!(admission.state().under_way, 0);
    }

    #[test]
    fn a_project_alone_may_have_all_that_is_free() {
        let admission = admission(&[(1, Limits::default())]);

        let entered: Vec<Admitted> = (0..1_000).map_while(|_| enter(&admission, 1)).collect();

        assert_eq!(entered.len(), UNDER_WAY_FREE);
    }

    #[test]
    fn a_store_that_is_behind_holds_everybody_to_a_share_and_then_takes_nothing() {
        let none = Limits::default();
        let admission = admission(&[(1, none), (2, none)]);
        let now = Instant::now();
        let long = WAIT_LONG * 2;
        let all = |project| {
            let entered = (0..1_000).map_while(|_| enter_at(&admission, project, long, now));
            entered.collect::<Vec<_>>()
        };

        assert_eq!(all(1).len(), UNDER_WAY_FREE / 2);
        assert!(enter_at(&admission, 2, WAIT_MAX * 2, now).is_none());
    }

    #[test]
    fn a_rate_lets_a_minute_through_at_once_and_then_so_many_each_second() {
        let limits = Limits {
            rate: Some(600),
            ..Limits::default()
        };
        let admission = admission(&[(1, limits)]);
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let enter = |seconds| enter_at(&admission, 1, Duration::ZERO, at(seconds)).is_some();

        assert!(enter(0));
        admission.used(1, 10, 650);
        assert!(!enter(0), "fifty too many");
        assert!(!enter(4));
        assert!(enter(6), "ten come back each second");
        admission.used(1, 10, 10);
        assert!(!enter(6));
        assert!(enter(1_000));
        admission.used(1, 10, 599);
        assert!(enter(1_000), "a pause adds up to no more than a minute");
        admission.used(1, 10, 1);
        assert!(!enter(1_000));
    }

    #[test]
    fn a_rate_of_each_key_holds_for_each() {
        let limits = Limits {
            key_rate: Some(60),
            ..Limits::default()
        };
        let admission = admission(&[(1, limits)]);
        let now = Instant::now();
        let enter = |key| admission.state().admit(1, key, Duration::ZERO, now).is_ok();

        assert!(enter(7) && enter(8));
        admission.used(1, 7, 60);

        assert!(!enter(7));
        assert!(enter(8));
    }

    #[test]
    fn each_request_is_told_what_its_own_project_asks_for_now() {
        let admission = admission(&[(1, Limits::default()), (2, Limits::default())]);
        let asked = |value: &str| RemoteSettings::parse(value);
        let learn = |value| {
            let quota = Quota {
                settings: asked(value),
                ..Quota::default()
            };
            admission.learn(1, quota, Instant::now());
        };
        let told = |project| enter(&admission, project).map(|it| it.settings());

        learn("traces_rate=0.5, event_level=off");
        assert_eq!(told(1), Some(asked("traces_rate=0.5, event_level=off")));
        assert_eq!(told(2), Some(RemoteSettings::default()));
        learn("");
        assert_eq!(told(1), Some(RemoteSettings::default()));
    }

    #[test]
    fn a_quota_ends_with_the_month_and_a_spike_with_the_hour() {
        let quota = |month, hour, expected| Quota {
            limits: Limits {
                monthly_quota: Some(100_000),
                ..Limits::default()
            },
            month,
            hour,
            expected,
            ..Quota::default()
        };
        let reason = |quota, since_read| exhausted(&quota, since_read, NOW).map(|it| it.reason);

        assert_eq!(reason(quota(99_000, 0, 0), 999), None);
        assert_eq!(reason(quota(99_000, 0, 0), 1_000), Some("monthly_quota"));
        assert_eq!(
            reason(quota(50_000, 999, 0), 0),
            None,
            "the least of an hour"
        );
        assert_eq!(reason(quota(50_000, 1_000, 0), 0), Some("spike"));
        assert_eq!(reason(quota(50_000, 4_999, 500), 0), None);
        assert_eq!(reason(quota(50_000, 4_999, 500), 1), Some("spike"));
        assert_eq!(reason(Quota::default(), u64::MAX), None, "no quota, no end");
        let spike = exhausted(&quota(0, 1_000, 0), 0, NOW).expect("is one");
        let into_hour = Duration::from_micros(NOW.0 % HOUR_US);
        assert_eq!(spike.pause + into_hour, TOLD_MAX);
    }
}
