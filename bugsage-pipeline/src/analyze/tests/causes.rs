//! Why it failed, class by class.

use super::*;

#[test]
fn an_index_from_a_parameter_without_a_check() {
    let source = "\
pub fn pick(items: &[u32], slot: usize) -> u32 {
    let wanted = slot + 1;
    «items[wanted]
}
";
    let analysis = panic_in(
        source,
        "index out of bounds: the len is 3 but the index is 3",
    );

    assert_eq!(analysis.class, "index_out_of_bounds");
    assert_eq!(analysis.function.as_deref(), Some("pick"));
    assert_eq!(analysis.expression.as_deref(), Some("items[wanted]"));
    assert_eq!((analysis.line, analysis.column), (3, Some(5)));
    assert_eq!(
        analysis.root_cause,
        "`items[wanted]` asks for element 3, one past the last, but `items` has 3 elements. \
         `wanted` is `slot + 1` (line 2). It was 3 here. \
         `slot: usize` is a parameter of `pick` (line 1). It was 2 here. \
         `items: &[u32]` is a parameter of `pick` (line 1). \
         Nothing on the way there compares `wanted` with the length of `items`."
    );
    let lines: Vec<u32> = analysis.rests_on.iter().map(|line| line.line).collect();
    assert_eq!(lines, [1, 2, 3]);
    assert_eq!(analysis.rests_on[2].text, "items[wanted]");
}

#[test]
fn a_check_that_lets_the_value_through() {
    check(
        "\
struct Shelf { rows: Vec<Vec<u8>> }
impl Shelf {
    fn row(&self, at: usize) -> &[u8] {
        if at > self.rows.len() {
            return &[];
        }
        «&self.rows[at]
    }
}
"
        .replace("«&self.rows", "&«self.rows")
        .as_str(),
        "index out of bounds: the len is 4 but the index is 4",
        "index_out_of_bounds",
        &[
            "`self.rows[at]` asks for element 4, one past the last, but `self.rows` has 4 elements.",
            "`at: usize` is a parameter of `row` (line 3). It was 4 here.",
            "The check `at > self.rows.len()` on line 4 lets this through: it is false (4 > 4).",
        ],
    );
}

#[test]
fn a_loop_that_runs_over_the_end() {
    check(
        "\
mod sums {
    pub fn total(values: &[u64]) -> u64 {
        let mut sum = 0;
        for i in 0..=values.len() {
            sum += «values[i];
        }
        sum
    }
}
",
        "index out of bounds: the len is 2 but the index is 2",
        "index_out_of_bounds",
        &[
            "`i` runs over `0..=values.len()` (line 4). It was 2 here.",
            "That range includes its end, `values.len()`, one more than there is.",
        ],
    );
}

#[test]
fn an_index_that_went_below_zero() {
    check(
        "fn last(v: &[u8]) -> u8 {\n    «v[v.len() - 1]\n}\n",
        "index out of bounds: the len is 0 but the index is 18446744073709551615",
        "index_out_of_bounds",
        &[
            "but `v` is empty.",
            "means that `v.len() - 1` went below zero.",
        ],
    );
}

#[test]
fn two_equal_starts_are_told_apart_by_what_they_are() {
    let analysis = panic_in(
        "fn cell(grid: &[Vec<u8>], y: usize, x: usize) -> u8 {\n    «grid[y][x]\n}\n",
        "index out of bounds: the len is 3 but the index is 5",
    );
    assert!(
        analysis
            .reasons
            .iter()
            .any(|reason| reason.contains("same place")),
        "{analysis:#?}"
    );

    let analysis = panic_in(
        "fn cell(grid: &[Vec<u8>], x: usize) -> u8 {\n    «grid[0][x]\n}\n",
        "index out of bounds: the len is 3 but the index is 5",
    );
    assert_eq!(analysis.expression.as_deref(), Some("grid[0][x]"));
    assert!(
        !analysis
            .reasons
            .iter()
            .any(|reason| reason.contains("same place"))
    );
}

