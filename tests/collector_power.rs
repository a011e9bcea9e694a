//! Whatever a power cut leaves of what was never synced, all that was acknowledged is there.
//!
//! A run is recorded write by write. Each image is what the disk may hold if the power went at one of its
//! moments: everything that was synced, and of the rest some sectors and not others, in any order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bugsage_collector::store::Store;
use bugsage_collector::store::sqlite::{OpenOptions, Owner, SqliteStore, check};
use bugsage_core::batch::Sealed;
use bugsage_core::id::BatchId;

use crate::support::collector::Folder;
use crate::support::events::{self, EventBuilder, mixed};
use crate::support::inside::Inside;
use crate::support::setting;
use crate::support::vfs::{Kind, Step, Watch};

/// What a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// How often the collector of the recorded run is started: each start copies the log back.
const SESSIONS: usize = 4;

/// Batches of each session.
const BATCHES: usize = 12;

/// Images where `STORY_IMAGES` says 10000: `cargo xtask prove power`.
#[test]
fn no_power_cut_takes_what_was_acknowledged() {
    let images = setting("STORY_IMAGES", 150);
    let seed = setting("STORY_SEED", u64::from(std::process::id()));
    println!("seed {seed}");
    let (recorded, steps) = record();
    println!("{} writes, cuts and syncs", steps.len());

    let mut disk = Disk::of(&recorded);
    let mut acknowledged = Vec::new();
    let mut made = 0;
    for (at, step) in steps.iter().enumerate() {
        // Spread evenly, however many.
        let due = images * (at as u64 + 1) / steps.len() as u64;
        while made < due {
            made += 1;
            let image = disk.after_power_cut(seed.wrapping_add(made));
            check_image(&image, &acknowledged, made);
        }
        match step {
            Step::Noted(batch) => acknowledged.push(id(batch)),
            step => disk.take(step),
        }
    }
    assert_eq!(acknowledged.len(), SESSIONS * BATCHES);
    println!("{made} images, all with what was acknowledged");
}

/// Keeps the story above honest: without a sync, images lose what was acknowledged.
#[test]
fn images_without_syncs_lose_what_was_acknowledged() {
    let (recorded, steps) = record();
    let mut disk = Disk::of(&recorded);
    let mut acknowledged = Vec::new();
    for step in &steps {
        match step {
            Step::Synced { .. } => {}
            Step::Noted(batch) => acknowledged.push(id(batch)),
            step => disk.take(step),
        }
    }

    let lost = (0..20).filter(|seed| {
        let image = disk.after_power_cut(*seed);
        look_at(&image, &acknowledged).is_err()
    });

    assert!(lost.count() > 10, "a disk that forgets is not noticed");
}

fn id(text: &str) -> [u8; 16] {
    let id: BatchId = text.parse().expect("is an id");
    id.to_bytes()
}

/// What a folder held before, and all that happened to it.
fn record() -> (BTreeMap<Kind, Vec<u8>>, Vec<Step>) {
    let folder = Folder::new();
    let mut project = folder.create_project("shop", None);
    let before = files(&folder.data());
    let watch = Watch::register();
    let mut folder = folder;
    for session in 0..SESSIONS {
        let inside = Inside::start_on(folder, project, |config| {
            config.vfs = Some(watch.name().to_owned());
        });
        for number in 0..BATCHES {
            let batch = batch(session * BATCHES + number);
            let answer = inside.client().send(&inside.project().key, &batch.bytes);
            watch.note(batch.id.to_string());
            assert!(answer.taken().0 > 0);
        }
        (project, folder) = inside.stop();
    }
    (before, watch.steps())
}

/// A few events of a few bugs, some of them old ones.
fn batch(number: usize) -> Sealed {
    let events = (0..1 + number % 5).map(|event| {
        let bug = format!("bug{}", (number * 7 + event * 3) % 11);
        EventBuilder::panic(&bug).count(1 + event as u64).build()
    });
    events::seal(events.collect::<Vec<_>>())
}

fn files(data: &Path) -> BTreeMap<Kind, Vec<u8>> {
    let files = [
        (Kind::Database, "bugsage.db"),
        (Kind::Log, "bugsage.db-wal"),
    ];
    let files = files.map(|(kind, name)| (kind, fs::read(data.join(name)).unwrap_or_default()));
    files.into()
}

