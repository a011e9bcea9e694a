//! Traces as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::clock::rfc3339;
use crate::store::trace::{StoredTrace, Trace};
use crate::waterfall::{Row, Waterfall};

/// A trace as it is listed.
#[derive(Debug, Serialize)]
pub struct TraceView {
    id: String,
    project: u64,
    project_name: String,
    /// The name of the span that stands for it.
    root: String,
    service: Option<String>,
    release: Option<String>,
    environment: Option<String>,
    started_at: String,
    duration_us: u64,
    spans: u64,
    failed: u64,
    /// Spans beyond what is kept of one trace.
    left_out: u64,
}

impl TraceView {
    /// What a list says of one.
    pub fn new(trace: &Trace) -> Self {
        let root = &trace.root;
        Self {
            id: trace.id.to_string(),
            project: trace.project,
            project_name: trace.project_name.clone(),
            root: root.name.to_string(),
            service: root.release.as_deref().map(|it| service(it).to_owned()),
            release: root.release.as_deref().map(str::to_owned),
            environment: root.environment.as_deref().map(str::to_owned),
            started_at: rfc3339(root.started_at),
            duration_us: root.duration_ns / 1_000,
            spans: trace.spans,
            failed: trace.failed,
            left_out: trace.left_out,
        }
    }
}

/// The name in front of a release's version.
pub fn service(release: &str) -> &str {
    release.split_once('@').map_or(release, |(name, _)| name)
}

/// A trace with its spans.
#[derive(Debug, Serialize)]
pub struct TraceDetailView {
    id: String,
    started_at: String,
    /// From the start of the first span to the end of the last.
    duration_us: u64,
    spans: usize,
    failed: usize,
    left_out: u64,
    services: BTreeSet<String>,
    projects: Vec<TraceView>,
    /// Every span below its parent.
    rows: Vec<Value>,
}

impl TraceDetailView {
    /// All of a trace.
    pub fn new(stored: &StoredTrace) -> Self {
        let waterfall = Waterfall::new(&stored.spans);
        let releases = stored
            .spans
            .iter()
            .filter_map(|it| it.run.release.as_deref());
        Self {
            id: stored
                .parts
                .first()
                .map_or_else(String::new, |it| it.id.to_string()),
            started_at: rfc3339(waterfall.started_at),
            duration_us: waterfall.duration_us,
            spans: stored.spans.len(),
            failed: waterfall.rows.iter().filter(|row| row.has_failed()).count(),
            left_out: left_out(stored),
            services: releases
                .map(|release| service(release).to_owned())
                .collect(),
            projects: stored.parts.iter().map(TraceView::new).collect(),
            rows: waterfall.rows.iter().map(row).collect(),
        }
    }
}

/// Spans beyond what is kept of one trace.
pub fn left_out(stored: &StoredTrace) -> u64 {
    let parts = stored.parts.iter();
    parts.fold(0, |sum, part| sum.saturating_add(part.left_out))
}

fn row(row: &Row<'_>) -> Value {
    let span = row.span;
    let fields: BTreeMap<&str, &str> = span.fields.iter().map(|(k, v)| (&**k, &**v)).collect();
    serde_json::json!({
        "id": span.id,
        "parent": span.parent,
        "parent_missing": row.is_orphan,
        "depth": row.depth,
        "name": span.name,
        "target": span.target,
        "service": span.run.release.as_deref().map(service),
        "release": span.run.release,
        "environment": span.run.environment,
        "kind": span.kind,
        "status": span.status,
        "started_at": rfc3339(span.started_at),
        "offset_us": row.offset_us,
        "duration_us": row.duration_us(),
        "busy_us": span.busy_ns / 1_000,
        "thread": span.thread,
        "location": span.location,
        "fields": fields,
        "links": span.links,
    })
}

/// A duration in the unit that says most.
pub fn duration(ns: u64) -> String {
    let number = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", number / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", number / 1e6),
        1_000_000_000..60_000_000_000 => format!("{:.2} s", number / 1e9),
        60_000_000_000..3_600_000_000_000 => format!("{:.1} min", number / 6e10),
        _ => format!("{:.1} h", number / 3.6e12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_unit_that_says_most() {
        let told = [0, 999, 1_500, 2_345_000, 1_234_000_000, 90_000_000_000].map(duration);

        assert_eq!(
            told,
            ["0 ns", "999 ns", "1.5 µs", "2.35 ms", "1.23 s", "1.5 min"]
        );
        assert_eq!(duration(u64::MAX), "5124095.6 h");
        assert_eq!((service("shop@1.0"), service("shop")), ("shop", "shop"));
    }
}
