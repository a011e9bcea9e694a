//! Orders: one bug a function, and functions that call each other as in any shop.

use crate::black_box;
use std::collections::HashMap;

pub struct Order {
    pub number: u64,
    pub lines: Vec<Line>,
    pub coupon: Option<String>,
}

pub struct Line {
    pub sku: &'static str,
    pub quantity: u32,
    pub cents: u64,
}

pub fn sample(lines: usize) -> Order {
    let skus = ["TEA-1", "TEA-2", "CUP-1", "POT-1"];
    let lines = (0..lines).map(|at| Line {
        sku: skus[at % skus.len()],
        quantity: at as u32,
        cents: 250 * (at as u64 + 1),
    });
    Order {
        number: black_box(4_711),
        lines: lines.collect(),
        coupon: None,
    }
}

/// The bug is in the failing function, two calls below what asks for it.
pub fn discount_of_missing_line() {
    let basket = sample(3);
    let best = best_offer(&basket, black_box(7));
    black_box(best);
}

fn best_offer(basket: &Order, position: usize) -> u64 {
    let line = line_price(basket, position);
    line - line / 10
}

fn line_price(basket: &Order, position: usize) -> u64 {
    let line = &basket.lines[position];
    line.cents * u64::from(line.quantity.max(1))
}

pub fn coupon_that_is_not_there() {
    let basket = sample(2);
    let coupon = coupon_code(&basket);
    black_box(coupon.len());
}

fn coupon_code(basket: &Order) -> &str {
    basket.coupon.as_deref().unwrap()
}

/// One function, with nothing between it and whoever runs it.
pub fn shipping_of_closed_order() {
    let basket = sample(1);
    let open: HashMap<u64, &Order> = HashMap::new();
    let found = open.get(&basket.number).expect("order is open");
    black_box(found.lines.len());
}

pub fn average_of_nothing() {
    let basket = sample(0);
    black_box(average_cents(&basket));
}

fn average_cents(basket: &Order) -> u64 {
    let sum: u64 = basket.lines.iter().map(|line| line.cents).sum();
    sum / basket.lines.len() as u64
}

/// The same words as in [`refund_without_invoice`], for another reason.
pub fn invoice_without_customer() {
    let customers: HashMap<u64, String> = HashMap::from([(1, "Ann".to_owned())]);
    black_box(customer_name(&customers, black_box(2)).len());
}

fn customer_name(customers: &HashMap<u64, String>, number: u64) -> &String {
    customers.get(&number).expect("must exist")
}

pub fn refund_without_invoice() {
    let invoices: Vec<(u64, u64)> = vec![(10, 2_500)];
    black_box(invoice_cents(&invoices, black_box(11)));
}

fn invoice_cents(invoices: &[(u64, u64)], number: u64) -> u64 {
    let found = invoices.iter().find(|(known, _)| *known == number);
    found.expect("must exist").1
}

/// Two bugs in one function: what it is given decides which.
pub fn validate_negative_quantity() {
    validate(black_box(-3), black_box("TEA-1"));
}

pub fn validate_unknown_product() {
    validate(black_box(3), black_box("SOUP-9"));
}

fn validate(quantity: i64, sku: &str) {
    if quantity < 0 {
        panic!("negative quantity {quantity} for {sku}");
    }
    if !sku.starts_with("TEA") {
        panic!("no such product: {sku}");
    }
}

/// Two bugs in one function that std words alike: nothing but the line tells them apart.
pub fn first_of_two_unwraps() {
    black_box(first_and_last(&[], &[1]));
}

pub fn second_of_two_unwraps() {
    black_box(first_and_last(&[1], &[]));
}

fn first_and_last(first: &[u32], last: &[u32]) -> u32 {
    let first = first.first().unwrap();
    let last = last.last().unwrap();
    first + last
}

pub fn totals_differ() {
    let basket = sample(3);
    check_total(&basket, black_box(999));
}

fn check_total(basket: &Order, expected: u64) {
    let sum: u64 = basket.lines.iter().map(|line| line.cents).sum();
    assert_eq!(sum, expected, "totals of order {} differ", basket.number);
}

pub fn empty_order_is_checked_out() {
    check_out(&sample(0));
}

fn check_out(basket: &Order) {
    assert!(!basket.lines.is_empty());
    black_box(basket.number);
}

pub fn state_that_cannot_be() {
    black_box(next_state(black_box(9)));
}

fn next_state(state: u8) -> u8 {
    match state {
        0 => 1,
        1 => 2,
        2 => 0,
        other => unreachable!("state {other}"),
    }
}
