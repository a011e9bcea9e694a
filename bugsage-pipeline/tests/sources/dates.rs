//! Dates such as `2024-02-29`.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

const DAYS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

pub fn days(month: u8) -> u8 {
    DAYS[usize::from(month) - 1]
}

pub fn parse(text: &str) -> Option<Date> {
    let year = text[..4].parse().unwrap();
    let month = text[5..7].parse::<u8>().unwrap();
    let day = text.get(8..10)?.parse().unwrap();
    (day <= DAYS[month as usize - 1]).then_some(Date { year, month, day })
}

pub fn parse_all(text: &str) -> Result<Vec<Date>, String> {
    let mut dates = Vec::new();
    for line in text.lines() {
        let date = parse(line).ok_or_else(|| format!("bad date {line:?}"))?;
        dates.push(date);
    }
    let first = dates.first().unwrap();
    if first.year < 1_970 {
        return Err(format!("{} is too early", first.year));
    }
    Ok(dates)
}

pub fn latest(dates: &[Date]) -> Result<Date, DateError> {
    let latest = dates.iter().max().unwrap();
    Ok(*latest)
}

#[derive(Debug)]
pub enum DateError {
    Missing,
    Order { at: usize },
}
