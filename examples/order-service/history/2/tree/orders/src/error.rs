//! Why an order was turned down.

use std::error::Error;
use std::fmt;
use std::num::ParseIntError;

/// Why an order was turned down. Every variant is for the customer to mend.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderError {
    /// A field of the form is missing or empty.
    Missing(&'static str),
    /// A field holds something else than a number.
    NotANumber(ParseIntError),
    /// An item does not read `SKU:QUANTITY`.
    BadItem(String),
    /// The quantity is zero, or more than the shop sells at once.
    BadQuantity(u32),
    /// The catalog has no such product.
    UnknownProduct(String),
    /// The shop does not deliver this parcel to this country.
    NotDeliverable {
        /// Where the parcel should have gone.
        country: String,
        /// What it weighs.
        grams: u32,
    },
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "field `{field}` is missing"),
            Self::NotANumber(error) => write!(f, "not a number: {error}"),
            Self::BadItem(item) => write!(f, "item `{item}` does not read SKU:QUANTITY"),
            Self::BadQuantity(quantity) => write!(f, "quantity {quantity} cannot be ordered"),
            Self::UnknownProduct(sku) => write!(f, "no product `{sku}`"),
            Self::NotDeliverable { country, grams } => {
                write!(f, "no delivery of {grams} g to `{country}`")
            }
        }
    }
}

impl Error for OrderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotANumber(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ParseIntError> for OrderError {
    fn from(error: ParseIntError) -> Self {
        Self::NotANumber(error)
    }
}
