//! The invoice, as text.

use std::fmt::Write;

use crate::{Order, Quote};

/// Writes the invoice for `order`.
pub fn render(order: &Order, quote: &Quote, points: u64) -> String {
    let mut invoice = format!("Invoice for {}\n\n", order.name);
    for line in &order.lines {
        let _ = writeln!(invoice, "{:>4} x {}", line.quantity, line.product.title);
    }
    let _ = writeln!(invoice, "\nGoods    {:>10}", euros(quote.goods_cents));
    let _ = writeln!(invoice, "Shipping {:>10}", euros(quote.shipping_cents));
    let _ = writeln!(invoice, "Total    {:>10}", euros(quote.total_cents()));
    let _ = writeln!(invoice, "\nThis order earned {points} points.");
    invoice
}

fn euros(cents: u64) -> String {
    format!("{}.{:02} EUR", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_always_take_two_digits() {
        assert_eq!(
            [5, 1_290, 10_000].map(euros),
            ["0.05 EUR", "12.90 EUR", "100.00 EUR"]
        );
    }
}
