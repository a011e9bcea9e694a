//! Takes out of a message what varies, as Sentry did at 597d25951d00: what Bugsink 2.5 took over.
//!
//! One pass from the left; where several kinds of values begin, the first of [`kinds`] is taken. Later versions of
//! Sentry also know hex numbers without a prefix, more dates and ids of some other systems.

use std::sync::LazyLock;

use regex::Regex;

/// The hundred top-level domains that a host may end in, all small or all capital.
const DOMAINS: &str = "com net org jp de uk fr br it ru es me gov pl ca au cn co in nl edu info eu ch id at kr cz mx \
    be tv se tr tw al ua ir vn cl sk ly cc to no fi us pt dk ar hu tk gr il news ro my biz ie za nz sg ee th io xyz \
    pe bg hk rs lt link ph club si site mobi by cat wiki la ga xxx cf hr ng jobs online kz ug gq ae is lv pro fm tips \
    ms sa app";

const DAY: &str = "(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)";
const LONG_DAY: &str = "(?:Sunday|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday)";
const MONTH: &str = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const ZONE: &str = "(?:UT|GMT|[ECMP](?:ST|DT)|[A-IK-Z])";
const OFFSET: &str = r"(?:[+-]\d{2}[0-5]\d)";

/// Values by kind, in the order in which they are tried.
fn kinds() -> [(&'static str, String); 12] {
    let capital = DOMAINS.to_uppercase();
    let domains: Vec<&str> = capital
        .split_whitespace()
        .chain(DOMAINS.split_whitespace())
        .collect();
    let hex = |digits: usize| format!(r"\b[0-9a-fA-F]{{{digits}}}\b");
    [
        (
            "email",
            r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*".to_owned(),
        ),
        ("url", r"\b(?:wss?|https?|ftp)://[^\s/$.?#].\S*".to_owned()),
        (
            "hostname",
            format!(r"\b(?:[a-zA-Z0-9-]{{1,63}}\.)+?(?:{})\b", domains.join("|")),
        ),
        ("ip", ip()),
        (
            "uuid",
            r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b".to_owned(),
        ),
        ("sha1", hex(40)),
        ("md5", hex(32)),
        ("date", date()),
        ("duration", r"\b\d+ms|\d(?:\.\d+)?s\b".to_owned()),
        ("hex", r"\b0[xX][0-9a-fA-F]+\b".to_owned()),
        ("float", r"-\d+\.\d+\b|\b\d+\.\d+\b".to_owned()),
        ("int", r"-\d+\b|\b\d+\b".to_owned()),
    ]
}

fn ip() -> String {
    let part = "[0-9a-fA-F]{1,4}";
    let octet = "(?:25[0-5]|(?:2[0-4]|1?[0-9])?[0-9])";
    let old = format!(r"(?:{octet}\.){{3}}{octet}");
    let mut forms = vec![
        format!("(?:{part}:){{7}}{part}"),
        format!("(?:{part}:){{1,7}}:"),
        format!("(?:{part}:){{1,6}}:{part}"),
    ];
    // What is left out stands after at most so many parts, and the rest comes behind it.
    forms.extend((2..=5).rev().map(|before| {
        let behind = 7 - before;
        format!("(?:{part}:){{1,{before}}}(?::{part}){{1,{behind}}}")
    }));
    forms.extend([
        format!("{part}:(?::{part}){{1,6}}"),
        format!(":(?:(?::{part}){{1,7}}|:)"),
        "fe80:(?::[0-9a-fA-F]{0,4}){0,4}%[0-9a-zA-Z]+".to_owned(),
        format!("::(?:ffff(?::0{{1,4}})?:)?{old}"),
        format!(r"(?:{part}:){{1,4}}:{old}\b"),
        format!(r"\b{old}\b"),
    ]);
    forms.join("|")
}

fn date() -> String {
    let day = r"\d{4}-[01]\d-[0-3]\d";
    let time = r"[0-2]\d:[0-5]\d:[0-5]\d";
    let zone = format!("(?:{OFFSET}|{ZONE})");
    [
        format!(r"{DAY},\s\d{{1,2}}\s{MONTH}\s\d{{2,4}}\s\d{{1,2}}:\d{{1,2}}(?::\d{{1,2}})?\s{zone}"),
        format!(r"(?:{DAY}\s)?{MONTH}\s[0-3]\d,\s\d{{2,4}}"),
        format!(r"{LONG_DAY},\s\d{{2}}-{MONTH}-\d{{2}}\s\d{{2}}:\d{{2}}:\d{{2}}\s{ZONE}"),
        r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z?(?:[+-]?\d{2}:\d{2})?".to_owned(),
        format!(r"\d{{4}}-?[01]\d-?[0-3]\d\s{time}(?:\.\d+)?"),
        // A space before the half of the day is written there, but means nothing in an expression of its kind.
        r"\d{1,2}:\d{2}(?::\d{2})?(?:[aApP][Mm])?".to_owned(),
        day.to_owned(),
        time.to_owned(),
        format!(r"{day}T[0-2]\d:[0-5]\d(?:[+-][0-2]\d:[0-5]\d|Z)"),
        format!(r"\b(?:{DAY}\s+)?{MONTH}\s+\d{{1,2}}\s+\d{{2}}:\d{{2}}:\d{{2}}\s+\d{{4}}"),
        format!(
            r"\b(?:{DAY},\s+)?(?:0[1-9]|[1-2]?\d|3[01])\s+{MONTH}\s+(?:19\d{{2}}|[2-9]\d{{3}})\s+(?:2[0-3]|[01]\d):[0-5]\d(?::(?:60|[0-5]\d))?\s+{zone}"
        ),
        r"datetime.datetime\(.*?\)".to_owned(),
    ]
    .join("|")
}

static VALUES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let groups = kinds().map(|(name, form)| format!("(?P<{name}>{form})"));
    Regex::new(&groups.join("|")).ok()
});

