//! Rules of a project that say what its events are grouped by, where the built-in ones do not suit.
//!
//! One rule a line: what an event must have, an arrow, and what it is grouped by then. The first rule that fits
//! decides.
//!
//! ```text
//! # Whatever asks for the database: one issue.
//! class:sqlx::Error message:"*timed out*" -> database-timeout
//! # One issue for each tenant, otherwise as usual.
//! function:shop::import::* !environment:test -> {{ default }} {{ tag.tenant }}
//! ```
//!
//! | field | what it looks at |
//! |---|---|
//! | `kind` | `panic`, `error` or `log` |
//! | `level` | `trace` to `fatal` |
//! | `class` | the class of a panic, the type of an error's root |
//! | `type` | the type of any error of the chain |
//! | `message` | the panic's payload, the error's text or the log line |
//! | `function` | any function of the app on the stack |
//! | `culprit` | the innermost of them |
//! | `file` | the file of any of them, or that of the panic or log line |
//! | `release`, `environment`, `tag.NAME` | as the app tells them; empty where it does not |
//!
//! In a pattern `*` stands for anything and `?` for one character; the whole value has to fit, in any case of letters.
//! `!` in front turns a condition round. Patterns and parts with spaces stand in `"`. The parts that are no plain words
//! are `{{ default }}`, what the event would be grouped by otherwise, and `{{ class }}`, `{{ message }}` (without what
//! varies), `{{ culprit }}`, `{{ file }}`, `{{ release }}`, `{{ environment }}` and `{{ tag.NAME }}`.

use std::borrow::Cow;
use std::fmt;

use crate::event::{Event, EventKind, FINGERPRINT_TAG, Level, Text};
use crate::limits;

use super::{frames, message, symbol};

/// The longest text of rules, in bytes. It is read for each change and kept for each project.
pub const RULES_BYTES_MAX: usize = 64 << 10;

/// The most rules of a project. Each event is held against all of them.
pub const RULES_MAX: usize = 500;

/// The most conditions of a rule, and parts of what it groups by.
pub const ITEMS_MAX: usize = 16;

/// How much of a value is looked at, in bytes.
const VALUE_BYTES_MAX: usize = 1_000;

/// How many of the app's functions are looked at, the innermost ones.
const FUNCTIONS_MAX: usize = 64;

/// The longest pattern or part, in bytes.
const WORD_BYTES_MAX: usize = 200;

/// The rules of a project, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// What an event must have, and what it is grouped by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    line: u32,
    conditions: Vec<Condition>,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    is_negated: bool,
    field: Field,
    pattern: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Kind,
    Level,
    Class,
    Type,
    Message,
    Function,
    Culprit,
    File,
    Release,
    Environment,
    Tag(String),
}

/// A part of what an event is grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// What it would be grouped by otherwise.
    Default,
    /// A value of the event.
    Value(Value),
    /// This word.
    Word(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Class,
    Message,
    Culprit,
    File,
    Release,
    Environment,
    Tag(String),
}

const KINDS: [EventKind; 3] = [EventKind::Panic, EventKind::Error, EventKind::Log];

const LEVELS: [Level; 6] = [
    Level::Trace,
    Level::Debug,
    Level::Info,
    Level::Warn,
    Level::Error,
    Level::Fatal,
];

/// Fields by their names; a tag's is `tag.NAME`.
const FIELDS: &[(&str, Field)] = &[
    ("kind", Field::Kind),
    ("level", Field::Level),
    ("class", Field::Class),
    ("type", Field::Type),
    ("message", Field::Message),
    ("function", Field::Function),
    ("culprit", Field::Culprit),
    ("file", Field::File),
    ("release", Field::Release),
    ("environment", Field::Environment),
];

/// Values that may be a part, by their names.
const VALUES: &[(&str, Value)] = &[
    ("class", Value::Class),
    ("message", Value::Message),
    ("culprit", Value::Culprit),
    ("file", Value::File),
    ("release", Value::Release),
    ("environment", Value::Environment),
];

