//! All files of a commit, and their archive.
//!
//! Nothing is checked out: no attribute, filter or link of the repository has any effect here. The
//! archive is unpacked where it can do no harm.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::thread;

use crate::limits;
use crate::repository::{Commit, Repository, RepositoryError, is_object_name};

/// The files of a commit.
#[derive(Debug, Clone)]
pub struct Snapshot {
    commit: String,
    entries: Vec<Entry>,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is, with `/` between the parts. No part leads upwards.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    object: String,
    bytes: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A file that can be run.
    Program,
    /// A symbolic link, whose target is its content.
    Link,
}

/// The time of every file of an archive: older than whatever is built from it.
pub const ARCHIVE_SECONDS: u64 = 1_577_836_800;

impl Snapshot {
    /// The full name of the commit.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Its files, in the order of their paths. Submodules are left out.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }
}

impl Repository {
    /// Lists all files of a commit.
    ///
    /// # Errors
    ///
    /// Beside git's own, [`RepositoryError::TooLarge`] for a tree above
    /// [`limits::SNAPSHOT_BYTES_MAX`].
    pub fn snapshot(&self, commit: &Commit) -> Result<Snapshot, RepositoryError> {
        let arguments = ["ls-tree", "-r", "-z", "--long", "--full-tree", &commit.sha];
        let output = self.git(&arguments)?;
        let entries: Vec<Entry> = output.split(|byte| *byte == 0).filter_map(entry).collect();
        let bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        if bytes > limits::SNAPSHOT_BYTES_MAX {
            return Err(RepositoryError::TooLarge {
                command: "ls-tree".into(),
                limit_bytes: limits::SNAPSHOT_BYTES_MAX as usize,
            });
        }
        Ok(Snapshot {
            commit: commit.sha.clone(),
            entries,
        })
    }

    /// The content of a file, `None` where there is no such file.
    pub fn content(
        &self,
        snapshot: &Snapshot,
        path: &str,
    ) -> Result<Option<Vec<u8>>, RepositoryError> {
        match snapshot.entry(path) {
            Some(entry) if entry.kind != EntryKind::Link => self
                .git_at_most(
                    &["cat-file", "blob", &entry.object],
                    limits::SOURCE_BYTES_MAX,
                )
                .map(Some),
            _ => Ok(None),
        }
    }

