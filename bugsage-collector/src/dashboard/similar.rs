//! Issues that look like one: suggestions, with what speaks for each and the form that says that it is right.

use maud::{Markup, html};

use crate::store::model::Issue;
use crate::view::{SimilarView, thousands};

use super::parts;

/// The suggestions, where there are any.
pub(super) fn section(issue: &Issue, similar: &[SimilarView]) -> Markup {
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
                            @if issue.merged_into.is_none() {
                                form class="say" method="post" action={ "/issues/" (issue.id) "/merge" } {
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
