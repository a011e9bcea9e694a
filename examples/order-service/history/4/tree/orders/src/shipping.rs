//! What it costs to send a parcel.

use tracing::{debug, instrument};

use crate::OrderError;

/// How far a parcel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Within Germany.
    Domestic,
    /// To a neighbor.
    Europe,
    /// By plane.
    Overseas,
}

impl Zone {
    /// The zone of `country`, where the shop delivers.
    pub fn of(country: &str) -> Option<Self> {
        match country {
            "DE" => Some(Self::Domestic),
            "AT" | "BE" | "DK" | "ES" | "FR" | "IT" | "NL" | "PL" | "PT" => Some(Self::Europe),
            "CA" | "JP" | "US" => Some(Self::Overseas),
            _ => None,
        }
    }

    /// What a parcel costs, by its full kilograms.
    fn fees(self) -> &'static [u64] {
        match self {
            Self::Domestic => &[490, 590, 690, 850, 1_050],
            Self::Europe => &[990, 1_290, 1_590, 1_890, 2_390],
            Self::Overseas => &[1_990, 3_490],
        }
    }
}

/// What the customer pays to have `grams` of goods delivered to `country`.
///
/// # Errors
///
/// [`OrderError::NotDeliverable`] when the shop does not deliver such a parcel there.
#[instrument]
pub fn delivery(country: &str, grams: u32) -> Result<u64, OrderError> {
    parcel_fee(country, grams).ok_or_else(|| OrderError::NotDeliverable {
        country: country.to_owned(),
        grams,
    })
}

/// What a parcel of `grams` to `country` costs, or `None` where the shop does not deliver it.
#[instrument]
pub fn parcel_fee(country: &str, grams: u32) -> Option<u64> {
    let fees = Zone::of(country)?.fees();
    let kilograms = (grams / 1_000) as usize;
    debug!(kilograms, "parcel weighed");
    let fee = fees[kilograms];
    Some(fee)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_costs_more_the_further_it_goes() {
        let fees = ["DE", "FR", "US"].map(|country| parcel_fee(country, 800));

        assert_eq!(fees, [Some(490), Some(990), Some(1_990)]);
    }

    #[test]
    fn a_parcel_costs_more_the_heavier_it_is() {
        let fees = [999, 1_000, 3_500].map(|grams| parcel_fee("DE", grams));

        assert_eq!(fees, [Some(490), Some(590), Some(850)]);
    }

    #[test]
    fn a_country_without_a_zone_gets_no_parcels() {
        let refused = Err(OrderError::NotDeliverable {
            country: "AQ".to_owned(),
            grams: 200,
        });

        assert_eq!(delivery("AQ", 200), refused);
    }
}
