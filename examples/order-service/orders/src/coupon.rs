//! Coupons of the seasonal campaigns, such as `SPRING-10`.

use tracing::{debug, instrument};

use crate::OrderError;

/// The campaigns, and the most that each gives, in percent.
const CAMPAIGNS: [(&str, u64); 4] = [
    ("SPRING", 15),
    ("SUMMER", 20),
    ("AUTUMN", 15),
    ("WELCOME", 10),
];

/// What the coupon `code` takes off `subtotal_cents`.
///
/// # Errors
///
/// [`OrderError::UnknownCoupon`] when no campaign gives it.
pub fn discount(code: &str, subtotal_cents: u64) -> Result<u64, OrderError> {
    let percent = percent_of(code)?;
    Ok(subtotal_cents * percent / 100)
}

/// Reads from the coupon `code` how many percent it gives.
///
/// # Errors
///
/// [`OrderError::UnknownCoupon`] when no campaign gives that much.
#[instrument]
pub fn percent_of(code: &str) -> Result<u64, OrderError> {
    let unknown = || OrderError::UnknownCoupon(code.to_owned());
    let (name, digits) = code.split_once('-').ok_or_else(unknown)?;
    let percent_max = percent_max(name).ok_or_else(unknown)?;
    debug!(name, digits, percent_max, "coupon of a campaign");

    let percent: u64 = digits.parse().unwrap();
    if percent > percent_max {
        return Err(unknown());
    }
    Ok(percent)
}

fn percent_max(name: &str) -> Option<u64> {
    CAMPAIGNS
        .iter()
        .find(|(campaign, _)| campaign.eq_ignore_ascii_case(name))
        .map(|(_, percent_max)| *percent_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coupon_takes_its_percentage_off() {
        assert_eq!(discount("SPRING-10", 4_000), Ok(400));
    }

    #[test]
    fn a_coupon_is_read_in_any_case() {
        assert_eq!(percent_of("summer-20"), Ok(20));
    }

    #[test]
    fn a_coupon_of_no_campaign_is_refused() {
        let unknown = Err(OrderError::UnknownCoupon("WINTER-10".to_owned()));

        assert_eq!(percent_of("WINTER-10"), unknown);
    }

    #[test]
    fn a_coupon_above_its_campaign_is_refused() {
        let unknown = Err(OrderError::UnknownCoupon("SPRING-90".to_owned()));

        assert_eq!(percent_of("SPRING-90"), unknown);
    }
}
