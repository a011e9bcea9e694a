//! Coupons such as `SPRING-10`.

use std::fmt;

#[derive(Debug, PartialEq)]
pub enum OrderError {
    UnknownCoupon(String),
    Empty,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCoupon(code) => write!(f, "no coupon {code}"),
            Self::Empty => f.write_str("nothing ordered"),
        }
    }
}

impl std::error::Error for OrderError {}

const CAMPAIGNS: [(&str, u64); 2] = [("SPRING", 15), ("SUMMER", 20)];

pub fn percent_of(code: &str) -> Result<u64, OrderError> {
    let unknown = || OrderError::UnknownCoupon(code.to_owned());
    let (name, digits) = code.split_once('-').ok_or_else(unknown)?;
    let max = percent_max(name).ok_or_else(unknown)?;

    let percent: u64 = digits.parse().unwrap();
    if percent > max {
        return Err(unknown());
    }
    Ok(percent)
}

fn percent_max(name: &str) -> Option<u64> {
    CAMPAIGNS
        .iter()
        .find(|(campaign, _)| campaign.eq_ignore_ascii_case(name))
        .map(|(_, max)| *max)
}

pub fn best(codes: &[String]) -> Result<u64, OrderError> {
    if codes.is_empty() {
        return Err(OrderError::Empty);
    }
    let best = codes.iter().filter_map(|code| percent_of(code).ok()).max();
    Ok(best.expect("one of the codes is good"))
}
