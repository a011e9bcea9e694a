//! `bugsage fix`: writes and proves fixes, lists and shows them, and takes a person's decision.

// A case taken as far as it goes, now.
mod run;
// What was found, changed and proved.
pub(in crate::cli) mod show;
// Approve, reject, apply.
mod decide;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Subcommand;

use bugsage_core::id::CaseId;
use bugsage_pipeline::case::{Case, State};

use crate::clock::SystemClock;
use crate::store::model::CaseFilter;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};
use crate::view::CaseView;
use crate::worker::cases::CaseWorker;

use super::{DataArgs, WrongUsage, output};

/// Cases that are listed where nothing else is said.
const LIMIT: u32 = 100;

/// Cases among which the end of an id is looked for.
const SEARCHED_MAX: u32 = 10_000;

/// The least of an id that names a case.
const ID_PART_MIN: usize = 6;

#[derive(Subcommand)]
pub(super) enum Fix {
    /// Explain an issue, write a fix and prove it, now
    Run {
        /// The issue's number
        issue: u64,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List cases, the latest first
    List {
        /// Only those of a project, by its name or number
        #[arg(long)]
        project: Option<String>,
        /// Only those in a state, such as ready
        #[arg(long)]
        state: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show a case: claim, diff, each gate with its proof, risk, confidence
    Show {
        /// The case's id, or the end of it
        case: String,
        /// Print what this gate's command printed
        #[arg(long, value_name = "GATE")]
        log: Option<String>,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Approve the patch of a case that is ready
    Approve {
        /// The case's id, or the end of it
        case: String,
        /// The patch that you saw, by the beginning of its hash: another one is refused
        #[arg(long, value_name = "SHA256")]
        hash: Option<String>,
        /// How long the approval holds: 30s, 10m, 24h, 7d
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
        valid_for: Duration,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Reject the patch of a case
    Reject {
        /// The case's id, or the end of it
        case: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Write an approved patch to the branch bugsage/case-ID of the repository
    Apply {
        /// The case's id, or the end of it
        case: String,
        #[command(flatten)]
        data: DataArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// What the commands share: the store, and a worker of their own.
struct Desk {
    store: Arc<dyn Store>,
    scope: Scope,
    worker: CaseWorker,
}

impl Desk {
    fn open(data: &DataArgs) -> anyhow::Result<Self> {
        let folder: PathBuf = data.folder()?;
        let store: Arc<dyn Store> = Arc::new(data.open_existing()?);
        Ok(Self {
            worker: CaseWorker::of_command(store.clone(), Arc::new(SystemClock), &folder),
            store,
            scope: Scope::local_operator(),
        })
    }

    /// The case that a person means: by its whole id, or by the end of it.
    async fn case(&self, name: &str) -> anyhow::Result<Case> {
        if let Ok(id) = CaseId::from_str(name) {
            return Ok(self.store.case(&self.scope, id).await?);
        }
        let not_found = || StoreError::NotFound {
            what: "case",
            name: output::cut(name, 40),
        };
        let is_part = name.len() >= ID_PART_MIN
            && name
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if !is_part {
            return Err(not_found().into());
        }
        let filter = CaseFilter {
            limit: SEARCHED_MAX,
            ..CaseFilter::default()
        };
        let cases = self.store.cases(&self.scope, filter).await?.into_iter();
        let name = name.to_ascii_lowercase();
        let mut found: Vec<Case> = cases
            .filter(|case| case.id.to_string().ends_with(&name))
            .collect();
        match found.len() {
            0 => Err(not_found().into()),
            1 => Ok(found.remove(0)),
            n => bail!("{n} cases end with {name}: give more of the id"),
        }
    }
}

impl Fix {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Fix::Run { issue, data, json } => {
                let desk = Desk::open(&data)?;
                let case = run::run(&desk, issue).await?;
                print(&case, json)
            }
            Fix::List {
                project,
                state,
                limit,
                data,
                json,
            } => {
                let desk = Desk::open(&data)?;
                let state = state.map(|name| state_named(&name)).transpose()?;
                let filter = CaseFilter {
                    project,
                    state,
                    limit,
                };
                let cases = desk.store.cases(&desk.scope, filter).await?;
                let views: Vec<CaseView> = cases.iter().map(CaseView::brief).collect();
                match json {
                    true => output::json(&views)?,
                    false => show::list(&views),
                }
                Ok(ExitCode::SUCCESS)
            }
            Fix::Show {
                case,
                log,
                data,
                json,
            } => {
                let case = Desk::open(&data)?.case(&case).await?;
                match log {
                    Some(gate) => show::log(&CaseView::new(&case), &gate),
                    None => print(&case, json),
                }
            }
            Fix::Approve {
                case,
                hash,
                valid_for,
                data,
                json,
            } => {
                let desk = Desk::open(&data)?;
                let case = decide::approve(&desk, &case, hash.as_deref(), valid_for).await?;
                if !json {
                    // Whoever gave no hash sees what was approved.
                    show::patch(&CaseView::brief(&case));
                    output::line("");
                }
                decided(&case, json)
            }
            Fix::Reject {
                case,
                reason,
                data,
                json,
            } => {
                let desk = Desk::open(&data)?;
                let case = decide::reject(&desk, &case, &reason).await?;
                decided(&case, json)
            }
            Fix::Apply { case, data, json } => {
                let desk = Desk::open(&data)?;
                let case = decide::apply(&desk, &case).await?;
                decided(&case, json)
            }
        }
    }
}

fn print(case: &Case, json: bool) -> anyhow::Result<ExitCode> {
    let view = CaseView::new(case);
    match json {
        true => output::json(&view)?,
        false => show::case(&view),
    }
    Ok(ExitCode::SUCCESS)
}

fn decided(case: &Case, json: bool) -> anyhow::Result<ExitCode> {
    let view = CaseView::new(case);
    match json {
        true => output::json(&view)?,
        false => {
            let reason = output::plain(view.reason.as_deref().unwrap_or_default());
            output::line(&format!("case {} is {}: {reason}", case.id, case.state));
            if let Some(branch) = &case.branch {
                output::line(&format!("look at it: git show {}", branch.name));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn state_named(name: &str) -> anyhow::Result<State> {
    State::from_str(name).map_err(|_| {
        let names: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        WrongUsage(format!(
            "there is no state {}: one of {}",
            output::cut(name, 40),
            names.join(", ")
        ))
        .into()
    })
}

/// `90s`, `10m`, `24h` or `7d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time such as 30s, 10m, 24h or 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let time = Duration::from_secs(number.saturating_mul(seconds));
    let longest = bugsage_pipeline::limits::APPROVAL_TIME_MAX;
    match time.is_zero() || time > longest {
        true => Err(format!(
            "an approval holds from 1s to {} days",
            longest.as_secs() / 86_400
        )),
        false => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_a_bound() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in [
            "",
            "h",
            "1",
            "0s",
            "8d",
            "-1h",
            "1w",
            "99999999999999999999d",
            "1é",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_state_that_is_none_is_told_with_those_that_are() {
        assert_eq!(state_named("ready").expect("is one"), State::Ready);
        let error = state_named("done").expect_err("is none").to_string();
        assert!(error.contains("ready"), "{error}");
    }
}
