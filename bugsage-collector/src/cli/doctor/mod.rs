//! `bugsage doctor`: checks this machine and the data folder.

mod store;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use bugsage_pipeline::validate::sandbox::Sandbox;
use bugsage_pipeline::validate::toolchain::Toolchain;

use crate::app;
use crate::store::sqlite::{SQLITE_VERSION_MIN, SqliteStore};

use super::settings::SettingsArgs;
use super::{exit, output};

/// Free space below which a collector soon cannot write.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// A sync that takes longer makes every acknowledgement slow.
const SYNC_MS_MAX: u128 = 100;

/// How long the clocks are watched, and by how much they may differ then: machines pause.
const MOMENT: Duration = Duration::from_millis(100);
const DRIFT_US_MAX: u64 = 50_000;

/// Syncs that are timed, to tell the median.
const SYNCS: usize = 9;

#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Finding {
    name: &'static str,
    /// Whether it is as it should be, or can be done without.
    ok: bool,
    /// Whether it is there; only what can be done without may be missing in order.
    present: bool,
    /// What was found, and what to do where it is not good.
    detail: String,
}

impl Finding {
    fn good(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            ok: true,
            present: true,
            detail: detail.into(),
        }
    }

    fn bad(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            ok: false,
            ..Self::good(name, detail)
        }
    }
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let folder = self.settings.data.folder()?;
        let findings = [
            sqlite(),
            settings(&self.settings),
            data_folder(&folder),
            store::files(&folder),
            store::store(&folder),
            free_space(&folder),
            sync_time(&folder),
            git(),
            toolchain(),
            sandbox(),
            clock(&folder),
            collector(&folder),
        ];
        let all_good = findings.iter().all(|finding| finding.ok);
        if self.json {
            output::json(&serde_json::json!({ "ok": all_good, "findings": findings }))?;
        } else {
            for finding in &findings {
                let mark = match (finding.ok, finding.present) {
                    (true, true) => "ok  ",
                    (true, false) => "none",
                    (false, _) => "BAD ",
                };
                output::line(&format!("{mark} {:<12} {}", finding.name, finding.detail));
            }
        }
        Ok(if all_good {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(exit::FAILED)
        })
    }
}

fn sqlite() -> Finding {
    let version = rusqlite::version();
    let ok = rusqlite::version_number() >= SQLITE_VERSION_MIN;
    let detail = if ok {
        format!("{version}, built in")
    } else {
        format!("{version} can corrupt data: build with 3.51.3 or newer")
    };
    Finding {
        name: "sqlite",
        ok,
        present: true,
        detail,
    }
}

fn data_folder(folder: &Path) -> Finding {
    let name = "data folder";
    if !folder.exists() {
        let detail = format!(
            "{} is not there yet; `bugsage serve` makes it",
            folder.display()
        );
        return Finding {
            name,
            ok: true,
            present: true,
            detail,
        };
    }
    let mode = {
        use std::os::unix::fs::PermissionsExt;
        folder
            .metadata()
            .map_or(0, |metadata| metadata.permissions().mode() & 0o777)
    };
    if mode & 0o077 != 0 {
        let detail = format!(
            "{} can be read by others ({mode:o}): chmod 700 it",
            folder.display()
        );
        return Finding {
            name,
            ok: false,
            present: true,
            detail,
        };
    }
    let has_store = SqliteStore::file(folder).exists();
    let what = if has_store { "has a store" } else { "is empty" };
    Finding {
        name,
        ok: true,
        present: true,
        detail: format!("{} {what}", folder.display()),
    }
}

/// The folder, or what is there of its path.
fn existing(folder: &Path) -> &Path {
    folder
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
}

fn free_space(folder: &Path) -> Finding {
    let name = "disk";
    match rustix::fs::statvfs(existing(folder)) {
        Ok(stat) => {
            let free = stat.f_bavail * stat.f_frsize;
            let ok = free >= FREE_BYTES_MIN;
            let advice = if ok {
                ""
            } else {
                ": free some space, below 1 GiB writes soon fail"
            };
            Finding {
                name,
                ok,
                present: true,
                detail: format!("{} MiB free{advice}", free >> 20),
            }
        }
        Err(error) => Finding {
            name,
            ok: false,
            present: true,
            detail: format!("cannot be asked: {error}"),
        },
    }
}