#[test]
fn an_unwrapped_option_and_where_it_became_none() {
    check(
        "\
use std::collections::HashMap;
pub struct Catalog { prices: HashMap<String, u64> }
impl Catalog {
    pub async fn total(&self, sku: &str, count: u64) -> u64 {
        let price = self.price_of(sku);
        price.«unwrap() * count
    }
    fn price_of(&self, sku: &str) -> Option<u64> {
        let price = self.prices.get(sku)?;
        if *price == 0 {
            return None;
        }
        Some(*price)
    }
}
",
        "called `Option::unwrap()` on a `None` value",
        "unwrap_none",
        &[
            "`price` is `None`, and `unwrap` takes it for granted.",
            "`price_of` (line 8) gives `None` on line 9: `let price = self.prices.get(sku)?;`, line 11: \
             `return None;`.",
            "`price` is `self.price_of(sku)` (line 5).",
            "`sku: &str` is a parameter of `total` (line 4).",
        ],
    );
}

#[test]
fn what_the_standard_library_means_by_none() {
    check(
        "fn host(url: &str) -> &str {\n    let (_, host) = url.split_once(\"://\").«unwrap();\n    host\n}\n",
        "called `Option::unwrap()` on a `None` value",
        "unwrap_none",
        &["It is `None` because `url` does not contain `\"://\"`."],
    );
    check(
        "fn top(scores: &[f64]) -> f64 {\n    scores.iter().copied().max_by(|a, b| a.partial_cmp(b).«unwrap()).unwrap_or(0.0)\n}\n",
        "called `Option::unwrap()` on a `None` value",
        "unwrap_none",
        &[
            "It is `None` because `a` and `b` have no order; one of them is NaN.",
            "`a` is what `max_by` on `scores.iter().copied()` hands to the closure (line 2).",
        ],
    );
}

#[test]
fn expect_is_classed_by_the_source() {
    let source = "fn port(text: &str) -> u16 {\n    text.parse().«expect(\"a port\")\n}\n";
    check(
        source,
        "a port: ParseIntError { kind: InvalidDigit }",
        "unwrap_err",
        &[
            "`text.parse()` failed with `ParseIntError { kind: InvalidDigit }`, and `expect` takes it for granted.",
            "That error says that the text holds something that is no digit.",
            "`text: &str` is a parameter of `port` (line 1).",
        ],
    );
    let source = "fn first(v: &[u8]) -> u8 {\n    *v.first().«expect(\"a byte\")\n}\n";
    check(
        source,
        "a byte",
        "unwrap_none",
        &["It is `None` because `v` is empty."],
    );
    let source = "fn get(m: &std::sync::Mutex<u8>) -> u8 {\n    *m.lock().«expect(\"lock\")\n}\n";
    check(
        source,
        "lock: PoisonError { .. }",
        "poison",
        &["That panic is the one to mend."],
    );
    let source = "fn get(v: Option<u8>, n: u8) -> u8 {\n    v.«expect(&format!(\"no {n}\"))\n}\n";
    check(source, "no 7", "expect", &["`v` holds no value"]);
}

#[test]
fn a_divisor_that_counts_nothing() {
    check(
        "\
fn mean(values: &[u64]) -> u64 {
    let n = values.len() as u64;
    let sum: u64 = values.iter().sum();
    «sum / n
}
",
        "attempt to divide by zero",
        "divide_by_zero",
        &[
            "`sum / n` divides by `n`, which was 0.",
            "`values` was empty.",
            "`n` is `values.len() as u64` (line 2). It was 0 here.",
            "Nothing on the way there rules out that `n` is 0.",
        ],
    );
}

#[test]
fn a_subtraction_below_zero_and_its_check() {
    check(
        "\
fn change(paid: u64, due: u64) -> u64 {
    assert!(paid > 0);
    «paid - due
}
",
        "attempt to subtract with overflow",
        "arithmetic_overflow",
        &[
            "`paid - due` goes below the smallest value of its type",
            "`due: u64` is a parameter of `change` (line 1).",
            "The check `paid > 0` on line 2 holds on the way, and does not rule this out.",
        ],
    );
    check(
        "fn grow(total: &mut u8, by: u8) {\n    «*total += by;\n}\n",
        "attempt to add with overflow",
        "arithmetic_overflow",
        &["`*total += by` gives a sum that its type cannot hold."],
    );
    check(
        "fn pow(a: u8) -> u8 {\n    a.«pow(9)\n}\n",
        "attempt to multiply with overflow",
        "arithmetic_overflow",
        &["`a.pow(9)` panics inside."],
    );
}

