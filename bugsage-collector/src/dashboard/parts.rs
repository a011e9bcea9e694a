//! What the pages share: the frame around them, and small pieces.

use maud::{DOCTYPE, Markup, html};

use bugsage_core::clock::Timestamp;
use bugsage_pipeline::evidence::SourceLine;

use crate::clock::rfc3339;
use crate::view::ago;

/// A page with a title.
pub(super) fn frame(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · BugSage" }
                link rel="stylesheet" href="/assets/bugsage.css";
            }
            body {
                header class="top" {
                    a class="brand" href="/issues" { "BugSage" }
                    nav { a href="/issues" { "Issues" } }
                }
                main { (body) }
            }
        }
    }
}

/// A page with nothing but a sentence.
pub(super) fn message(title: &str, text: &str) -> Markup {
    frame(
        title,
        html! { h1 { (title) } p { (text) } p { a href="/issues" { "All issues" } } },
    )
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

/// Names and values.
pub(super) fn facts<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Markup {
    html! {
        dl class="facts" {
            @for (name, value) in pairs {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}
