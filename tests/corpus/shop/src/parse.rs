//! Reading what others have written.

use crate::black_box;
use std::num::ParseIntError;

pub fn quantity_in_letters() {
    black_box(quantity(black_box("three")));
}

fn quantity(text: &str) -> u32 {
    text.parse().unwrap()
}

pub fn price_in_letters() {
    black_box(price(black_box("1.50 EUR")));
}

fn price(text: &str) -> f64 {
    text.parse().expect("a price is a number")
}

/// One helper, asked for a field too many by two that should know better: two bugs.
pub fn name_of_a_short_line() {
    black_box(customer_name(black_box("4711")).len());
}

pub fn city_of_a_short_line() {
    black_box(customer_city(black_box("4711,Ann")).len());
}

fn customer_name(line: &str) -> &str {
    field(line, 1)
}

fn customer_city(line: &str) -> &str {
    field(line, 3)
}

fn field(line: &str, number: usize) -> &str {
    line.split(',').nth(number).unwrap()
}

/// One bug that two routes lead to.
pub fn date_by_table() {
    import_table(black_box("2026-13-01"));
}

pub fn date_by_form() {
    import_form(black_box("date=2026-14-01"));
}

fn import_table(line: &str) {
    black_box(day_of_year(line));
}

fn import_form(form: &str) {
    let date = form.trim_start_matches("date=");
    black_box(day_of_year(date));
}

fn day_of_year(date: &str) -> u32 {
    const DAYS: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let mut parts = date.split('-').skip(1).map(str::parse::<u32>);
    let month = parts.next().and_then(Result::ok).unwrap_or(1);
    let day = parts.next().and_then(Result::ok).unwrap_or(1);
    DAYS[month as usize - 1] + day
}

pub fn bytes_that_are_no_text() {
    black_box(note(black_box(&[0x54, 0x65, 0xff, 0x61])).len());
}

fn note(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub fn cut_within_a_letter() {
    black_box(shorten(black_box("Käse"), 2).len());
}

fn shorten(text: &str, bytes: usize) -> &str {
    &text[..bytes]
}

pub fn cut_beyond_the_end() {
    black_box(without_prefix(black_box("TEA"), black_box(9)).len());
}

fn without_prefix(text: &str, bytes: usize) -> &str {
    &text[bytes..]
}

pub fn digit_that_is_none() {
    black_box(check_digit(black_box("47-11")));
}

fn check_digit(number: &str) -> u32 {
    number
        .chars()
        .map(|digit| digit.to_digit(10).unwrap())
        .sum()
}

/// A generic function, of two instances: one bug.
pub fn largest_of_no_numbers() {
    black_box(largest::<u32>(black_box(&[])));
}

pub fn largest_of_no_names() {
    black_box(largest::<String>(black_box(&[])));
}

fn largest<T: Ord + Clone>(values: &[T]) -> T {
    values.iter().max().cloned().unwrap()
}

/// Errors that go up to where they are opened.
pub fn sum_of_words() {
    black_box(sum(black_box("1 2 drei")).unwrap());
}

fn sum(words: &str) -> Result<u32, ParseIntError> {
    words.split(' ').map(str::parse::<u32>).sum()
}

pub fn letter_beyond_the_last() {
    let mut name = black_box(String::from("Ann"));
    drop_letter(&mut name, black_box(7));
    black_box(name);
}

fn drop_letter(name: &mut String, at: usize) {
    name.remove(at);
}

pub fn number_base_of_none() {
    black_box(in_base(black_box("zz"), black_box(40)));
}

fn in_base(text: &str, base: u32) -> u32 {
    u32::from_str_radix(text, base).unwrap_or(0)
}
