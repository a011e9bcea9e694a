//! `bugsage traces`: lists traces, shows one as a waterfall.

use std::process::ExitCode;

use clap::Subcommand;

use bugsage_core::trace_context::TraceId;

use crate::clock::rfc3339;
use crate::store::Store;
use crate::store::scope::Scope;
use crate::store::trace::{StoredTrace, Trace, TraceFilter};
use crate::view::{TraceDetailView, TraceView, counted, duration, left_out, service, thousands};
use crate::waterfall::{Row, Waterfall};

use super::{DataArgs, WrongUsage, output};

/// The columns of a bar.
const BAR: u64 = 32;

/// Spans around a span beyond which it is not indented further.
const INDENTED_MAX: usize = 20;

/// The columns of a name.
const NAME: usize = 48;

#[derive(Subcommand)]
pub(super) enum Traces {
    /// List traces, those that came last first
    List {
        /// Only a project, by its name or number
        #[arg(long)]
        project: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show one trace: its spans below each other, and when they ran
    Show {
        /// Its id, 32 hex digits
        trace: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

impl Traces {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let scope = Scope::local_operator();
        match self {
            Traces::List {
                project,
                limit,
                data,
                json,
            } => {
                let filter = TraceFilter { project, limit };
                let traces = data.open_existing()?.traces(&scope, filter).await?;
                if json {
                    output::json(&traces.iter().map(TraceView::new).collect::<Vec<_>>())?;
                } else {
                    list(&traces);
                }
            }
            Traces::Show { trace, data, json } => {
                let id: TraceId = trace.parse().map_err(|_| {
                    WrongUsage(format!(
                        "{trace} is no trace id, which has 32 lower hex digits; `bugsage traces list` \
                         shows them"
                    ))
                })?;
                let stored = data.open_existing()?.trace(&scope, id).await?;
                if json {
                    output::json(&TraceDetailView::new(&stored))?;
                } else {
                    show(id, &stored);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(traces: &[Trace]) {
    let row = |trace: &Trace| {
        vec![
            trace.id.to_string(),
            output::cut(&trace.root.name, 40),
            output::cut(trace.root.release.as_deref().unwrap_or(""), 40),
            duration(trace.root.duration_ns),
            thousands(trace.spans),
            thousands(trace.failed),
            rfc3339(trace.root.started_at),
        ]
    };
    output::table(
        &[
            "id",
            "root",
            "release",
            "duration",
            "spans",
            "failed",
            "started at",
        ],
        &[3, 4, 5],
        &traces.iter().map(row).collect::<Vec<_>>(),
    );
}

fn show(id: TraceId, stored: &StoredTrace) {
    let waterfall = Waterfall::new(&stored.spans);
    output::line(&format!("trace {id}"));
    let whole = duration(waterfall.duration_us.saturating_mul(1_000));
    output::line(&format!(
        "  {} in {whole} from {}",
        counted(waterfall.rows.len() as u64, "span"),
        rfc3339(waterfall.started_at)
    ));
    let left_out = left_out(stored);
    if left_out > 0 {
        output::line(&format!(
            "  it is cut: {} more came than are kept of one trace",
            counted(left_out, "span")
        ));
    }
    output::line("");
    let rows: Vec<Vec<String>> = waterfall
        .rows
        .iter()
        .map(|row| cells(row, waterfall.duration_us))
        .collect();
    output::table(
        &["span", "service", "offset", "duration", "", "status"],
        &[2, 3],
        &rows,
    );
}

fn cells(row: &Row<'_>, whole_us: u64) -> Vec<String> {
    let span = row.span;
    let indent = "  ".repeat(row.depth.min(INDENTED_MAX));
    let orphan = if row.is_orphan {
        " (its parent is not here)"
    } else {
        ""
    };
    let name = match output::cut(&span.name, NAME) {
        name if name.trim().is_empty() => "(no name)".to_owned(),
        name => name,
    };
    let status = if row.has_failed() {
        span.status.as_str()
    } else {
        ""
    };
    vec![
        format!("{indent}{name}{orphan}"),
        output::cut(span.run.release.as_deref().map_or("", service), 20),
        duration(row.offset_us.saturating_mul(1_000)),
        duration(span.duration_ns),
        bar(row, whole_us),
        status.to_owned(),
    ]
}

/// Where in the whole trace a span ran.
fn bar(row: &Row<'_>, whole_us: u64) -> String {
    let column = |us: u64| u128::from(us) * u128::from(BAR) / u128::from(whole_us.max(1));
    let from = column(row.offset_us).min(u128::from(BAR) - 1) as usize;
    let to = column(row.offset_us.saturating_add(row.duration_us())) as usize;
    // A bar that can be seen, however short the span.
    let length = to.min(BAR as usize).saturating_sub(from).max(1);
    format!("{}{}", " ".repeat(from), "━".repeat(length))
}