#[test]
fn a_string_that_is_cut_inside_a_character() {
    check(
        "\
const WIDTH: usize = 4;
fn short(name: &str) -> &str {
    if name.len() <= WIDTH {
        return name;
    }
    &«name[..WIDTH - 1]
}
",
        "end byte index 3 is not a char boundary; it is inside 'ß' (bytes 2..4) of `Maß Krug`",
        "not_char_boundary",
        &[
            "`name[..WIDTH - 1]` cuts at byte 3, inside the character 'ß' (bytes 2..4)",
            "`WIDTH` is a constant: `const WIDTH: usize = 4;` (line 1).",
            "`name: &str` is a parameter of `short` (line 2).",
            "Nothing on the way there moves the cut to a character boundary of `name`.",
        ],
    );
}

#[test]
fn ranges_outside_of_what_they_cut() {
    check(
        "fn head(bytes: &[u8], n: usize) -> &[u8] {\n    &«bytes[..n]\n}\n",
        "range end index 9 out of range for slice of length 4",
        "slice_range",
        &[
            "`bytes[..n]` reaches element 9 of `bytes`, which has 4.",
            "It was 9 here.",
        ],
    );
    check(
        "fn mid(text: &str, a: usize, b: usize) -> &str {\n    &«text[a..b]\n}\n",
        "begin <= end (5 <= 2) when slicing `abcdef`",
        "str_range_reversed",
        &[
            "`text[a..b]` starts at 5 and ends at 2, before its start.",
            "It was 5 here.",
        ],
    );
    check(
        "fn tail(text: &str, a: usize) -> &str {\n    &«text[a..]\n}\n",
        "byte index 9 is out of bounds of `abc`",
        "str_out_of_bounds",
        &["reaches byte 9 of `text`, which has 3.", "It was 9 here."],
    );
}

#[test]
fn assertions_and_deliberate_panics() {
    check(
        "fn set(level: u8) {\n    «assert!(level <= 100, \"level {level}\");\n}\n",
        "level 117",
        "assertion",
        &[
            "`assert!` relies on `level <= 100`, which does not hold.",
            "a parameter of `set`",
        ],
    );
    check(
        "fn same(a: u8, b: u8) {\n    «assert_eq!(a, b);\n}\n",
        "assertion `left == right` failed\n  left: 1\n right: 2",
        "assertion",
        &["`assert_eq!` relies on `a` (`1`) and `b` (`2`) being equal, and they are not."],
    );
    check(
        "\
enum Kind { A, B }
fn name(kind: Kind, n: u8) -> &'static str {
    match kind {
        Kind::A => \"a\",
        Kind::B if n > 3 => «panic!(\"no name for B\"),
        Kind::B => \"b\",
    }
}
",
        "no name for B",
        "explicit_panic",
        &[
            "`panic!` stops the code on purpose: \"no name for B\".",
            "It is reached where `n > 3` holds (line 5).",
            "It is reached where `kind` matches `Kind::B` (line 5).",
        ],
    );
    check(
        "fn f(v: &[u8]) {\n    «assert!(self_len(v) <= 3);\n}\nfn self_len(v: &[u8]) -> usize { v.len() }\n",
        "assertion failed: self_len(v) <= 3",
        "assertion",
        &["relies on `self_len(v) <= 3`"],
    );
}

#[test]
fn a_second_borrow_names_the_first() {
    check(
        "\
use std::cell::RefCell;
fn f(cell: &RefCell<Vec<u8>>) {
    let held = cell.borrow();
    for byte in held.iter() {
        cell.«borrow_mut().push(*byte);
    }
}
",
        "RefCell already borrowed",
        "refcell_borrow",
        &["`held` (line 3) holds a borrow of it until it goes out of scope."],
    );
}

#[test]
fn an_expression_inside_macro_arguments_is_found() {
    check(
        "fn f(v: &[u8], i: usize) {\n    println!(\"{}\", format!(\"{}\", «v[i]));\n}\n",
        "index out of bounds: the len is 0 but the index is 0",
        "index_out_of_bounds",
        &["`v[i]` asks for element 0, but `v` is empty."],
    );
}