/// What is wrong with rules, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RulesError {
    /// The line, counted from 1; `None` where it is about all of them.
    pub line: Option<u32>,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

/// What of an event rules look at, beside what stands in it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) class: &'a str,
    /// The app's functions on the stack with their files, innermost first.
    pub(super) functions: &'a [(Text, Option<Text>)],
    /// The innermost of them, or the place.
    pub(super) culprit: &'a str,
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    ///
    /// With the first line that is none, or where there are too many.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        if text.len() > RULES_BYTES_MAX {
            return Err(RulesError {
                line: None,
                problem: format!("rules may have {RULES_BYTES_MAX} bytes, and these have more"),
            });
        }
        // Some editors begin a file with it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let rule = parse_line(line, number).map_err(|problem| RulesError {
                line: Some(number),
                problem,
            })?;
            rules.extend(rule);
            if rules.len() > RULES_MAX {
                return Err(RulesError {
                    line: Some(number),
                    problem: format!("a project may have {RULES_MAX} rules"),
                });
            }
        }
        Ok(Self { rules })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Where they stand, counted from 1.
    pub fn lines(&self) -> impl Iterator<Item = u32> {
        self.rules.iter().map(Rule::line)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that fits an event.
    pub(super) fn find(&self, event: &Event, seen: &Seen<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.fits(event, seen))
    }
}

impl Rule {
    /// Where it stands, counted from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn fits(&self, event: &Event, seen: &Seen<'_>) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.fits(event, seen) != condition.is_negated)
    }
}

impl Condition {
    /// Refuses what no event can have.
    fn check(&self) -> Result<(), String> {
        let values = match self.field {
            Field::Kind => KINDS.map(EventKind::as_str).to_vec(),
            Field::Level => LEVELS.map(Level::as_str).to_vec(),
            // An app may tell none of these.
            Field::Release | Field::Environment | Field::Tag(_) | Field::Message => return Ok(()),
            _ if self.pattern.is_empty() => {
                return Err(
                    "there is nothing behind the :, and no event has nothing there".to_owned(),
                );
            }
            _ => return Ok(()),
        };
        match values.iter().any(|value| matches(&self.pattern, value)) {
            true => Ok(()),
            false => Err(format!(
                "no event has {}; there are {}",
                quote(&self.pattern),
                values.join(", ")
            )),
        }
    }

    fn fits(&self, event: &Event, seen: &Seen<'_>) -> bool {
        let is = |value: &str| matches(&self.pattern, limits::cut(value, VALUE_BYTES_MAX).as_ref());
        match &self.field {
            Field::Kind => is(event.kind.as_str()),
            Field::Level => is(event.level.as_str()),
            Field::Class => is(seen.class),
            Field::Type => event
                .errors
                .iter()
                .filter_map(|error| error.type_name.as_deref())
                .any(is),
            Field::Message => is(&event.message),
            Field::Function => seen.functions.iter().any(|(function, _)| is(function)),
            Field::Culprit => is(seen.culprit),
            Field::File => {
                let files = seen
                    .functions
                    .iter()
                    .filter_map(|(_, file)| file.as_deref());
                let located = event.location.as_ref().map(|location| &*location.file);
                files.chain(located).any(is)
            }
            Field::Release => is(event.run.release.as_deref().unwrap_or("")),
            Field::Environment => is(event.run.environment.as_deref().unwrap_or("")),
            Field::Tag(name) => is(tag(event, name)),
        }
    }
}

