//! Which file of a commit a path of an event means, and its text.

use std::collections::BTreeMap;

use crate::limits;
use crate::repository::{Commit, Repository, RepositoryError};

/// The Rust sources of a commit.
#[derive(Debug, Clone)]
pub struct Tree {
    commit: String,
    files: BTreeMap<String, String>,
}

/// Which file of a tree a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// This one.
    File(String),
    /// Several fit equally well.
    Ambiguous,
    /// None fits.
    Absent,
}

/// The text of a file at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The path in the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Why a file that exists cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Larger than [`limits::SOURCE_BYTES_MAX`].
    #[error("the file is larger than {} bytes", limits::SOURCE_BYTES_MAX)]
    TooLarge,
    /// Not UTF-8, so not Rust.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// The tree does not list it.
    #[error("the commit has no such file")]
    Absent,
}

impl Repository {
    /// Lists the Rust sources of a commit. Links and submodules are left out.
    pub fn tree(&self, commit: &Commit) -> Result<Tree, RepositoryError> {
        let output = self.git(&["ls-tree", "-r", "-z", "--full-tree", &commit.sha])?;
        let files = output
            .split(|byte| *byte == 0)
            .filter_map(parse_entry)
            .collect();
        Ok(Tree {
            commit: commit.sha.clone(),
            files,
        })
    }

    /// Reads a file that the tree lists.
    pub fn read(
        &self,
        tree: &Tree,
        path: &str,
    ) -> Result<Result<SourceFile, Unusable>, RepositoryError> {
        let Some(object) = tree.files.get(path) else {
            return Ok(Err(Unusable::Absent));
        };
        match self.git_at_most(&["cat-file", "blob", object], limits::SOURCE_BYTES_MAX) {
            Ok(bytes) => Ok(String::from_utf8(bytes)
                .map(|text| SourceFile {
                    path: path.to_owned(),
                    text,
                })
                .map_err(|_| Unusable::NotText)),
            Err(RepositoryError::TooLarge { .. }) => Ok(Err(Unusable::TooLarge)),
            Err(error) => Err(error),
        }
    }
}

