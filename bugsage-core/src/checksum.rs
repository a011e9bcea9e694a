//! CRC-32C, by which both ends see that bytes changed on the way or on the disk.
//!
//! By hand: 8 KiB of tables, much faster than a batch is compressed, and less to link than a crate that
//! knows all kinds of checksums.

/// Castagnoli's polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Bytes that are taken at a time.
const STEP: usize = 8;

/// What a byte comes to that so many others of its step follow.
static TABLES: [[u32; 256]; STEP] = tables();

const fn tables() -> [[u32; 256]; STEP] {
    let mut tables = [[0; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bits = 0;
        while bits < 8 * STEP {
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
    let (steps, rest) = bytes.as_chunks::<STEP>();
    for step in steps {
        let before = crc.to_le_bytes();
        crc = 0;
        for (index, byte) in step.iter().enumerate() {
            // The first four bytes meet what those before them came to.
            let carried = before.get(index).unwrap_or(&0);
            crc ^= TABLES[STEP - 1 - index][usize::from(byte ^ carried)];
        }
    }
    for byte in rest {
        crc = crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)];
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
