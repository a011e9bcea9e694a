//! Whatever comes twice by whatever way, under load: every count is exact at the end.
//!
//! Eight clients send batches, and more than three tenths of their events again: at once by another client,
//! later, with other events in other batches, after their connection was cut, after the collector was killed.
//! A record beside it knows what must have been counted.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bugsage_collector::store::sqlite::{SqliteStore, check};
use bugsage_core::batch::Sealed;
use bugsage_core::event::Event;

use crate::support::client::{Client, Request};
use crate::support::collector::{Collector, Folder, Project};
use crate::support::events::{self, EventBuilder, mixed};
use crate::support::setting;

/// Clients that send at the same time.
const CLIENTS: u64 = 8;

/// Events of a batch that are new.
const NEW_EVENTS: u64 = 200;

/// Events in every second batch that were acknowledged before, in another one.
const OLD_EVENTS: usize = 30;

/// Bugs that the events are of, each an issue in the end.
const BUGS: u64 = 50;

/// Acknowledged events that are remembered, to come again.
const SAFE_MAX: usize = 2_000;

/// How often the collector is killed while they send.
const KILLS: u64 = 4;

/// A million events where `STORY_EVENTS` says so: `cargo xtask prove duplicates`.
#[test]
fn what_eight_clients_send_again_counts_once_and_is_accounted_for() {
    let (folder, record) = Story::run(Faults::None);

    let ledger = Ledger::read(&folder);
    record.check(&folder, &ledger);
    assert_eq!(record.accepted, record.events);
    let (of_batches, of_events) = (
        ledger.of("duplicate", "batch"),
        ledger.of("duplicate", "event"),
    );
    assert_eq!(of_batches.0 + of_events.0, record.duplicate);
}

