//! What a customer ordered, read from the form.

use tracing::{debug, instrument};

use crate::OrderError;
use crate::catalog::{self, Product};

/// The most pieces of one product the shop sells at once.
pub const QUANTITY_MAX: u32 = 200;

/// What a customer ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who gets the parcel.
    pub name: String,
    /// Where it goes: an ISO 3166 code of two capitals.
    pub country: String,
    /// The price list the customer buys from.
    pub group: Group,
    /// What is in it, never empty.
    pub lines: Vec<Line>,
    /// The coupon the customer has, if any.
    pub coupon: Option<String>,
}

/// Some pieces of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// What was ordered.
    pub product: &'static Product,
    /// How many of it, from 1 to [`QUANTITY_MAX`].
    pub quantity: u32,
}

/// Which price list a customer buys from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Everyone who walks in.
    Retail,
    /// Cafés and shops, who resell.
    Trade,
}

impl Order {
    /// Reads an order from the fields of the form.
    ///
    /// # Errors
    ///
    /// When a field is missing, or says what the shop does not know.
    #[instrument(skip(fields), fields(fields = fields.len()))]
    pub fn from_fields(fields: &[(String, String)]) -> Result<Self, OrderError> {
        let items = required(fields, "items")?;
        let lines = items
            .split(',')
            .map(Line::parse)
            .collect::<Result<Vec<_>, _>>()?;
        debug!(items, "items read");

        Ok(Self {
            name: required(fields, "name")?.to_owned(),
            country: required(fields, "country")?.to_ascii_uppercase(),
            group: Group::parse(optional(fields, "group").unwrap_or("retail"))?,
            lines,
            coupon: optional(fields, "coupon").map(str::to_owned),
        })
    }

    /// What the whole order weighs.
    pub fn grams(&self) -> u32 {
        self.lines
            .iter()
            .map(|line| line.product.grams * line.quantity)
            .fold(0, u32::saturating_add)
    }
}

impl Line {
    fn parse(item: &str) -> Result<Self, OrderError> {
        let (sku, quantity) = item
            .split_once(':')
            .ok_or_else(|| OrderError::BadItem(item.to_owned()))?;
        let product = catalog::find(sku.trim())?;
        let quantity = quantity.trim().parse()?;
        if !(1..=QUANTITY_MAX).contains(&quantity) {
            return Err(OrderError::BadQuantity(quantity));
        }
        Ok(Self { product, quantity })
    }
}

impl Group {
    fn parse(group: &str) -> Result<Self, OrderError> {
        match group {
            "retail" => Ok(Self::Retail),
            "trade" => Ok(Self::Trade),
            _ => Err(OrderError::UnknownGroup(group.to_owned())),
        }
    }
}

fn required<'a>(fields: &'a [(String, String)], name: &'static str) -> Result<&'a str, OrderError> {
    optional(fields, name).ok_or(OrderError::Missing(name))
}

fn optional<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.trim())
        .filter(|value| !value.is_empty())
}
