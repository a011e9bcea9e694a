//! A native function's name as Sentry trims it, `src/sentry/stacktraces/functions.py`: without hash, arguments and
//! generic arguments, `<T as Trait>::m` as `T::m`.
//!
//! What only Swift, Objective-C blocks and Unity have is left out.

use std::sync::LazyLock;

use regex::Regex;

/// Signs that would be taken for brackets, and what stands for them meanwhile.
const SIGNS: &[(&str, &str)] = &[
    ("operator<<", "operator⟨⟨"),
    ("operator<", "operator⟨"),
    ("operator()", "operator◯"),
    ("operator->", "operator⟿"),
    (" -> ", " ⟿ "),
    ("`anonymous namespace'", "〔anonymousnamespace〕"),
];

struct Forms {
    trailer: Regex,
    lambda: Regex,
    nameless: Regex,
    hash: Regex,
    glibc: Regex,
    decorated: Regex,
}

static FORMS: LazyLock<Option<Forms>> = LazyLock::new(|| {
    Some(Forms {
        trailer: Regex::new(r"(?:\bconst\b|&)$").ok()?,
        // As gcc, msvc and clang call them.
        lambda: Regex::new(r"\{lambda\(.*?\)#\d+\}|\blambda_[a-f0-9]{32}\b|\$_\d+\b").ok()?,
        nameless: Regex::new(r"\?A0x[a-f0-9]{8}::").ok()?,
        hash: Regex::new(r"::h[a-z0-9]{16}$").ok()?,
        glibc: Regex::new(r"@@?GLIBC_[0-9.]+$").ok()?,
        decorated: Regex::new(r"^@?(.*?)@[0-9]+$").ok()?,
    })
});

pub(crate) fn trim(function: &str) -> String {
    let Some(forms) = &*FORMS else {
        // The forms are constants, and a test reads them.
        return function.to_owned();
    };
    let is_opaque = ["<redacted>", "<unknown>"].contains(&function);
    let name = function.trim();
    if is_opaque
        || ["[", "+[", "-["]
            .iter()
            .any(|begin| name.starts_with(begin))
    {
        return name.to_owned();
    }
    let name = enclosed(
        name,
        '[',
        ']',
        &|inner, _| match inner.starts_with("clone .") {
            true => String::new(),
            false => format!("[{inner}]"),
        },
    );
    let mut name = name.trim_end();
    while let Some(trailer) = forms.trailer.find(name) {
        name = name[..trailer.start()].trim_end();
    }
    let mut name = name.to_owned();
    for (sign, meanwhile) in SIGNS {
        name = name.replace(sign, meanwhile);
    }
    name = forms.lambda.replace_all(&name, "lambda").into_owned();
    name = forms
        .nameless
        .replace_all(&name, "〔anonymousnamespace〕::")
        .into_owned();
    name = enclosed(&name, '(', ')', &|inner, _| match inner.trim() {
        inner @ ("anonymous namespace" | "operator") => format!("({inner})"),
        _ => String::new(),
    });
    name = enclosed(&name, '<', '>', &generics);
    let mut name = last_word(&name).unwrap_or_else(|| function.to_owned());
    for (sign, meanwhile) in [
        ("<", "⟨"),
        ("()", "◯"),
        ("->", "⟿"),
        ("`anonymous namespace'", "〔anonymousnamespace〕"),
    ] {
        name = name.replace(meanwhile, sign);
    }
    let name = forms.hash.replace(&name, "");
    let name = forms.glibc.replace(&name, "");
    forms.decorated.replace(&name, "$1").into_owned()
}

fn generics(inner: &str, at: usize) -> String {
    if inner == "lambda" {
        return "<lambda>".to_owned();
    }
    if at > 0 {
        return "<T>".to_owned();
    }
    // Of an impl for all types the trait is kept.
    let inner = match inner.split_once(" as ") {
        Some((one, of)) if one.len() == 1 && one.chars().all(|it| it.is_ascii_uppercase()) => of,
        _ => inner,
    };
    let inner = enclosed(inner, '<', '>', &generics);
    inner.split(" as ").next().unwrap_or_default().to_owned()
}

/// The text with what stands in outermost brackets replaced; the replacement is told where its bracket stands.
fn enclosed(
    text: &str,
    open: char,
    close: char,
    replace: &dyn Fn(&str, usize) -> String,
) -> String {
    if !text.contains(open) {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut depth = 0_i32;
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if c == open {
            if depth == 0 {
                start = at;
            }
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                kept.push_str(&replace(&text[start + open.len_utf8()..at], start));
            }
        } else if depth == 0 {
            kept.push(c);
        }
    }
    kept
}

/// The last word outside of brackets, or the one before what is returned.
fn last_word(text: &str) -> Option<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut closing = Vec::new();
    for c in text.chars() {
        let pair = match c {
            '(' => Some(')'),
            '{' => Some('}'),
            '[' => Some(']'),
            '<' => Some('>'),
            _ => None,
        };
        if let Some(pair) = pair {
            closing.push(pair);
        } else if closing.last() == Some(&c) {
            closing.pop();
        } else if closing.is_empty() && c.is_whitespace() {
            words.push(String::new());
            continue;
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    if words.len() > 1 && words.last().is_some_and(|word| word == "<T>") {
        words.pop();
        words.last_mut()?.push_str(" <T>");
    }
    let arrow = words.iter().rposition(|word| word == "⟿");
    match arrow.filter(|at| *at > 0) {
        Some(at) => words.get(at - 1).cloned(),
        None => words.pop(),
    }
}
