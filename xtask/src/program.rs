//! A program to run, which can also be shown as a line to type into a shell.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

/// A program with its arguments and the variables that it gets beside the inherited ones.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    name: &'static str,
    args: Vec<String>,
    variables: Vec<(&'static str, OsString)>,
}

impl Program {
    /// A program found on the `PATH`, with its arguments separated by blanks.
    pub(crate) fn new(name: &'static str, args: &str) -> Self {
        Self {
            name,
            args: args.split_whitespace().map(str::to_owned).collect(),
            variables: Vec::new(),
        }
    }

    /// The cargo that runs this program.
    pub(crate) fn cargo(args: &str) -> Self {
        Self::new("cargo", args)
    }

    /// With one more argument, blanks and all.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// With more arguments, separated by blanks.
    pub(crate) fn args(mut self, args: &str) -> Self {
        self.args.extend(args.split_whitespace().map(str::to_owned));
        self
    }

    /// With a variable set.
    pub(crate) fn variable(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name, value.as_ref().to_owned()));
        self
    }

    /// Runs it in `folder` with the terminal as it is.
    pub(crate) fn status(&self, folder: &Path) -> io::Result<ExitStatus> {
        self.command(folder).status()
    }

    /// Runs it in `folder` and keeps what it prints to standard output.
    pub(crate) fn output(&self, folder: &Path) -> io::Result<Output> {
        let mut command = self.command(folder);
        command.stderr(Stdio::inherit()).output()
    }

    /// Whether it can be run and ends well; what it prints is dropped.
    pub(crate) fn works(&self, folder: &Path) -> bool {
        let mut command = self.command(folder);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Runs it in `folder`; where it ends badly, what it complained about, in one line.
    pub(crate) fn complaint(&self, folder: &Path) -> io::Result<Option<String>> {
        let output = self.command(folder).output()?;
        if output.status.success() {
            return Ok(None);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.trim().replace('\n', "; ");
        Ok(Some(match complaint.is_empty() {
            true => output.status.to_string(),
            false => complaint,
        }))
    }

    fn command(&self, folder: &Path) -> Command {
        let cargo = (self.name == "cargo").then(|| std::env::var_os("CARGO"));
        let name = cargo.flatten().unwrap_or_else(|| self.name.into());
        let mut command = Command::new(name);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command
            .args(&self.args)
            .envs(variables)
            .stdin(Stdio::null())
            .current_dir(folder);
        command
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(&value.to_string_lossy()))?;
        }
        f.write_str(self.name)?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_shown_as_a_line_that_a_shell_understands() {
        let program = Program::cargo("doc --no-deps")
            .variable("RUSTDOCFLAGS", "-D warnings")
            .arg("it's");

        assert_eq!(
            program.to_string(),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'"
        );
    }

    #[test]
    fn a_complaint_is_one_line() {
        let folder = Path::new(".");
        let complaint = |script: &str| Program::new("sh", "-c").arg(script).complaint(folder);

        assert_eq!(complaint("exit 0").unwrap(), None);
        assert_eq!(
            complaint("exit 2").unwrap().as_deref(),
            Some("exit status: 2")
        );
        let two_lines = complaint("echo no >&2; echo way >&2; exit 1").unwrap();
        assert_eq!(two_lines.as_deref(), Some("no; way"));
    }

    #[test]
    fn a_missing_program_does_not_work() {
        let folder = Path::new(".");

        assert!(Program::cargo("--version").works(folder));
        assert!(!Program::new("no-such-program-anywhere", "").works(folder));
    }
}
