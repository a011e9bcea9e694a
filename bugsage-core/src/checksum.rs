//! CRC-32C, by which both ends see that bytes changed on the way or on the disk.
//!
//! By hand, four bytes a step from four kilobytes of tables: more than a gigabyte a second, and less
//! to link than a crate that knows all kinds of checksums.

/// Castagnoli's polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What a byte comes to that none, one, two or three others follow.
static TABLES: [[u32; 256]; 4] = tables();

const fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bits = 0;
        while bits < 32 {
            let carried = if rest & 1 == 1 { POLYNOMIAL } else { 0 };
            rest = rest >> 1 ^ carried;
            bits += 1;
            if bits % 8 == 0 {
                tables[bits / 8 - 1][byte] = rest;
            }
        }
        byte += 1;
    }
    tables
}

/// The checksum of some bytes.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_of([bytes])
}

/// The checksum of bytes that lie in several places, one behind the other.
pub fn crc32c_of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    !parts.into_iter().fold(!0, update)
}

fn update(mut crc: u32, bytes: &[u8]) -> u32 {
    let value = |table: usize, byte: u8| TABLES[table][usize::from(byte)];
    let (words, rest) = bytes.as_chunks();
    for word in words {
        let [first, second, third, fourth] = (crc ^ u32::from_le_bytes(*word)).to_le_bytes();
        crc = value(3, first) ^ value(2, second) ^ value(1, third) ^ value(0, fourth);
    }
    for byte in rest {
        crc = crc >> 8 ^ value(0, crc as u8 ^ byte);
    }
    crc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_checksum_is_that_of_others_however_the_bytes_are_cut(
            bytes: Vec<u8>,
            at: proptest::sample::Index,
        ) {
            let (head, tail) = bytes.split_at(at.index(bytes.len() + 1));

            prop_assert_eq!(crc32c_of([head, tail]), crc32c::crc32c(&bytes));
        }
    }

    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        // Section B.4: 32 bytes of zeros, of ones, and counting up.
        let counting: Vec<u8> = (0..32).collect();

        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&counting), 0x46dd_794e);
        assert_eq!(
            crc32c_of([&counting[..7], &[], &counting[7..]]),
            0x46dd_794e
        );
    }
}
