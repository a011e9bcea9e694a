//! What was found out about texts lately, by where they lie: names come again and again, and comparing an
//! address is all that it takes to know them.

use std::sync::Arc;

use crate::event::Text;

/// Texts that are remembered; more take each other's places. A batch of spans has a few dozen names.
const KEPT: usize = 128;

/// Remembers a value for each of the latest texts.
///
/// It holds the texts, so that no other text comes to lie where one of them was.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    places: Vec<Option<(Text, V)>>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<V: Copy> Recent<V> {
    /// What is known of a text; `find` finds it out.
    pub(crate) fn get(&mut self, text: &Text, find: impl FnOnce() -> V) -> V {
        if self.places.is_empty() {
            self.places.resize_with(KEPT, || None);
        }
        let address = Arc::as_ptr(text).cast::<u8>().addr();
        // Multiplied by the golden ratio, the upper bits differ for neighbours too.
        let hash = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.places[(hash >> (u64::BITS - KEPT.ilog2())) as usize];
        if let Some((known, value)) = place
            && Arc::ptr_eq(known, text)
        {
            return *value;
        }
        let value = find();
        *place = Some((text.clone(), value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_at_once_as_long_as_it_is_remembered() {
        let texts: Vec<Text> = (0..4 * KEPT).map(|n| n.to_string().into()).collect();
        let mut recent = Recent::default();
        for text in texts.iter().chain(&texts) {
            let length = recent.get(text, || text.len());
            assert_eq!(length, text.len());
            assert_eq!(recent.get(text, || usize::MAX), length);
        }
    }
}
