//! What an order costs, part by part.

use tracing::{debug, instrument};

use crate::{Order, pricing};

/// What an order costs, part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// All goods, with their discounts for quantity.
    pub goods_cents: u64,
}

impl Quote {
    /// What the customer pays.
    pub fn total_cents(&self) -> u64 {
        self.goods_cents
    }
}

/// Works out what `order` costs.
#[instrument(skip(order))]
pub fn quote(order: &Order) -> Quote {
    let goods_cents = pricing::subtotal(order);
    debug!(goods_cents, "goods priced");

    Quote { goods_cents }
}
