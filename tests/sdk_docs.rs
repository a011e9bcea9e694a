//! The tables of `bugsage-sdk/README.md`, the first page that users read, say what the code does.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use bugsage_core::limits;

use crate::support::collector::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows of the first table below a heading, cell by cell, without its head.
#[track_caller]
fn table(heading: &str) -> Vec<Vec<String>> {
    let readme = read("bugsage-sdk/README.md");
    let part = readme.split(&format!("\n# {heading}\n")).nth(1);
    let lines = part.unwrap_or_else(|| panic!("no {heading}")).lines();
    let lines = lines.skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let rows = rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    });
    let rows: Vec<_> = rows.collect();
    assert!(!rows.is_empty(), "no table below {heading}");
    rows
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A number that is a constant of the SDK's own, as its source has it.
#[track_caller]
fn constant(file: &str, name: &str) -> u64 {
    let source = read(&format!("bugsage-sdk/src/{file}"));
    let found = source.split(&format!("const {name}: ")).nth(1);
    let found = found.and_then(|rest| rest.split(';').next()?.split_once(" = "));
    let (_, value) = found.unwrap_or_else(|| panic!("{file} has no {name}"));
    // Of a choice, what holds outside of tests of the library alone.
    let value = value.rsplit("else {").next().expect("is there");
    evaluate(file, value.trim_matches([' ', '}', '\n']))
}

#[track_caller]
fn evaluate(file: &str, value: &str) -> u64 {
    if let Some((left, right)) = value.split_once(" << ") {
        return evaluate(file, left) << evaluate(file, right);
    }
    if let Some((left, right)) = value.split_once(" * ") {
        return evaluate(file, left) * evaluate(file, right);
    }
    match value.replace('_', "").parse() {
        Ok(number) => number,
        Err(_) => constant(file, value),
    }
}

fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().ok().expect("fits").to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that has no fraction.
fn bytes(number: impl TryInto<u64>) -> String {
    let number = number.try_into().ok().expect("fits");
    match number {
        n if n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{} bytes", count(n)),
    }
}

/// The numbers in a text, with their units.
fn numbers(text: &str) -> Vec<String> {
    let words = text.split([' ', ':', ';']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| word.trim_end_matches(',')).collect();
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let found = words.iter().enumerate().filter(|(_, word)| is_number(word));
    let told = found.map(|(at, word)| match words.get(at + 1) {
        Some(&unit @ ("KiB" | "MiB" | "bytes" | "days" | "s")) => format!("{word} {unit}"),
        _ => (*word).to_owned(),
    });
    told.collect()
}

#[test]
fn the_features_are_those_of_the_manifest() {
    let manifest = read("bugsage-sdk/Cargo.toml");
    let features = manifest.split("[features]\n").nth(1).expect("has features");
    let features = features.split("\n[").next().expect("ends");
    let features = features.lines().filter_map(|line| line.split_once(" = "));
    let features: Vec<(&str, &str)> = features.collect();
    let default = features.iter().find(|(name, _)| *name == "default");
    let default = default.expect("has a default").1;

    let table = table("Features");

    let told: BTreeSet<&str> = table.iter().map(|row| quoted(&row[0])[0]).collect();
    let names = features.iter().map(|(name, _)| *name);
    let names: BTreeSet<&str> = names.filter(|name| *name != "default").collect();
    assert_eq!(told, names);
    for row in &table {
        let is_default = default.contains(&format!("\"{}\"", quoted(&row[0])[0]));
        assert_eq!(row[1] == "on", is_default, "{row:?}");
    }
}

/// What the list of `cargo xtask api` says of the SDK: with all features, and without `capture`.
fn api() -> (Vec<String>, Vec<String>) {
    let list = read("bugsage-sdk/public-api.txt");
    let (app, library) = list.split_once("\n# Without").expect("has two parts");
    let lines = |part: &str| part.lines().skip(1).map(str::to_owned).collect();
    (lines(app), lines(library))
}

/// The path of a function: `Builder::dsn`.
fn path(line: &str) -> Option<&str> {
    let path = line.split_once("fn ")?.1;
    Some(&path[..path.find(['(', '<'])?])
}

