//! What commands print. A reader that goes away (`| head`) ends the command quietly.

use std::io::{self, Write};

use serde::Serialize;

use crate::view::visible;

/// Prints a line.
pub(super) fn line(text: &str) {
    write(&mut io::stdout(), text);
}

/// Prints a line for people on standard error.
pub(super) fn error(text: &str) {
    write(&mut io::stderr(), text);
}

fn write(out: &mut dyn Write, text: &str) {
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints one JSON document.
pub(super) fn json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Text that came from an app, safe for a terminal: one line, nothing that steers it.
pub(super) fn plain(text: &str) -> String {
    visible(text).into_owned()
}

/// Text cut to a width.
pub(super) fn cut(text: &str, width: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Rows in columns as wide as their widest cell, numbers to the right.
pub(super) fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([head[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: &[String]| {
        let cells = cells.iter().enumerate().map(|(column, cell)| {
            let gap = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            if right.contains(&column) {
                format!("{gap}{cell}")
            } else {
                format!("{cell}{gap}")
            }
        });
        let cells: Vec<String> = cells.collect();
        line(cells.join("  ").trim_end());
    };
    print(
        &head
            .iter()
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<_>>(),
    );
    rows.iter().for_each(|row| print(row));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_an_app_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb cd");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
