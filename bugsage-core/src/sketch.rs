//! Counts different users without knowing any of them: a HyperLogLog sketch.
//!
//! A user's name is hashed to a mark, a register and a rank, and of each register the highest rank is
//! kept. Nothing leads back from a mark to a name: of a thousand million names half a million have
//! the same. Sketches merge into the sketch of all their users, in any order and as often as one likes.
//!
//! With 2,048 registers the standard error is 1.04 / √2048 = 2.3 % (Flajolet and others, "HyperLogLog",
//! 2007). The estimate is the improved one of Ertl, "New cardinality estimation algorithms for
//! HyperLogLog sketches", 2017: it needs no tables and is as good at the small end as counting the
//! empty registers is, so that a few dozen users are nearly exact.

use std::fmt;

/// How many bits of a hash choose the register.
const INDEX_BITS: u32 = 11;

/// How many registers there are, and the most marks that a sketch may have.
pub const REGISTERS: usize = 1 << INDEX_BITS;

/// Bits of a mark that are the rank.
const RANK_BITS: u32 = 5;

/// The highest rank: 2³⁰ users to a register are more than there are people.
const RANK_MAX: u8 = (1 << RANK_BITS) - 1;

/// What one user leaves in a sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The register, below [`REGISTERS`].
    pub register: u16,
    /// The rank, from 1 to 31.
    pub rank: u8,
}

impl Mark {
    /// The mark of a user: the same in every process and every build, and it allocates nothing.
    pub fn of(user: &str) -> Self {
        let hash = hash(user.as_bytes());
        let register = (hash >> (u64::BITS - INDEX_BITS)) as u16;
        let zeros = (hash << INDEX_BITS).leading_zeros() as u8;
        Self {
            register,
            rank: (zeros + 1).min(RANK_MAX),
        }
    }

    fn packed(self) -> u16 {
        self.register << RANK_BITS | u16::from(self.rank)
    }

    fn unpacked(packed: u16) -> Self {
        Self {
            register: packed >> RANK_BITS,
            rank: (packed & u16::from(RANK_MAX)) as u8,
        }
    }
}

/// How many different users were seen, about.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// Register and rank in one number, by register; registers without a rank are left out.
    marks: Vec<u16>,
}

impl Sketch {
    /// A sketch from marks in any order.
    pub fn from_marks(marks: impl IntoIterator<Item = Mark>) -> Self {
        let marks = marks.into_iter().filter(|mark| mark.rank > 0);
        Self::from_packed(marks.map(Mark::packed).collect())
    }

    /// Adds a user.
    pub fn add(&mut self, user: &str) {
        self.merge(&Self {
            marks: vec![Mark::of(user).packed()],
        });
    }

    /// Adds all users of another sketch.
    pub fn merge(&mut self, other: &Self) {
        if other.marks.is_empty() {
            return;
        }
        let mut marks = std::mem::take(&mut self.marks);
        marks.extend_from_slice(&other.marks);
        *self = Self::from_packed(marks);
    }

    /// Whether nobody was seen.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// About how many different users were seen.
    pub fn estimate(&self) -> u64 {
        let registers = REGISTERS as f64;
        let mut counts = [0_u32; RANK_MAX as usize + 1];
        for mark in &self.marks {
            counts[usize::from(mark & u16::from(RANK_MAX))] += 1;
        }
        let empty = registers - self.marks.len() as f64;
        let full = f64::from(counts[usize::from(RANK_MAX)]);
        let mut sum = registers * tau(1.0 - full / registers);
        for count in counts[1..usize::from(RANK_MAX)].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += registers * sigma(empty / registers);
        let alpha = 0.5 / std::f64::consts::LN_2;
        // No rank at all gives an infinite sum, and so nobody.
        (alpha * registers * registers / sum).round() as u64
    }

