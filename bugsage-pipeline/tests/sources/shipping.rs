//! What it costs to send a parcel.

/// How far a parcel goes.
#[derive(Debug, Clone, Copy)]
pub enum Zone {
    Domestic,
    Europe,
}

impl Zone {
    fn fees(self) -> &'static [u64] {
        match self {
            Self::Domestic => &[490, 590, 690],
            Self::Europe => &[990, 1_290],
        }
    }
}

/// What a parcel costs.
pub fn parcel_fee(zone: Zone, grams: u32) -> Option<u64> {
    let fees = zone.fees();
    let kilograms = (grams / 1_000) as usize;
    let fee = fees[kilograms];
    Some(fee)
}

/// The dearest zone of a list.
pub fn dearest(zones: &[Zone], grams: u32) -> Option<u64> {
    let mut dearest = 0;
    for zone in zones {
        let fees = zone.fees();
        dearest = dearest.max(fees[grams as usize / 1_000]);
    }
    Some(dearest)
}
