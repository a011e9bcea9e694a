//! Reports from rows of text.

use std::fmt::Write as _;

pub struct Row {
    pub user: usize,
    pub minutes: u32,
}

pub fn lines(rows: &[Row], names: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        if row.minutes == 0 {
            continue;
        }
        let name = &names[row.user];
        lines.push(format!("{name}: {}", row.minutes));
    }
    lines
}

pub fn total(rows: &[Row], rates: &[u64]) -> u64 {
    let mut total = 0;
    for row in rows {
        total += rates[row.user] * u64::from(row.minutes);
    }
    total
}

pub fn histogram(rows: &[Row], counts: &mut [u32]) {
    for row in rows {
        counts[row.user] += 1;
    }
}

pub fn csv(rows: &[Row], names: &[&str]) -> String {
    let mut out = String::new();
    for row in rows {
        writeln!(out, "{};{}", names[row.user], row.minutes).unwrap();
    }
    out
}

pub fn print(rows: &[Row], names: &[&str]) {
    rows.iter().for_each(|row| {
        let name = names[row.user];
        println!("{name}: {}", row.minutes);
    });
}
