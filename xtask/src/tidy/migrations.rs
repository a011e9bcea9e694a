//! Migrations are numbered without a gap, and have a twin once there is a second backend.

use super::{Complaint, File};

const SQLITE: &str = "bugsage-collector/migrations/sqlite";
const POSTGRES: &str = "bugsage-collector/migrations/postgres";

pub(super) fn check(files: &[File]) -> Vec<Complaint> {
    let (sqlite, mut complaints) = numbered(files, SQLITE, Some(1));
    // PostgreSQL came later: its first file has the number that SQLite had reached then.
    let (postgres, more) = numbered(files, POSTGRES, None);
    complaints.extend(more);
    if let Some(&(first, _)) = postgres.first() {
        let sqlite: Vec<_> = sqlite.into_iter().filter(|(n, _)| *n >= first).collect();
        complaints.extend(without_twin(SQLITE, &sqlite, &postgres));
        complaints.extend(without_twin(POSTGRES, &postgres, &sqlite));
    }
    complaints
}

/// A migration's number and file name.
type Migration<'a> = (u32, &'a str);

/// The migrations of a folder in their order, and what is wrong with their numbers.
fn numbered<'a>(
    files: &'a [File],
    folder: &str,
    first: Option<u32>,
) -> (Vec<Migration<'a>>, Vec<Complaint>) {
    let mut migrations = Vec::new();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| file.split().0 == folder) {
        let name = file.split().1;
        match number_of(name) {
            Some(number) => migrations.push((number, name)),
            None if name.ends_with(".sql") => {
                let message = "is not named like 0001_what_it_does.sql";
                complaints.push(Complaint::new(&file.path, message));
            }
            None => {}
        }
    }
    migrations.sort_unstable();
    let mut expected = first;
    for &(number, name) in &migrations {
        if let Some(expected) = expected.filter(|expected| *expected != number) {
            let message = format!("has number {number:04}, the next is {expected:04}");
            complaints.push(Complaint::new(&format!("{folder}/{name}"), message));
        }
        expected = Some(number + 1);
    }
    (migrations, complaints)
}

/// The number in `0001_what_it_does.sql`.
fn number_of(name: &str) -> Option<u32> {
    let (number, what) = name.strip_suffix(".sql")?.split_once('_')?;
    let digits = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    let words = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let named = !what.is_empty() && what.bytes().all(words);
    (digits && named).then(|| number.parse().ok()).flatten()
}

fn without_twin(folder: &str, ours: &[Migration<'_>], theirs: &[Migration<'_>]) -> Vec<Complaint> {
    let alone = ours.iter().filter(|migration| !theirs.contains(migration));
    alone
        .map(|(_, name)| {
            let path = format!("{folder}/{name}");
            Complaint::new(&path, "has no twin of the same name in the other backend")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(sqlite: &[&str], postgres: &[&str]) -> Vec<String> {
        let file = |folder: &str, name: &&str| File {
            path: format!("{folder}/{name}"),
            size_bytes: 1,
            text: None,
        };
        let sqlite = sqlite.iter().map(|name| file(SQLITE, name));
        let postgres = postgres.iter().map(|name| file(POSTGRES, name));
        let files: Vec<File> = sqlite.chain(postgres).collect();
        let short = |complaint: Complaint| {
            let text = complaint.to_string();
            text.replace("bugsage-collector/migrations/", "")
        };
        check(&files).into_iter().map(short).collect()
    }

    #[test]
    fn migrations_without_a_gap_are_in_order() {
        assert!(complaints(&[], &[]).is_empty());
        assert!(complaints(&["0001_begin.sql", "0002_add_cases.sql", "README.md"], &[]).is_empty());
    }

    #[test]
    fn a_gap_a_repeat_and_a_wrong_name_are_named() {
        assert_eq!(
            complaints(&["0001_begin.sql", "0003_cases.sql"], &[]),
            ["sqlite/0003_cases.sql: has number 0003, the next is 0002"]
        );
        assert_eq!(
            complaints(&["0001_begin.sql", "0001_other.sql"], &[]),
            ["sqlite/0001_other.sql: has number 0001, the next is 0002"]
        );
        assert_eq!(
            complaints(&["0002_begin.sql"], &[]),
            ["sqlite/0002_begin.sql: has number 0002, the next is 0001"]
        );
        assert_eq!(
            complaints(&["0001_begin.sql", "2_more.sql"], &[]),
            ["sqlite/2_more.sql: is not named like 0001_what_it_does.sql"]
        );
    }

    #[test]
    fn twins_are_asked_for_from_the_first_postgres_file_on() {
        let sqlite = ["0001_begin.sql", "0002_cases.sql", "0003_members.sql"];

        assert!(complaints(&sqlite, &["0002_cases.sql", "0003_members.sql"]).is_empty());
        assert_eq!(
            complaints(&sqlite, &["0002_cases.sql"]),
            ["sqlite/0003_members.sql: has no twin of the same name in the other backend"]
        );
    }
}
