//! What an order costs, part by part.

use tracing::{debug, instrument};

use crate::{Order, OrderError, pricing, shipping};

/// What an order costs, part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// All goods, with their discounts for quantity.
    pub goods_cents: u64,
    /// The parcel.
    pub shipping_cents: u64,
}

impl Quote {
    /// What the customer pays.
    pub fn total_cents(&self) -> u64 {
        self.goods_cents + self.shipping_cents
    }
}

/// Works out what `order` costs.
///
/// # Errors
///
/// When its parcel cannot be delivered.
#[instrument(skip(order))]
pub fn quote(order: &Order) -> Result<Quote, OrderError> {
    let goods_cents = pricing::subtotal(order);
    debug!(goods_cents, "goods priced");

    let shipping_cents = shipping::delivery(&order.country, order.grams())?;

    Ok(Quote {
        goods_cents,
        shipping_cents,
    })
}
