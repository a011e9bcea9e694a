//! What the pages share: the frame around them, and small pieces.

use maud::{DOCTYPE, Markup, html};

use bugsage_core::clock::Timestamp;
use bugsage_core::fingerprint::Kept;
use bugsage_core::limits::cut;
use bugsage_pipeline::evidence::SourceLine;

use crate::clock::rfc3339;
use crate::view::{ago, visible};

/// A page with a title.
pub(super) fn frame(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (visible(title)) " · BugSage" }
                link rel="stylesheet" href="/assets/bugsage.css";
            }
            body {
                header class="top" {
                    a class="brand" href="/issues" { "BugSage" }
                    nav {
                        a href="/issues" { "Issues" }
                        a href="/traces" { "Traces" }
                        a href="/releases" { "Releases" }
                        a href="/ledger" { "Ledger" }
                    }
                }
                main { (body) }
            }
        }
    }
}

/// A page with nothing but a sentence.
/// A page with a sentence, and where to go on: back to an issue, where it is about one.
pub(super) fn message(title: &str, text: &str, issue: Option<u64>) -> Markup {
    let on = html! {
        h1 { (title) }
        p { (text) }
        p {
            @if let Some(issue) = issue { a href={ "/issues/" (issue) } { "Back to issue " (issue) } " · " }
            a href="/issues" { "All issues" }
        }
    };
    frame(title, on)
}

/// A point in time: how long ago, with the exact time behind it.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    let exact = rfc3339(at);
    html! { time datetime=(exact) title=(exact) { (ago(at, now)) } }
}

/// A word in a coloured box.
pub(super) fn badge(kind: &str, text: &str) -> Markup {
    html! { span class={ "badge " (kind) } { (text) } }
}

/// Lines of source with their numbers; one of them is the line in question.
pub(super) fn source(lines: &[SourceLine], marked: u32) -> Markup {
    html! {
        div class="source" role="group" aria-label="source" {
            @for line in lines {
                div class={ "line" @if line.line == marked { " marked" } } {
                    span class="number" { (line.line) }
                    code { (line.text) }
                }
            }
        }
    }
}

/// A text of an app, cut to what a page has room for.
pub(super) fn short(text: &str) -> String {
    const SHOWN_BYTES_MAX: usize = 300;
    visible(&cut(text, SHOWN_BYTES_MAX)).into_owned()
}

/// What counted of an event.
pub(super) fn kept(kept: &[Kept]) -> Markup {
    html! { ul { @for kept in kept { li { (kept.rule) ": " (value(&kept.value)) } } } }
}

/// What counted; an event may have nothing where a rule looks.
pub(super) fn value(value: &str) -> Markup {
    html! { @if value.is_empty() { span class="quiet" { "nothing" } } @else { code { (short(value)) } } }
}

/// Names and values.
pub(super) fn facts<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Markup {
    html! {
        dl class="facts" {
            @for (name, value) in pairs {
                div { dt { (short(name)) } dd { (short(value)) } }
            }
        }
    }
}

/// A release: in short, with the whole name behind it.
pub(super) fn release(name: Option<&str>) -> Markup {
    html! { @if let Some(name) = name { span title=(name) { (short_release(name)) } } @else { "–" } }
}

/// A release with no more than eight digits of its commit.
fn short_release(name: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let short = match name.rsplit_once('+') {
        Some((version, commit)) => {
            format!("{version}+{}", commit.chars().take(8).collect::<String>())
        }
        None => name.to_owned(),
    };
    short.chars().take(SHOWN_MAX).collect()
}

/// Prose in which code stands between backticks.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_shows_code_and_escapes_it() {
        assert_eq!(
            prose("`a<b>` is <0>").into_string(),
            "<code>a&lt;b&gt;</code> is &lt;0&gt;"
        );
    }

    #[test]
    fn a_release_is_shown_with_a_short_commit() {
        assert_eq!(
            short_release("shop@1.0.0+0123456789abcdef"),
            "shop@1.0.0+01234567"
        );
        assert_eq!(short_release("shop@1.0.0"), "shop@1.0.0");
    }
}
