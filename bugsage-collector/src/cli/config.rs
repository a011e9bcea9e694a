//! `bugsage config show` and `bugsage check-config`: what is set, by whom, and whether it makes sense.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::setting::{SETTINGS, Setting};
use crate::config::{Origin, Problems, Resolved};

use super::settings::SettingsArgs;
use super::{exit, output};

#[derive(Subcommand)]
pub(super) enum Config {
    /// Print every setting, as a file would say it; secrets are masked
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        settings: SettingsArgs,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Checks the file, the environment, and what follows from both.
#[derive(Args)]
pub(super) struct CheckConfig {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// One setting, for programs.
#[derive(Serialize)]
struct SettingView {
    key: &'static str,
    value: Value,
    /// `default`, `file`, `variable` or `flag`.
    source: &'static str,
    /// Where exactly: the line of the file, the name of the variable.
    origin: String,
    variable: &'static str,
    takes: String,
    meaning: &'static str,
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Config::Show {
            origin,
            settings,
            json,
        } = self;
        let resolved = settings.resolve(Vec::new())?;
        if json {
            let settings: Vec<_> = each(&resolved)
                .map(|(it, from)| view(it, from, &resolved))
                .collect();
            let file = resolved
                .file
                .as_ref()
                .map(|path| path.display().to_string());
            output::json(&json!({ "file": file, "settings": settings }))?;
            return Ok(ExitCode::SUCCESS);
        }
        for (setting, from) in each(&resolved) {
            let line = setting.line(&resolved.config);
            match origin {
                true => output::line(&format!("{line:<40} # {from}")),
                false => output::line(&line),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl CheckConfig {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (file, problems) = match self.settings.resolve(Vec::new()) {
            Ok(resolved) => (resolved.file, None),
            Err(error) => (None, Some(error.downcast::<Problems>()?)),
        };
        let lines = problems.as_ref().map_or(&[][..], Problems::lines);
        let file = file.map(|path| path.display().to_string());
        if self.json {
            output::json(&json!({ "ok": lines.is_empty(), "file": file, "problems": lines }))?;
        } else if let Some(problems) = &problems {
            output::error(&format!("bugsage: {problems}"));
        } else {
            let of = file.map_or("there is no file, and what is set is".to_owned(), |file| {
                format!("{file} and what is set beside it are")
            });
            output::line(&format!("{of} in order"));
        }
        Ok(match problems {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::from(exit::USAGE),
        })
    }
}

fn each(resolved: &Resolved) -> impl Iterator<Item = (&'static Setting, &Origin)> {
    SETTINGS.iter().zip(&resolved.origins)
}

fn view(setting: &'static Setting, origin: &Origin, resolved: &Resolved) -> SettingView {
    SettingView {
        key: setting.key,
        value: setting.json(&resolved.config),
        source: match origin {
            Origin::Default => "default",
            Origin::File { .. } => "file",
            Origin::Variable(_) => "variable",
            Origin::Flag(_) => "flag",
        },
        origin: origin.to_string(),
        variable: setting.variable,
        takes: setting.values(),
        meaning: setting.meaning,
    }
}
