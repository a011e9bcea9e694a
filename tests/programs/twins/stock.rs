//! Stock.

use crate::list;

const SHELVES: [u64; 3] = [4, 0, 9];

/// What lies on a shelf. Fails for a shelf that is not there.
pub(crate) fn shelf(number: usize) -> u64 {
    list::pick(&SHELVES, number)
}

/// Every customer's share.
pub(crate) fn share(customers: u64) -> u64 {
    SHELVES.iter().sum::<u64>() / customers
}

/// Counts by name, and meets one that has none.
pub(crate) fn counted(names: &[&str]) -> Vec<u64> {
    let count = |name: &&str| match *name {
        "a" => Some(1),
        _ => None,
    };
    names.iter().map(|name| count(name).unwrap()).collect()
}

/// Something that can be checked.
pub(crate) trait Check {
    fn check(&self);
}

struct Empty;

impl Check for Empty {
    fn check(&self) {
        unreachable!("an empty shelf is never checked");
    }
}

/// A shelf whose type nobody knows.
pub(crate) fn boxed() -> Box<dyn Check> {
    Box::new(Empty)
}

/// Reserves some of what is there.
pub(crate) fn reserve(wanted: u64, there: u64) {
    assert!(
        wanted <= there,
        "{wanted} are wanted and only {there} are there"
    );
}
