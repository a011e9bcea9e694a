//! Traits, generics, recursion and destructors.

use crate::black_box;
use std::any::Any;
use std::collections::HashMap;

trait Total {
    fn total(&self) -> u64;

    fn average(&self, among: u64) -> u64 {
        self.total() / among
    }
}

struct Cart {
    prices: Vec<u64>,
}

struct Gift {
    price: Option<u64>,
}

impl Total for Cart {
    fn total(&self) -> u64 {
        self.prices[self.prices.len() + 2]
    }
}

impl Total for Gift {
    fn total(&self) -> u64 {
        self.price.unwrap()
    }
}

pub fn cart_by_trait() {
    let cart = Cart {
        prices: black_box(vec![1, 2]),
    };
    black_box(sum_of(&[&cart]));
}

pub fn gift_by_trait() {
    let gift = Gift {
        price: black_box(None),
    };
    black_box(sum_of(&[&gift]));
}

fn sum_of(all: &[&dyn Total]) -> u64 {
    all.iter().map(|it| it.total()).sum()
}

pub fn average_by_default_method() {
    let gift = Gift {
        price: black_box(Some(3)),
    };
    black_box(gift.average(black_box(0)));
}

struct Node {
    next: Option<Box<Node>>,
    number: Option<u32>,
}

fn chain(length: u32) -> Node {
    (0..length).fold(
        Node {
            next: None,
            number: None,
        },
        |next, number| Node {
            next: Some(Box::new(next)),
            number: Some(number),
        },
    )
}

pub fn end_of_a_short_chain() {
    black_box(sum_chain(&chain(black_box(3))));
}

/// The same bug below forty calls of the same function.
pub fn end_of_a_long_chain() {
    black_box(sum_chain(&chain(black_box(40))));
}

fn sum_chain(node: &Node) -> u32 {
    let rest = node.next.as_deref().map_or(0, sum_chain);
    node.number.unwrap() + rest
}

pub fn even_and_odd_never_meet() {
    black_box(is_even(black_box(9), &mut vec![0; 4]));
}

fn is_even(number: usize, seen: &mut [u8]) -> bool {
    seen[number % 4] = 1;
    number == 0 || is_odd(number - 1, seen)
}

fn is_odd(number: usize, seen: &mut [u8]) -> bool {
    assert_ne!(number, 4, "four is nobody's");
    is_even(number - 1, seen)
}

pub fn value_of_another_type() {
    let value: Box<dyn Any> = Box::new(black_box(5_u64));
    black_box(as_text(value).len());
}

fn as_text(value: Box<dyn Any>) -> String {
    *value.downcast::<String>().unwrap()
}

struct Lock<'a> {
    held: &'a HashMap<u8, bool>,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        black_box(self.held[&7]);
    }
}

pub fn lock_that_is_not_held() {
    let held = black_box(HashMap::from([(1, true)]));
    let lock = Lock { held: &held };
    black_box(lock.held.len());
}

pub fn plan_that_is_not_written() {
    black_box(plan(black_box(2)));
}

fn plan(version: u32) -> u32 {
    match version {
        1 => 10,
        _ => todo!(),
    }
}

pub fn format_that_is_not_there() {
    black_box(export(black_box("xml")));
}

fn export(format: &str) -> usize {
    match format {
        "json" => 1,
        other => unimplemented!("export to {other}"),
    }
}

/// Says where it was called from, as `unwrap` does: the bug is its caller's.
#[track_caller]
fn must<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => panic!("a value was promised"),
    }
}

pub fn promise_of_a_price() {
    black_box(promised_price(black_box(None)));
}

pub fn promise_of_a_name() {
    black_box(promised_name(black_box(None)).len());
}

fn promised_price(price: Option<u64>) -> u64 {
    must(price) * 2
}

fn promised_name(name: Option<&str>) -> &str {
    must(name)
}