fn sync_time(folder: &Path) -> Finding {
    let name = "sync";
    let path = existing(folder).join(format!(".bugsage-doctor-{}", std::process::id()));
    let timed = (|| {
        let mut file = File::create_new(&path)?;
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            let begun = Instant::now();
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        Ok::<_, std::io::Error>(times[SYNCS / 2])
    })();
    let _ = std::fs::remove_file(&path);
    match timed {
        Ok(median) => {
            let ok = median.as_millis() <= SYNC_MS_MAX;
            let advice = if ok {
                ""
            } else {
                ": every acknowledgement waits that long; use a faster disk"
            };
            let detail = format!("{:.1} ms for 4 KiB{advice}", median.as_secs_f64() * 1e3);
            Finding {
                name,
                ok,
                present: true,
                detail,
            }
        }
        Err(error) => {
            let detail = format!("cannot write in {}: {error}", existing(folder).display());
            Finding {
                name,
                ok: false,
                present: true,
                detail,
            }
        }
    }
}

fn git() -> Finding {
    let name = "git";
    let version = Command::new("git")
        .arg("--version")
        .stderr(Stdio::null())
        .output();
    match version {
        Ok(output) if output.status.success() => {
            let detail = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Finding {
                name,
                ok: true,
                present: true,
                detail,
            }
        }
        _ => {
            let detail = "is missing: without it no issue can be explained; install git".to_owned();
            Finding {
                name,
                ok: false,
                present: true,
                detail,
            }
        }
    }
}

fn toolchain() -> Finding {
    let name = "toolchain";
    match Toolchain::find(None) {
        Ok(toolchain) => Finding {
            name,
            ok: true,
            present: true,
            detail: format!("{} in {}", toolchain.version, toolchain.sysroot.display()),
        },
        Err(error) => Finding {
            name,
            ok: true,
            present: false,
            detail: format!("{error}; without it no fix is written"),
        },
    }
}

fn sandbox() -> Finding {
    let name = "sandbox";
    match Sandbox::find() {
        Ok(sandbox) => Finding {
            name,
            ok: true,
            present: true,
            detail: sandbox.describe(),
        },
        Err(error) => Finding {
            name,
            ok: true,
            present: false,
            detail: format!("{error}; without it no fix is proved"),
        },
    }
}

fn clock(folder: &Path) -> Finding {
    use bugsage_core::clock::Clock;
    let name = "clock";
    // 2026-01-01: this program is younger.
    const RELEASED: u64 = 1_767_225_600_000_000;
    let now = crate::clock::SystemClock.now();
    let at = crate::clock::rfc3339(now);
    if now.0 < RELEASED {
        return Finding::bad(name, format!("{at}: set it, events are dated by it"));
    }
    if store::is_from_the_future(folder, now) {
        let detail = format!("{at}, and the store was written later than that: set the clock");
        return Finding::bad(name, detail);
    }
    let drift_us = store::drift_us(MOMENT);
    if drift_us > DRIFT_US_MAX {
        let ms = drift_us / 1_000;
        let detail =
            format!("jumped by {ms} ms while it was watched: let NTP slew it, not step it");
        return Finding::bad(name, detail);
    }
    Finding::good(name, at)
}

/// Whether what is set makes sense.
fn settings(settings: &SettingsArgs) -> Finding {
    let name = "settings";
    match settings.resolve(Vec::new()) {
        Ok(resolved) => {
            let file = resolved.file.map(|path| path.display().to_string());
            let of = file.unwrap_or("there is no file".to_owned());
            Finding::good(name, format!("are in order ({of})"))
        }
        Err(error) => {
            let problem = error.to_string().replace("\n  ", " ");
            Finding::bad(name, format!("{problem}; see `bugsage check-config`"))
        }
    }
}

fn collector(folder: &Path) -> Finding {
    let detail = match app::running_at(folder) {
        Some(address)
            if std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok() =>
        {
            format!("runs at http://{address}")
        }
        _ => "does not run on this data folder".to_owned(),
    };
    Finding {
        name: "collector",
        ok: true,
        present: true,
        detail,
    }
}
