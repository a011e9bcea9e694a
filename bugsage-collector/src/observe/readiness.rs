//! Whether batches can be taken, check by check. Reads what was noted, and waits for nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::config::human;
use crate::store::model::Health;

use super::heartbeat::PulseState;
use super::{Observer, STUCK};

/// How long a commit that was slow tells something about the disk.
const TELLING: Duration = Duration::from_secs(60);

/// What came of the last look at the store: the version of its schema, or why it could not be read.
#[derive(Debug, Clone, Default)]
pub struct Look(Arc<Mutex<Option<Result<u32, String>>>>);

impl Look {
    /// Notes it.
    pub fn note(&self, found: Result<u32, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }

    fn found(&self) -> Option<Result<u32, String>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Whether batches can be taken.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// Whether every check is good.
    pub ready: bool,
    /// What is wrong, where something is.
    pub reason: Option<String>,
    /// All checks.
    pub checks: Vec<Check>,
    schema_version: u32,
    commit_us: u64,
    oldest_wait_us: u64,
}

/// One thing that must be good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether it is good.
    pub ok: bool,
    /// What was found, and what to do where it is not good.
    pub detail: String,
}

/// Judges what the stages have told.
pub fn judge(observer: &Observer, health: &Health) -> Readiness {
    let mut checks = vec![
        sync(health),
        writes(health),
        queue(health),
        commit(health),
        disk(observer),
        schema(observer, health),
    ];
    checks.extend(heartbeats(observer));
    let bad = checks.iter().filter(|check| !check.ok);
    let reasons: Vec<&str> = bad.map(|check| check.detail.as_str()).collect();
    Readiness {
        ready: reasons.is_empty(),
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        checks,
        schema_version: health.schema_version,
        commit_us: health.commit_us,
        oldest_wait_us: health.oldest_wait_us,
    }
}

fn sync(health: &Health) -> Check {
    let detail = health.failed.as_ref().map(|reason| {
        format!(
            "writing has failed for good ({reason}): nothing is taken until the collector is started again"
        )
    });
    check("sync", detail, || "no sync has failed".to_owned())
}

fn writes(health: &Health) -> Check {
    let detail = health
        .refused
        .as_ref()
        .map(|reason| format!("the last write failed ({reason}): it is tried again every second"));
    check("writes", detail, || "the last write worked".to_owned())
}

fn queue(health: &Health) -> Check {
    let (waiting, age) = (health.waiting, Duration::from_micros(health.oldest_wait_us));
    let detail = (age > STUCK).then(|| {
        let seconds = age.as_secs();
        format!("a write has waited for {seconds} s, and {waiting} more wait: look at the disk")
    });
    check("queue", detail, || format!("{waiting} writes wait"))
}

fn commit(health: &Health) -> Check {
    let took = Duration::from_micros(health.commit_us);
    let is_recent = health.since_commit.is_some_and(|since| since < TELLING);
    let detail = (is_recent && took > STUCK)
        .then(|| format!("the last write took {} s: look at the disk", took.as_secs()));
    check("commit", detail, || {
        let ms = took.as_secs_f64() * 1e3;
        let since = health.since_commit;
        since.map_or("nothing was written yet".to_owned(), |_| {
            format!("the last write took {ms:.1} ms")
        })
    })
}

fn disk(observer: &Observer) -> Check {
    let disk = &observer.disk;
    let Some(space) = disk.space() else {
        return check("disk", None, || "not looked at yet".to_owned());
    };
    let free_mib = space.free >> 20;
    let detail = disk.is_low().then(|| {
        let min = human(disk.free_min());
        format!(
            "{free_mib} MiB are free on the disk, and {min} must be (limits.disk_free_bytes): free some"
        )
    });
    check("disk", detail, || format!("{free_mib} MiB are free"))
}

