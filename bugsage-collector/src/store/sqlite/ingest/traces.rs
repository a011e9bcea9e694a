//! Writes pieces of traces, and counts all spans.

use std::borrow::Cow;
use std::io;

use rusqlite::{Connection, Row, params};

use bugsage_core::clock::Timestamp;
use bugsage_core::trace_context::SpanId;

use crate::store::StoreError;
use crate::store::model::GroupedBatch;
use crate::store::trace::{Piece, Root, TRACE_BYTES_MAX, TRACE_ENTRIES_MAX, TRACE_SPANS_MAX};

use super::super::{sql, unsigned};
use super::Sender;
use super::tally::Tally;

/// Counts the spans of a batch, and tells how many of them are new, or how many are not.
pub(super) fn count(tally: &mut Tally, sender: Sender, batch: &GroupedBatch, is_new: bool) -> u64 {
    let mut account = |outcome, reason, spans| {
        tally.account_spans(sender, batch.received_at, outcome, reason, spans)
    };
    let packed: u64 = batch
        .spans
        .pieces
        .iter()
        .map(|it| it.spans + it.left_out)
        .sum();
    let (mut received, mut settled) = (packed, packed);
    for (outcome, reason, spans) in &batch.spans.left {
        received += spans;
        if is_new || *outcome == "invalid" {
            account(outcome, reason, *spans);
        } else {
            settled += spans;
        }
    }
    account("received", "", received);
    if !is_new {
        account("duplicate", "batch", settled);
    }
    settled
}

/// Writes the pieces of a batch, and what became of their spans.
pub(super) fn write(
    tx: &Connection,
    tally: &mut Tally,
    sender: Sender,
    batch: &GroupedBatch,
) -> Result<(), StoreError> {
    let at = batch.received_at;
    for piece in &batch.spans.pieces {
        let all = piece.spans + piece.left_out;
        let document = batch.spans.documents.get(piece.at.clone());
        let document = document.ok_or_else(|| unreadable(io::ErrorKind::UnexpectedEof.into()))?;
        let stored = add(tx, tally, sender.project, (piece, document), at)?;
        tally.account_spans(sender, at, "stored", "", stored);
        tally.account_spans(sender, at, "sampled_out", "trace_full", all - stored);
    }
    for losses in &batch.spans.losses {
        for (reason, spans) in &losses.dropped {
            // Running totals: a batch that comes late never takes anything back.
            tx.prepare_cached(
                "insert into span_losses (project, run, reason, spans) values (?, ?, ?, ?)
                 on conflict (project, run, reason) do update set spans = max(spans, excluded.spans)",
            )?
            .execute(params![
                sql(sender.project),
                losses.run.to_bytes(),
                &**reason,
                sql(*spans)
            ])?;
        }
    }
    Ok(())
}

/// Adds a piece to its trace, as far as there is room, and tells how many of its spans are stored.
fn add(
    tx: &Connection,
    tally: &mut Tally,
    project: u64,
    (piece, document): (&Piece, &[u8]),
    received_at: Timestamp,
) -> Result<u64, StoreError> {
    if let Some(trace) = begin(tx, project, piece, received_at)? {
        store(tx, tally, project, trace, document)?;
        return Ok(piece.spans);
    }
    let before = Before::find(tx, project, piece)?;
    let kept = before.fit(piece, document)?;
    let root = before.root.clone().better(piece.root.clone());
    let of = kept.as_ref().map_or(piece, |(kept, _)| kept);
    let (spans, failed, raw_bytes, bytes, left_out) = match &kept {
        Some((kept, document)) => (
            kept.spans,
            kept.failed,
            kept.raw_bytes,
            document.len() as u64,
            kept.left_out,
        ),
        None => (0, 0, 0, 0, piece.spans + piece.left_out),
    };
    tx.prepare_cached(
        "update traces set
             first_at = min(first_at, ?2), last_at = max(last_at, ?3),
             spans = spans + ?4, failed = failed + ?5, raw_bytes = raw_bytes + ?6, bytes = bytes + ?7,
             left_out = min(left_out, 9223372036854775807 - ?8) + ?8,
             root_rank = ?9, root_at = ?10, root_ns = ?11, root_span = ?12, root_name = ?13,
             release = ?14, environment = ?15
         where id = ?1",
    )?
    .execute(params![
        before.trace,
        sql(of.first_at.0),
        sql(of.last_at.0),
        sql(spans),
        sql(failed),
        sql(raw_bytes),
        sql(bytes),
        sql(left_out),
        root.rank,
        sql(root.started_at.0),
        sql(root.duration_ns),
        root.span.to_bytes(),
        &*root.name,
        root.release.as_deref(),
        root.environment.as_deref(),
    ])?;
    if let Some((_, document)) = &kept {
        store(tx, tally, project, before.trace, document)?;
    }
    Ok(spans)
}

