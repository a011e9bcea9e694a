//! What an app tells of itself, and which lines of its log count.

use bugsage_sdk::event::Event;
use bugsage_sdk::test::Recorder;
use tracing::level_filters::LevelFilter;
use tracing::{debug, error, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt;

fn events_of(run: impl FnOnce()) -> Vec<Event> {
    let recorder = Recorder::new();
    let attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::with_default(subscriber, run);
    drop(attached);
    recorder.events()
}

fn pairs(pairs: &[(std::sync::Arc<str>, std::sync::Arc<str>)]) -> Vec<String> {
    pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn crumbs(event: &Event) -> Vec<&str> {
    event
        .breadcrumbs
        .iter()
        .map(|crumb| &*crumb.message)
        .collect()
}

#[test]
fn contexts_of_the_innermost_span_win_and_end_with_it() {
    let events = events_of(|| {
        bugsage_sdk::set_context("tier", "process");
        info_span!("request").in_scope(|| {
            bugsage_sdk::set_context("cart", "{\"items\":3}");
            bugsage_sdk::set_context("tier", "request");
            error!("in the request");
        });
        error!("after it");
    });

    assert_eq!(
        pairs(&events[0].attached),
        ["cart={\"items\":3}", "tier=request"]
    );
    assert_eq!(pairs(&events[1].attached), ["tier=process"]);
}

#[test]
fn the_input_at_hand_goes_with_an_error_and_with_nothing_else() {
    #[derive(Debug)]
    struct Order {
        _items: u32,
    }
    let events = events_of(|| {
        info_span!("job").in_scope(|| {
            let order = Order { _items: 0 };
            bugsage_sdk::input!(order);
            bugsage_sdk::input!("request", "POST /orders?password={}", "hunter2");
            let caught = std::panic::catch_unwind(|| panic!("no items"));
            assert!(caught.is_err());
        });
        info_span!("job").in_scope(|| error!("another job"));
    });

    let inputs = pairs(&events[0].inputs);
    assert_eq!(inputs[0], "order=Order { _items: 0 }");
    assert!(
        inputs[1].starts_with("request=POST /orders?password=") && !inputs[1].contains("hunter2")
    );
    assert_eq!(pairs(&events[1].inputs), [""; 0]);
}

#[test]
fn an_input_that_is_too_long_is_cut_and_the_others_are_there() {
    let events = events_of(|| {
        info_span!("job").in_scope(|| {
            bugsage_sdk::set_input("long", "x".repeat(1 << 20));
            for number in 0..9 {
                bugsage_sdk::input!(format!("n{number}"), "{number}");
            }
            info!("before");
            error!("failed");
        });
    });

    let inputs = &events[0].inputs;
    assert_eq!(inputs.len(), 4, "the first four are kept");
    assert!(inputs[0].1.len() <= 8 << 10 && inputs[0].1.ends_with('…'));
    assert_eq!(
        crumbs(&events[0]),
        ["before"],
        "there is room for what was logged"
    );
}

#[test]
fn breadcrumbs_are_chosen_by_level_and_target_at_any_time() {
    let events = events_of(|| {
        bugsage_sdk::set_breadcrumb_level_of("noisy", LevelFilter::WARN);
        bugsage_sdk::set_breadcrumb_level_of("quiet", LevelFilter::DEBUG);
        info!(target: "noisy::sub", "left out");
        warn!(target: "noisy::sub", "kept");
        debug!(target: "quiet", "wanted");
        debug!("left out too");
        error!("failed");
        bugsage_sdk::set_breadcrumb_level_of("noisy", LevelFilter::INFO);
        info!(target: "noisy::sub", "kept now");
        error!("failed again");
    });

    assert_eq!(crumbs(&events[0]), ["kept", "wanted"]);
    assert_eq!(crumbs(&events[1]), ["kept", "wanted", "kept now"]);
}

#[test]
fn lines_below_error_may_be_events_and_errors_none() {
    let events = events_of(|| {
        bugsage_sdk::set_event_level_of("audit", LevelFilter::WARN);
        bugsage_sdk::set_event_level_of("chatty", LevelFilter::OFF);
        warn!(target: "audit", "somebody tried");
        error!(target: "chatty", "as always");
        error!("failed");
    });

    let messages: Vec<_> = events.iter().map(|event| &*event.message).collect();
    assert_eq!(messages, ["somebody tried", "failed"]);
    assert_eq!(crumbs(&events[1]), ["as always"]);
}

#[test]
fn the_share_of_traces_may_change_at_any_time() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::with_default(subscriber, || {
        bugsage_sdk::set_traces_sample_rate(0.0);
        info_span!("unsampled").in_scope(|| {
            bugsage_sdk::set_traces_sample_rate(1.0);
            // What was decided for a trace stays.
            info_span!("child").in_scope(|| {});
        });
        bugsage_sdk::set_traces_sample_rate_of("health", 0.0);
        drop(info_span!("healthz"));
        drop(info_span!("sampled"));
    });

    let spans = recorder.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["sampled"]);
}

#[test]
fn the_release_is_what_is_built_with_the_commit_where_there_is_one() {
    let release = bugsage_sdk::release!();

    let (name, rest) = release.split_once('@').expect("has a name");
    let (version, commit) = rest.split_once('+').unwrap_or((rest, ""));
    assert_eq!((name, version), ("bugsage-sdk", env!("CARGO_PKG_VERSION")));
    let is_checkout =
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.git")).exists();
    let is_name = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(
        is_name,
        is_checkout && cfg!(feature = "macros"),
        "{release}"
    );
}

#[test]
fn records_of_the_log_crate_come_from_where_they_were_written() {
    // For the whole process; records go to whatever subscriber their thread has.
    tracing_log::LogTracer::init().expect("is the only one");
    log::set_max_level(log::LevelFilter::Trace);
    let line = line!() + 4;
    let events = events_of(|| {
        bugsage_sdk::set_breadcrumb_level_of("muted", LevelFilter::OFF);
        log::info!(target: "muted", "left out");
        log::warn!("the pool is empty");
        log::error!(target: "shop::pool", "no connection");
    });

    let [event] = &events[..] else {
        panic!("one event is expected");
    };
    assert_eq!(&*event.message, "no connection");
    let location = event.location.as_ref().expect("is known");
    assert!(location.file.ends_with("tests/surroundings.rs"));
    assert_eq!(location.line, line + 1);
    let [crumb] = &event.breadcrumbs[..] else {
        panic!("one breadcrumb is expected");
    };
    assert_eq!(
        (&*crumb.message, &*crumb.target),
        ("the pool is empty", "surroundings")
    );
}

#[test]
fn a_long_line_is_cut_where_there_is_no_more_room() {
    let events = events_of(|| {
        for length in 960..1_030 {
            info!(value = length, "{}", "x".repeat(length));
        }
        error!("failed");
    });
    let lengths = events[0]
        .breadcrumbs
        .iter()
        .map(|crumb| crumb.message.len());
    assert!(lengths.max().is_some_and(|longest| longest <= 1_024));
}
