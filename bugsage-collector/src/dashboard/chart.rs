//! Charts as SVG, drawn here.

use maud::{Markup, html};

use crate::view::reports;

/// Hours that a chart shows: two days.
const HOURS: u64 = 48;

/// Width and height of a chart in its own units.
const BAR: u64 = 6;
const HEIGHT: u64 = 48;

/// Reports by hour over the last two days before `now_hour`, as bars.
pub(super) fn hours(counts: &[(u64, u64)], now_hour: u64) -> Markup {
    let first = now_hour.saturating_sub(HOURS - 1);
    let shown: Vec<(u64, u64)> = counts
        .iter()
        .filter(|(hour, _)| (first..=now_hour).contains(hour))
        .copied()
        .collect();
    let highest = shown
        .iter()
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let total: u64 = shown.iter().map(|(_, count)| count).sum();
    let label = format!(
        "{} in the last {HOURS} hours, at most {highest} in one",
        reports(total)
    );
    html! {
        svg class="chart" viewBox={ "0 0 " (HOURS * BAR) " " (HEIGHT) } role="img" aria-label=(label) preserveAspectRatio="none" {
            title { (label) }
            @for (hour, count) in &shown {
                // A bar that can be seen, however small.
                @let height = (count * HEIGHT / highest).max(2);
                rect x=((hour - first) * BAR) y=(HEIGHT - height) width=(BAR - 1) height=(height) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_in_their_hours_and_the_highest_fills_the_chart() {
        let chart = hours(&[(1, 9), (100, 10), (147, 5)], 147).into_string();

        assert_eq!(
            chart.matches("<rect").count(),
            2,
            "the oldest is out of sight"
        );
        assert!(
            chart.contains(r#"<rect x="0" y="0" width="5" height="48">"#),
            "{chart}"
        );
        assert!(
            chart.contains(r#"<rect x="282" y="24" width="5" height="24">"#),
            "{chart}"
        );
        assert!(chart.contains("15 reports in the last 48 hours, at most 10 in one"));
    }
}