/// What counts only behind a `=`, which itself stays.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"=(?:(?P<quoted_str>'[^']+'|"[^"]+")|(?P<bool>True|true|False|false))"#).ok()
});

/// The message with the names of kinds for its values.
pub(crate) fn replace(message: &str) -> String {
    let (Some(values), Some(assigned)) = (&*VALUES, &*ASSIGNED) else {
        // The forms are constants, and a test reads them.
        return message.to_owned();
    };
    let mut told = String::with_capacity(message.len());
    let mut at = 0;
    while at < message.len() {
        let value = values.captures_at(message, at).and_then(|it| {
            let name = values
                .capture_names()
                .flatten()
                .find(|name| it.name(name).is_some())?;
            Some((it.get(0)?.range(), name))
        });
        // The sign of equality may be the end of what was replaced before.
        let from = at - usize::from(message[..at].ends_with('='));
        let assigned = assigned.captures_at(message, from).and_then(|it| {
            let name = ["quoted_str", "bool"]
                .into_iter()
                .find(|name| it.name(name).is_some())?;
            Some((it.name(name)?.range(), name))
        });
        let first = [value, assigned]
            .into_iter()
            .flatten()
            .min_by_key(|(range, _)| range.start);
        let Some((range, name)) = first else { break };
        told.push_str(&message[at..range.start]);
        told.push_str(&format!("<{name}>"));
        at = range.end;
    }
    told.push_str(&message[at..]);
    told
}

/// Of a message the first two lines that are not empty, without their values.
pub(crate) fn normalize(message: &str) -> String {
    let lines: Vec<&str> = message
        .lines()
        .filter(|it| !it.trim().is_empty())
        .take(2)
        .collect();
    let mut kept = lines.join("\n");
    if kept != message {
        kept.push_str("...");
    }
    replace(&kept)
}
