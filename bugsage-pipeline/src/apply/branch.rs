//! One commit on a branch of its own, through git's plumbing.
//!
//! The tree is read into an index of our own, the patch is applied to that, and the commit is made
//! from it. Its times and names come from the approval, so that the same approval makes the same
//! commit, byte for byte, however often a killed worker begins again.

use bugsage_core::clock::Timestamp;

use crate::apply::{ApplyError, Branch};
use crate::patch::Patch;
use crate::repository::{Repository, RepositoryError};

/// The commit that stands for "no such branch yet" to `update-ref`.
const ABSENT: &str = "0000000000000000000000000000000000000000";

pub(super) fn write(
    repository: &Repository,
    patch: &Patch,
    name: &str,
    message: &str,
    at: Timestamp,
) -> Result<Branch, ApplyError> {
    let scratch = Scratch::new(repository)?;
    let index = scratch.path("index");
    let with_index = [("GIT_INDEX_FILE", index.as_os_str())];
    repository.write_git(&["read-tree", &patch.base_commit], &with_index, b"")?;
    repository.write_git(
        &["apply", "--cached", "--whitespace=nowarn", "-"],
        &with_index,
        patch.diff.as_bytes(),
    )?;
    let tree = repository.write_git(&["write-tree"], &with_index, b"")?;
    // With the sign that makes any number a time.
    let date = format!("@{} +0000", at.0 / 1_000_000);
    let who = [
        ("GIT_AUTHOR_NAME", "BugSage".as_ref()),
        ("GIT_AUTHOR_EMAIL", "bugsage@localhost".as_ref()),
        ("GIT_AUTHOR_DATE", date.as_ref()),
        ("GIT_COMMITTER_NAME", "BugSage".as_ref()),
        ("GIT_COMMITTER_EMAIL", "bugsage@localhost".as_ref()),
        ("GIT_COMMITTER_DATE", date.as_ref()),
    ];
    let commit = repository.write_git(
        &[
            "commit-tree",
            "--no-gpg-sign",
            "-p",
            &patch.base_commit,
            "-F",
            "-",
            &tree,
        ],
        &who,
        message.as_bytes(),
    )?;
    let reference = format!("refs/heads/{name}");
    let branch = Branch {
        name: name.to_owned(),
        commit: commit.clone(),
    };
    match repository.write_git(&["update-ref", &reference, &commit, ABSENT], &[], b"") {
        Ok(_) => Ok(branch),
        Err(RepositoryError::Refused { complaint, .. }) => {
            match repository.reference(&reference)? {
                Some(present) if present == commit => Ok(branch),
                Some(_) => Err(ApplyError::BranchTaken {
                    name: name.to_owned(),
                }),
                None => Err(ApplyError::BranchRefused {
                    name: name.to_owned(),
                    complaint,
                }),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// A folder of our own for an index, removed when dropped.
struct Scratch {
    folder: std::path::PathBuf,
}

impl Scratch {
    fn new(repository: &Repository) -> Result<Self, RepositoryError> {
        let folder = std::env::temp_dir().join(format!(
            "bugsage-index-{}-{:x}",
            std::process::id(),
            std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), repository.path())
        ));
        std::fs::create_dir(&folder)?;
        Ok(Scratch { folder })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A temporary folder; the system removes what stays.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::Change;
    use crate::repository::testing::TestRepository;

    fn patch(base: &str) -> Patch {
        let change = Change {
            path: "src/lib.rs",
            before: "a\nb\n",
            after: "a\nB\n",
        };
        Patch::new(base, &[change])
    }

    fn write(repository: &TestRepository, patch: &Patch) -> Result<Branch, ApplyError> {
        super::write(
            &repository.open(),
            patch,
            "bugsage/case-1",
            "why\n",
            Timestamp(5_000_000),
        )
    }

    fn state_of(repository: &TestRepository) -> (String, String, Vec<u8>) {
        let status = repository.git(&["status", "--porcelain=v2", "--branch"]);
        let head = repository.git(&["rev-parse", "HEAD"]);
        let index = std::fs::read(repository.path().join(".git/index")).unwrap();
        (status, head, index)
    }

    #[test]
    fn a_branch_has_one_commit_and_the_work_tree_and_index_stay_as_they_are() {
        let repository = TestRepository::new();
        let base = repository.commit_file("src/lib.rs", "a\nb\n", "first");
        repository.write("src/lib.rs", "a\nsomebody works here\n");
        repository.write("staged.txt", "staged");
        repository.git(&["add", "staged.txt"]);
        let before = state_of(&repository);

        let branch = write(&repository, &patch(&base)).unwrap();

        assert_eq!(state_of(&repository), before);
        let show = repository.git(&["show", "--format=%an %s %P", "bugsage/case-1"]);
        assert!(show.starts_with(&format!("BugSage why {base}")), "{show}");
        assert!(show.contains("-b\n+B\n"), "{show}");
        assert_eq!(
            repository.git(&["rev-parse", "bugsage/case-1"]).trim(),
            branch.commit
        );
        let files = repository.git(&["ls-tree", "-r", "--name-only", "bugsage/case-1"]);
        assert_eq!(files, "src/lib.rs\n");
    }

    #[test]
    fn twice_applied_is_once_applied() {
        let repository = TestRepository::new();
        let base = repository.commit_file("src/lib.rs", "a\nb\n", "first");

        let once = write(&repository, &patch(&base)).unwrap();
        let twice = write(&repository, &patch(&base)).unwrap();

        assert_eq!(once, twice);
        assert_eq!(
            repository
                .git(&["rev-list", "--count", "bugsage/case-1"])
                .trim(),
            "2"
        );
    }

    #[test]
    fn a_branch_of_somebody_else_is_left_alone() {
        let repository = TestRepository::new();
        let base = repository.commit_file("src/lib.rs", "a\nb\n", "first");
        repository.git(&["branch", "bugsage/case-1"]);

        let refused = write(&repository, &patch(&base)).unwrap_err();

        assert!(
            matches!(refused, ApplyError::BranchTaken { .. }),
            "{refused}"
        );
        assert_eq!(
            repository.git(&["rev-parse", "bugsage/case-1"]).trim(),
            base
        );
    }

    #[test]
    fn a_branch_that_git_refuses_is_told_with_its_words() {
        let repository = TestRepository::new();
        let base = repository.commit_file("src/lib.rs", "a\nb\n", "first");
        repository.git(&["branch", "bugsage"]);

        let refused = write(&repository, &patch(&base)).unwrap_err();

        assert!(
            matches!(&refused, ApplyError::BranchRefused { complaint, .. } if complaint.contains("bugsage")),
            "{refused}"
        );
    }

    #[test]
    fn a_patch_for_another_source_writes_nothing() {
        let repository = TestRepository::new();
        let base = repository.commit_file("src/lib.rs", "something else\n", "first");

        assert!(write(&repository, &patch(&base)).is_err());
        assert_eq!(repository.git(&["branch", "--list", "bugsage/*"]), "");
    }

    #[test]
    fn hooks_and_filters_of_the_repository_are_not_run() {
        let repository = TestRepository::new();
        repository.write(".gitattributes", "*.rs filter=canary\n");
        let base = repository.commit_file("src/lib.rs", "a\nb\n", "first");
        let canary = repository.path().join("canary");
        let program = repository.path().join(".git/hooks/reference-transaction");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::write(&program, format!("#!/bin/sh\ntouch {}\n", canary.display())).unwrap();
        std::fs::set_permissions(
            &program,
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let text = program.to_str().unwrap();
        for key in [
            "filter.canary.clean",
            "filter.canary.smudge",
            "core.fsmonitor",
            "gpg.program",
        ] {
            repository.git(&["config", key, text]);
        }
        repository.git(&["config", "commit.gpgSign", "true"]);
        repository.git(&["config", "core.hooksPath", ".git/hooks"]);

        write(&repository, &patch(&base)).unwrap();

        assert!(!canary.exists());
    }
}
