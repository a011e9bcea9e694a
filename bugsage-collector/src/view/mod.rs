//! Issues, events, traces and cases as JSON, under the names that tools outside rely on.
//!
//! More may be added here, nothing renamed. Times are RFC 3339 in UTC, what is not known is null.

mod lines;
mod project;
mod similar;
mod trace;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use bugsage_core::clock::Timestamp;
use bugsage_core::event::{Event, Location, Pairs};
use bugsage_pipeline::analyze::Analysis;
use bugsage_pipeline::apply::Branch;
use bugsage_pipeline::case::{Case, Fix};
use bugsage_pipeline::validate::Verdict;

use crate::clock::rfc3339;
use crate::group::why::Why;
use crate::store::grouping::OwnedFingerprint;
use crate::store::model::{Issue, IssueDetail, StoredEvent};
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

pub use lines::without_lines;
pub use project::ProjectView;
pub use similar::SimilarView;
pub use trace::{TraceDetailView, TraceView, duration, left_out, service};

/// An issue.
#[derive(Debug, Clone, Serialize)]
pub struct IssueView {
    /// The issue's number.
    pub id: u64,
    project: u64,
    kind: String,
    level: String,
    /// One line for lists.
    pub title: String,
    /// The class of the bug.
    pub class: String,
    /// The function or place that failed.
    pub culprit: String,
    /// `unresolved`, `resolved` or `ignored`.
    pub status: String,
    /// What kind of unresolved.
    pub substatus: String,
    /// How bad it is.
    pub severity: String,
    /// Reports, repeats counted.
    pub events: u64,
    /// Users that had it, estimated.
    pub users: u64,
    /// When it was first seen.
    pub first_seen: String,
    /// When it was last seen.
    pub last_seen: String,
    /// The release that first had it.
    pub first_release: Option<String>,
    /// The release that had it last.
    pub last_release: Option<String>,
    latest_event: Option<String>,
    /// The latest case.
    pub case: Option<CaseView>,
    /// The issue that it is a part of.
    pub merged_into: Option<u64>,
}

impl IssueView {
    fn new(issue: Issue, case: Option<CaseView>) -> Self {
        Self {
            id: issue.id,
            project: issue.project,
            kind: issue.kind,
            level: issue.level,
            title: issue.title,
            class: issue.class,
            culprit: issue.culprit,
            status: issue.status,
            substatus: issue.substatus,
            severity: issue.severity,
            events: issue.events,
            users: issue.users,
            first_seen: rfc3339(issue.first_seen),
            last_seen: rfc3339(issue.last_seen),
            first_release: issue.first_release,
            last_release: issue.last_release,
            latest_event: issue.latest_event.map(|id| id.to_string()),
            case,
            merged_into: issue.merged_into,
        }
    }

    /// An issue with its latest case.
    pub async fn load(store: &dyn Store, scope: &Scope, issue: Issue) -> Result<Self, StoreError> {
        let case = match issue.case {
            Some(case) => Some(CaseView::brief(&store.case(scope, case).await?)),
            None => None,
        };
        Ok(Self::new(issue, case))
    }
}

/// An issue with what is known beside its counts.
#[derive(Debug, Serialize)]
pub struct IssueDetailView {
    /// The issue.
    #[serde(flatten)]
    pub issue: IssueView,
    releases: Vec<Value>,
    /// What happened to it, the first first.
    pub history: Vec<Value>,
    /// Those that it and its parts own, the first first.
    pub fingerprints: Vec<String>,
    /// What each of them is made of, and which part owns it.
    grouping: Vec<Value>,
    /// The issues that are a part of it.
    pub parts: Vec<u64>,
    /// Issues that look like it.
    pub similar: Vec<SimilarView>,
}

impl IssueDetailView {
    /// An issue's details with its latest case.
    pub async fn load(
        store: &dyn Store,
        scope: &Scope,
        detail: IssueDetail,
    ) -> Result<Self, StoreError> {
        let releases = detail.releases.into_iter().map(|release| {
            serde_json::json!({
                "release": release.release,
                "events": release.events,
                "first_seen": rfc3339(release.first_seen),
                "last_seen": rfc3339(release.last_seen),
            })
        });
        let history = detail.history.into_iter().map(|entry| {
            serde_json::json!({"at": rfc3339(entry.at), "actor": entry.actor, "what": entry.what})
        });
        Ok(Self {
            similar: SimilarView::load(store, scope, detail.issue.id).await?,
            releases: releases.collect(),
            history: history.collect(),
            parts: detail.parts.iter().map(|part| part.id).collect(),
            grouping: detail.fingerprints.iter().map(owned).collect(),
            fingerprints: detail
                .fingerprints
                .into_iter()
                .map(|it| it.fingerprint)
                .collect(),
            issue: IssueView::load(store, scope, detail.issue).await?,
        })
    }
}

