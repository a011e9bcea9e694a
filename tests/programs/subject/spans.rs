//! Traces, as a server would make them.

use std::thread;

use bugsage_sdk::{Builder, Guard};
use tracing::info_span;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{builder, finish};

/// Threads that serve requests, and spans of each request.
const THREADS: u64 = 4;
const SPANS: u64 = 3;

fn start(builder: Builder) -> Guard {
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();
    builder.init()
}

/// Serves so many requests on each of some threads.
fn serve(requests: u64) {
    thread::scope(|scope| {
        for worker in 0..THREADS {
            let name = format!("worker-{worker}");
            let work = move || (0..requests).for_each(|number| request(worker, number));
            thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, work)
                .expect("starts");
        }
    });
}

fn request(worker: u64, number: u64) {
    info_span!("request", worker, number).in_scope(|| {
        info_span!("load", table = "orders").in_scope(|| {});
        info_span!("answer").in_scope(|| {});
    });
}

/// All that is sampled is told, and no more.
pub(crate) fn requests(requests: &str) {
    // Its rate comes from the environment.
    let guard = start(builder());
    serve(requests.parse().expect("is a number"));
    finish(guard);
}

/// The process ends the moment after its last span was closed.
pub(crate) fn requests_and_die(requests: &str) {
    let _guard = start(builder().traces_sample_rate(1.0));
    serve(requests.parse().expect("is a number"));
    let ourselves = rustix::process::getpid();
    let _ = rustix::process::kill_process(ourselves, rustix::process::Signal::KILL);
}

/// The app's own filter renames spans, drops some, and panics at others.
pub(crate) fn filtered() {
    let builder = builder().traces_sample_rate(1.0);
    let guard = start(builder.before_send_span(|mut span| match &*span.name {
        "load" => None,
        "answer" => panic!("in the filter"),
        _ => {
            span.name = "renamed".into();
            Some(span)
        }
    }));
    serve(10);
    finish(guard);
}

/// More spans than anybody can send.
pub(crate) fn flood() {
    let guard = start(builder().traces_sample_rate(1.0));
    serve(100_000);
    println!("closed: {}", THREADS * SPANS * 100_000);
    finish(guard);
}
