//! What an order costs, part by part.

use tracing::{debug, instrument};

use crate::{Order, OrderError, coupon, pricing, shipping};

/// What an order costs, part by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// All goods, with their discounts for quantity.
    pub goods_cents: u64,
    /// What the coupon takes off the goods, never more than they cost.
    pub coupon_cents: u64,
    /// The parcel.
    pub shipping_cents: u64,
}

impl Quote {
    /// What the customer pays.
    pub fn total_cents(&self) -> u64 {
        self.goods_cents - self.coupon_cents + self.shipping_cents
    }
}

/// Works out what `order` costs.
///
/// # Errors
///
/// When its coupon is not known, or its parcel cannot be delivered.
#[instrument(skip(order), fields(coupon = order.coupon))]
pub fn quote(order: &Order) -> Result<Quote, OrderError> {
    let goods_cents = pricing::subtotal(order);
    debug!(goods_cents, "goods priced");

    let coupon_cents = match &order.coupon {
        Some(code) => coupon::discount(code, goods_cents)?,
        None => 0,
    };
    let shipping_cents = shipping::delivery(&order.country, order.grams(), goods_cents)?;

    Ok(Quote {
        goods_cents,
        coupon_cents,
        shipping_cents,
    })
}
