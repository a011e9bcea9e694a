//! Issues that look like one: suggestions, with what speaks for each and the form that says that it is right.

use maud::{Markup, html};

use crate::view::{SimilarView, thousands};

use super::parts;

/// The suggestions, where there are any, and the issue that they may be merged into.
pub(super) fn section(into: Option<u64>, similar: &[SimilarView]) -> Markup {
    html! {
        @if !similar.is_empty() {
            section id="similar" {
                h2 { "Similar issues" }
                p class="quiet" { "They look alike by the events that opened them. Whether they are one bug, only people say." }
                ul class="belongs" {
                    @for other in similar {
                        li {
                            a href={ "/issues/" (other.issue) } { (other.issue) } " " (parts::short(&other.title)) " "
                            span class="quiet" { (thousands(other.events)) " events, " (parts::short(&other.culprit)) }
                            div class="quiet" { (other.percent()) " alike: " (parts::short(&other.reason())) }
                            @if let Some(into) = into {
                                form class="say" method="post" action={ "/issues/" (into) "/merge" } {
                                    input type="hidden" name="issue" value=(other.issue);
                                    button { "The same bug: merge it into this" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_has_its_reason_and_a_form_and_no_markup_of_an_app() {
        let other = SimilarView {
            issue: 9,
            title: "<b>no tier</b>".to_owned(),
            culprit: "shop::tier".to_owned(),
            events: 2_000,
            similarity: 0.874,
            shares: vec!["class custom".to_owned(), "error <i>".to_owned()],
        };
        let similar = [other];

        let page = section(Some(7), &similar).into_string();

        for part in [
            "87 % alike: both have class custom, error &lt;i&gt;",
            "&lt;b&gt;no tier",
            "2,000 events",
            "action=\"/issues/7/merge\"",
            "name=\"issue\" value=\"9\"",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!section(None, &similar).into_string().contains("form"));
        assert_eq!(section(Some(7), &[]).into_string(), "");
    }
}
