//! Helpers that several places use.

/// The item at a place.
pub(crate) fn pick(values: &[u64], at: usize) -> u64 {
    values[at]
}

/// The one item of a list.
pub(crate) fn only<T: Copy>(values: &[T]) -> T {
    let [value] = values else {
        panic!("the list has {} items and not one", values.len());
    };
    *value
}
