//! Indexing and slicing.

use super::*;

#[test]
fn an_element_becomes_none_in_a_function_that_returns_an_option() {
    check(
        "/// The fee.\npub fn fee(zone: &Zone, grams: u32) -> Option<u64> {\n    let fees = zone.fees();\n    // Full kilograms.\n    let kilograms = (grams / 1_000) as usize;\n    let fee = «fees[kilograms];\n    Some(fee)\n}\n",
        INDEX,
        "index/get",
        "/// The fee.\npub fn fee(zone: &Zone, grams: u32) -> Option<u64> {\n    let fees = zone.fees();\n    // Full kilograms.\n    let kilograms = (grams / 1_000) as usize;\n    let fee = *fees.get(kilograms)?;\n    Some(fee)\n}\n",
    );
}

#[test]
fn an_element_behind_a_reference_loses_the_reference() {
    edits(
        "impl Menu {\n    fn pick(&self, at: usize) -> Option<&str> {\n        let dish = &«self.dishes[at + 1];\n        Some(dish.name.as_str())\n    }\n}\n",
        INDEX,
        "index/get",
        "&self.dishes[at + 1]",
        "self.dishes.get(at + 1)?",
    );
}

#[test]
fn a_receiver_needs_no_star() {
    edits(
        "fn initial(words: &[String], at: usize) -> Option<char> {\n    «words[at].chars().next()\n}\n",
        INDEX,
        "index/get",
        "words[at]",
        "words.get(at)?",
    );
}

#[test]
fn a_receiver_that_is_changed_is_borrowed_for_changing() {
    edits(
        "fn add(&mut self, at: usize, word: &str) -> Option<()> {\n    «self.lines[at].push_str(word);\n    Some(())\n}\n".replace("fn add", "impl Page {\nfn add").replace("Some(())\n}\n", "Some(())\n}\n}\n").as_str(),
        INDEX,
        "index/get",
        "self.lines[at]",
        "self.lines.get_mut(at)?",
    );
}

#[test]
fn a_method_that_references_have_too_keeps_its_receiver() {
    edits(
        "fn name(names: &[&str], at: usize) -> Option<String> {\n    let name = «names[at].to_owned();\n    Some(name)\n}\n",
        INDEX,
        "index/get",
        "names[at]",
        "(*names.get(at)?)",
    );
}

#[test]
fn a_place_of_an_assignment_stays_a_place() {
    for operator in ["=", "+=", "|="] {
        edits(
            &format!(
                "fn set(bits: &mut Vec<u8>, at: usize) -> Option<()> {{\n    «bits[at] {operator} 1 << 3;\n    Some(())\n}}\n"
            ),
            INDEX,
            "index/get",
            "bits[at]",
            "*bits.get_mut(at)?",
        );
    }
}

#[test]
fn a_field_of_an_element_is_read_and_written() {
    let source = |statement: &str| {
        format!(
            "fn f(rows: &mut [Row], i: usize) -> Option<u8> {{\n    {statement}\n    None\n}}\n"
        )
    };
    edits(
        &source("let n = «rows[i].cells.0 + 1;"),
        INDEX,
        "index/get",
        "rows[i]",
        "rows.get(i)?",
    );
    edits(
        &source("«rows[i].count += 1;"),
        INDEX,
        "index/get",
        "rows[i]",
        "rows.get_mut(i)?",
    );
    edits(
        &source("f(&mut «rows[i].inner);"),
        INDEX,
        "index/get",
        "rows[i]",
        "rows.get_mut(i)?",
    );
    edits(
        &source("f(«&mut rows[i]);").replace("«&mut ", "&mut «"),
        INDEX,
        "index/get",
        "&mut rows[i]",
        "rows.get_mut(i)?",
    );
}

#[test]
fn operators_around_an_element_bind_as_before() {
    let source = |value: &str| {
        format!(
            "fn f(v: &[i64], i: usize) -> Option<i64> {{\n    let x = {value};\n    Some(x)\n}}\n"
        )
    };
    for (value, expected) in [
        ("-«v[i] * 2", "-*v.get(i)? * 2"),
        ("3 - «v[i] as i64", "3 - *v.get(i)? as i64"),
        ("(1..«v[i]).sum()", "(1..*v.get(i)?).sum()"),
        ("«v[i]?", "(*v.get(i)?)?"),
        ("«v[i](5)", "(*v.get(i)?)(5)"),
        (
            "if «v[i] > 2 { 1 } else { 2 }",
            "if *v.get(i)? > 2 { 1 } else { 2 }",
        ),
        ("[«v[i], 0]", "[*v.get(i)?, 0]"),
        (
            "format!(\"é {} {}\", 1, «v[i]).len()",
            "format!(\"é {} {}\", 1, *v.get(i)?).len()",
        ),
    ] {
        let plain = value.replace('«', "");
        edits(&source(value), INDEX, "index/get", &plain, expected);
    }
}

