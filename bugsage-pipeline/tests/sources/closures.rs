//! Closures of every kind.

pub fn squares(values: &[u32], ids: &[usize]) -> Vec<u32> {
    ids.iter()
        .filter_map(|id| {
            let value = values[*id];
            value.checked_mul(value)
        })
        .collect()
}

pub fn plain(values: &[u32], ids: &[usize]) -> Vec<u32> {
    ids.iter().map(|&id| values[id] + 1).collect()
}

pub fn tried(texts: &[&str]) -> Result<Vec<u8>, std::num::ParseIntError> {
    let read = |text: &str| -> Result<u8, std::num::ParseIntError> {
        let n: u8 = text.parse().unwrap();
        Ok(n / 2)
    };
    texts.iter().map(|text| read(text)).collect()
}

pub fn first_even(values: &[u32]) -> Option<u32> {
    let pick = move |at: usize| Some(values[at] * 2);
    values
        .iter()
        .position(|value| value % 2 == 0)
        .and_then(pick)
}

pub fn apply(functions: &[fn(u32) -> u32], at: usize) -> Option<u32> {
    let result = functions[at](7);
    Some(result)
}

pub fn run(names: Vec<String>, at: usize) {
    std::thread::spawn(move || {
        let name = &names[at];
        println!("{name}");
    });
}
