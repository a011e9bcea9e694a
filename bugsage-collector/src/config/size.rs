//! Sizes as people write them: `10 GiB`, `256MiB`, or plain bytes.

/// The units, each 1,024 times the one before. `MB` and its like are refused: half of the world
/// means a million bytes by it.
const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// Reads a size.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '_');
    let (digits, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: u64 = digits.replace('_', "").parse().ok()?;
    let unit = match unit.trim() {
        "" => 0,
        unit => UNITS.iter().position(|it| it.eq_ignore_ascii_case(unit))?,
    };
    number.checked_mul(1 << (10 * unit))
}

/// Writes a size exactly, in the largest unit that divides it.
pub fn human(bytes: u64) -> String {
    let mut number = bytes;
    let mut unit = 0;
    while number > 0 && number.is_multiple_of(1_024) && unit + 1 < UNITS.len() {
        number /= 1_024;
        unit += 1;
    }
    match unit {
        0 => number.to_string(),
        unit => format!("{number} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_with_a_binary_unit_or_plain_bytes() {
        for (text, bytes) in [
            ("0", 0),
            ("1024", 1_024),
            ("10_000", 10_000),
            ("10 GiB", 10 << 30),
            ("256MiB", 256 << 20),
            ("1 kib", 1 << 10),
            ("7 B", 7),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "GiB",
            "-1",
            "1.5 GiB",
            "10 GB",
            "10 XiB",
            "99999999 PiB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_that_was_written_reads_back_as_the_same() {
        for bytes in [0, 1, 1_023, 1_024, 1_025, 256 << 20, 10 << 30, u64::MAX] {
            assert_eq!(parse(&human(bytes)), Some(bytes), "{}", human(bytes));
        }
        assert_eq!(human(10 << 30), "10 GiB");
    }
}