/// Begins a trace with its first piece. `None` where it is there.
fn begin(
    tx: &Connection,
    project: u64,
    piece: &Piece,
    received_at: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let root = &piece.root;
    let begun = tx
        .prepare_cached(
            "insert or ignore into traces (project, trace, created_at, first_at, last_at, spans, failed,
                 left_out, raw_bytes, bytes, root_rank, root_at, root_ns, root_span, root_name, release,
                 environment)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            sql(project),
            piece.trace.to_bytes(),
            sql(received_at.0),
            sql(piece.first_at.0),
            sql(piece.last_at.0),
            sql(piece.spans),
            sql(piece.failed),
            sql(piece.left_out),
            sql(piece.raw_bytes),
            sql(piece.bytes()),
            root.rank,
            sql(root.started_at.0),
            sql(root.duration_ns),
            root.span.to_bytes(),
            &*root.name,
            root.release.as_deref(),
            root.environment.as_deref(),
        ])?;
    Ok((begun > 0).then(|| tx.last_insert_rowid()))
}

fn store(
    tx: &Connection,
    tally: &mut Tally,
    project: u64,
    trace: i64,
    document: &[u8],
) -> Result<(), StoreError> {
    tx.prepare_cached("insert into trace_pieces (project, trace, document) values (?, ?, ?)")?
        .execute(params![sql(project), trace, document])?;
    *tally.trace_spaces.entry(project).or_default() += document.len() as u64;
    Ok(())
}

/// What is kept of a piece, with its document.
type Kept<'a> = (Piece, Cow<'a, [u8]>);

/// A trace as it was before a piece came.
struct Before {
    trace: i64,
    spans: u64,
    raw_bytes: u64,
    root: Root,
}

impl Before {
    fn find(tx: &Connection, project: u64, piece: &Piece) -> Result<Self, StoreError> {
        let before = tx
            .prepare_cached(
                "select id, spans, raw_bytes, root_rank, root_at, root_ns, root_span, root_name, release,
                     environment
                 from traces where project = ? and trace = ?",
            )?
            .query_row(params![sql(project), piece.trace.to_bytes()], |row| {
                Ok(Self {
                    trace: row.get(0)?,
                    spans: unsigned(row.get(1)?),
                    raw_bytes: unsigned(row.get(2)?),
                    root: root(row, 3)?,
                })
            })?;
        Ok(before)
    }

    /// What of a piece is kept.
    fn fit<'a>(&self, piece: &Piece, document: &'a [u8]) -> Result<Option<Kept<'a>>, StoreError> {
        let has_room = |piece: &Piece, more_spans, more_bytes| {
            self.spans + piece.spans <= TRACE_SPANS_MAX + more_spans
                && self.raw_bytes + piece.raw_bytes <= TRACE_BYTES_MAX + more_bytes
        };
        if has_room(piece, 0, 0) {
            return Ok(Some((piece.clone(), document.into())));
        }
        let most = (TRACE_SPANS_MAX + TRACE_ENTRIES_MAX).saturating_sub(self.spans);
        let entries = piece.entries(document, most).map_err(unreadable)?;
        let has_room = |entries: &Piece| has_room(entries, TRACE_ENTRIES_MAX, TRACE_BYTES_MAX);
        let entries = entries.filter(|(entries, _)| has_room(entries));
        Ok(entries.map(|(entries, document)| (entries, document.into())))
    }
}

/// The span that stands for a trace, from seven columns in the order of the table.
pub(in crate::store::sqlite) fn root(row: &Row<'_>, at: usize) -> rusqlite::Result<Root> {
    let text =
        |at: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<String>>(at)?.map(Into::into));
    let span = SpanId::from_bytes(row.get(at + 3)?);
    Ok(Root {
        rank: row.get(at)?,
        started_at: Timestamp(unsigned(row.get(at + 1)?)),
        duration_ns: unsigned(row.get(at + 2)?),
        span: span.ok_or(rusqlite::Error::IntegralValueOutOfRange(at + 3, 0))?,
        name: text(at + 4)?.unwrap_or_default(),
        release: text(at + 5)?,
        environment: text(at + 6)?,
    })
}

fn unreadable(error: io::Error) -> StoreError {
    StoreError::Unavailable(format!("a piece of a trace cannot be packed: {error}"))
}