/// The name of a function, without what it belongs to.
fn function(line: &str) -> Option<&str> {
    path(line)?.rsplit("::").next()
}

#[test]
fn the_settings_are_those_of_the_builder() {
    let (app, _) = api();
    let settings = app
        .iter()
        .filter(|line| line.starts_with("fn Builder::") && line.ends_with("-> Self"));
    let settings: BTreeSet<&str> = settings.filter_map(|line| function(line)).collect();

    let table = table("Settings");

    let told: BTreeSet<&str> = table.iter().map(|row| quoted(&row[0])[0]).collect();
    assert_eq!(told, settings);
    // A variable that is read is told, and the other way about.
    let source = read("bugsage-sdk/src/options.rs");
    let read = source.split("variable(\"").skip(1);
    let read: BTreeSet<&str> = read.filter_map(|rest| rest.split('"').next()).collect();
    let variables = table.iter().flat_map(|row| quoted(&row[1]));
    let variables = variables.filter_map(|variable| variable.split('=').next());
    assert_eq!(variables.collect::<BTreeSet<&str>>(), read);

    let default = |setting: &str| {
        let row = table.iter().find(|row| quoted(&row[0]) == [setting]);
        row.map(|row| row[2].clone()).unwrap_or_default()
    };
    assert_eq!(
        default("spool_bytes_max"),
        bytes(limits::SPOOL_BYTES_DEFAULT)
    );
    assert_eq!(
        default("spool_age_max"),
        format!("{} days", limits::SPOOL_DAYS_DEFAULT)
    );
    assert_eq!(
        default("symbols_bytes_max"),
        bytes(limits::SYMBOLS_BYTES_MAX)
    );
    let timeout = source.split("Duration = Duration::from_secs(").nth(1);
    let timeout = timeout.and_then(|rest| rest.split(')').next());
    assert_eq!(
        Some(default("shutdown_timeout")),
        timeout.map(|it| format!("{it} s"))
    );
}

#[test]
fn the_limits_are_those_of_the_code() {
    let slots = constant("spool/layout.rs", "SLOTS");
    let slot_bytes = constant("spool/layout.rs", "SLOT_BYTES");
    let record_bytes = constant("record.rs", "RECORD_BYTES");
    let name = bytes(limits::NAME_BYTES_MAX);
    let pair = [bytes(limits::KEY_BYTES_MAX), bytes(limits::VALUE_BYTES_MAX)];
    let pairs = |names: u64| [&[count(names)], &pair[..]].concat();
    let expected = [
        (
            "records that wait for the shipping thread",
            vec![
                bytes(slots * slot_bytes),
                count(slots),
                count(slots * slot_bytes / record_bytes),
                bytes(record_bytes),
            ],
        ),
        (
            "message of an event",
            vec![bytes(limits::MESSAGE_BYTES_MAX)],
        ),
        (
            "return addresses of a stack",
            vec![count(constant("capture/backtrace.rs", "ADDRESSES_MAX"))],
        ),
        ("errors of a chain", vec![count(limits::ERRORS_MAX as u64)]),
        (
            "breadcrumbs of a report, of its trace and then of its thread",
            vec![
                count(limits::BREADCRUMBS_MAX as u64),
                bytes(constant("breadcrumbs.rs", "HALF_BYTES")),
                bytes(limits::BREADCRUMB_BYTES_MAX),
            ],
        ),
        (
            "open spans of a report",
            vec![count(limits::SPANS_MAX as u64)],
        ),
        (
            "tags of a span, or of the process",
            pairs(limits::PAIRS_MAX as u64),
        ),
        (
            "contexts of a span, or of the process",
            pairs(constant("context.rs", "ATTACHED_MAX")),
        ),
        (
            "inputs of a span, or of the process",
            pairs(constant("context.rs", "INPUTS_MAX")),
        ),
        ("user, release, environment", vec![name]),
        (
            "open spans of the process",
            vec![count(constant("spans/table.rs", "OPEN_SPANS_MAX"))],
        ),
        (
            "fields of a span",
            vec![
                bytes(constant("spans/fields.rs", "FIELDS_BYTES_MAX")),
                bytes(constant("spans/fields.rs", "VALUE_BYTES_MAX")),
                bytes(constant("spans/finished.rs", "FIELDS_TOLD_BYTES")),
            ],
        ),
        (
            "name, target and file of a finished span",
            vec![bytes(constant("spans/finished.rs", "NAME_BYTES_MAX"))],
        ),
        (
            "links of a span",
            vec![count(limits::SPAN_LINKS_MAX as u64)],
        ),
        (
            "names with a rate of their own",
            vec![count(constant("spans/sampling.rs", "RULES_MAX"))],
        ),
        (
            "targets with a level of their own",
            vec![count(constant("levels.rs", "RULES_MAX"))],
        ),
        (
            "types of panic payloads of an app",
            vec![count(constant("capture/payload.rs", "NAMED_MAX"))],
        ),
        (
            "debug information in memory",
            vec![bytes(limits::SYMBOLS_BYTES_MAX)],
        ),
        (
            "batches of one run on disk",
            vec![
                bytes(limits::SPOOL_BYTES_DEFAULT),
                format!("{} days", limits::SPOOL_DAYS_DEFAULT),
            ],
        ),
        (
            "runs in one spool",
            vec![count(limits::SPOOL_RUNS_MAX as u64)],
        ),
    ];

    let told = table("Limits");
    let told: Vec<_> = told
        .iter()
        .map(|row| (&*row[0], numbers(&row[1])))
        .collect();

    assert_eq!(told, expected);
}

