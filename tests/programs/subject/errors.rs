//! Errors that the app hands over or logs.

use std::error::Error;
use std::fmt;
use std::num::ParseIntError;

use bugsage_sdk::ReportError as _;

use crate::{add_layer, finish, start};

#[derive(Debug)]
struct BookingError {
    amount: ParseIntError,
}

impl fmt::Display for BookingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the order cannot be booked")
    }
}

impl Error for BookingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.amount)
    }
}

fn book(amount: &str) -> Result<u32, BookingError> {
    amount.parse().map_err(|amount| BookingError { amount })
}

pub(crate) fn captured() {
    let guard = start();
    capture_known();
    capture_boxed();
    finish(guard);
}

#[inline(never)]
fn capture_known() {
    let error = book("ten").expect_err("ten is no number");
    let id = bugsage_sdk::capture_error(&error); // here: known
    println!("id: {id}");
}

#[inline(never)]
fn capture_boxed() {
    let error: Box<dyn Error> = Box::new(book("").expect_err("nothing is no number"));
    bugsage_sdk::capture_error(&*error); // here: boxed
}

pub(crate) fn logged() {
    let guard = start();
    add_layer();
    let error = book("ten").expect_err("ten is no number");
    let _request = tracing::info_span!("request", id = 4711).entered();
    let step = tracing::info_span!("step", name = "book", outcome = tracing::field::Empty);
    let _step = step.enter();
    step.record("outcome", "failed");
    let error: &(dyn Error + 'static) = &error;
    tracing::error!(order = 17, error, "cannot book"); // here: logged
    finish(guard);
}

/// An error with as many sources as its number, each with a long text.
#[derive(Debug)]
struct Wrapped(u32, Option<Box<Wrapped>>);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}: {}", self.0, "long ".repeat(2_000))
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

pub(crate) fn long_chain() {
    let guard = start();
    add_layer();
    bugsage_sdk::set_tag("region", "eu");
    bugsage_sdk::set_user("u7");
    let _span = tracing::info_span!("request", id = 4711).entered();
    tracing::info!("a breadcrumb");
    let error = (0..40).fold(None, |source, number| {
        Some(Box::new(Wrapped(number, source)))
    });
    bugsage_sdk::capture_error(&*error.expect("there are forty"));
    finish(guard);
}

struct Panicking;

impl fmt::Display for Panicking {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("inside Display");
    }
}

impl fmt::Debug for Panicking {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("inside Debug");
    }
}

impl Error for Panicking {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        panic!("inside source");
    }
}

pub(crate) fn display_panics() {
    let guard = start();
    bugsage_sdk::capture_error(&Panicking);
    println!("went on: yes");
    finish(guard);
}

pub(crate) fn debug_panics() {
    let guard = start();
    add_layer();
    let span = tracing::info_span!("request", value = ?Panicking);
    span.in_scope(|| {
        tracing::info!(value = ?Panicking, "a breadcrumb");
        tracing::error!(value = ?Panicking, "a line");
    });
    println!("went on: yes");
    finish(guard);
}

#[inline(never)]
fn fails_as_anyhow() -> anyhow::Result<()> {
    let order = book("ten")?; // here: anyhow
    anyhow::ensure!(order > 0, "nothing was ordered");
    Ok(())
}

#[inline(never)]
fn fails_as_eyre() -> color_eyre::Result<()> {
    Err(color_eyre::eyre::eyre!("no stock")) // here: eyre
}

#[inline(never)]
async fn fails_later() -> anyhow::Result<()> {
    tokio::task::yield_now().await;
    anyhow::bail!("too late") // here: async
}

/// Errors that took a stack where they were made, reported somewhere else in all ways.
pub(crate) fn with_stacks() {
    let guard = start();
    add_layer();
    let _ = fails_as_anyhow().report();
    let error = fails_as_anyhow().expect_err("ten is no number");
    bugsage_sdk::capture_error_with_backtrace(&*error, error.backtrace());
    tracing::error!(error = ?fails_as_anyhow().expect_err("as before"), "cannot book");
    let _ = fails_as_eyre().report();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("starts");
    let _ = runtime.block_on(fails_later()).report();
    finish(guard);
}

pub(crate) fn with_coloured_stack() {
    color_eyre::install().expect("is the first");
    let guard = start();
    let _ = fails_as_eyre().report();
    finish(guard);
}