#[test]
fn the_first_and_the_last_element_have_names() {
    edits(
        "fn f(v: &[u8]) -> Option<u8> {\n    Some(«v[0] ^ 1)\n}\n",
        "index out of bounds: the len is 0 but the index is 0",
        "index/get",
        "v[0]",
        "*v.first()?",
    );
    edits(
        "fn f(&self) -> Option<u8> {\n    Some(«self.v[self.v.len() - 1] ^ 1)\n}\n"
            .replace("fn", "impl V { fn")
            .replace("1)\n}", "1)\n}}")
            .as_str(),
        "index out of bounds: the len is 0 but the index is 18446744073709551615",
        "index/get",
        "self.v[self.v.len() - 1]",
        "*self.v.last()?",
    );
}

#[test]
fn an_element_that_is_the_answer_is_the_answer_as_get_gives_it() {
    edits(
        "fn f(&self, at: usize) -> Option<&Row> {\n    if at == 3 {\n        return None;\n    }\n    Some(&«self.rows[at])\n}\n".replace("fn f", "impl T { fn f").replace("])\n}", "])\n}}").as_str(),
        INDEX,
        "index/get",
        "Some(&self.rows[at])",
        "self.rows.get(at)",
    );
}

#[test]
fn the_outer_and_the_inner_index_are_handled_at_once() {
    edits(
        "fn at(grid: &[[u8; 4]], x: usize, y: usize) -> Option<u8> {\n    let cell = «grid[y][x];\n    Some(cell)\n}\n",
        INDEX,
        "index/get",
        "grid[y][x]",
        "*grid.get(y)?.get(x)?",
    );
    edits(
        "fn at(world: &World, x: usize, y: usize) -> Option<u8> {\n    let cell = «world.rows[y].cells[x];\n    Some(cell)\n}\n",
        INDEX,
        "index/get",
        "world.rows[y].cells[x]",
        "*world.rows.get(y)?.cells.get(x)?",
    );
}

#[test]
fn the_bracket_tells_the_inner_index_from_the_outer() {
    edits(
        "fn at(grid: &[Vec<u8>], x: usize, y: usize) -> Option<u8> {\n    let cell = grid[y]«[x];\n    Some(cell)\n}\n",
        INDEX,
        "index/get",
        "grid[y][x]",
        "*grid[y].get(x)?",
    );
    edits(
        "fn at(grid: &Vec<Vec<u8>>, x: usize, y: usize) -> Option<u8> {\n    let cell = grid«[y][x];\n    Some(cell)\n}\n",
        INDEX,
        "index/get",
        "grid[y]",
        "grid.get(y)?",
    );
}

#[test]
fn two_elements_on_a_line_without_a_column_are_declined() {
    let text = "fn f(v: &[u8], i: usize) -> Option<u8> {\n    Some(v[i] ^ v[i + 1])\n}\n";

    let proposal = propose(&site(text, 2, None, INDEX));

    assert_eq!(proposal.candidates, []);
    assert!(
        proposal.declined[0]
            .reason
            .starts_with("the report does not tell which of `v[i]`, `v[i + 1]`")
    );
}

#[test]
fn one_element_on_a_line_needs_no_column() {
    let text = "fn f(v: &[u8], i: usize) -> Option<u8> {\n    Some(v[i] ^ 1)\n}\n";

    let proposal = propose(&site(text, 2, None, INDEX));

    assert_eq!(proposal.candidates[0].outcome, Outcome::None);
}

#[test]
fn a_part_of_a_slice_becomes_none() {
    edits(
        "fn body(packet: &[u8], len: usize) -> Option<&[u8]> {\n    let body = «&packet[4..4 + len];\n    Some(body)\n}\n".replace("«&packet", "&«packet").as_str(),
        RANGE,
        "slice/get",
        "&packet[4..4 + len]",
        "packet.get(4..4 + len)?",
    );
    edits(
        "fn word(packet: &[u8], at: usize) -> Option<u16> {\n    let bytes = «packet[at..at + 2].try_into().ok()?;\n    Some(u16::from_be_bytes(bytes))\n}\n",
        RANGE,
        "slice/get",
        "packet[at..at + 2]",
        "(*packet.get(at..at + 2)?)",
    );
    edits(
        "fn sort(v: &mut [u8], n: usize) -> Option<()> {\n    «v[..n].sort();\n    Some(())\n}\n",
        RANGE,
        "slice/get",
        "v[..n]",
        "v.get_mut(..n)?",
    );
}