/// As long as the one above.
#[test]
fn what_comes_again_over_cut_connections_kills_and_restarts_counts_once() {
    let (folder, record) = Story::run(Faults::All);

    let ledger = Ledger::read(&folder);
    record.check(&folder, &ledger);
    assert!(record.cut > 0, "no connection was cut");
    let (received, _) = ledger.of("received", "");
    let answered = record.accepted + record.duplicate;
    // What was sent wholly and never answered was received, or it was not: the sender cannot know.
    let possible = answered..=answered + record.unanswered;
    assert!(possible.contains(&received), "{received} of {possible:?}");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Faults {
    None,
    All,
}

/// A batch, to be sent as often as it takes.
struct Loaded {
    /// The client that has made it.
    maker: u64,
    sealed: Sealed,
    events: u64,
}

/// Events with the bugs that they are of.
type Events = Vec<(String, Event)>;

/// What the clients know together.
#[derive(Default)]
struct Record {
    batches: u64,
    /// New events that were made, all of which are acknowledged in the end.
    events: u64,
    /// Their reports, by bug.
    reports: BTreeMap<String, u64>,
    /// Events and reports that came again in another batch.
    in_other_batches: (u64, u64),
    /// Events that were sent again, in the same batch.
    resent: u64,
    /// Events as answers told of them.
    accepted: u64,
    duplicate: u64,
    /// Events that were sent wholly, by connections that ended without an answer.
    unanswered: u64,
    /// Connections that were cut.
    cut: u64,
    /// Acknowledged events that may come again.
    safe: Events,
    /// Batches for others to send right now.
    at_once: Vec<Arc<Loaded>>,
    /// Batches that were acknowledged and come again some time.
    later: Vec<Arc<Loaded>>,
    /// Batches of which nobody knows whether they were taken.
    unknown: Vec<Arc<Loaded>>,
}

/// What a client does next.
enum Next {
    /// A batch of this number, with these of the events that others have sent.
    Make(u64, Events),
    Resend(Arc<Loaded>),
    Nothing,
}

impl Record {
    fn next(&mut self, client: u64, chance: u64, events_max: u64) -> Next {
        let is_all_made = self.events >= events_max;
        let of_another = |it: &Arc<Loaded>| it.maker != client || is_all_made;
        let mut found = self.unknown.pop();
        if found.is_none() {
            let at = self.at_once.iter().position(of_another);
            found = at.map(|at| self.at_once.swap_remove(at));
        }
        if found.is_none() && !self.later.is_empty() && (is_all_made || chance.is_multiple_of(5)) {
            let at = chance as usize % self.later.len();
            found = Some(self.later.swap_remove(at));
        }
        if let Some(found) = found {
            self.resent += found.events;
            return Next::Resend(found);
        }
        if is_all_made {
            return Next::Nothing;
        }
        self.events += NEW_EVENTS;
        self.batches += 1;
        let n = OLD_EVENTS.min(self.safe.len());
        let at = chance as usize % (self.safe.len() - n + 1);
        let old = self
            .batches
            .is_multiple_of(2)
            .then(|| &self.safe[at..at + n]);
        Next::Make(self.batches, old.unwrap_or_default().to_vec())
    }

    /// Checks all that is known for certain.
    #[track_caller]
    fn check(&self, folder: &Folder, ledger: &Ledger) {
        let again = self.resent + self.in_other_batches.0;
        println!(
            "{} events in {} batches, {again} sent again, {} connections cut, {} reports",
            self.events,
            self.batches,
            self.cut,
            self.reports.values().sum::<u64>(),
        );
        assert!(again * 10 >= self.events * 3, "{again} of {}", self.events);
        let waits = self.unknown.len() + self.at_once.len() + self.later.len();
        assert_eq!(waits, 0, "all was acknowledged");
        assert_eq!(folder.reports_by_bug(), self.reports);
        let whole = check(&SqliteStore::file(&folder.data())).expect("says the same everywhere");
        assert_eq!(whole.events, self.events);
        assert_eq!(ledger.taken(), (self.events, self.reports.values().sum()));
        assert_eq!(ledger.of("duplicate", "event"), self.in_other_batches);
        let of_batches = ledger.of("duplicate", "batch");
        let all = self.events + self.in_other_batches.0 + of_batches.0;
        assert_eq!(ledger.of("received", "").0, all);
    }
}

/// What the collector says became of everything: events and reports, by outcome and reason.
struct Ledger(BTreeMap<(String, String), (u64, u64)>);

impl Ledger {
    fn read(folder: &Folder) -> Self {
        let connection = rusqlite::Connection::open(SqliteStore::file(&folder.data()));
        let connection = connection.expect("is a database");
        let mut select = connection
            .prepare("select outcome, reason, sum(events), sum(reports) from ledger group by 1, 2")
            .expect("is SQL");
        let lines = select.query_map([], |row| {
            let sum = (row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64);
            Ok(((row.get(0)?, row.get(1)?), sum))
        });
        let lines = lines.expect("can be read").collect::<Result<_, _>>();
        Self(lines.expect("can be read"))
    }

    fn of(&self, outcome: &str, reason: &str) -> (u64, u64) {
        let line = (outcome.to_owned(), reason.to_owned());
        self.0.get(&line).copied().unwrap_or_default()
    }

    /// What counts in issues.
    fn taken(&self) -> (u64, u64) {
        let (stored, sampled) = (self.of("stored", ""), self.of("sampled_out", "like_others"));
        (stored.0 + sampled.0, stored.1 + sampled.1)
    }
}

struct Story {
    faults: Faults,
    seed: u64,
    events_max: u64,
    project: Project,
    record: Mutex<Record>,
}

impl Story {
    /// Sends everything, and stops the collector.
    fn run(faults: Faults) -> (Folder, Record) {
        let seed = setting("STORY_SEED", u64::from(std::process::id()));
        println!("seed {seed}");
        let folder = Folder::new();
        let story = Self {
            faults,
            seed,
            events_max: setting("STORY_EVENTS", 20_000),
            project: folder.create_project("shop", None),
            record: Mutex::default(),
        };
        let mut collector = Collector::start_on(folder);
        let kills = if faults == Faults::All { KILLS } else { 0 };
        for kill in 0..=kills {
            let due = story.events_max * (kill + 1) / (kills + 1);
            let address = collector.address();
            thread::scope(|scope| {
                for client in 0..CLIENTS {
                    let story = &story;
                    scope.spawn(move || story.send_all(client, address, kill));
                }
                if kill < kills {
                    while story.record().events < due {
                        thread::sleep(Duration::from_millis(2));
                    }
                    collector.end_at_once();
                }
            });
            if kill < kills {
                collector = Collector::start_on(collector.kill());
            }
        }
        let (status, folder) = collector.stop();
        assert!(status.success(), "{status}");
        (folder, story.record.into_inner().expect("nobody panicked"))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one client does, until nothing is left or the collector is gone.
    fn send_all(&self, client: u64, address: SocketAddr, session: u64) {
        let mut connection = Client::new(address);
        for turn in 0.. {
            let chance = mixed(self.seed ^ (client << 40) ^ (session << 50) ^ turn);
            let next = self.record().next(client, chance, self.events_max);
            let is_there = match next {
                Next::Make(number, old) => self.send_new(&mut connection, client, number, &old),
                Next::Resend(loaded) => self.send(&mut connection, &loaded),
                Next::Nothing => return,
            };
            if !is_there {
                return;
            }
        }
    }

    /// Sends new events and some old ones for the first time, in one way or the other.
    fn send_new(&self, connection: &mut Client, maker: u64, number: u64, old: &Events) -> bool {
        let (new, loaded) = self.make(maker, number, old);
        if self.faults == Faults::All && matches!(number % 20, 6 | 7) {
            self.cut(connection, &loaded, number.is_multiple_of(2));
            return true;
        }
        if number % 20 < 4 {
            self.record().at_once.push(loaded.clone());
        }
        let is_there = self.send(connection, &loaded);
        if is_there {
            let mut record = self.record();
            if (8..12).contains(&(number % 20)) {
                record.later.push(loaded);
            }
            if record.safe.len() < SAFE_MAX {
                record.safe.extend(new.into_iter().take(OLD_EVENTS));
            }
        }
        is_there
    }

    fn make(&self, maker: u64, number: u64, old: &Events) -> (Events, Arc<Loaded>) {
        let new = (0..NEW_EVENTS).map(|at| {
            let random = mixed(self.seed ^ (number * NEW_EVENTS + at));
            let bug = format!("bug{}", random % BUGS);
            let is_folded = random & (1 << 32) != 0;
            let count = if is_folded {
                2 + (random >> 40) % 1_000
            } else {
                1
            };
            let event = EventBuilder::panic(&bug).count(count).build();
            (bug, event)
        });
        let new: Events = new.collect();
        let all = new.iter().chain(old).map(|(_, event)| event.clone());
        let loaded = Loaded {
            maker,
            sealed: events::seal(all),
            events: (new.len() + old.len()) as u64,
        };
        let mut record = self.record();
        for (bug, event) in &new {
            *record.reports.entry(bug.clone()).or_default() += event.count;
        }
        record.in_other_batches.0 += old.len() as u64;
        record.in_other_batches.1 += old.iter().map(|(_, event)| event.count).sum::<u64>();
        (new, Arc::new(loaded))
    }

    /// Sends a batch until there is an answer. False where the collector is gone.
    fn send(&self, connection: &mut Client, loaded: &Arc<Loaded>) -> bool {
        let request = Request::batch(&self.project.key, &loaded.sealed.bytes);
        loop {
            let Ok(answer) = connection.try_ask(&request) else {
                let mut record = self.record();
                record.unanswered += loaded.events;
                record.unknown.push(loaded.clone());
                return false;
            };
            if matches!(answer.status, 429 | 503) {
                // Nothing of it was taken.
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            let (accepted, duplicate) = answer.taken();
            assert_eq!(accepted + duplicate, loaded.events);
            let mut record = self.record();
            record.accepted += accepted;
            record.duplicate += duplicate;
            return true;
        }
    }

    /// Sends a batch, or the half of it, and waits for no answer.
    fn cut(&self, connection: &Client, loaded: &Arc<Loaded>, is_whole: bool) {
        let request = Request::batch(&self.project.key, &loaded.sealed.bytes);
        let (bytes, body_at) = request.to_bytes(connection.address());
        let end = if is_whole {
            bytes.len()
        } else {
            (body_at + bytes.len()) / 2
        };
        // The collector may be killed at any moment; that is one more way to cut.
        if let Ok(mut stream) = connection.connect() {
            let _ = stream.write_all(&bytes[..end]);
        }
        let mut record = self.record();
        record.cut += 1;
        if is_whole {
            record.unanswered += loaded.events;
        }
        record.unknown.push(loaded.clone());
    }
}