impl Value {
    /// What an event has of it.
    pub(super) fn of<'a>(&self, event: &'a Event, seen: &Seen<'a>) -> Cow<'a, str> {
        let value = match self {
            Value::Class => seen.class,
            Value::Message => {
                return message::opening(&message::template(&event.message)).into();
            }
            Value::Culprit => seen.culprit,
            Value::File => {
                let inner = seen.functions.iter().find_map(|(_, file)| file.as_deref());
                let located = event.location.as_ref().map(|location| &*location.file);
                return frames::crate_relative(located.or(inner).unwrap_or(""))
                    .into_owned()
                    .into();
            }
            Value::Release => event.run.release.as_deref().unwrap_or(""),
            Value::Environment => event.run.environment.as_deref().unwrap_or(""),
            Value::Tag(name) => tag(event, name),
        };
        limits::cut(value, WORD_BYTES_MAX)
    }
}

/// What the app wants its event grouped by, where it says so. What is no part is taken as a word.
pub(super) fn of_client(event: &Event) -> Option<Vec<Part>> {
    let (_, wanted) = event
        .tags
        .iter()
        .find(|(name, _)| &**name == FINGERPRINT_TAG)?;
    let parts = wanted
        .lines()
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let parts = parts.take(ITEMS_MAX).map(|part| {
        parse_part(part).unwrap_or_else(|_| Part::Word(limits::cut(part, WORD_BYTES_MAX).into()))
    });
    let parts: Vec<Part> = parts.collect();
    (!parts.is_empty()).then_some(parts)
}

/// The app's functions on an event's stack with their files, innermost first.
pub(super) fn functions(event: &Event) -> Vec<(Text, Option<Text>)> {
    let frames = event.stack.iter().flat_map(|stack| &stack.frames);
    let of_app = frames
        .filter(|frame| frames::in_app(frame))
        .filter_map(|frame| {
            let function = frame.function.as_deref()?;
            Some((symbol::normalize(function).into(), frame.file.clone()))
        });
    of_app.take(FUNCTIONS_MAX).collect()
}

fn tag<'a>(event: &'a Event, name: &str) -> &'a str {
    let found = event.tags.iter().find(|(known, _)| &**known == name);
    found.map_or("", |(_, value)| value)
}

fn parse_line(line: &str, number: u32) -> Result<Option<Rule>, String> {
    let mut words = Words { rest: line };
    let (mut conditions, mut parts) = (Vec::new(), Vec::new());
    let mut has_arrow = false;
    while let Some(word) = words.next()? {
        match word {
            Word::Arrow if has_arrow => return Err("a rule has one ->".to_owned()),
            Word::Arrow => has_arrow = true,
            Word::Plain(word) if has_arrow => parts.push(parse_part(&word)?),
            Word::Plain(word) => conditions.push(parse_condition(&word)?),
        }
        if conditions.len().max(parts.len()) > ITEMS_MAX {
            return Err(format!(
                "a rule may have {ITEMS_MAX} conditions and {ITEMS_MAX} parts"
            ));
        }
    }
    if conditions.is_empty() && !has_arrow {
        return Ok(None);
    }
    if !has_arrow {
        return Err(
            "there is no ->, and after it what to group by, as in: class:timeout -> timeouts"
                .to_owned(),
        );
    }
    if conditions.is_empty() {
        return Err("there is no condition before ->, as in: class:timeout -> timeouts".to_owned());
    }
    if parts.is_empty() {
        return Err(
            "there is nothing after ->: name what to group by, or {{ default }}".to_owned(),
        );
    }
    Ok(Some(Rule {
        line: number,
        conditions,
        parts,
    }))
}

fn parse_condition(word: &str) -> Result<Condition, String> {
    let (is_negated, word) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (field, pattern) = word.split_once(':').ok_or_else(|| {
        format!(
            "{} is no condition, which looks like message:*timeout*; a pattern with spaces stands in \"",
            quote(word)
        )
    })?;
    let known = FIELDS.iter().find(|(name, _)| *name == field);
    let field = match (known, field.strip_prefix("tag.")) {
        (Some((_, field)), _) => field.clone(),
        (None, Some(name)) if !name.is_empty() => Field::Tag(name.to_owned()),
        _ => {
            return Err(format!(
                "{} is no field; there are {}, and tag.NAME",
                quote(field),
                names(FIELDS)
            ));
        }
    };
    let condition = Condition {
        is_negated,
        field,
        pattern: fold(pattern),
    };
    condition.check()?;
    Ok(condition)
}