#[test]
fn a_part_of_a_string_becomes_an_error() {
    edits(
        "fn code(line: &str) -> Result<u16, String> {\n    let code = &«line[..3];\n    code.parse().map_err(|_| format!(\"bad code {code}\"))\n}\n",
        "end byte index 3 is out of bounds of `ab`",
        "str/get",
        "&line[..3]",
        "line.get(..3).ok_or_else(|| \"line is too short, or cut within a character\".to_owned())?",
    );
}

#[test]
fn comments_and_line_ends_stay() {
    check(
        "fn f(v: &[u8], i: usize) -> Option<u8> {\r\n    // Größe: ünïcode\r\n    let x = /* ä */ «v[\r\n        // why\r\n        i * 2\r\n    ]; // ß\r\n    Some(x)\r\n}\r\n",
        INDEX,
        "index/get",
        "fn f(v: &[u8], i: usize) -> Option<u8> {\r\n    // Größe: ünïcode\r\n    let x = /* ä */ *v.get(\r\n        // why\r\n        i * 2\r\n    )?; // ß\r\n    Some(x)\r\n}\r\n",
    );
}

#[test]
fn a_byte_order_mark_and_a_shebang_move_nothing() {
    check(
        "\u{feff}fn f(v: &[u8], i: usize) -> Option<u8> {\n    let é = «v[i];\n    Some(é)\n}\n",
        INDEX,
        "index/get",
        "\u{feff}fn f(v: &[u8], i: usize) -> Option<u8> {\n    let é = *v.get(i)?;\n    Some(é)\n}\n",
    );
    check(
        "#!/usr/bin/env run\nfn f(v: &[u8], i: usize) -> Option<u8> {\n    let x = «v[i];\n    Some(x)\n}\n",
        INDEX,
        "index/get",
        "#!/usr/bin/env run\nfn f(v: &[u8], i: usize) -> Option<u8> {\n    let x = *v.get(i)?;\n    Some(x)\n}\n",
    );
}

#[test]
fn a_closure_is_asked_for_its_own_type() {
    edits(
        "fn f(v: &[u8], ids: &[usize]) -> u64 {\n    ids.iter().filter_map(|id| {\n        let x = «v[*id];\n        u64::from(x).checked_sub(2)\n    }).sum()\n}\n",
        INDEX,
        "index/get",
        "v[*id]",
        "*v.get(*id)?",
    );
    edits(
        "fn f(v: &[u8], id: Option<usize>) -> u8 {\n    id.and_then(|id| Some(«v[id] + 1)).unwrap_or(9)\n}\n",
        INDEX,
        "index/get",
        "v[id]",
        "*v.get(id)?",
    );
    declines(
        "fn f(v: &[u8], ids: &[usize]) -> Option<Vec<u8>> {\n    Some(ids.iter().map(|id| «v[*id]).collect())\n}\n",
        INDEX,
        "the closure handed to `map`, whose type the source does not show",
    );
    let (_, proposal) = proposal(
        "fn f(v: &[u8], id: Option<usize>) -> Option<u8> {\n    id.and_then(|id| Some(«v[id] + 1))\n}\n",
        INDEX,
    );
    assert_eq!(proposal.candidates[0].outcome, Outcome::Any);
}

#[test]
fn an_async_function_is_left_by_its_own_question_mark() {
    edits(
        "async fn f(v: &[u8], i: usize) -> Option<u8> {\n    tick().await;\n    let x = «v[i];\n    Some(x)\n}\n",
        INDEX,
        "index/get",
        "v[i]",
        "*v.get(i)?",
    );
}

#[test]
fn a_map_or_a_deque_is_no_slice() {
    let source = "fn f(m: &Map, k: &str) -> Option<u8> {\n    Some(«m[k])\n}\n";

    declines(source, "no entry found for key", "no rule is written");
    declines(source, "Out of bounds access", "no rule is written");
}

#[test]
fn a_type_without_a_word_for_nothing_is_declined() {
    declines(
        "fn price(prices: &[u64], at: usize) -> u64 {\n    «prices[at] * 2\n}\n",
        INDEX,
        "`price` returns `u64`, which has no way to say that `prices` has no element `at`",
    );
}
