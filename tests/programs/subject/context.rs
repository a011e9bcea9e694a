//! What surrounds a report: spans, breadcrumbs, tags, user.

use std::panic::catch_unwind;

use tracing::Level;

use crate::{add_layer, finish, start};

/// Guard and layer in one order or the other.
pub(crate) fn of_a_panic(first: &str) {
    if first == "layer" {
        add_layer();
    }
    let guard = start();
    if first == "guard" {
        add_layer();
    }
    let _request = tracing::info_span!("request", id = 4711, path = "/orders").entered();
    tracing::info!(items = 3, "the cart was read");
    let _ = catch_unwind(|| {
        let _step = tracing::info_span!("pay").entered();
        panic!("the card was refused");
    });
    finish(guard);
}

pub(crate) fn breadcrumbs() {
    let guard = start();
    add_layer();
    tracing::info!("outside of any span");
    tracing::debug!("too fine");
    {
        let _request = tracing::info_span!("request").entered();
        tracing::info!("first");
        tracing::warn!(tries = 2, "second");
        tracing::info_span!("inner").in_scope(|| tracing::info!("third"));
        bugsage_sdk::capture_message(Level::WARN, "inside");
    }
    bugsage_sdk::capture_message(Level::WARN, "outside");
    finish(guard);
}

pub(crate) fn tags() {
    let guard = start();
    add_layer();
    bugsage_sdk::set_tag("region", "eu");
    bugsage_sdk::set_tag("shard", "1");
    bugsage_sdk::set_user("u-process");
    tracing::info_span!("request").in_scope(|| {
        bugsage_sdk::set_tag("region", "us");
        bugsage_sdk::set_user("u-request");
        tracing::info_span!("inner")
            .in_scope(|| bugsage_sdk::capture_message(Level::INFO, "inside"));
    });
    bugsage_sdk::capture_message(Level::INFO, "outside");
    finish(guard);
}

/// Each secret has `planted` in it, and is found wherever it is left.
pub(crate) fn secrets() {
    let guard = start();
    add_layer();
    bugsage_sdk::set_tag("session_token", "planted-in-a-tag");
    bugsage_sdk::set_user("planted@example.com");
    let span = tracing::info_span!("login", password = "planted-in-a-field", user = "u7");
    let _span = span.entered();
    tracing::info!("GET https://planted:planted@example.com/ with api_key=planted-in-a-crumb");
    tracing::info!(authorization = "Bearer planted.in.a.header", "a call");
    let _ = catch_unwind(|| panic!("cannot log in with password=planted-in-a-message"));
    let error = std::io::Error::other("no host for postgres://admin:planted@db/shop");
    bugsage_sdk::capture_error(&error);
    tracing::error!(
        token = "planted-in-a-line",
        "rejected for planted@example.com"
    );
    finish(guard);
}
