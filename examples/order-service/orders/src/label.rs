//! The label on the parcel.

use tracing::{debug, instrument};

/// How wide the label printer prints.
pub const LABEL_WIDTH: usize = 24;

/// The label for a parcel to `name` in `country`.
#[instrument(skip(name))]
pub fn label(name: &str, country: &str) -> String {
    let name = name_line(name);
    debug!(country, "label printed");
    format!("{name}\n{country}\n")
}

/// The line with the customer's name, cut with a full stop where it is too long to print.
#[instrument]
pub fn name_line(name: &str) -> String {
    if name.len() <= LABEL_WIDTH {
        return name.to_owned();
    }
    let mut line = name[..LABEL_WIDTH - 1].to_owned();
    line.push('.');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_printed_in_full() {
        assert_eq!(name_line("Zoë Çelik"), "Zoë Çelik");
    }

    #[test]
    fn a_long_name_is_cut_to_the_label() {
        let line = name_line("Maximiliane Oberhofer-Lindenthal");

        assert_eq!(line, "Maximiliane Oberhofer-L.");
        assert_eq!(line.len(), LABEL_WIDTH);
    }
}
