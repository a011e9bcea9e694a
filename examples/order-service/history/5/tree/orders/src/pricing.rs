//! What the goods of an order cost, before coupons and shipping.

use tracing::{debug, instrument};

use crate::{Line, Order};

/// What all goods of `order` cost together.
#[instrument(skip(order), fields(lines = order.lines.len()))]
pub fn subtotal(order: &Order) -> u64 {
    order.lines.iter().map(line_cents).sum()
}

/// What one line costs, with its discount for the quantity.
#[instrument(skip_all, fields(sku = line.product.sku, quantity = line.quantity))]
pub fn line_cents(line: &Line) -> u64 {
    let full = line.product.cents * u64::from(line.quantity);
    let percent = quantity_percent(line.quantity);
    debug!(full, percent, "line priced");
    full - full * percent / 100
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
