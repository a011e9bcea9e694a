//! What was meant by a word that nobody knows.

/// The word that is nearest, if one is near enough to be meant.
pub(crate) fn of<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    // A third of the letters may be wrong.
    let distance_max = (word.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|it| (distance(&word, it), it));
    let nearest = distances.min_by_key(|(distance, _)| *distance)?;
    (nearest.0 <= distance_max).then_some(nearest.1)
}

/// How many letters have to be put in, left out, replaced, or swapped with their neighbor.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            let is_swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if is_swapped {
                least = least.min(before_last[j - 2] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters_and_swaps() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("listen", "listen", 0),
            ("lsiten", "listen", 1),
            ("listn", "listen", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn only_a_word_that_is_near_is_suggested() {
        let known = ["listen", "log.level", "retention.days"];

        assert_eq!(of("retention.dyas", known), Some("retention.days"));
        assert_eq!(of("LISTEN", known), Some("listen"));
        assert_eq!(of("database", known), None);
        assert_eq!(of("x", known), None);
    }
}
