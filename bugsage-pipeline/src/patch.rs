//! A proposed change: unified diff, base commit, and the hash that an approval binds.
//!
//! In: files before and after. Out: a [`Patch`], and the files after it from the files before.
//! Never: a hunk that is moved to where it might fit.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use similar::{Algorithm, DiffTag, capture_diff_slices, group_diff_ops};

/// Lines around a change, as git shows them.
const CONTEXT: usize = 3;

/// A proposed change of some files at a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Names the change: base commit and diff, nothing else.
    pub sha256: String,
    /// The commit that it changes.
    pub base_commit: String,
    /// The files that it changes, as the diff does.
    pub files: Vec<String>,
    /// The change, as `git apply` reads it.
    pub diff: String,
}

/// A file before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'a> {
    /// Where it is in the repository.
    pub path: &'a str,
    /// Its text at the base commit.
    pub before: &'a str,
    /// Its text with the change.
    pub after: &'a str,
}

/// The diff is not one of [`Patch::new`], or the file is not the one that it was made for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the patch does not fit {path} at line {line}; write it anew from the present source")]
pub struct Misfit {
    /// The file.
    pub path: String,
    /// The line of the diff.
    pub line: usize,
}

impl Patch {
    /// The patch that makes `changes` at a commit.
    pub fn new(base_commit: &str, changes: &[Change<'_>]) -> Self {
        let mut diff = String::new();
        for change in changes {
            let path = change.path;
            diff.push_str(&format!("diff --git a/{path} b/{path}\n"));
            diff.push_str(&format!("--- a/{path}\n+++ b/{path}\n"));
            hunks(change, &mut diff);
        }
        let files = changes.iter().map(|change| change.path.to_owned());
        Patch {
            sha256: hash(base_commit, &diff),
            base_commit: base_commit.to_owned(),
            files: files.collect(),
            diff,
        }
    }

    /// Whether the hash is still that of the base commit and the diff.
    pub fn is_whole(&self) -> bool {
        self.sha256 == hash(&self.base_commit, &self.diff)
    }

    /// The text of a file after the change, from its text before.
    pub fn after(&self, path: &str, before: &str) -> Result<String, Misfit> {
        let misfit = |line: usize| Misfit {
            path: path.to_owned(),
            line,
        };
        let mut old = before.split_inclusive('\n');
        let mut at = 0;
        let mut after = String::with_capacity(before.len() + 256);
        let mut in_file = false;
        let mut lines = self.diff.split_inclusive('\n').enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            if let Some(name) = line.strip_prefix("diff --git ") {
                in_file = name.trim_end() == format!("a/{path} b/{path}");
                // The two lines that name the file before and after.
                lines.next_if(|(_, line)| line.starts_with("--- "));
                lines.next_if(|(_, line)| line.starts_with("+++ "));
                continue;
            }
            if !in_file {
                continue;
            }
            let without_end = lines
                .peek()
                .is_some_and(|(_, next)| next.starts_with("\\ No newline"));
            let text = |line: &str| {
                let text = line.get(1..).unwrap_or_default();
                match without_end {
                    true => text.strip_suffix('\n').unwrap_or(text).to_owned(),
                    false => text.to_owned(),
                }
            };
            match line.as_bytes().first() {
                Some(b'@') => {
                    let first = hunk_start(line).ok_or_else(|| misfit(number))?;
                    while at + 1 < first {
                        after.push_str(old.next().ok_or_else(|| misfit(number))?);
                        at += 1;
                    }
                }
                Some(b' ' | b'-') => {
                    at += 1;
                    let text = text(line);
                    if old.next() != Some(text.as_str()) {
                        return Err(misfit(number));
                    }
                    if line.starts_with(' ') {
                        after.push_str(&text);
                    }
                }
                Some(b'+') => after.push_str(&text(line)),
                Some(b'\\') => {}
                _ => return Err(misfit(number)),
            }
        }
        after.extend(old);
        Ok(after)
    }
}

