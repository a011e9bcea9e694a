//! Several commands in one sandbox, one after the other, each with its log.
//!
//! In: the archives of source, target folder and changed files, and the commands. Out: what each of
//! them printed, how it ended and how long it took.
//! Never: a command line that was put together from text; every word is quoted.
//!
//! The checkout is always at [`SOURCE`] and the target folder at [`TARGET`], so that what was built
//! for the base commit is taken over as it is. The source has one old time throughout and a changed
//! file has the present one: cargo builds again what depends on it, and nothing else.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::limits;
use crate::validate::sandbox::{Mount, quoted};
use crate::validate::toolchain::Toolchain;

/// Where the checkout is, inside.
pub const SOURCE: &str = "/build/source";

/// Where cargo builds, inside.
pub const TARGET: &str = "/build/target";

/// The exit code of a session that could not be set up.
const NOT_SET_UP: i32 = 90;

/// One command of a session.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is called in the session's answer.
    pub name: &'static str,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// How long it may take.
    pub time_max: Duration,
    /// Whether the session goes on when it fails.
    pub may_fail: bool,
}

impl Step {
    /// A step that runs `cargo` with these arguments.
    pub fn cargo(name: &'static str, arguments: &[&str]) -> Self {
        let mut words = vec!["cargo".to_owned()];
        words.extend(arguments.iter().map(|&word| word.to_owned()));
        Step {
            name,
            words,
            time_max: limits::STEP_TIME_MAX,
            may_fail: false,
        }
    }

    /// The same, but the session goes on when it fails.
    pub fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// How a person would type it.
    pub fn line(&self) -> String {
        self.words.join(" ")
    }
}

/// A step that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What it is called.
    pub name: String,
    /// Its exit code; 124 and 137 where it took too long.
    pub code: i32,
    /// How long it took.
    pub took: Duration,
    /// What it printed, errors too.
    pub output: String,
    /// Whether it printed more than is kept.
    pub is_cut: bool,
}

impl Done {
    /// Whether it took longer than it may.
    pub fn is_late(&self) -> bool {
        matches!(self.code, 124 | 137)
    }
}

/// Where the parts of a session come from.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The archive of the sources.
    pub source: &'a Path,
    /// The answer of the session that built the base commit, and where in it the target folder's
    /// archive begins.
    pub target: Option<(&'a Path, u64)>,
    /// The archive of the changed files.
    pub changed: Option<&'a Path>,
    /// The folder of the workspace within the repository; empty for its root.
    pub workspace: &'a str,
    /// The compiler.
    pub toolchain: &'a Toolchain,
}