#[test]
fn a_value_of_a_static_is_a_place_too() {
    check(
        "use std::sync::LazyLock;\nstatic PORT: LazyLock<u16> =\n    LazyLock::new(|| std::env::var(\"PORT\").«unwrap().parse().unwrap());\n",
        "called `Result::unwrap()` on an `Err` value: NotPresent",
        "unwrap_err",
        &["That error says that the environment variable is not set."],
    );
}

#[test]
fn an_index_through_a_trait_is_reported_at_its_bracket() {
    let source = "fn two(a: &[u32], b: &Vec<u32>, c: &Vec<u32>, i: usize, j: usize) -> u32 {\n    \
                  b[i] + c«[j] + a[0]\n}\n";
    let analysis = panic_in(
        source,
        "index out of bounds: the len is 5 but the index is 5",
    );

    assert_eq!(analysis.expression.as_deref(), Some("c[j]"));
    assert!(
        analysis
            .root_cause
            .starts_with("`c[j]` asks for element 5, one past the last, but `c` has 5 elements."),
        "{analysis:#?}"
    );

    let analysis = panic_in(
        "fn f(name: &str, n: usize) -> String {\n    name«[..n].to_owned()\n}\n",
        "end byte index 1 is not a char boundary; it is inside 'é' (bytes 0..2) of `é`",
    );
    assert_eq!(analysis.expression.as_deref(), Some("name[..n]"));
    assert!(
        analysis
            .reasons
            .iter()
            .any(|reason| reason.starts_with("confidence +25"))
    );
}

#[test]
fn a_calculation_in_parentheses_is_reported_at_the_outermost() {
    for source in [
        "fn f(n: u8) -> String {\n    «(n - 200).to_string()\n}\n",
        "fn f(n: u8) -> u8 {\n    1 + «((n - 200))\n}\n",
    ] {
        let analysis = panic_in(source, "attempt to subtract with overflow");

        assert_eq!(
            analysis.expression.as_deref(),
            Some("n - 200"),
            "{analysis:#?}"
        );
        assert!(analysis.reasons.iter().any(|r| r.contains("+25")));
    }
}

#[test]
fn of_rivals_no_number_is_stated() {
    let source =
        "fn f(b: &[u8], c: &[u8], i: usize, j: usize) -> u8 {\n    b[i] + c[j].pow(2)\n}\n";
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", source, "first");
    let message = "index out of bounds: the len is 5 but the index is 5";
    let event = EventBuilder::panic(message).at("src/lib.rs", 2, 0).build();

    let analysis = analyze_event(&repository, event);

    let cause = &analysis.root_cause;
    assert!(
        cause.starts_with(
            "Several expressions here can have failed, and the report does not tell which: `b[i]`, \
             `c[j]`. The message was: index out of bounds: the len is 5 but the index is 5. If it \
             was the first: `b[i]` asks for what `b` does not have."
        ),
        "{cause}"
    );
    assert!(!cause.contains("It was 5"), "{cause}");
}

#[test]
fn what_other_events_said_is_told_apart() {
    let (text, line, column) = marked("fn f(text: &str) -> u16 {\n    text.parse().«unwrap()\n}\n");
    let repository = TestRepository::new();
    repository.commit_file("src/lib.rs", &text, "first");
    let event = |kind: &str, text: &str, at: u64| {
        let message = format!(
            "called `Result::unwrap()` on an `Err` value: ParseIntError {{ kind: {kind} }}"
        );
        EventBuilder::panic(&message)
            .at("src/lib.rs", line, column)
            .frame("shop::f", "src/lib.rs", line, column)
            .span("f", &[("text", text)])
            .last_at(at)
            .build()
    };
    let mut subject = subject(&repository, event("InvalidDigit", "x", 1));
    subject.samples.push(event("Empty", "", 2));

    let cause = analyze_subject(&subject).root_cause;

    for sentence in [
        "That error says that the text is empty.",
        "In the explained event, the span recorded `text` as an empty text (other events: `x`).",
        "All of this is about the explained event; others said \"called `Result::unwrap()` on an \
         `Err` value: ParseIntError { kind: InvalidDigit }\".",
    ] {
        assert!(cause.contains(sentence), "{cause}");
    }
    assert!(!cause.contains("no digit"), "{cause}");
}
