//! Macros, known and unknown.

macro_rules! third {
    ($list:expr) => {
        $list[2]
    };
}

pub fn third(values: &[u8]) -> Option<u8> {
    Some(third!(values))
}

pub fn shown(names: &[&str], at: usize) -> Option<String> {
    let shown = format!("{}: {:>4}", at, names[at]);
    Some(shown)
}

pub fn listed(names: &[&str]) -> Option<Vec<String>> {
    Some(vec![
        names[0].to_owned(),
        names[names.len() - 1].to_string(),
    ])
}

pub fn checked(values: &[u8], at: usize) -> Option<u8> {
    assert!(values[at] > 2, "value {} is too small", values[at]);
    debug_assert_eq!(values[0], 1);
    Some(values[at])
}

pub fn is_small(values: &[u8], at: usize) -> Option<bool> {
    Some(matches!(values[at], 0..=3))
}

pub fn print(values: &[u8], at: usize) {
    println!("{} of {}", values[at], values.len());
}