impl Layout<'_> {
    /// What is mounted.
    pub(crate) fn mounts(&self) -> Vec<Mount> {
        let cargo = &self.toolchain.cargo_home;
        let mut mounts = vec![
            Mount::new(&self.toolchain.sysroot, "toolchain"),
            Mount::new(self.source, "in/source.tar"),
        ];
        for (from, name) in [
            (cargo.join("registry"), "cargo/registry"),
            (cargo.join("git"), "cargo/git"),
        ] {
            if from.is_dir() {
                mounts.push(Mount::new(from, name));
            }
        }
        mounts.extend(self.target.map(|(file, _)| Mount::new(file, "in/target")));
        mounts.extend(self.changed.map(|file| Mount::new(file, "in/changed.tar")));
        mounts
    }

    /// The script that sets everything up and runs the steps. With `keep_target` the target folder
    /// follows the last step's log as an archive.
    pub(crate) fn script(&self, steps: &[Step], keep_target: bool) -> String {
        let mut script = format!(
            "set_up() {{ set -e; cd /build; mkdir -p home/cargo {TARGET}
             for part in registry git; do
               if [ -d cargo/$part ]; then ln -s /build/cargo/$part home/cargo/$part; fi
             done
             tar -xf in/source.tar\n"
        );
        if let Some((_, offset)) = self.target {
            let _ = writeln!(script, "tail -c +{} in/target | tar -xf -", offset + 1);
        }
        if self.changed.is_some() {
            // With the time of now, which is later than whatever was built.
            script.push_str("tar -xmf in/changed.tar\n");
        }
        let folder = quoted(&format!("{SOURCE}/{}", self.workspace));
        let _ = write!(
            script,
            "cd {folder}; set +e; }}
             set_up >&2 || exit {NOT_SET_UP}
             cd {folder} || exit {NOT_SET_UP}
             step() {{
               name=$1; seconds=$2; shift 2
               begun=$(date +%s%3N)
               timeout -k 5 \"$seconds\" \"$@\" > /build/log 2>&1 < /dev/null; code=$?
               ended=$(date +%s%3N)
               total=$(stat -c %s /build/log)
               kept=$total; if [ $kept -gt {kept_max} ]; then kept={kept_max}; fi
               echo \"@ $name $code $((ended - begun)) $total $kept\"
               head -c $kept /build/log
               return $code
             }}\n",
            kept_max = limits::LOG_BYTES_MAX
        );
        for step in steps {
            let words: Vec<String> = step.words.iter().map(|word| quoted(word)).collect();
            let otherwise = if step.may_fail { "true" } else { "exit 0" };
            let _ = writeln!(
                script,
                "step {} {} {} || {otherwise}",
                step.name,
                step.time_max.as_secs(),
                words.join(" ")
            );
        }
        if keep_target {
            // Times to the nanosecond: cargo compares them.
            script.push_str("echo '@ target 0 0 0 0'; tar -C /build --format=posix -cf - target\n");
        }
        script
    }
}

/// Reads a session's answer: the steps, and where the archive of its target folder begins.
pub(crate) fn read(answer: &[u8]) -> (Vec<Done>, Option<u64>) {
    let mut done = Vec::new();
    let mut at = 0;
    while let Some(rest) = answer.get(at..)
        && let Some(end) = rest.iter().take(200).position(|byte| *byte == b'\n')
    {
        let Some((name, numbers)) = head(&rest[..end]) else {
            break;
        };
        at += end + 1;
        if name == "target" {
            return (done, Some(at as u64));
        }
        let [code, millis, total, kept] = numbers;
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        let Some(log) = at.checked_add(kept).and_then(|end| answer.get(at..end)) else {
            break;
        };
        at += kept;
        done.push(Done {
            name,
            code: code as i32,
            took: Duration::from_millis(millis),
            output: String::from_utf8_lossy(log).into_owned(),
            is_cut: total > kept as u64,
        });
    }
    (done, None)
}

/// `@ <name> <code> <milliseconds> <bytes> <bytes that follow>`
fn head(line: &[u8]) -> Option<(String, [u64; 4])> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("@ ")?;
    let mut fields = line.split(' ');
    let name = fields.next()?.to_owned();
    let mut numbers = [0; 4];
    for number in &mut numbers {
        *number = fields.next()?.parse().ok()?;
    }
    fields.next().is_none().then_some((name, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart_by_its_lengths_whatever_a_log_holds() {
        let answer = b"@ check 0 120 4 4\n@ x\n@ suite 101 7 9 3\nabc@ target 0 0 0 0\nTAR";

        let (done, target) = read(answer);

        assert_eq!(done.len(), 2);
        assert_eq!((done[0].name.as_str(), done[0].code), ("check", 0));
        assert_eq!(done[0].output, "@ x\n");
        assert_eq!(done[0].took, Duration::from_millis(120));
        assert_eq!((done[1].code, done[1].is_cut), (101, true));
        assert_eq!(target, Some(answer.len() as u64 - 3));
    }

    #[test]
    fn an_answer_that_ends_early_has_only_what_is_whole() {
        assert_eq!(read(b""), (Vec::new(), None));
        assert_eq!(read(b"@ check 0 1 9 9\nshort"), (Vec::new(), None));
        assert_eq!(read(b"@ check 0 1\n"), (Vec::new(), None));
        assert_eq!(
            read(b"@ check 0 1 18446744073709551615 18446744073709551615\n").0,
            []
        );
    }
}
