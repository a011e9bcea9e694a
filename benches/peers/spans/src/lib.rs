//! What every program of this package does with spans, with whichever layer it has:
//! `PROGRAM SCENE RATE [DSN]`.
//!
//! Figures are printed as `name value`, one a line. Without a DSN, what would be sent is thrown away.

mod allocations;
mod process;
mod measure;
mod calls;
mod threads;
mod app;
mod idle;

/// A program's way to record spans.
pub trait Layer: Sync {
    /// What keeps it alive.
    type Guard;

    /// Installs it, for traces at this rate.
    fn start(&self, rate: f64, dsn: Option<&str>) -> Self::Guard;

    /// Delivers what is left and tells what became of it, where that can be known.
    fn end(&self, guard: Self::Guard) -> Option<Account>;

    /// Three nested spans with their fields.
    fn trace(&self, number: u64) {
        calls::nested(number);
    }
}

/// What was made and what of it is lost.
pub struct Account {
    /// Spans of sampled traces.
    pub spans: Lost,
    /// Reports of errors.
    pub reports: Lost,
}

/// A part of what was made.
pub struct Lost {
    /// All of it.
    pub made: u64,
    /// Those that never arrive.
    pub lost: u64,
}

impl Lost {
    fn print(&self, name: &str) {
        if self.made > 0 {
            let percent = 100.0 * self.lost as f64 / self.made as f64;
            println!("{name}_lost_percent {percent}");
        }
    }
}

/// Plays the scene that the command line names.
pub fn play(layer: &impl Layer) {
    let mut words = std::env::args().skip(1);
    let scene = words.next().unwrap_or_default();
    let rate = words.next().and_then(|rate| rate.parse().ok());
    let dsn = words.next();
    if scene == "idle" {
        // Its memory is counted from before the start.
        return idle::idle(layer, rate.unwrap_or(1.0));
    }
    let guard = layer.start(rate.unwrap_or(1.0), dsn.as_deref());
    match &*scene {
        "nested" => calls::flood(|number| layer.trace(number)),
        "nested-paced" => calls::paced(|number| layer.trace(number)),
        "poll" => calls::poll(),
        "crumb-span" => calls::crumb_span(),
        "crumb-span-held" => calls::crumb_span_held(),
        "crumb-span-inside" => calls::crumb_span_inside(),
        "crumb" => calls::crumb(),
        "error-equal" => calls::error_equal(),
        "error-different" => calls::error_different(),
        "threads" => threads::threads(layer),
        "app" => app::app(),
        _ => eprintln!("there is no scene {scene:?}"),
    }
    if let Some(account) = layer.end(guard) {
        account.spans.print("spans");
        account.reports.print("reports");
    }
}