/// What is written and what is safe.
struct Disk {
    synced: BTreeMap<Kind, Vec<u8>>,
    pending: Vec<Step>,
}

impl Disk {
    fn of(files: &BTreeMap<Kind, Vec<u8>>) -> Self {
        Self {
            synced: files.clone(),
            pending: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Synced { file, worked } => {
                assert!(worked, "this disk is sound");
                let pending = std::mem::take(&mut self.pending);
                for step in pending {
                    if kind(&step) == Some(*file) {
                        apply(&mut self.synced, &step, |_| true);
                    } else {
                        self.pending.push(step);
                    }
                }
            }
            step => self.pending.push(step.clone()),
        }
    }

    /// The files, with so much of what was not synced as chance wants.
    fn after_power_cut(&self, seed: u64) -> BTreeMap<Kind, Vec<u8>> {
        let mut random = seed.wrapping_mul(1 << 20);
        let mut next = |bound: u64| {
            random = random.wrapping_add(1);
            mixed(random) % bound
        };
        // From none over some to all.
        let chance = [0, 10, 50, 90, 100][next(5) as usize];
        let mut files = self.synced.clone();
        for step in &self.pending {
            apply(&mut files, step, |_| next(100) < chance);
        }
        files
    }
}

fn kind(step: &Step) -> Option<Kind> {
    match step {
        Step::Wrote { file, .. } | Step::Cut { file, .. } | Step::Synced { file, .. } => {
            Some(*file)
        }
        Step::Noted(_) => None,
    }
}

/// Does what a step did, for those of its sectors that are chosen.
fn apply(
    files: &mut BTreeMap<Kind, Vec<u8>>,
    step: &Step,
    mut is_chosen: impl FnMut(usize) -> bool,
) {
    match step {
        Step::Wrote {
            file, at, bytes, ..
        } => {
            let content = files.entry(*file).or_default();
            let mut from = 0;
            while from < bytes.len() {
                let begin = *at as usize + from;
                let to_end_of_sector = SECTOR_BYTES - begin % SECTOR_BYTES;
                let length = to_end_of_sector.min(bytes.len() - from);
                if is_chosen(begin / SECTOR_BYTES) {
                    if content.len() < begin + length {
                        content.resize(begin + length, 0);
                    }
                    content[begin..begin + length].copy_from_slice(&bytes[from..from + length]);
                }
                from += length;
            }
        }
        Step::Cut { file, bytes } => {
            if is_chosen(0) {
                files.entry(*file).or_default().resize(*bytes as usize, 0);
            }
        }
        Step::Synced { .. } | Step::Noted(_) => {}
    }
}

#[track_caller]
fn check_image(image: &BTreeMap<Kind, Vec<u8>>, acknowledged: &[[u8; 16]], number: u64) {
    if let Err(trouble) = look_at(image, acknowledged) {
        panic!("image {number}: {trouble}");
    }
}

/// Starts on an image as a collector does, and looks for what was acknowledged.
fn look_at(image: &BTreeMap<Kind, Vec<u8>>, acknowledged: &[[u8; 16]]) -> Result<(), String> {
    let folder = Folder::new();
    let data = folder.data();
    fs::create_dir_all(&data).expect("can be made");
    for (kind, name) in [
        (Kind::Database, "bugsage.db"),
        (Kind::Log, "bugsage.db-wal"),
    ] {
        fs::write(data.join(name), &image[&kind]).expect("can be written");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("needs nothing");
    let store = SqliteStore::open(OpenOptions::new(&data, Owner::Server));
    let store = store.map_err(|error| error.to_string())?;
    let file = SqliteStore::file(&data);
    check(&file).map_err(|error| error.to_string())?;
    let connection = rusqlite::Connection::open(&file).expect("was just opened");
    let mut select = connection
        .prepare("select count(*) from batches where id = ?")
        .expect("is SQL");
    for batch in acknowledged {
        let found: i64 = select
            .query_row([batch], |row| row.get(0))
            .map_err(|error| error.to_string())?;
        if found != 1 {
            return Err("an acknowledged batch is lost".to_owned());
        }
    }
    drop(select);
    // Nobody writes any more into a folder that goes.
    runtime.block_on(store.close());
    Ok(())
}