fn parse_part(word: &str) -> Result<Part, String> {
    let Some(inner) = word.strip_prefix("{{") else {
        return Ok(Part::Word(word.to_owned()));
    };
    let name = inner.strip_suffix("}}").map(str::trim).unwrap_or_default();
    if name == "default" {
        return Ok(Part::Default);
    }
    if let Some((_, value)) = VALUES.iter().find(|(known, _)| *known == name) {
        return Ok(Part::Value(value.clone()));
    }
    match name.strip_prefix("tag.") {
        Some(tag) if !tag.is_empty() => Ok(Part::Value(Value::Tag(tag.to_owned()))),
        _ => Err(format!(
            "{} stands for nothing; there are {{{{ default }}}}, {{{{ tag.NAME }}}}, and in the same brackets {}",
            quote(word),
            names(VALUES)
        )),
    }
}

fn names<T>(known: &[(&str, T)]) -> String {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn quote(word: &str) -> String {
    format!("{:?}", limits::cut(word, WORD_BYTES_MAX))
}

enum Word {
    Arrow,
    Plain(String),
}

/// The words of a line.
struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    /// The next word, without its quotes; `None` at the end of the line or where a comment begins.
    fn next(&mut self) -> Result<Option<Word>, String> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() || self.rest.starts_with('#') {
            return Ok(None);
        }
        let mut word = String::new();
        let (mut is_quoted, mut was_quoted, mut braces) = (false, false, false);
        let mut end = self.rest.len();
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => {
                    word.push(c);
                    escaped = false;
                }
                '\\' if is_quoted => escaped = true,
                '"' => (is_quoted, was_quoted) = (!is_quoted, true),
                c if c.is_whitespace() && !is_quoted && !braces => {
                    end = at;
                    break;
                }
                c => {
                    word.push(c);
                    braces = !is_quoted && (braces || word == "{{") && !word.ends_with("}}");
                }
            }
            if word.len() > 2 * WORD_BYTES_MAX {
                return Err(format!("a word may have {WORD_BYTES_MAX} bytes"));
            }
        }
        if is_quoted {
            return Err("a \" is missing".to_owned());
        }
        if braces {
            return Err("}} is missing".to_owned());
        }
        self.rest = &self.rest[end..];
        if word.len() > WORD_BYTES_MAX {
            return Err(format!("a word may have {WORD_BYTES_MAX} bytes"));
        }
        if word == "->" && !was_quoted {
            return Ok(Some(Word::Arrow));
        }
        Ok(Some(Word::Plain(word)))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rule of line {}", self.line)
    }
}

fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Whether a pattern fits a whole value. Goes back to the last `*` alone, so it takes no longer than the one's length
/// times the other's, both of which are bounded.
fn matches(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().flat_map(char::to_lowercase).collect();
    let (mut at, mut in_value) = (0, 0);
    // Behind the last `*`, and the first character that it does not stand for.
    let mut star: Option<(usize, usize)> = None;
    while in_value < value.len() {
        match pattern.get(at) {
            Some('*') => {
                at += 1;
                star = Some((at, in_value));
            }
            Some(c) if *c == '?' || *c == value[in_value] => {
                at += 1;
                in_value += 1;
            }
            _ => match &mut star {
                Some((behind, first)) => {
                    *first += 1;
                    (at, in_value) = (*behind, *first);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(text: &str) -> String {
        Rules::parse(text).expect_err("is wrong").to_string()
    }

    #[test]
    fn a_rule_has_conditions_and_parts() {
        let text = "\n# Comment\n  class:timeout !tag.region:eu-* -> \"down \\\"now\\\"\" {{ default }} {{tag.region}} # why\n";
        let rules = Rules::parse(text).expect("are rules").rules;

        let condition = |is_negated, field, pattern: &str| Condition {
            is_negated,
            field,
            pattern: pattern.to_owned(),
        };
        let expected = Rule {
            line: 3,
            conditions: vec![
                condition(false, Field::Class, "timeout"),
                condition(true, Field::Tag("region".to_owned()), "eu-*"),
            ],
            parts: vec![
                Part::Word("down \"now\"".to_owned()),
                Part::Default,
                Part::Value(Value::Tag("region".to_owned())),
            ],
        };
        assert_eq!(rules, [expected]);
        assert!(Rules::parse("# nothing\n\n").expect("are rules").is_empty());
        for text in ["\u{feff}level:WARN -> a", "release: -> a", "kind:* -> a"] {
            assert_eq!(Rules::parse(text).map(|rules| rules.len()), Ok(1), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, part) in [
            ("class:a", "line 1: there is no ->"),
            ("\n-> a", "line 2: there is no condition"),
            ("class:a ->", "nothing after ->"),
            ("class:a -> b -> c", "one ->"),
            (
                "mesage:a -> b",
                "\"mesage\" is no field; there are kind, level,",
            ),
            ("timeout -> b", "\"timeout\" is no condition"),
            ("message:a b -> c", "with spaces stands in \""),
            (
                "level:critical -> b",
                "no event has \"critical\"; there are trace,",
            ),
            ("!kind:p?nik -> b", "there are panic, error, log"),
            ("class: -> b", "nothing behind the :"),
            ("tag.:a -> b", "\"tag.\" is no field"),
            (
                "class:a -> {{ defualt }}",
                "stands for nothing; there are {{ default }}",
            ),
            ("class:a -> {{ default", "}} is missing"),
            ("message:\"a -> b", "a \" is missing"),
        ] {
            assert!(problem(text).contains(part), "{text}: {}", problem(text));
        }
        let long = format!("class:{} -> a", "x".repeat(WORD_BYTES_MAX));
        assert!(problem(&long).contains("200 bytes"));
        assert!(problem(&"class:a -> b\n".repeat(RULES_MAX + 1)).contains("500 rules"));
        assert!(problem(&format!("class:a -> {}", "b ".repeat(17))).contains("16 parts"));
        assert!(problem(&" ".repeat(RULES_BYTES_MAX + 1)).starts_with("rules may have 65536"));
    }

    #[test]
    fn a_pattern_fits_a_whole_value_in_any_case() {
        for (pattern, value, fits) in [
            ("timeout", "Timeout", true),
            ("timeout", "a timeout", false),
            ("*timeout", "a timeout", true),
            ("*time*t", "a timeout", true),
            ("t?me*", "timeout", true),
            ("t?me", "tme", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("**a*", "bab", true),
            ("*ab*ab", "abab ab", true),
            ("größe", "GRÖSSE", false),
            ("größe", "GRÖßE", true),
        ] {
            assert_eq!(matches(pattern, value), fits, "{pattern} on {value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_rules_or_is_told_what_is_wrong(text in "[a-z:!*?\"\\\\{}. #\n>-]{0,80}") {
            match Rules::parse(&text) {
                Ok(rules) => prop_assert!(rules.rules.len() <= text.lines().count()),
                Err(error) => prop_assert!(error.line.unwrap_or(1) as usize <= text.lines().count()),
            }
        }

        #[test]
        fn a_pattern_without_signs_fits_itself_alone(one in "[a-c]{0,4}", other in "[a-c]{0,4}") {
            prop_assert_eq!(matches(&one, &other), one == other);
            let (begin, end) = (format!("{one}*"), format!("*{one}"));
            prop_assert_eq!(matches(&begin, &other), other.starts_with(&one));
            prop_assert_eq!(matches(&end, &other), other.ends_with(&one));
        }
    }
}
