//! Bits and numbers.

pub struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub fn get(&self, at: usize) -> Option<bool> {
        Some(self.words[at / 64] & (1 << (at % 64)) != 0)
    }

    pub fn set(&mut self, at: usize) -> Option<()> {
        self.words[at / 64] |= 1 << (at % 64);
        Some(())
    }

    pub fn negated(&self, at: usize) -> Option<u64> {
        let negated = !self.words[at];
        Some(negated)
    }

    pub fn between(&self, a: usize, b: usize) -> Option<u32> {
        Some((self.words[a]..self.words[b]).count() as u32)
    }

    pub fn larger(&self, a: usize, b: usize) -> Option<u64> {
        let larger = self.words[a].max(self.words[b]);
        Some(larger)
    }

    pub fn signed(&self, at: usize) -> Result<i64, std::num::TryFromIntError> {
        let signed = i64::try_from(self.words.iter().sum::<u64>()).unwrap();
        Ok(signed - at as i64)
    }

    pub const fn fixed(words: &[u64; 4], at: usize) -> Option<u64> {
        Some(words[at])
    }
}
