//! `bugsage events`: lists the events of an issue, shows one with its full stack.

use std::process::ExitCode;

use clap::Subcommand;

use bugsage_core::event::Event;
use bugsage_core::fingerprint::Kept;
use bugsage_core::id::EventId;

use crate::clock::rfc3339;
use crate::group::why::{Reasons, Why};
use crate::store::Store;
use crate::store::model::StoredEvent;
use crate::store::scope::Scope;
use crate::view::{EventView, duration, place, reports, thousands, without_lines};

use super::{DataArgs, WrongUsage, output};

#[derive(Subcommand)]
pub(super) enum Events {
    /// List the events of an issue, the latest first
    List {
        /// The issue's number
        #[arg(long)]
        issue: u64,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show one event with its full stack
    Show {
        /// Its id
        event: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

impl Events {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let scope = Scope::local_operator();
        match self {
            Events::List {
                issue,
                limit,
                data,
                json,
            } => {
                let store = data.open_existing()?;
                let events = store.events(&scope, issue, limit).await?;
                if json {
                    let mut reasons = Reasons::of_command(&store, &scope);
                    let mut views = Vec::with_capacity(events.len());
                    for stored in &events {
                        views.push(EventView::new(stored, reasons.of(stored).await?));
                    }
                    output::json(&views)?;
                } else {
                    list(&events);
                }
            }
            Events::Show { event, data, json } => {
                let id: EventId = event.parse().map_err(|_| {
                    WrongUsage(format!(
                        "{event} is no event id; `bugsage events list` shows them"
                    ))
                })?;
                let store = data.open_existing()?;
                let stored = store.event(&scope, id).await?;
                let why = Reasons::of_command(&store, &scope).of(&stored).await?;
                if json {
                    output::json(&EventView::new(&stored, why))?;
                } else {
                    show(&stored);
                    reasons(&stored, &why);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(events: &[StoredEvent]) {
    let rows: Vec<Vec<String>> = events
        .iter()
        .map(|stored| {
            let event = &stored.event;
            vec![
                event.id.to_string(),
                thousands(event.count),
                rfc3339(event.first_at),
                output::plain(event.run.release.as_deref().unwrap_or("")),
                output::cut(&event.message, 70),
            ]
        })
        .collect();
    output::table(
        &["id", "reports", "first at", "release", "message"],
        &[1],
        &rows,
    );
}

/// Who, where and under which build: one line each, where it is known.
fn facts(event: &Event) {
    let number = || format!("number {}", event.thread.id);
    let thread = event
        .thread
        .name
        .as_deref()
        .map_or_else(number, str::to_owned);
    let uptime = event.run.uptime_us(event.first_at);
    let uptime = uptime.map(|us| duration(us.saturating_mul(1_000)));
    let facts = [
        ("thread", Some(thread.as_str())),
        ("uptime", uptime.as_deref()),
        ("release", event.run.release.as_deref()),
        ("environment", event.run.environment.as_deref()),
        ("user", event.user.as_deref()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            output::line(&output::plain(&format!("  {name} {value}")));
        }
    }
    if let Some(trace) = event.trace {
        let sampled = match trace.is_sampled {
            true => "sampled",
            false => "not sampled",
        };
        output::line(&format!(
            "  trace {}, span {}, {sampled}",
            trace.id, trace.span
        ));
    }
    let pairs = [
        ("tag", &event.tags),
        ("context", &event.contexts),
        ("context", &event.attached),
        ("input", &event.inputs),
    ];
    for (what, pairs) in pairs {
        for (name, value) in pairs {
            output::line(&output::plain(&format!("  {what} {name} = {value}")));
        }
    }
}

/// Why it is one bug with the others of its issue.
fn reasons(stored: &StoredEvent, why: &Why) {
    output::line("");
    let rule = why
        .rule
        .map(|line| format!(" by line {line} of the project's rules"));
    output::line(&format!("grouped{} by", rule.unwrap_or_default()));
    kept(&why.explanation.kept);
    if let Some(first) = why.fingerprints.first() {
        output::line(&format!("  fingerprint {first}"));
    }
    let mut dropped: Vec<(&str, usize)> = Vec::new();
    for frame in &why.explanation.dropped {
        match dropped.iter_mut().find(|(rule, _)| *rule == frame.rule) {
            Some((_, frames)) => *frames += 1,
            None => dropped.push((&frame.rule, 1)),
        }
    }
    if !dropped.is_empty() {
        let dropped = dropped
            .iter()
            .map(|(rule, frames)| format!("{frames} {rule}"));
        let dropped: Vec<String> = dropped.collect();
        let frames = format!("  frames that did not count: {}", dropped.join(", "));
        output::line(&output::plain(&frames));
    }
    if why.explanation.provisional {
        output::line("  for now: symbols or the source may still change it");
    }
    if why.has_changed {
        let then = stored.fingerprint.as_deref().unwrap_or("something else");
        output::line(&format!(
            "  when it came it was grouped by {then}: rules or source have changed"
        ));
    }
    if let Some(nearest) = &why.nearest {
        let title = output::cut(&nearest.title, 60);
        output::line(&format!(
            "nearest other issue: {} ({title}), which shares",
            nearest.issue
        ));
        kept(&nearest.shares);
    }
}

fn kept(kept: &[Kept]) {
    for kept in kept {
        let value = match &*kept.value {
            "" => "(the event has nothing there)",
            value => value,
        };
        output::line(&output::plain(&format!("  {} {value}", kept.rule)));
    }
}

fn show(stored: &StoredEvent) {
    let event = &stored.event;
    output::line(&format!("event {} of issue {}", event.id, stored.issue));
    output::line(&format!(
        "  {} {}: {}",
        event.level.as_str(),
        event.kind.as_str(),
        output::plain(&event.message)
    ));
    if let Some(location) = &event.location {
        output::line(&output::plain(&format!("  at {}", place(location))));
    }
    let (first, last) = (rfc3339(event.first_at), rfc3339(event.last_at));
    output::line(&match event.count {
        1 => format!("  1 report at {first}"),
        count => format!("  {} from {first} to {last}", reports(count)),
    });
    facts(event);
    for (depth, error) in event.errors.iter().enumerate() {
        let word = if depth == 0 { "error" } else { "because of" };
        let type_name = error.type_name.as_deref().map(|name| format!("{name}: "));
        let type_name = type_name.unwrap_or_default();
        output::line(&output::plain(&format!(
            "  {word} {type_name}{}",
            error.message
        )));
    }
    for span in &event.spans {
        let fields: Vec<String> = span
            .fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let open = span.timing.map(|timing| {
            let open = duration(timing.open_us.saturating_mul(1_000));
            let busy = timing.busy_us.map(|us| duration(us.saturating_mul(1_000)));
            let busy = busy.map(|busy| format!(", busy for {busy}"));
            format!(" (open for {open}{})", busy.unwrap_or_default())
        });
        output::line(&output::plain(&format!(
            "  in {}{} {}",
            span.name,
            open.unwrap_or_default(),
            fields.join(" ")
        )));
    }
    output::line("");
    if let Some(why) = without_lines(event) {
        output::line(&format!("  {why}"));
    }
    let frames = event.stack.iter().flat_map(|stack| &stack.frames);
    for (number, frame) in frames.enumerate() {
        let mark = if frame.in_app { '>' } else { ' ' };
        let function = frame
            .function
            .as_deref()
            .map_or_else(|| format!("{:#x}", frame.address), str::to_owned);
        output::line(&output::plain(&format!("{mark} {number:>3}  {function}")));
        if let (Some(file), Some(line)) = (&frame.file, frame.line) {
            output::line(&output::plain(&format!("         {file}:{line}")));
        }
    }
    for breadcrumb in &event.breadcrumbs {
        let text = format!(
            "{} {:<5} {}",
            rfc3339(breadcrumb.at),
            breadcrumb.level.as_str(),
            breadcrumb.message
        );
        output::line(&output::plain(&text));
    }
}