/// Writes the hunks of a change. A line ends with `\n` alone, as it does to git.
fn hunks(change: &Change<'_>, diff: &mut String) {
    let before: Vec<&str> = change.before.split_inclusive('\n').collect();
    let after: Vec<&str> = change.after.split_inclusive('\n').collect();
    let write = |sign: char, lines: &[&str]| {
        let mut text = String::new();
        for line in lines {
            text.push(sign);
            text.push_str(line);
            if !line.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
        text
    };
    let ops = capture_diff_slices(Algorithm::Myers, &before, &after);
    for group in group_diff_ops(ops, CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let old = first.old_range().start..last.old_range().end;
        let new = first.new_range().start..last.new_range().end;
        let head = |range: &std::ops::Range<usize>| {
            let first = range.start + usize::from(!range.is_empty());
            format!("{first},{}", range.len())
        };
        diff.push_str(&format!("@@ -{} +{} @@\n", head(&old), head(&new)));
        for op in group {
            let (old, new) = (&before[op.old_range()], &after[op.new_range()]);
            if op.tag() == DiffTag::Equal {
                diff.push_str(&write(' ', old));
            } else {
                diff.push_str(&write('-', old));
                diff.push_str(&write('+', new));
            }
        }
    }
}

/// The first old line of a hunk: `@@ -12,7 +12,8 @@`. A hunk that takes nothing away stands after the
/// line that it names.
fn hunk_start(line: &str) -> Option<usize> {
    let old = line.strip_prefix("@@ -")?.split(' ').next()?;
    let (first, count) = old.split_once(',').unwrap_or((old, "1"));
    let first: usize = first.parse().ok()?;
    let count: usize = count.parse().ok()?;
    Some(if count == 0 { first + 1 } else { first })
}

fn hash(base_commit: &str, diff: &str) -> String {
    let digest = Sha256::new()
        .chain_update(base_commit)
        .chain_update("\n")
        .chain_update(diff)
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::repository::testing::TestRepository;

    fn patch(before: &str, after: &str) -> Patch {
        let change = Change {
            path: "src/lib.rs",
            before,
            after,
        };
        Patch::new("0123", &[change])
    }

    #[test]
    fn a_patch_reads_like_a_diff_and_names_itself() {
        let patch = patch("a\nb\nc\n", "a\nB\nc\n");

        assert_eq!(
            patch.diff,
            "diff --git a/src/lib.rs b/src/lib.rs\n--- a/src/lib.rs\n+++ b/src/lib.rs\n\
             @@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
        );
        assert_eq!(patch.files, ["src/lib.rs"]);
        assert!(patch.is_whole());
        let mut other_base = patch.clone();
        other_base.base_commit = "4567".into();
        assert!(!other_base.is_whole());
        let mut other_diff = patch;
        other_diff.diff.push(' ');
        assert!(!other_diff.is_whole());
    }

    #[test]
    fn a_patch_fits_only_the_text_that_it_was_made_for() {
        let patch = patch("a\nb\nc\n", "a\nB\nc\n");

        assert_eq!(patch.after("src/lib.rs", "a\nb\nc\n").unwrap(), "a\nB\nc\n");
        assert_eq!(patch.after("src/other.rs", "a\n").unwrap(), "a\n");
        assert!(patch.after("src/lib.rs", "new\na\nb\nc\n").is_err());
        assert!(patch.after("src/lib.rs", "a\nb\n").is_err());
        assert!(patch.after("src/lib.rs", "").is_err());
    }

    fn lines() -> impl Strategy<Value = String> {
        let line = prop_oneof!["[a-c]{0,2}", "-- x", "\\+\\+ y", "@@ -1 \\+1 @@", "é€\r"];
        (prop::collection::vec(line, 0..12), any::<bool>())
            .prop_map(|(lines, ends)| lines.join("\n") + if ends { "\n" } else { "" })
    }

    proptest! {
        #[test]
        fn what_a_patch_makes_is_what_it_was_made_from(before in lines(), after in lines()) {
            prop_assert_eq!(patch(&before, &after).after("src/lib.rs", &before).unwrap(), after);
        }
    }

    #[test]
    fn git_reads_a_patch_as_we_do() {
        let cases = [
            ("a\nb\n", "a\nB\n"),
            ("a\nb", "a\nb\nc"),
            ("a\nb", "a\nb\n"),
            ("-- x\n", "++ y\n-- x\n"),
            (
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
                "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
            ),
            ("a\r\nb\r\n", "a\r\nc\r\n"),
        ];
        for (before, after) in cases {
            let repository = TestRepository::new();
            repository.commit_file("src/lib.rs", before, "before");
            repository.write("change.diff", patch(before, after).diff);

            repository.git(&["apply", "--whitespace=nowarn", "change.diff"]);

            let read = std::fs::read_to_string(repository.path().join("src/lib.rs")).unwrap();
            assert_eq!(read, after);
        }
    }
}