fn owned(owned: &OwnedFingerprint) -> Value {
    serde_json::json!({
        "fingerprint": owned.fingerprint,
        "issue": owned.issue,
        "kept": owned.kept,
        "brought_by": owned.brought_by,
    })
}

/// One trip of an issue through the pipeline.
#[derive(Debug, Clone, Serialize)]
pub struct CaseView {
    /// Its id.
    pub id: String,
    /// The issue.
    pub issue: u64,
    /// Where it stands.
    pub state: String,
    /// Why it stands there.
    pub reason: Option<String>,
    /// What went wrong, once it is known.
    pub analysis: Option<Analysis>,
    /// The change that is proposed.
    pub patch: Option<PatchView>,
    /// What its gates found.
    pub verdicts: Vec<VerdictView>,
    /// How sure it is that the patch is right; without a patch, that the analysis is.
    pub confidence: Option<f64>,
    /// What the patch could do wrong.
    pub risk: Option<f64>,
    /// Why that sure and that risky.
    pub reasons: Vec<String>,
    /// What could be done, and what was tried.
    pub fix: Option<FixView>,
    /// Who approved the patch, and until when that holds.
    pub approval: Option<Value>,
    /// Where it was applied.
    pub branch: Option<Branch>,
    /// The commit that failed.
    pub commit: Option<String>,
    /// How it came to where it stands.
    pub history: Vec<Value>,
    created_at: String,
    updated_at: String,
}

/// A proposed change.
#[derive(Debug, Clone, Serialize)]
pub struct PatchView {
    /// Its hash.
    pub sha256: String,
    /// The commit that it changes.
    pub base_commit: String,
    /// The files that it changes.
    pub files: Vec<String>,
    /// The change.
    pub diff: String,
}

/// What a gate found.
#[derive(Debug, Clone, Serialize)]
pub struct VerdictView {
    /// The gate.
    pub gate: &'static str,
    /// Whether it let the patch through; null where it could not be tried.
    pub passed: Option<bool>,
    /// What it found.
    pub detail: String,
    /// What was run.
    pub command: Option<String>,
    /// The end of what that printed; left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

/// What could be done about a bug.
#[derive(Debug, Clone, Serialize)]
pub struct FixView {
    /// The candidate that is proposed or tried.
    pub candidate: Option<Value>,
    /// How many candidates there are.
    pub candidates: usize,
    /// Those that were refused, by which gate and why.
    pub trials: Vec<Value>,
    /// What no rule would do, and why.
    pub declined: Vec<Value>,
    /// Why the failure is not reproduced, where it is not.
    pub unreproduced: Option<String>,
}

impl CaseView {
    /// A case without the samples it was made from.
    pub fn new(case: &Case) -> Self {
        let history = case.history.iter().map(|transition| {
            serde_json::json!({
                "at": rfc3339(transition.at),
                "actor": transition.actor,
                "from": transition.from,
                "to": transition.to,
                "reason": transition.reason,
            })
        });
        let assessment = case.assessment.as_ref();
        let analysis = case.analysis.as_ref();
        Self {
            id: case.id.to_string(),
            issue: case.issue,
            state: case.state.as_str().to_owned(),
            reason: case.reason().map(str::to_owned),
            confidence: assessment
                .map(|assessment| assessment.confidence)
                .or(analysis.map(|analysis| analysis.confidence)),
            risk: assessment.map(|assessment| assessment.risk),
            reasons: assessment.map_or_else(Vec::new, |assessment| assessment.reasons.clone()),
            analysis: case.analysis.clone(),
            patch: case.patch.as_ref().map(|patch| PatchView {
                sha256: patch.sha256.clone(),
                base_commit: patch.base_commit.clone(),
                files: patch.files.clone(),
                diff: patch.diff.clone(),
            }),
            verdicts: case.verdicts.iter().map(VerdictView::new).collect(),
            fix: case.fix.as_ref().map(FixView::new),
            approval: case.approval.as_ref().map(|approval| {
                serde_json::json!({
                    "sha256": approval.sha256,
                    "base_commit": approval.base_commit,
                    "approver": approval.approver,
                    "at": rfc3339(approval.at),
                    "expires_at": rfc3339(approval.expires_at),
                })
            }),
            branch: case.branch.clone(),
            commit: case
                .evidence
                .as_ref()
                .map(|evidence| evidence.commit.commit.sha.clone()),
            history: history.collect(),
            created_at: rfc3339(case.created_at),
            updated_at: rfc3339(case.updated_at),
        }
    }

