//! Rates that a collector asks an app for, in the header [`HEADER`] of an answer to a batch.
//!
//! It holds `name=rate` pairs: `traces=0.25`. An app follows only where it was told that it may.

/// The header's name.
pub const HEADER: &str = "bugsage-rates";

/// The longest value that is read.
const VALUE_BYTES_MAX: usize = 512;

/// The rates that were asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// The share of traces that is to be sampled, from 0.0 to 1.0.
    pub traces: Option<f64>,
}

impl Rates {
    /// Reads the header's value. What cannot be read says nothing: an answer is about more than this.
    pub fn parse(value: &str) -> Self {
        let mut rates = Self::default();
        if value.len() > VALUE_BYTES_MAX {
            return rates;
        }
        for pair in value.split(',') {
            if let Some(("traces", rate)) = pair.split_once('=').map(|(k, v)| (k.trim(), v.trim()))
            {
                let rate = rate.parse().ok();
                rates.traces = rate.filter(|rate| (0.0..=1.0).contains(rate));
            }
        }
        rates
    }

    /// The header's value; `None` where nothing is asked for.
    pub fn to_value(self) -> Option<String> {
        self.traces.map(|rate| format!("traces={rate}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_all_else_says_nothing() {
        let traces = |value: &str| Rates::parse(value).traces;
        assert_eq!(traces("traces=0.25"), Some(0.25));
        assert_eq!(traces("other=1, traces = 1"), Some(1.0));
        assert_eq!(traces("traces=1.5"), None);
        assert_eq!(traces("traces=NaN"), None);
        assert_eq!(traces("traces"), None);
        assert_eq!(traces(&"traces=1,".repeat(100)), None);
        let rates = Rates { traces: Some(0.1) };
        assert_eq!(rates.to_value().as_deref(), Some("traces=0.1"));
        assert_eq!(Rates::parse("traces=0.1"), rates);
    }
}
