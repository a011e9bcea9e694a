//! What a repository has checked out, read from its files: there may be no `git` where an app is built.

use std::fs;
use std::path::{Path, PathBuf};

/// How far up a repository is looked for, and how many references lead from one to the next.
const STEPS_MAX: usize = 64;

/// Hex digits of a commit that count; longer names are cut.
const COMMIT_DIGITS_MAX: usize = 40;

/// A commit, and the files that say so.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkout {
    pub(crate) commit: Option<String>,
    pub(crate) files: Vec<PathBuf>,
}

/// What is checked out around a folder. `None` where there is no repository.
pub(crate) fn checkout(folder: &Path) -> Option<Checkout> {
    let git = folder
        .ancestors()
        .take(STEPS_MAX)
        .find_map(|folder| git_folder(&folder.join(".git")))?;
    let common = fs::read_to_string(git.join("commondir"));
    let common = common.map_or_else(|_| git.clone(), |path| git.join(path.trim()));
    let mut checkout = Checkout::default();
    let mut name = "HEAD".to_owned();
    for _ in 0..STEPS_MAX {
        let file = [&git, &common].map(|folder| folder.join(&name));
        let Some(file) = file.into_iter().find(|file| file.is_file()) else {
            let packed = common.join("packed-refs");
            let text = fs::read_to_string(&packed).unwrap_or_default();
            checkout.commit = packed_commit(&text, &name);
            checkout
                .files
                .extend(checkout.commit.is_some().then_some(packed));
            break;
        };
        let text = fs::read_to_string(&file).ok()?;
        checkout.files.push(file);
        match text.trim().strip_prefix("ref:") {
            // A name that leads out of the repository is none.
            Some(next) if next.contains("..") => break,
            Some(next) => name = next.trim().to_owned(),
            None => {
                checkout.commit = commit(text.trim());
                break;
            }
        }
    }
    Some(checkout)
}

/// A commit's name, where it is one.
pub(crate) fn commit(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name = text.len() >= 7 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let end = text.len().min(COMMIT_DIGITS_MAX);
    is_name.then(|| text[..end].to_ascii_lowercase())
}

/// The folder that `.git` is, or, in a worktree or submodule, the one that it names.
fn git_folder(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.to_owned());
    }
    let text = fs::read_to_string(git).ok()?;
    let path = text.trim().strip_prefix("gitdir:")?.trim();
    Some(git.parent()?.join(path))
}

fn packed_commit(packed: &str, name: &str) -> Option<String> {
    let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
    let line = lines.find(|(_, known)| *known == name);
    line.and_then(|(hash, _)| commit(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "3f2a91c05d7e8b6a4c1f0e9d8c7b6a5948372615";

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("bugsage-macros-{}-{name}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).expect("can be made");
            Self(folder)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("can be made");
            fs::write(path, text).expect("can be written");
        }

        fn commit(&self, below: &str) -> Option<String> {
            checkout(&self.0.join(below))?.commit
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_commit_of_a_branch_is_found_from_a_crate_below_it() {
        let folder = Folder::new("branch");
        folder.write(".git/HEAD", "ref: refs/heads/main\n");
        folder.write(".git/refs/heads/main", &format!("{HASH}\n"));
        folder.write("crates/shop/Cargo.toml", "");

        let checkout = checkout(&folder.0.join("crates/shop")).expect("is a repository");

        assert_eq!(checkout.commit.as_deref(), Some(HASH));
        let names: Vec<_> = checkout
            .files
            .iter()
            .filter_map(|file| file.file_name())
            .collect();
        assert_eq!(names, ["HEAD", "main"], "a change of either builds anew");
    }

    #[test]
    fn packed_references_detached_heads_and_worktrees_are_read() {
        let folder = Folder::new("packed");
        folder.write(".git/HEAD", "ref: refs/heads/main\n");
        let packed = format!("# pack-refs with: peeled\n{HASH} refs/heads/main\n");
        folder.write(".git/packed-refs", &packed);
        assert_eq!(folder.commit("").as_deref(), Some(HASH));

        let detached = Folder::new("detached");
        detached.write(".git/HEAD", HASH);
        assert_eq!(detached.commit("").as_deref(), Some(HASH));

        folder.write("tree/.git", "gitdir: ../.git/worktrees/tree\n");
        folder.write(".git/worktrees/tree/HEAD", "ref: refs/heads/other\n");
        folder.write(".git/worktrees/tree/commondir", "../..\n");
        let other = HASH.replace('3', "4");
        folder.write(".git/refs/heads/other", &other);
        assert_eq!(folder.commit("tree").as_deref(), Some(&*other));
    }

    #[test]
    fn what_is_no_repository_or_no_commit_is_none() {
        let folder = Folder::new("none");
        folder.write(".git/HEAD", "ref: ../../outside\n");
        assert_eq!(folder.commit(""), None);
        folder.write(".git/HEAD", "ref: HEAD\n");
        assert_eq!(folder.commit(""), None, "a circle ends");
        folder.write(".git/HEAD", "ref: refs/heads/unborn\n");
        assert_eq!(folder.commit(""), None);
        assert_eq!(commit("abc"), None);
        assert_eq!(commit("not a commit"), None);
        assert_eq!(commit(&"A".repeat(64)), Some("a".repeat(40)));
    }
}