#[test]
fn what_libraries_do_not_find_is_named() {
    let (app, library) = api();
    let readme = read("bugsage-sdk/README.md");
    let paragraph = readme.split("**Libraries** depend").nth(1);
    let paragraph = paragraph.and_then(|rest| rest.split("\n\n").next());
    let named = quoted(paragraph.expect("is there"));

    let missing = app.iter().filter(|line| !library.contains(line));
    let modules: Vec<&str> = missing
        .clone()
        .filter_map(|line| line.strip_prefix("mod "))
        .collect();
    // Of what belongs to a module or type that libraries do not find either nothing needs to be said.
    let is_told = |line: &&String| match path(line).and_then(|path| path.split_once("::")) {
        _ if line.starts_with("impl") => false,
        None => true,
        Some((owner, _)) => {
            let is_owner = |line: &String| format!("{line} ").contains(&format!("struct {owner} "));
            library.iter().any(is_owner)
        }
    };
    let functions = missing.filter(is_told);
    let functions: BTreeSet<&str> = functions.filter_map(|line| function(line)).collect();

    for name in functions.iter().chain(&modules) {
        assert!(named.contains(name), "{name} is not in {named:?}");
    }
    assert!(functions.contains("before_send") && modules.contains(&"test"));
}

#[test]
fn the_crates_are_as_many_as_cargo_counts() {
    let crates = |words: &str| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["tree", "--locked", "--offline", "--package", "bugsage-sdk"])
            .args(["--edges", "normal,build", "--prefix", "none"])
            .args(["--format", "{p}", "--no-dedupe"])
            .args(words.split_whitespace())
            .current_dir(root());
        let output = cargo.output().expect("cargo can be started");
        assert!(output.status.success(), "{output:?}");
        let tree = String::from_utf8(output.stdout).expect("is text");
        let crates = tree.lines().filter_map(|line| line.split(" (").next());
        count(crates.collect::<BTreeSet<&str>>().len() as u64)
    };
    let features = ["", "--features capture", ""];
    let defaults = ["", "--no-default-features", "--no-default-features"];
    let counted = defaults.iter().zip(features);
    let counted = counted.map(|(default, features)| crates(&format!("{default} {features}")));

    let costs = table("Costs");
    let row = costs.iter().find(|row| row[0].starts_with("crates"));

    let told = numbers(&row.expect("is told")[1]);
    assert_eq!(told, counted.collect::<Vec<_>>());
}
