//! The figures of all rounds, their medians, and how the goals were met.

use serde_json::{Map, Value, json};

use super::Column;
use super::goal::{Goal, Met};
use super::plays::Play;
use crate::median;

/// A figure of a play.
pub(super) struct Row {
    title: &'static str,
    pub(super) figure: String,
    goals: Vec<Goal>,
    /// Of each round, by column.
    values: [Vec<f64>; Column::ALL.len()],
}

impl Row {
    pub(super) fn of(&self, column: Column) -> &[f64] {
        &self.values[column as usize]
    }

    fn median(&self, column: Column) -> Option<f64> {
        let values = self.of(column);
        (!values.is_empty()).then(|| median(values))
    }

    fn met(&self, table: &Table) -> Vec<Met> {
        let goals = self.goals.iter();
        goals.filter_map(|goal| goal.judge(self, table)).collect()
    }
}

/// Rows in the order of the plays.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(super) fn add(&mut self, play: &Play, figure: String, column: Column, value: f64) {
        let is_it = |row: &Row| row.title == play.title && row.figure == figure;
        if !self.0.iter().any(is_it) {
            let goals = play.goals.iter().filter(|(of, _)| *of == figure);
            let row = Row {
                title: play.title,
                figure: figure.clone(),
                goals: goals.map(|(_, goal)| *goal).collect(),
                values: Default::default(),
            };
            // Behind the others of its play.
            let after = self.0.iter().rposition(|row| row.title == play.title);
            self.0.insert(after.map_or(self.0.len(), |at| at + 1), row);
        }
        if let Some(row) = self.0.iter_mut().find(|row| is_it(row)) {
            row.values[column as usize].push(value);
        }
    }

    pub(super) fn row(&self, title: &str, figure: &str) -> Option<&Row> {
        let mut rows = self.0.iter();
        rows.find(|row| row.title == title && row.figure == figure)
    }

    pub(crate) fn document(&self) -> Value {
        let mut document = Map::new();
        for row in &self.0 {
            let mut figures = Map::new();
            for column in Column::ALL {
                figures.insert(column.name().to_owned(), json!(row.median(column)));
            }
            let goals = row.met(self).into_iter().map(|met| {
                let of = met.words.trim_start_matches("x ");
                json!({"of": of, "value": met.value, "bound": met.bound, "met": met.is_met()})
            });
            figures.insert("goals".to_owned(), goals.collect());
            let name = format!("{}: {}", row.title, row.figure);
            document.insert(name, Value::Object(figures));
        }
        Value::Object(document)
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<20} {}",
            "",
            in_columns(|column| column.name().to_owned())
        );
        let mut title = "";
        for row in &self.0 {
            if row.title != title {
                title = row.title;
                println!("{title}");
            }
            let cells = in_columns(|column| cell(row.median(column)));
            let goals: Vec<String> = row.met(self).iter().map(words).collect();
            println!("  {:<18} {cells}  {}", row.figure, goals.join("; "));
        }
    }
}

fn in_columns(text: impl Fn(Column) -> String) -> String {
    let cells = Column::ALL.map(|column| format!("{:>9}", text(column)));
    cells.join(" ")
}

/// Ratios and shares are small, and their second digit counts.
fn cell(value: Option<f64>) -> String {
    match value {
        Some(value) if value != 0.0 && value < 10.0 => format!("{value:.2}"),
        value => crate::cell(value),
    }
}

fn words(met: &Met) -> String {
    let word = if met.is_met() { "met" } else { "MISSED" };
    let (value, bound) = (met.value, met.bound);
    format!("{word}: {value:.2} of {bound:.2} {}", met.words)
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::plays::IDLE;
    use super::*;

    #[test]
    fn the_document_has_the_medians_and_says_what_is_missed() {
        let mut table = Table::default();
        for threads in [1.0, 3.0, 2.0] {
            table.add(&IDLE, "threads".to_owned(), Column::BugSage, threads);
        }

        let figure = &table.document()["idle for 10 s after the start: threads"];

        assert_eq!(figure["bugsage"], 2.0);
        assert_eq!(figure["sentry"], Value::Null);
        let goal = json!({"of": "", "value": 2.0, "bound": 1.0, "met": false});
        assert_eq!(figure["goals"], json!([goal]));
    }
}
