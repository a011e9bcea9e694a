//! Heartbeats: whoever works in a loop says when it will speak again, and is missed if it does not.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `due_us` is once nobody beats any more.
const ENDED: u64 = u64::MAX;

/// All that are expected to move.
#[derive(Debug, Clone, Default)]
pub struct Heartbeats(Arc<Mutex<Vec<Arc<Beat>>>>);

/// Held by who moves. Dropped, as by a panic, it counts as missed.
#[derive(Debug)]
pub struct Heartbeat(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    name: &'static str,
    started: Instant,
    /// Microseconds since `started` until which nobody need worry.
    due_us: AtomicU64,
}

/// How somebody is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// Who.
    pub name: &'static str,
    /// How they are.
    pub state: PulseState,
}

/// How somebody is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PulseState {
    /// As expected.
    Moves,
    /// It should have said something so long ago.
    Late(Duration),
    /// It has ended while the collector runs.
    Ended,
}

impl Heartbeats {
    /// Expects somebody to move from now on.
    pub fn expect(&self, name: &'static str, within: Duration) -> Heartbeat {
        let beat = Arc::new(Beat {
            name,
            started: Instant::now(),
            due_us: AtomicU64::new(0),
        });
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(beat.clone());
        let heartbeat = Heartbeat(beat);
        heartbeat.due_in(within);
        heartbeat
    }

    /// How everybody is doing.
    pub fn pulses(&self) -> Vec<Pulse> {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        beats.iter().map(|beat| beat.pulse()).collect()
    }
}

impl Heartbeat {
    /// Says: I move, and will say so again within this time.
    pub fn due_in(&self, within: Duration) {
        let due = self.0.started.elapsed().saturating_add(within);
        let due_us = u64::try_from(due.as_micros()).unwrap_or(ENDED);
        self.0
            .due_us
            .store(due_us.min(ENDED - 1), Ordering::Relaxed);
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.0.due_us.store(ENDED, Ordering::Relaxed);
    }
}

impl Beat {
    fn pulse(&self) -> Pulse {
        let state = match self.due_us.load(Ordering::Relaxed) {
            ENDED => PulseState::Ended,
            due_us => {
                let late = self
                    .started
                    .elapsed()
                    .checked_sub(Duration::from_micros(due_us));
                late.map_or(PulseState::Moves, PulseState::Late)
            }
        };
        Pulse {
            name: self.name,
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_speak_in_time_is_late_and_whoever_ends_is_missed() {
        let heartbeats = Heartbeats::default();
        let hour = Duration::from_secs(3_600);
        let state = |heartbeats: &Heartbeats| heartbeats.pulses()[0].state;

        let heartbeat = heartbeats.expect("sweep", hour);
        assert_eq!(state(&heartbeats), PulseState::Moves);

        heartbeat.due_in(Duration::ZERO);
        assert!(matches!(state(&heartbeats), PulseState::Late(_)));

        heartbeat.due_in(hour);
        assert_eq!(state(&heartbeats), PulseState::Moves);

        drop(heartbeat);
        assert_eq!(state(&heartbeats), PulseState::Ended);
    }
}
