//! What an early return would leave half done.

use super::*;

/// What the first candidate says is already done.
fn half_done(source: &str, message: &str) -> Option<String> {
    let (_, proposal) = proposal(source, message);
    let first = proposal.candidates.first();
    first
        .unwrap_or_else(|| panic!("{proposal:#?}"))
        .half_done
        .clone()
}

#[test]
fn what_was_changed_outside_before_an_early_return_is_named() {
    let cases = [
        (
            "fn transfer(accounts: &mut [u64], from: usize, to: usize, cents: u64) -> Option<()> {\n    \
             *accounts.get_mut(from)? -= cents;\n    «accounts[to] += cents;\n    Some(())\n}\n",
            INDEX,
            "accounts.get_mut(from)",
        ),
        (
            "impl Cursor {\n    fn field(&mut self) -> Option<u8> {\n        self.at += 1;\n        \
             let byte = «self.bytes[self.at];\n        Some(byte)\n    }\n}\n",
            INDEX,
            "self.at += 1",
        ),
        (
            "fn book(stock: &mut Stock, sku: &str) -> Result<u32, String> {\n    stock.take(sku);\n    \
             let price = stock.price(sku).«unwrap();\n    Ok(price)\n}\n",
            NONE,
            "stock.take(sku)",
        ),
        (
            "fn count(v: &[u8], i: usize) -> Option<u8> {\n    ACTIVE.fetch_add(1, Relaxed);\n    \
             let byte = «v[i];\n    ACTIVE.fetch_sub(1, Relaxed);\n    Some(byte)\n}\n",
            INDEX,
            "ACTIVE.fetch_add",
        ),
        (
            "fn swap(names: &mut [String], a: usize, b: usize) -> Option<()> {\n    \
             let first = std::mem::take(&mut names[a]);\n    «names[b] = first;\n    Some(())\n}\n",
            INDEX,
            "&mut names[a]",
        ),
        (
            "fn on_file(path: &Path, v: &[u8], i: usize) -> Option<u8> {\n    \
             std::fs::write(path, v).ok()?;\n    let byte = «v[i];\n    Some(byte)\n}\n",
            INDEX,
            "std::fs::write",
        ),
        (
            "fn sums(out: &mut Vec<u8>, v: &[u8], at: &[usize]) -> Option<()> {\n    for i in at {\n        \
             let byte = «v[*i];\n        out.push(byte);\n    }\n    Some(())\n}\n",
            INDEX,
            "out.push(byte)",
        ),
    ];
    for (source, message, change) in cases {
        let found = half_done(source, message);
        assert!(
            found.as_ref().is_some_and(|found| found.contains(change)),
            "{change}: {found:?}"
        );
    }
}

#[test]
fn what_goes_with_the_function_or_only_looks_is_no_change() {
    let cases = [
        (
            "fn sum(v: &[u8], at: &[usize]) -> Option<u64> {\n    let mut sum = 0;\n    for i in at {\n        \
             sum += u64::from(«v[*i]);\n    }\n    Some(sum)\n}\n",
            INDEX,
        ),
        (
            "fn names(v: &[String], i: usize) -> Option<Vec<String>> {\n    let mut names = Vec::new();\n    \
             names.push(«v[i].clone());\n    Some(names)\n}\n",
            INDEX,
        ),
        (
            "impl Shop {\n    fn price(&mut self, i: usize) -> Option<u64> {\n        \
             if self.prices.is_empty() || self.closed() {\n            return None;\n        }\n        \
             let price = «self.prices[i];\n        self.sold += 1;\n        Some(price)\n    }\n}\n",
            INDEX,
        ),
        (
            "fn bump(v: &mut [u64], i: usize) -> Option<()> {\n    «v[i] += 1;\n    Some(())\n}\n",
            INDEX,
        ),
    ];
    for (source, message) in cases {
        assert_eq!(half_done(source, message), None, "{source}");
    }
}
