//! Runs that end in different ways, with spans and users but without a report of their own.

use std::panic::catch_unwind;

use tracing::Level;

use crate::{add_layer, builder, finish, tell_time};

/// Closes a root span with something in it.
fn root<T>(within: impl FnOnce() -> T) {
    let _root = tracing::info_span!("request").entered();
    tracing::info_span!("query").in_scope(|| drop(within()));
}

/// Ten root spans, three of which fail, five users, one of whom meets a panic.
pub(crate) fn busy(how: &str) {
    let release = std::env::var("SUBJECT_RELEASE").unwrap_or("subject@1.0.0".to_owned());
    let guard = builder().release(release).init();
    add_layer();
    for user in 0..5 {
        root(|| bugsage_sdk::set_user(format!("user-{user}")));
    }
    root(|| tracing::error!("an order is lost"));
    root(|| bugsage_sdk::capture_message(Level::ERROR, "an order is late"));
    root(|| {
        bugsage_sdk::set_user("user-1");
        let _ = catch_unwind(|| panic!("no such order"));
    });
    root(|| bugsage_sdk::capture_message(Level::WARN, "an order is large"));
    root(|| {});
    end(how, guard);
}

/// Spans and nothing else.
pub(crate) fn quiet(how: &str) {
    let guard = builder().init();
    add_layer();
    (0..7).for_each(|_| root(|| {}));
    end(how, guard);
}

fn end(how: &str, guard: bugsage_sdk::Guard) {
    match how {
        "panic" => panic!("the end of main"),
        "kill" => {
            let ourselves = rustix::process::getpid();
            let _ = rustix::process::kill_process(ourselves, rustix::process::Signal::KILL);
        }
        "linger" => {
            let _guard = guard;
            eprintln!("lingers");
            loop {
                std::thread::park();
            }
        }
        _ => tell_time("end", || finish(guard)),
    }
}
