//! Makes the example's git history: the tree of each step, committed as its author did.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// What of the example is not part of its repository.
const LEFT_OUT: &[&str] = &["history", "traffic", "target"];

/// The most steps that are looked for.
const STEPS_MAX: usize = 1_000;

/// A tagged commit.
#[derive(Debug, Clone)]
pub(super) struct Release {
    /// The tag's version, without its `v`.
    pub(super) version: String,
    /// `order-service@VERSION+COMMIT`, as the service reports itself.
    pub(super) name: String,
    /// The commit.
    pub(super) commit: String,
}

/// Makes the repository and tells its releases, oldest first.
pub(super) fn make(clone: &Path, repository: &Path) -> anyhow::Result<Vec<Release>> {
    let example = clone.join("examples/order-service");
    fs::create_dir_all(repository)?;
    git(
        repository,
        &["init", "--quiet", "--initial-branch=main"],
        &[],
    )?;
    let mut releases = Vec::new();
    let steps = (1..STEPS_MAX).map(|step| example.join("history").join(step.to_string()));
    for step in steps.take_while(|step| step.is_dir()) {
        lay_out(clone, &example, &step, repository)?;
        let commit = CommitFile::read(&step.join("COMMIT"))?;
        git(repository, &["add", "--all"], &[])?;
        let environment = commit.environment();
        git(
            repository,
            &[
                "commit",
                "--quiet",
                "--no-verify",
                "--message",
                &commit.message,
            ],
            &environment,
        )?;
        if let Some(tag) = &commit.tag {
            git(repository, &["tag", tag], &[])?;
            let commit = git(repository, &["rev-parse", "HEAD"], &[])?;
            let version = tag.strip_prefix('v').unwrap_or(tag).to_owned();
            let name = format!("order-service@{version}+{commit}");
            releases.push(Release {
                version,
                name,
                commit,
            });
        }
    }
    if releases.is_empty() {
        bail!("{} has no tagged step", example.join("history").display());
    }
    Ok(releases)
}

/// Checks out a release with fresh times, so that cargo sees what changed.
pub(super) fn check_out(repository: &Path, release: &Release) -> anyhow::Result<()> {
    git(
        repository,
        &["checkout", "--quiet", "--force", &release.commit],
        &[],
    )
    .map(drop)
}

/// Goes back to the branch.
pub(super) fn check_out_main(repository: &Path) -> anyhow::Result<()> {
    git(repository, &["checkout", "--quiet", "--force", "main"], &[]).map(drop)
}