fn schema(observer: &Observer, health: &Health) -> Check {
    let known = health.schema_version;
    let found = observer.look.found();
    let detail = match &found {
        None => None,
        Some(Ok(found)) if *found == known => None,
        Some(Ok(found)) => Some(format!(
            "the store has schema {found} and this program knows {known}: start the newer program"
        )),
        Some(Err(reason)) => Some(format!("the store cannot be read: {reason}")),
    };
    check("schema", detail, || format!("version {known}"))
}

fn heartbeats(observer: &Observer) -> impl Iterator<Item = Check> {
    let pulses = observer.heartbeats.pulses().into_iter();
    pulses.map(|pulse| {
        let name = pulse.name;
        let detail = match pulse.state {
            PulseState::Moves => None,
            PulseState::Late(late) => Some(format!(
                "{name} is stuck: it should have moved {} s ago",
                late.as_secs()
            )),
            PulseState::Ended => Some(format!("{name} has ended: start the collector again")),
        };
        check(name, detail, || "moves".to_owned())
    })
}

fn check(name: &'static str, bad: Option<String>, good: impl FnOnce() -> String) -> Check {
    Check {
        name,
        ok: bad.is_none(),
        detail: bad.unwrap_or_else(good),
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::disk::{Disk, Space};

    use super::*;

    fn healthy() -> Health {
        Health {
            failed: None,
            refused: None,
            schema_version: 3,
            waiting: 0,
            commit_us: 900,
            since_commit: Some(Duration::from_secs(1)),
            oldest_wait_us: 0,
        }
    }

    /// The names of the checks that are bad.
    #[track_caller]
    fn bad(observer: &Observer, health: &Health) -> Vec<&'static str> {
        let readiness = judge(observer, health);
        assert_eq!(readiness.ready, readiness.reason.is_none());
        let bad = readiness.checks.iter().filter(|check| !check.ok);
        bad.map(|check| check.name).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_is_told_by_its_own_check() {
        let observer = Observer::default();
        let slow = STUCK.as_micros() as u64 + 1;
        let with = |change: &dyn Fn(&mut Health)| {
            let mut health = healthy();
            change(&mut health);
            bad(&observer, &health)
        };

        assert!(with(&|_| ()).is_empty());
        assert_eq!(with(&|it| it.failed = Some("EIO".into())), ["sync"]);
        assert_eq!(with(&|it| it.refused = Some("full".into())), ["writes"]);
        assert_eq!(with(&|it| it.oldest_wait_us = slow), ["queue"]);
        assert_eq!(with(&|it| it.commit_us = slow), ["commit"]);
        let long_ago = |it: &mut Health| {
            it.commit_us = slow;
            it.since_commit = Some(TELLING);
        };
        assert!(with(&long_ago).is_empty(), "it may have healed");
    }

    #[test]
    fn a_disk_without_room_a_newer_schema_and_whoever_is_stuck_are_told() {
        let observer = Observer {
            disk: Disk::new(1_000),
            ..Observer::default()
        };
        let space = |free| Space { free, size: 5_000 };
        assert!(
            bad(&observer, &healthy()).is_empty(),
            "nothing is known yet"
        );

        observer.disk.note(space(999));
        assert_eq!(bad(&observer, &healthy()), ["disk"]);
        observer.disk.note(space(1_000));
        observer.look.note(Ok(4));
        assert_eq!(bad(&observer, &healthy()), ["schema"]);
        observer.look.note(Err("no answer".to_owned()));
        assert_eq!(bad(&observer, &healthy()), ["schema"]);
        observer.look.note(Ok(3));
        let heartbeat = observer.heartbeats.expect("sweep", Duration::ZERO);
        assert_eq!(bad(&observer, &healthy()), ["sweep"]);
        heartbeat.due_in(STUCK);
        assert!(bad(&observer, &healthy()).is_empty());
        drop(heartbeat);
        assert_eq!(bad(&observer, &healthy()), ["sweep"]);
    }
}
