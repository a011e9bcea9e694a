//! Errors that are reported, and lines of the log.

use crate::black_box;
use std::fmt;
use std::fs::File;
use std::io;

use anyhow::Context;
use bugsage_sdk::ReportError;
use tracing::error;

/// One type of errors for all of the shop.
#[derive(Debug)]
enum ShopError {
    NotFound(u64),
    Denied { user: String },
    Disk(io::Error),
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShopError::NotFound(number) => write!(f, "order {number} was not found"),
            ShopError::Denied { user } => write!(f, "{user} may not do this"),
            ShopError::Disk(_) => f.write_str("the disk failed"),
        }
    }
}

impl std::error::Error for ShopError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ShopError::Disk(error) => Some(error),
            _ => None,
        }
    }
}

fn open_order(number: u64) -> Result<u64, ShopError> {
    Err(ShopError::NotFound(black_box(number)))
}

fn allow(user: &str) -> Result<(), ShopError> {
    Err(ShopError::Denied {
        user: black_box(user).to_owned(),
    })
}

pub fn order_is_shown() {
    let shown = open_order(4_711).report();
    black_box(shown.is_ok());
}

/// The same variant, and another handler: another bug.
pub fn order_is_printed() {
    let printed = open_order(4_712).report();
    black_box(printed.is_ok());
}

pub fn user_is_denied() {
    let allowed = allow("ann").report();
    black_box(allowed.is_ok());
}

fn read_prices(path: &str) -> Result<File, ShopError> {
    File::open(black_box(path)).map_err(ShopError::Disk)
}

pub fn prices_are_missing() {
    if let Err(error) = read_prices("/nowhere/prices.csv") {
        bugsage_sdk::capture_error(&error);
    }
}

fn read_settings(path: &str) -> anyhow::Result<File> {
    File::open(black_box(path)).with_context(|| format!("settings in {path}"))
}

pub fn settings_are_missing() {
    black_box(read_settings("/nowhere/shop.toml").report().is_ok());
}

fn stock_of(text: &str) -> anyhow::Result<u32> {
    let count = text.parse().context("a count of boxes")?;
    Ok(count)
}

pub fn stock_is_no_number() {
    black_box(stock_of(black_box("many")).report().is_ok());
}

pub fn payment_fails() {
    let number = black_box(4_711);
    error!(number, "payment of order {number} failed");
}

pub fn delivery_fails() {
    let number = black_box(4_711);
    error!(number, "delivery of order {number} failed");
}

pub fn disk_is_full_by_log() {
    let error = io::Error::from(io::ErrorKind::StorageFull);
    error!(
        error = &error as &dyn std::error::Error,
        "could not save the basket"
    );
}
