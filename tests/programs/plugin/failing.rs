//! A test that fails, of a program that has no SDK.

use std::collections::BTreeMap;

trait Check {
    fn check(&self) -> u64;
}

struct All<T>(Vec<T>);

impl<T: Copy + Into<u64>> Check for All<T> {
    fn check(&self) -> u64 {
        let squares = self.0.iter().map(|value| square((*value).into()));
        squares.filter(|square| *square > 4).sum()
    }
}

fn square(value: u64) -> u64 {
    assert!(value != 3, "three has no square here");
    value * value
}

#[test]
fn fails() {
    let checks: BTreeMap<&str, Box<dyn Check>> = BTreeMap::from([
        ("one", Box::new(All(vec![1_u32, 2, 3])) as Box<dyn Check>),
        ("two", Box::new(All(vec![5_u8]))),
    ]);
    assert_eq!(checks.values().map(|check| check.check()).sum::<u64>(), 7);
}
