//! The rules of the shop: what an order costs, and where it goes.
//!
//! An [`Order`] is read from the customer's form, [`place_order`] prices it and answers with a
//! [`Receipt`]. All money is in euro cents.

pub mod catalog;
pub mod order;
pub mod pricing;
pub mod coupon;
pub mod shipping;
pub mod quote;
pub mod loyalty;
pub mod label;
pub mod invoice;
mod error;

use tracing::{info, instrument};

pub use crate::error::OrderError;
pub use crate::order::{Line, Order};
pub use crate::quote::Quote;

/// What the customer gets for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What was paid, and for what.
    pub quote: Quote,
    /// The points earned.
    pub points: u64,
    /// The label of the parcel.
    pub label: String,
    /// The invoice, ready to print.
    pub invoice: String,
}

/// Prices `order` and prepares everything that leaves the shop with it.
///
/// # Errors
///
/// When the order cannot be carried out as it stands; the customer can mend it.
#[instrument(skip(order), fields(country = %order.country, lines = order.lines.len()))]
pub fn place_order(order: &Order) -> Result<Receipt, OrderError> {
    let quote = quote::quote(order)?;
    let points = loyalty::points(quote.total_cents());
    let label = label::label(&order.name, &order.country);
    let invoice = invoice::render(order, &quote, points);

    info!(total_cents = quote.total_cents(), points, "order placed");
    Ok(Receipt {
        quote,
        points,
        label,
        invoice,
    })
}