    /// The sketch for a store, two bytes a mark.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.marks.iter().flat_map(|it| it.to_le_bytes()).collect()
    }

    /// Reads what [`Self::to_bytes`] wrote; other bytes give some sketch.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let marks = bytes.as_chunks().0.iter().map(|it| u16::from_le_bytes(*it));
        let with_rank = |mark: &u16| mark & u16::from(RANK_MAX) > 0;
        Self::from_packed(marks.filter(with_rank).collect())
    }

    /// The marks as steps from one to the next, which are small where there are many.
    pub(crate) fn steps(&self) -> impl Iterator<Item = u16> {
        let before = std::iter::once(0).chain(self.marks.iter().copied());
        self.marks
            .iter()
            .zip(before)
            .map(|(mark, before)| mark - before)
    }

    /// Reads steps. `None` where they lead too far, or to a register without a rank.
    pub(crate) fn from_steps(steps: &[u16]) -> Option<Self> {
        let mut marks = Vec::with_capacity(steps.len());
        let mut at = 0_u16;
        for step in steps {
            at = at.checked_add(*step)?;
            if at & u16::from(RANK_MAX) == 0 {
                return None;
            }
            marks.push(at);
        }
        Some(Self::from_packed(marks))
    }

    /// How many marks it has, two bytes each.
    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    fn from_packed(mut marks: Vec<u16>) -> Self {
        marks.sort_unstable();
        // The later of two marks of a register has the higher rank.
        marks.dedup_by(|later, kept| {
            let is_same = *later >> RANK_BITS == *kept >> RANK_BITS;
            if is_same {
                *kept = *later;
            }
            is_same
        });
        Self { marks }
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks = self.marks.iter().map(|mark| Mark::unpacked(*mark));
        let marks = marks.map(|mark| (mark.register, mark.rank));
        f.debug_map().entries(marks).finish()
    }
}

/// FNV-1a with the finalizer of MurmurHash3 behind it, since the sketch needs every bit to be fair.
/// Not keyed: a user must leave the same mark in every process. Who picks names to meet in one
/// register miscounts themselves.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// Ertl's σ: what empty registers say.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if sum <= before {
            return sum;
        }
    }
}

/// Ertl's τ: what registers of the highest rank say.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * y;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn of(users: impl IntoIterator<Item = u32>) -> Sketch {
        let names = users.into_iter().map(|user| format!("user-{user}"));
        Sketch::from_marks(names.map(|name| Mark::of(&name)))
    }

    fn merged(one: &Sketch, other: &Sketch) -> Sketch {
        let mut sketch = one.clone();
        sketch.merge(other);
        sketch
    }

    #[test]
    fn the_estimate_is_within_three_standard_errors_from_nobody_to_a_million() {
        assert_eq!(Sketch::default().estimate(), 0);
        for users in [1, 2, 5, 10, 20, 50] {
            let estimate = of(0..users).estimate();
            assert!(estimate.abs_diff(users.into()) <= 1, "{users}: {estimate}");
        }
        for users in [100, 500, 2_000, 5_000, 10_000, 100_000, 1_000_000] {
            for round in 0..3 {
                let first = round * 10_000_000;
                let estimate = of(first..first + users).estimate() as f64;
                let error = (estimate / f64::from(users) - 1.0).abs();
                assert!(error < 3.0 * 0.023, "{users}: {estimate}, {error}");
            }
        }
    }

    #[test]
    fn a_mark_is_the_same_in_every_build() {
        let mark = Mark::of("customer-17");
        assert_eq!((mark.register, mark.rank), (810, 1));
    }

    proptest! {
        #[test]
        fn merging_knows_no_order_and_no_repetition(
            a in vec(0..5_000_u32, 0..300),
            b in vec(0..5_000_u32, 0..300),
            c in vec(0..5_000_u32, 0..300),
        ) {
            let all = of(a.iter().chain(&b).chain(&c).copied());
            let (a, b, c) = (of(a), of(b), of(c));
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(merged(&merged(&a, &b), &c), all);
        }

        #[test]
        fn a_sketch_survives_both_of_its_forms(users in vec(any::<u32>(), 0..3_000)) {
            let sketch = of(users);
            let steps: Vec<u16> = sketch.steps().collect();
            prop_assert_eq!(Sketch::from_steps(&steps), Some(sketch.clone()));
            prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), sketch);
        }

        #[test]
        fn any_bytes_and_steps_make_a_sketch_within_its_bounds(
            bytes in vec(any::<u8>(), 0..6_000),
            steps in vec(0..200_u16, 0..3_000),
        ) {
            let sketches = [Some(Sketch::from_bytes(&bytes)), Sketch::from_steps(&steps)];
            for sketch in sketches.into_iter().flatten() {
                prop_assert!(sketch.len() <= REGISTERS);
                let _ = sketch.estimate();
            }
        }
    }
}
