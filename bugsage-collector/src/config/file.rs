//! A configuration file as it was written: keys, values and lines, nothing checked yet.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting::Written;

/// More than this is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One value of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The whole key, sections and all.
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) written: Written,
}

/// What is wrong in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

/// Reads a file, or says why it cannot be.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("has more than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// Takes a text apart: all values, and all faults of its form.
pub(super) fn parse(text: &str) -> (Vec<Entry>, Vec<Fault>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let faults = errors.iter().map(|error| Fault {
        line: line(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    });
    let faults: Vec<Fault> = faults.collect();
    let mut entries = Vec::new();
    if faults.is_empty() {
        collect(text, "", table.get_ref(), &mut entries);
    }
    entries.sort_by_key(|entry| entry.line);
    (entries, faults)
}

/// Recursion ends with the parser's own bound on nested tables.
fn collect(text: &str, above: &str, table: &DeTable<'_>, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = match above {
            "" => name.get_ref().to_string(),
            above => format!("{above}.{}", name.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(inner) if !inner.is_empty() => collect(text, &key, inner, entries),
            _ => entries.push(Entry {
                key,
                line: line(text, name.span().start),
                written: written(value),
            }),
        }
    }
}

fn written(value: &Spanned<DeValue<'_>>) -> Written {
    match value.get_ref() {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            number.map_or(Written::Other("a number too large"), Written::Number)
        }
        other => Written::Other(other.type_str()),
    }
}

fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_and_have_the_line_they_stand_in() {
        let text = "listen = \"[::1]:1\"\n\n[retention]\n# a comment\ndays = 7\nlog.x = true\n";

        let (entries, faults) = parse(text);

        assert_eq!(faults, []);
        let entry = |key: &str, line, written| Entry {
            key: key.to_owned(),
            line,
            written,
        };
        assert_eq!(
            entries,
            [
                entry("listen", 1, Written::Text("[::1]:1".to_owned())),
                entry("retention.days", 5, Written::Number(7)),
                entry("retention.log.x", 6, Written::Other("boolean")),
            ]
        );
    }

    #[test]
    fn every_fault_of_the_form_is_told_with_its_line() {
        let (_, faults) = parse("listen = \n\n[log\nlevel = 'info'\nlevel = 'warn'\n");

        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert!(lines.contains(&1) && lines.contains(&3), "{faults:?}");
    }

    #[test]
    fn hostile_files_end_in_faults() {
        let deep = format!("a = {}", "[".repeat(100_000));
        for text in [deep.as_str(), "\u{0}", "=", "a.b.c.", "[[["] {
            assert!(!parse(text).1.is_empty());
        }
    }
}
