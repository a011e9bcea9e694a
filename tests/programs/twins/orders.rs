//! Orders.

use crate::list;

/// What the first item costs. Fails for an order without items.
pub(crate) fn first_price(items: &[u64]) -> u64 {
    list::pick(items, 0)
}

/// The cheapest item. Fails for an order without items.
pub(crate) fn cheapest(items: &[u64]) -> u64 {
    *items.iter().min().unwrap()
}

/// An amount as customers type it.
pub(crate) fn amount(text: &str) -> u64 {
    text.parse().expect("an amount is a number")
}
