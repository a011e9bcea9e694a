//! What the goods of an order cost, before coupons and shipping.

use tracing::{debug, instrument};

use crate::prices::PriceList;
use crate::{Line, Order};

/// What all goods of `order` cost together.
#[instrument(skip(order), fields(group = ?order.group, lines = order.lines.len()))]
pub fn subtotal(order: &Order) -> u64 {
    let prices = PriceList::of(order.group);
    order
        .lines
        .iter()
        .map(|line| line_cents(&prices, line))
        .sum()
}

/// What one line costs, with its discount for the quantity.
#[instrument(skip_all, fields(sku = line.product.sku, quantity = line.quantity))]
pub fn line_cents(prices: &PriceList, line: &Line) -> u64 {
    let full = unit_price(prices, line.product.sku) * u64::from(line.quantity);
    let percent = quantity_percent(line.quantity);
    debug!(full, percent, "line priced");
    full - full * percent / 100
}

/// What one piece of `sku` costs on the list `prices`.
#[instrument(skip(prices), fields(list = prices.name))]
pub fn unit_price(prices: &PriceList, sku: &str) -> u64 {
    let cents = prices.cents(sku).unwrap();
    debug!(cents, "unit price");
    cents
}

/// The discount for ordering `quantity` pieces of one product, in percent.
pub fn quantity_percent(quantity: u32) -> u64 {
    match quantity {
        0..10 => 0,
        10..50 => 5,
        50..100 => 8,
        100.. => 12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_discount_grows_with_the_quantity() {
        let percents = [1, 9, 10, 49, 50, 99, 100, 200].map(quantity_percent);

        assert_eq!(percents, [0, 0, 5, 5, 8, 8, 12, 12]);
    }
}
