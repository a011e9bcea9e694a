//! What the fuzz targets call: everything that reads the spool's files. Built with `--cfg fuzzing`
//! alone.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugsage_core::batch::BatchBuilder;
use bugsage_core::checksum::crc32c;
use bugsage_core::clock::Timestamp;
use bugsage_core::event::Run;
use bugsage_core::id::{BatchId, RunId};

use crate::queue;
use crate::record::REST_BYTES;
use crate::spans::finished;
use crate::spool::about::About;
use crate::spool::dead::FileWords;
use crate::spool::folder::{self, RunFolder};
use crate::spool::layout::{Header, SLOT_BYTES, WORDS, WORDS_BYTES, Words};

use super::outbox::Outbox;
use super::pending::{Due, Pending, Reports};
use super::recover::{Dead, pack_all};
use super::symbolicate::{Spot, Symbolicator};

/// Records that the folder of a run begins with.
const RECORDS: usize = 3;

/// Bytes of one change to the words: where, and what.
const CHANGE_BYTES: usize = 10;

fn run() -> Arc<Run> {
    Arc::new(Run {
        id: RunId::from_bytes([7; 16]),
        release: None,
        environment: None,
        started_at: Timestamp(1),
        sdk: "fuzz".into(),
    })
}

/// Reads a record, a page of spans, and facts about a run.
pub fn read(data: &[u8]) {
    let mut record = data.to_vec();
    record.resize(data.len() + REST_BYTES, 0);
    let mut pending = Pending::default();
    pending.add(0, &record, &run(), Instant::now());
    let mut symbolicator = Symbolicator::new(0);
    let words = Words::Shared(&[]);
    while let Some(due) = pending.take_due(Instant::now(), true) {
        let reports = due.reports(&words);
        due.into_event(reports, &mut symbolicator, &Spot::Here, || true);
    }
    let mut batch = BatchBuilder::new();
    for span in finished::read(data, &run(), 7) {
        batch.push_span(&span);
    }
    let sealed = batch.seal(BatchId::from_bytes([1; 16]));
    let decoded = bugsage_core::batch::decode(&sealed.bytes).expect("was built here");
    assert!(
        decoded.rejected.is_empty(),
        "whatever a page says can be sent"
    );
    let mut facts = crc32c(data).to_le_bytes().to_vec();
    facts.extend_from_slice(data);
    let _ = About::from_bytes(&facts);
}

/// Takes over a run whose words were changed, whose records are `data`'s rest, and whose one batch is
/// that too.
pub fn recover(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let changes_bytes = (usize::from(*count) % 32 * CHANGE_BYTES).min(rest.len());
    let (changes, record) = rest.split_at(changes_bytes);
    let home = home();
    let path = home.join(run().id.to_string());
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("there is room for a folder");
    let mut file = vec![0; WORDS_BYTES + RECORDS * SLOT_BYTES];
    for slot in file[WORDS_BYTES..].chunks_mut(SLOT_BYTES) {
        let length = record.len().min(SLOT_BYTES);
        slot[..length].copy_from_slice(&record[..length]);
    }
    fs::write(path.join(folder::RECORDS), &file).expect("there is room for a file");
    fs::write(path.join("0000000000000001.batch"), record).expect("there is room for a file");
    let folder = RunFolder::take_over(&home, &run().id.to_string()).expect("nobody else is here");
    change(&folder, changes, record);

    let mut outbox = Outbox::new(1 << 20, Duration::from_secs(3_600));
    let Some(mut dead) = Dead::open(folder) else {
        return;
    };
    dead.parcels
        .drain(..)
        .for_each(|parcel| outbox.push(parcel));
    let mut pending = dead.records();
    let new_id = || (BatchId::from_bytes([1; 16]), Timestamp(2));
    let mut prepare = |due: Due, reports: Reports| {
        let mut symbolicator = Symbolicator::new(0);
        Ok(due.into_event(reports, &mut symbolicator, &Spot::Here, || true))
    };
    pack_all(
        &dead.origin,
        &mut pending,
        &mut outbox,
        &new_id,
        &mut prepare,
        &Ok,
    );
    let _ = outbox.first();
    outbox.bound(false, Timestamp(u64::MAX));
}

/// Writes what a run that lived would have left, and then what a bad disk makes of it.
fn change(folder: &RunFolder, changes: &[u8], record: &[u8]) {
    let file = folder.records().expect("was written");
    let words = Words::Dead(FileWords::read(file).expect("is whole"));
    let header = Header {
        run: run().id,
        pid: 1,
        started_at: Timestamp(1),
    };
    header.write(&words);
    let record = &record[..record.len().min(SLOT_BYTES)];
    for slot in 0..RECORDS as u16 {
        queue::leave(&words, slot, record);
    }
    for change in changes.chunks_exact(CHANGE_BYTES) {
        let (at, value) = change.split_at(2);
        let at = u16::from_le_bytes([at[0], at[1]]);
        let value = value
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte));
        // The first words are what all else hangs on: half of the changes go there.
        let at = usize::from(at);
        let at = if at.is_multiple_of(2) {
            at / 2 % 160
        } else {
            at % WORDS
        };
        words.store(at, value);
    }
}

fn home() -> PathBuf {
    // In memory where that is to be had: thousands of files a second.
    let shared = PathBuf::from("/dev/shm");
    let base = if shared.is_dir() {
        shared
    } else {
        std::env::temp_dir()
    };
    base.join(format!("bugsage-fuzz-{}", std::process::id()))
}