impl Repository {
    /// The sources that define a function of that name.
    pub(crate) fn files_with_function(
        &self,
        tree: &Tree,
        name: &str,
    ) -> Result<Vec<String>, RepositoryError> {
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Ok(Vec::new());
        }
        let pattern = format!("fn {name}");
        let arguments = [
            "grep",
            "-l",
            "-z",
            "-I",
            "-w",
            "-F",
            "--no-textconv",
            "-e",
            &pattern,
            &tree.commit,
        ];
        let output = match self.git(&arguments) {
            Ok(output) => output,
            // Nothing was found.
            Err(RepositoryError::Refused { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let listed = output.split(|byte| *byte == 0).filter_map(|entry| {
            let (_, path) = std::str::from_utf8(entry).ok()?.split_once(':')?;
            tree.contains(path).then(|| path.to_owned())
        });
        Ok(listed.take(limits::SOURCE_FILES_MAX).collect())
    }
}

impl Tree {
    /// The full name of the tree's commit.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether the tree lists this path, letter for letter.
    pub fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Finds the file that a path of an event means: the one that shares its longest end.
    ///
    /// An event's path may be absolute on a machine that built it, or relative to a workspace or a
    /// package. A file all of whose path ends the event's path comes first, then a file whose path
    /// ends in all of the event's path, then one that shares at least a folder and a name with it.
    /// Two equally good ones are none.
    pub fn locate(&self, file: &str) -> Located {
        let wanted = parts(file);
        let Some(name) = wanted.last() else {
            return Located::Absent;
        };
        let mut best: Option<((bool, usize), Vec<&str>)> = None;
        for path in self.files.keys() {
            if path.rsplit('/').next() != Some(name) {
                continue;
            }
            let have: Vec<&str> = path.split('/').collect();
            let shared = have
                .iter()
                .rev()
                .zip(wanted.iter().rev())
                .take_while(|(a, b)| a == b)
                .count();
            let whole = shared == have.len() || shared == wanted.len();
            if !whole && shared < 2 {
                continue;
            }
            let rank = (
                shared == have.len() && shared <= wanted.len() || whole,
                shared,
            );
            match &mut best {
                Some((known, paths)) if *known == rank => paths.push(path),
                Some((known, _)) if *known > rank => {}
                _ => best = Some((rank, vec![path])),
            }
        }
        match best.as_ref().map(|(_, paths)| paths.as_slice()) {
            None => Located::Absent,
            Some([path]) => Located::File((*path).to_owned()),
            // Among equals the one that is the event's path to the letter.
            Some(paths) => match paths.iter().find(|path| **path == wanted.join("/")) {
                Some(path) => Located::File((*path).to_owned()),
                None => Located::Ambiguous,
            },
        }
    }
}

/// Whether a source path belongs to the standard library or to a dependency, by where cargo and
/// rustup keep them.
pub fn is_foreign(file: &str) -> bool {
    let file = file.replace('\\', "/");
    file.starts_with("/rustc/")
        || file.contains("/lib/rustlib/src/rust/")
        || file.contains("/registry/src/")
        || file.contains("/git/checkouts/")
        || file.starts_with('<')
}

/// A path's parts, with `.` and `..` resolved as far as they can be.
fn parts(file: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    for part in file
        .rsplit(['/', '\\'])
        .take(limits::PATH_PARTS_MAX)
        .collect::<Vec<_>>()
        .iter()
        .rev()
    {
        match *part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts
}

/// `<mode> <type> <object>\t<path>`: plain files with Rust source only.
fn parse_entry(entry: &[u8]) -> Option<(String, String)> {
    let (header, path) = std::str::from_utf8(entry).ok()?.split_once('\t')?;
    let mut fields = header.split(' ');
    let plain = matches!(fields.next()?, "100644" | "100755") && fields.next()? == "blob";
    let object = fields.next()?;
    (plain && path.ends_with(".rs")).then(|| (path.to_owned(), object.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let files = paths
            .iter()
            .map(|path| ((*path).to_owned(), String::new()))
            .collect();
        Tree {
            commit: String::new(),
            files,
        }
    }

    fn check(paths: &[&str], file: &str, expected: Option<&str>) {
        let located = match tree(paths).locate(file) {
            Located::File(path) => Some(path),
            Located::Ambiguous | Located::Absent => None,
        };
        assert_eq!(located.as_deref(), expected, "{file} in {paths:?}");
    }

    #[test]
    fn a_path_means_the_file_that_shares_its_longest_end() {
        let shop = &["cart/src/lib.rs", "shop/src/lib.rs", "shop/src/main.rs"];

        check(shop, "shop/src/lib.rs", Some("shop/src/lib.rs"));
        check(shop, "/build/7/shop/src/lib.rs", Some("shop/src/lib.rs"));
        check(shop, "src/main.rs", Some("shop/src/main.rs"));
        check(shop, "main.rs", Some("shop/src/main.rs"));
        check(shop, r"C:\build\shop\src\lib.rs", Some("shop/src/lib.rs"));
        check(shop, "shop/src/../src/./lib.rs", Some("shop/src/lib.rs"));
        check(shop, "/elsewhere/src/main.rs", Some("shop/src/main.rs"));
        check(
            &["src/lib.rs", "cart/src/lib.rs"],
            "/build/shop/src/lib.rs",
            Some("src/lib.rs"),
        );
        check(
            &["src/lib.rs", "cart/src/lib.rs"],
            "/build/cart/src/lib.rs",
            Some("cart/src/lib.rs"),
        );
        check(
            &["src/lib.rs", "cart/src/lib.rs"],
            "src/lib.rs",
            Some("src/lib.rs"),
        );
    }

    #[test]
    fn a_path_that_two_files_fit_equally_well_means_none() {
        check(&["cart/src/lib.rs", "shop/src/lib.rs"], "src/lib.rs", None);
        check(&["a/cart/lib.rs", "b/cart/lib.rs"], "/x/cart/lib.rs", None);
    }

    #[test]
    fn a_path_that_shares_only_a_name_means_none() {
        check(&["shop/src/lib.rs"], "/build/other/lib.rs", None);
        check(&["shop/src/lib.rs"], "", None);
        check(&["shop/src/lib.rs"], "..", None);
        check(&["shop/src/lib.rs"], "/", None);
    }

    #[test]
    fn sources_of_the_toolchain_and_of_dependencies_are_foreign() {
        for file in [
            "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/option.rs",
            "/home/a/.rustup/toolchains/stable/lib/rustlib/src/rust/library/core/src/option.rs",
            "/home/a/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/serde-1.0.0/src/lib.rs",
            r"C:\Users\a\.cargo\registry\src\index.crates.io-6f17d22bba15001f\serde-1.0.0\src\lib.rs",
            "/home/a/.cargo/git/checkouts/tokio-0a/1b/tokio/src/lib.rs",
        ] {
            assert!(is_foreign(file), "{file}");
        }
        assert!(!is_foreign("src/registry.rs"));
        assert!(!is_foreign("/home/a/shop/src/main.rs"));
    }
}
