//! A string cut inside of a character.

use super::*;

const LABEL: &str = "pub fn name_line(name: &str) -> String {\n    if name.len() <= WIDTH {\n        return name.to_owned();\n    }\n    let mut line = «name[..WIDTH - 1].to_owned();\n    line.push('.');\n    line\n}\n";

#[test]
fn a_text_that_is_kept_is_cut_before_the_character() {
    edits(
        LABEL,
        BOUNDARY,
        "str/boundary",
        "[..WIDTH - 1]",
        "[..name.floor_char_boundary(WIDTH - 1)]",
    );
}

#[test]
fn an_older_rust_gets_a_search() {
    let (text, line, column) = marked(LABEL);
    let mut site = site(&text, line, Some(column), BOUNDARY);

    site.rust_version = Some((1, 90));
    let proposal = propose(&site);

    let result = splice(&text, &proposal.candidates[0].edits).unwrap();
    assert!(result.contains(
        "name[..(0..=WIDTH - 1).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0)].to_owned()"
    ));
    site.rust_version = Some((1, 91));
    let result = splice(&text, &propose(&site).candidates[0].edits).unwrap();
    assert!(result.contains("floor_char_boundary"));
}

#[test]
fn the_end_that_the_message_names_is_moved() {
    let source = "fn part(text: &Text, a: usize, b: usize) -> String {\n    format!(\"…{}…\", &«text.body[a..b])\n}\n";

    edits(
        source,
        BOUNDARY,
        "str/boundary",
        "a..b]",
        "a..text.body.floor_char_boundary(b)]",
    );
}

/// `&price[1..]` is to leave the currency out, which a cut before it would not.
#[test]
fn a_start_that_could_mean_either_side_is_left_to_a_person() {
    for (source, message) in [
        (
            "fn amount(price: &str) -> &str {\n    &«price[1..]\n}\n",
            "start byte index 1 is not a char boundary; it is inside '€' (bytes 0..3) of `€12`",
        ),
        (
            "fn part(text: &Text, a: usize, b: usize) -> String {\n    text.body«[a..b].to_owned()\n}\n",
            "byte index 2 is not a char boundary; it is inside 'é' (bytes 1..3) of `aé`",
        ),
    ] {
        let (_, proposal) = proposal(source, message);

        assert!(proposal.candidates.is_empty(), "{proposal:#?}");
        let reasons: Vec<&str> = proposal
            .declined
            .iter()
            .map(|d| d.reason.as_str())
            .collect();
        assert!(reasons.join("; ").contains("on which side"), "{reasons:?}");
    }
}

#[test]
fn the_last_bytes_stay_within_their_number() {
    edits(
        "fn tail(log: &str) -> String {\n    «log[log.len() - 80..].to_string()\n}\n",
        "start byte index 2 is not a char boundary; it is inside 'é' (bytes 1..3) of `aé`",
        "str/boundary",
        "[log.len() - 80..]",
        "[log.ceil_char_boundary(log.len() - 80)..]",
    );
}

#[test]
fn an_inclusive_end_is_counted_in() {
    edits(
        "fn head(text: &str, n: usize) -> String {\n    «text[..=n].to_string()\n}\n",
        BOUNDARY,
        "str/boundary",
        "[..=n]",
        "[..text.floor_char_boundary(n + 1)]",
    );
}

#[test]
fn a_text_that_is_read_is_refused_first() {
    let source = "fn tag(line: &str) -> Option<Tag> {\n    let tag = &«line[..2];\n    tags().find(tag)\n}\n";

    edits(source, BOUNDARY, "str/get", "&line[..2]", "line.get(..2)?");
    offers(
        source,
        BOUNDARY,
        "str/boundary",
        "fn tag(line: &str) -> Option<Tag> {\n    let tag = &line[..line.floor_char_boundary(2)];\n    tags().find(tag)\n}\n",
    );
}

#[test]
fn a_text_that_is_kept_is_cut_first_also_where_none_could_be_told() {
    let source = "fn short(text: &str) -> Option<String> {\n    let short = «text[..8].to_owned();\n    Some(short)\n}\n";

    edits(
        source,
        BOUNDARY,
        "str/boundary",
        "..8",
        "..text.floor_char_boundary(8)",
    );
    offers(
        source,
        BOUNDARY,
        "str/get",
        "fn short(text: &str) -> Option<String> {\n    let short = (*text.get(..8)?).to_owned();\n    Some(short)\n}\n",
    );
}

#[test]
fn what_would_be_evaluated_twice_is_declined() {
    declines(
        "fn head(&mut self) -> String {\n    «self.next_line()[..8].to_owned()\n}\n"
            .replace("fn", "impl R { fn")
            .replace("()\n}", "()\n}}")
            .as_str(),
        BOUNDARY,
        "evaluates `self.next_line()[..8]` twice",
    );
    declines(
        "fn head(text: &str, mut read: impl FnMut() -> usize) -> String {\n    «text[..read()].to_owned()\n}\n",
        BOUNDARY,
        "twice",
    );
}

#[test]
fn a_text_that_is_parsed_is_not_shortened() {
    declines(
        "fn year(date: &str) -> u16 {\n    «date[..4].parse().unwrap_or(1970)\n}\n",
        BOUNDARY,
        "read as something else",
    );
    declines(
        "fn hex(text: &str) -> u8 {\n    u8::from_str_radix(&«text[..2], 16).unwrap_or(0)\n}\n",
        BOUNDARY,
        "read as something else",
    );
}

#[test]
fn a_text_that_is_too_short_is_no_matter_of_characters() {
    declines(
        "fn head(text: &str) -> String {\n    «text[..8].to_owned()\n}\n",
        STR_END,
        "`head` returns `String`, which has no way to say that `text` has no part `..8`",
    );
}
