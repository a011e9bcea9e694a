//! Points for what was paid.

use tracing::instrument;

/// Orders from here on earn double points.
const DOUBLE_FROM_CENTS: u64 = 10_000;

/// The points that a payment of `paid_cents` earns: one for each full euro.
#[instrument]
pub fn points(paid_cents: u64) -> u64 {
    let points = paid_cents / 100;
    if paid_cents >= DOUBLE_FROM_CENTS {
        points * 2
    } else {
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_orders_earn_double_points() {
        assert_eq!([0, 99, 9_999, 10_000].map(points), [0, 0, 99, 200]);
    }
}