/// Brings the work tree to a step: the present tree, less what was absent, with the step's own
/// files on top.
fn lay_out(clone: &Path, example: &Path, step: &Path, repository: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(repository)? {
        let entry = entry?;
        if entry.file_name() == ".git" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    for entry in fs::read_dir(example)? {
        let entry = entry?;
        let name = entry.file_name();
        if !LEFT_OUT.iter().any(|left_out| name == *left_out) {
            copy(&entry.path(), &repository.join(name))?;
        }
    }
    if let Ok(absent) = fs::read_to_string(step.join("ABSENT")) {
        for path in absent.lines().filter(|line| !line.trim().is_empty()) {
            let path = repository.join(path.trim());
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    if step.join("tree").is_dir() {
        copy(&step.join("tree"), repository)?;
    }
    vendor_sdk(clone, repository)
}

/// The crates of ours that the example depends on, in the order of their dependencies.
const VENDORED: &[&str] = &["bugsage-core", "bugsage-macros", "bugsage-sdk"];

/// Where they lie in the copy, and how the server's manifest names them in the clone and in the copy.
const VENDOR: &str = "vendor/bugsage";
const SDK_IN_CLONE: &str = "\"../../../bugsage-sdk\"";
const SDK_IN_COPY: &str = "\"../vendor/bugsage/bugsage-sdk\"";

/// The copy brings the SDK along, as a team would whose registry does not have it: a repository that
/// is whole can be built anywhere, in a sandbox too.
fn vendor_sdk(clone: &Path, repository: &Path) -> anyhow::Result<()> {
    let vendor = repository.join(VENDOR);
    fs::create_dir_all(&vendor)?;
    for name in VENDORED {
        copy(&clone.join(name), &vendor.join(name))?;
    }
    let root = clone.join("Cargo.toml");
    let text =
        fs::read_to_string(&root).with_context(|| format!("cannot read {}", root.display()))?;
    fs::write(vendor.join("Cargo.toml"), vendored_workspace(&text))?;
    let manifest = repository.join("server/Cargo.toml");
    let text = fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    if !text.contains(SDK_IN_CLONE) {
        bail!(
            "{} does not name the SDK by {SDK_IN_CLONE}",
            manifest.display()
        );
    }
    fs::write(&manifest, text.replace(SDK_IN_CLONE, SDK_IN_COPY))?;
    Ok(())
}

/// The workspace of the vendored crates: what they inherit from ours, and no other member.
fn vendored_workspace(root: &str) -> String {
    let members: Vec<String> = VENDORED.iter().map(|name| format!("\"{name}\"")).collect();
    let mut text = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n",
        members.join(", ")
    );
    let mut is_kept = false;
    for line in root.lines() {
        if line.starts_with('[') {
            is_kept = [
                "[workspace.package]",
                "[workspace.dependencies]",
                "[workspace.lints",
            ]
            .iter()
            .any(|section| line.starts_with(section));
        }
        if is_kept {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.is_dir() {
        // Not `fs::copy`, which may keep the old time.
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        return fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()));
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !LEFT_OUT
            .iter()
            .any(|left_out| entry.file_name() == *left_out)
        {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Headers, an empty line, and the message.
struct CommitFile {
    author: String,
    mail: String,
    date: String,
    tag: Option<String>,
    message: String,
}

impl CommitFile {
    fn read(path: &PathBuf) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no commit file", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let (headers, message) = text.split_once("\n\n")?;
        let header = |name: &str| {
            let mut lines = headers.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
        };
        let (author, mail) = header("author")?.split_once('<')?;
        Some(Self {
            author: author.trim().to_owned(),
            mail: mail.trim_end_matches('>').to_owned(),
            date: header("date")?.to_owned(),
            tag: header("tag").map(str::to_owned),
            message: message.to_owned(),
        })
    }

    fn environment(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("GIT_AUTHOR_NAME", &self.author),
            ("GIT_AUTHOR_EMAIL", &self.mail),
            ("GIT_AUTHOR_DATE", &self.date),
            ("GIT_COMMITTER_NAME", &self.author),
            ("GIT_COMMITTER_EMAIL", &self.mail),
            ("GIT_COMMITTER_DATE", &self.date),
        ]
    }
}

/// Runs git without the settings of whoever runs the demo, and tells what it printed.
fn git(repository: &Path, words: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .current_dir(repository)
        .args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "commit.gpgSign=false",
            "-c",
            "core.autocrlf=false",
        ])
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .context("git is missing: install it, the demo makes a repository")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "git {} failed: {}",
            words.first().unwrap_or(&""),
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendored_workspace_has_what_its_members_inherit_and_nothing_else() {
        let root = "[workspace]\nmembers = [\"a\"]\n\n[workspace.package]\nversion = \"1\"\n\n\
                    [workspace.lints.rust]\nx = \"warn\"\n\n[profile.release]\ndebug = 1\n";

        let text = vendored_workspace(root);

        assert_eq!(
            text,
            "[workspace]\nresolver = \"3\"\nmembers = [\"bugsage-core\", \"bugsage-macros\", \"bugsage-sdk\"]\n\
             [workspace.package]\nversion = \"1\"\n\n[workspace.lints.rust]\nx = \"warn\"\n\n"
        );
    }

    #[test]
    fn a_commit_file_has_headers_and_a_message() {
        let file = "author: Ann Lee <ann@example.com>\ndate: 2026-08-03T09:00:00Z\ntag: v1.0.0\n\nAdd it\n\nBody.\n";
        let commit = CommitFile::parse(file).expect("is one");

        assert_eq!(
            (&*commit.author, &*commit.mail),
            ("Ann Lee", "ann@example.com")
        );
        assert_eq!(commit.tag.as_deref(), Some("v1.0.0"));
        assert_eq!(commit.message, "Add it\n\nBody.\n");
        assert!(CommitFile::parse("no headers").is_none());
    }
}
