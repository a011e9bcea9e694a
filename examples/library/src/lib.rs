//! A library that reports through whatever app it ends up in: it sets nothing up and starts nothing.
//!
//! What happens is told with `tracing` alone: the app's layer makes breadcrumbs, events and spans of it.
//! `bugsage-sdk` without its default features adds what `tracing` has no word for. Alone it does nothing;
//! in an app that has the SDK with its defaults, cargo builds the two of them as one, and it reports.
//!
//! ```sh
//! cargo test -p example-library     # alone: nobody is told
//! cargo run -p example-cli -- FILE  # in an app
//! ```

use std::error::Error;
use std::fmt;
use std::num::ParseIntError;

use bugsage_sdk::ReportError as _;

/// A line that has no price.
#[derive(Debug)]
pub struct NoPrice {
    /// Counted from 1.
    pub line: usize,
    source: ParseIntError,
}

impl fmt::Display for NoPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} has no price in cents", self.line)
    }
}

impl Error for NoPrice {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Adds up prices in cents, one at the end of each line: `tea 450`.
///
/// # Errors
///
/// Where a line does not end in a number. It is returned and not reported: whether it matters, the
/// caller knows.
#[tracing::instrument(skip_all, fields(lines = text.lines().count()))]
pub fn total_cents(text: &str) -> Result<u64, NoPrice> {
    // A breadcrumb of whatever the app reports around it.
    tracing::info!("adding up prices");
    let mut total: u64 = 0;
    for (line, number) in text.lines().zip(1..) {
        let price = line.rsplit(' ').next().unwrap_or(line);
        let price: u64 = price.parse().map_err(|source| NoPrice {
            line: number,
            source,
        })?;
        total = total.saturating_add(price);
    }
    Ok(total)
}

/// What is left of a total after a discount in percent.
///
/// A discount that is no number counts as none. The caller is never told, so the developers are.
pub fn discounted_cents(total: u64, percent: &str) -> u64 {
    let percent = percent.parse::<u64>().report().unwrap_or(0);
    total - total / 100 * percent.min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_added_up_and_a_line_without_one_is_named() {
        assert_eq!(total_cents("tea 450\ncup 1200").ok(), Some(1_650));
        let error = total_cents("tea 450\ncup dear").expect_err("has no price");
        assert_eq!(error.to_string(), "line 2 has no price in cents");
    }

    #[test]
    fn a_discount_that_is_no_number_is_none() {
        assert_eq!(discounted_cents(1_000, "10"), 900);
        assert_eq!(discounted_cents(1_000, "ten"), 1_000);
    }
}