    /// The same without what its gates printed, for lists.
    pub fn brief(case: &Case) -> Self {
        let mut view = Self::new(case);
        for verdict in &mut view.verdicts {
            verdict.output = None;
        }
        view
    }

    /// What the patch makes of the failure, in one sentence.
    pub fn claim(&self) -> Option<&str> {
        let candidate = self.fix.as_ref()?.candidate.as_ref()?;
        self.patch.as_ref()?;
        candidate["claim"].as_str()
    }
}

impl VerdictView {
    fn new(verdict: &Verdict) -> Self {
        Self {
            gate: verdict.gate.as_str(),
            passed: verdict.passed,
            detail: verdict.detail.clone(),
            command: verdict.command.clone(),
            output: verdict.output.clone(),
            seconds: verdict.seconds,
        }
    }
}

impl FixView {
    fn new(fix: &Fix) -> Self {
        let candidate = fix.chosen().map(|candidate| {
            serde_json::json!({
                "rule": candidate.rule,
                "way": candidate.way,
                "claim": candidate.claim,
                "reason": candidate.reason,
            })
        });
        Self {
            candidate,
            candidates: fix.candidates.len(),
            trials: values(&fix.trials),
            declined: values(&fix.declined),
            unreproduced: fix.unreproduced.clone(),
        }
    }
}

/// One event with its full stack.
#[derive(Debug, Serialize)]
pub struct EventView {
    id: String,
    issue: u64,
    kind: &'static str,
    /// How many equal reports it stands for.
    pub count: u64,
    first_at: String,
    last_at: String,
    timestamp: String,
    level: &'static str,
    /// The panic's payload, the error's text or the log line.
    pub message: String,
    errors: Vec<Value>,
    location: Option<Value>,
    thread: Value,
    user: Option<String>,
    release: Option<String>,
    environment: Option<String>,
    commit: Option<String>,
    fingerprints: Vec<String>,
    grouping: Why,
    symbolicated: bool,
    /// For how long the process had run, where its start is known.
    uptime_us: Option<u64>,
    trace_id: Option<String>,
    /// The innermost span that was open.
    span_id: Option<String>,
    /// Whether the trace's spans are sent.
    trace_sampled: Option<bool>,
    frames: Vec<Value>,
    breadcrumbs: Vec<Value>,
    spans: Vec<Value>,
    tags: BTreeMap<String, String>,
    /// Facts about host, build and process, and what the app attached.
    contexts: BTreeMap<String, String>,
    /// What the app was working on, as it handed it over.
    inputs: Vec<Value>,
}

impl EventView {
    /// An event as it was stored, and why it is where it is.
    pub fn new(stored: &StoredEvent, why: Why) -> Self {
        let event = &stored.event;
        let mut fingerprints: Vec<String> = stored.fingerprint.iter().cloned().collect();
        for fingerprint in &why.fingerprints {
            if !fingerprints.contains(fingerprint) {
                fingerprints.push(fingerprint.clone());
            }
        }
        Self {
            id: event.id.to_string(),
            issue: stored.issue,
            kind: event.kind.as_str(),
            count: event.count,
            first_at: rfc3339(event.first_at),
            last_at: rfc3339(event.last_at),
            timestamp: rfc3339(event.first_at),
            level: event.level.as_str(),
            message: event.message.to_string(),
            errors: values(&event.errors),
            location: event
                .location
                .as_ref()
                .and_then(|l| serde_json::to_value(l).ok()),
            thread: serde_json::to_value(&event.thread).unwrap_or_default(),
            user: event.user.as_deref().map(str::to_owned),
            release: event.run.release.as_deref().map(str::to_owned),
            environment: event.run.environment.as_deref().map(str::to_owned),
            commit: event.run.commit().map(str::to_owned),
            fingerprints,
            grouping: why,
            symbolicated: event.stack.as_ref().is_some_and(|stack| stack.symbolicated),
            uptime_us: event.run.uptime_us(event.first_at),
            trace_id: event.trace.map(|trace| trace.id.to_string()),
            span_id: event.trace.map(|trace| trace.span.to_string()),
            trace_sampled: event.trace.map(|trace| trace.is_sampled),
            frames: frames(event),
            breadcrumbs: breadcrumbs(event),
            spans: spans(event),
            tags: map(&event.tags),
            contexts: contexts(event),
            inputs: inputs(event),
        }
    }
}

/// What is known and what the app attached. Where both have a name, the app's is told apart.
fn contexts(event: &Event) -> BTreeMap<String, String> {
    let mut contexts = map(&event.contexts);
    for (name, value) in &event.attached {
        let name = match contexts.contains_key(&**name) {
            true => format!("attached.{name}"),
            false => name.to_string(),
        };
        contexts.insert(name, value.to_string());
    }
    contexts
}

fn inputs(event: &Event) -> Vec<Value> {
    let inputs = event.inputs.iter();
    inputs
        .map(|(name, value)| serde_json::json!({"name": name, "value": value}))
        .collect()
}

fn frames(event: &Event) -> Vec<Value> {
    let frames = event.stack.iter().flat_map(|stack| &stack.frames);
    let frames = frames.map(|frame| {
        serde_json::json!({
            "function": frame.function,
            "file": frame.file,
            "line": frame.line,
            "column": frame.column,
            "in_app": frame.in_app,
            "inlined": frame.inlined,
            "module": frame.module.as_ref().map(|module| module_name(&module.path)),
            "build_id": frame.module.as_ref().map(|module| &module.build_id),
            "address": format!("{:#x}", frame.address),
        })
    });
    frames.collect()
}

fn module_name(path: &str) -> &str {
    Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(path)
}

fn breadcrumbs(event: &Event) -> Vec<Value> {
    let breadcrumbs = event.breadcrumbs.iter().map(|breadcrumb| {
        serde_json::json!({
            "timestamp": rfc3339(breadcrumb.at),
            "level": breadcrumb.level,
            "target": breadcrumb.target,
            "message": breadcrumb.message,
        })
    });
    breadcrumbs.collect()
}

fn spans(event: &Event) -> Vec<Value> {
    let spans = event.spans.iter().map(|span| {
        let timing = span.timing;
        serde_json::json!({
            "name": span.name,
            "target": span.target,
            "fields": map(&span.fields),
            "id": timing.map(|timing| timing.id),
            "open_us": timing.map(|timing| timing.open_us),
            "busy_us": timing.and_then(|timing| timing.busy_us),
        })
    });
    spans.collect()
}

fn map(pairs: &Pairs) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

fn values<T: Serialize>(items: &[T]) -> Vec<Value> {
    items
        .iter()
        .filter_map(|item| serde_json::to_value(item).ok())
        .collect()
}

/// Text of an app without what a reader cannot see: control characters, and those that turn the
/// direction of what follows. Line breaks and tabs become spaces.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| c.is_control() || is_direction(c);
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    Cow::Owned(plain.filter(|c| !is_direction(*c)).collect())
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How long ago something was, in the largest unit that says something.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.micros_since(at) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// How many reports, in words: `1 report`, `2,000 reports`.
pub fn reports(count: u64) -> String {
    counted(count, "report")
}

/// A number of things.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(count))
}

/// A place in the source; log lines have no column.
pub fn place(location: &Location) -> String {
    let Location { file, line, column } = location;
    match column {
        0 => format!("{file}:{line}"),
        _ => format!("{file}:{line}:{column}"),
    }
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        assert_eq!(reports(1), "1 report");
        assert_eq!(reports(2_000), "2,000 reports");
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(ago(Timestamp(0), Timestamp(59_000_000)), "59 s ago");
        assert_eq!(ago(Timestamp(0), Timestamp(7_200_000_000)), "2 h ago");
        assert_eq!(ago(Timestamp(9), Timestamp(0)), "0 s ago");
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(
            rfc3339(Timestamp(1_700_000_000_123_456)),
            "2023-11-14T22:13:20.123456Z"
        );
        assert!(rfc3339(Timestamp(u64::MAX)).starts_with("9999-"));
    }
}
