//! Apps that have TLS of their own, with another crypto provider than the SDK's.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tracing::Level;

use crate::{finish, start};

/// The app installs its provider `never`, `before` the guard, or `after` it.
pub(crate) fn beside(installs: &str) {
    if installs == "before" {
        install();
    }
    let guard = start();
    println!("after the start: {}", installed());
    if installs == "after" {
        install();
    }
    bugsage_sdk::capture_message(Level::ERROR, "over TLS");
    finish(guard);
    println!("at the end: {}", installed());
}

fn install() {
    let provider = aws_lc_rs::default_provider();
    provider.install_default().expect("nobody was faster");
}

/// The name of what generates random numbers for the app's TLS.
fn installed() -> String {
    CryptoProvider::get_default().map_or("none".to_owned(), |provider| {
        format!("{:?}", provider.secure_random)
    })
}