    /// Writes all files of a commit as a tar archive, below the folder `below`.
    pub fn archive(
        &self,
        snapshot: &Snapshot,
        below: &str,
        into: impl Write,
    ) -> Result<(), RepositoryError> {
        let mut archive = tar::Builder::new(into);
        let mut child = self
            .command(&["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take());
        let written = thread::scope(|scope| {
            // git answers while it is still asked; both pipes are small.
            let asking = scope.spawn(move || {
                let mut questions = questions.ok_or_else(closed)?;
                for entry in &snapshot.entries {
                    writeln!(questions, "{}", entry.object)?;
                }
                Ok::<(), std::io::Error>(())
            });
            let mut answers = BufReader::new(answers.ok_or_else(closed)?);
            for entry in &snapshot.entries {
                append(&mut archive, below, entry, &mut answers)?;
            }
            asking.join().map_err(|_| closed())?
        });
        // Whatever happened, it has nothing left to say.
        let _ = child.kill();
        child.wait()?;
        written?;
        archive.finish()?;
        Ok(())
    }
}

/// Adds a file as `cat-file --batch` gives it: `<object> blob <size>`, the bytes, a line's end.
fn append(
    archive: &mut tar::Builder<impl Write>,
    below: &str,
    entry: &Entry,
    answers: &mut impl BufRead,
) -> std::io::Result<()> {
    let mut head = String::new();
    answers.take(200).read_line(&mut head)?;
    let size = head
        .trim_end()
        .rsplit(' ')
        .next()
        .and_then(|size| size.parse().ok());
    if size != Some(entry.bytes) {
        return Err(std::io::Error::other(format!(
            "git has lost {}",
            entry.path
        )));
    }
    let path = format!("{below}/{}", entry.path);
    let mut header = header(
        entry.kind == EntryKind::Program,
        entry.bytes,
        ARCHIVE_SECONDS,
    );
    if entry.kind == EntryKind::Link {
        let mut target = String::new();
        answers.take(entry.bytes).read_to_string(&mut target)?;
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, path, target)?;
    } else {
        archive.append_data(&mut header, path, answers.take(entry.bytes))?;
    }
    let mut end = [0];
    answers.read_exact(&mut end)
}

/// The head of an archive's entry.
pub(crate) fn header(is_program: bool, bytes: u64, seconds: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(if is_program { 0o755 } else { 0o644 });
    header.set_size(bytes);
    header.set_mtime(seconds);
    header
}

fn closed() -> std::io::Error {
    std::io::Error::other("git closed a pipe")
}

/// `<mode> blob <object> <size>\t<path>`. A path that git itself would not check out is left out.
fn entry(line: &[u8]) -> Option<Entry> {
    let (head, path) = std::str::from_utf8(line).ok()?.split_once('\t')?;
    let mut fields = head.split_ascii_whitespace();
    let (mode, _, object, bytes) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let kind = match mode {
        "100644" | "100664" => EntryKind::File,
        "100755" => EntryKind::Program,
        "120000" => EntryKind::Link,
        _ => return None,
    };
    (is_object_name(object) && is_plain(path)).then(|| {
        Some(Entry {
            path: path.to_owned(),
            kind,
            object: object.to_owned(),
            bytes: bytes.parse().ok()?,
        })
    })?
}

/// Whether a path stays below where it starts, on any system.
fn is_plain(path: &str) -> bool {
    !path.contains(['\\', '\0'])
        && path
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::testing::TestRepository;

    #[test]
    fn an_archive_holds_every_file_as_it_was_committed() {
        let repository = TestRepository::new();
        repository.write("run.sh", "#!/bin/sh\n");
        repository.write("deep/er/file.bin", [0, 159, 146, 150]);
        repository.write(
            ".gitattributes",
            "* export-ignore export-subst text eol=crlf\n",
        );
        repository.write("empty", "");
        std::os::unix::fs::symlink("/etc/shadow", repository.path().join("link")).unwrap();
        let program = repository.path().join("run.sh");
        std::fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let head = repository.commit("all");
        let opened = repository.open();
        let snapshot = opened
            .snapshot(&opened.commit(&head).unwrap().unwrap())
            .unwrap();

        let mut bytes = Vec::new();
        opened.archive(&snapshot, "source", &mut bytes).unwrap();

        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(entry.header().mtime().unwrap(), ARCHIVE_SECONDS);
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            found.push((
                path,
                entry.header().mode().unwrap() & 0o111 != 0,
                content.len(),
            ));
        }
        assert_eq!(
            found,
            [
                ("source/.gitattributes".to_owned(), false, 43),
                ("source/deep/er/file.bin".to_owned(), false, 4),
                ("source/empty".to_owned(), false, 0),
                ("source/link".to_owned(), false, 0),
                ("source/run.sh".to_owned(), true, 10),
            ]
        );
        assert_eq!(
            opened.content(&snapshot, "run.sh").unwrap().unwrap(),
            b"#!/bin/sh\n"
        );
        assert_eq!(opened.content(&snapshot, "link").unwrap(), None);
        assert_eq!(opened.content(&snapshot, "absent").unwrap(), None);
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_no_path() {
        let object = "0123456789012345678901234567890123456789";
        let listed = |path: &str| entry(format!("100644 blob {object} 3\t{path}").as_bytes());

        assert!(listed("src/lib.rs").is_some());
        for path in [
            "../x",
            "/etc/x",
            "a//b",
            "a/./b",
            ".git/config",
            "a/.GIT/x",
            "a\\b",
        ] {
            assert_eq!(listed(path), None, "{path}");
        }
        let submodule = format!("160000 commit {object} -\tvendor/x");
        assert_eq!(entry(submodule.as_bytes()), None);
    }
}
