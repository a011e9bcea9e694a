//! Apps with a panic hook of their own.

use std::panic::{self, catch_unwind};
use std::process;
use std::thread;
use std::time::Duration;

use crate::{add_layer, finish, panics, start};

/// A hook that was there first, and after its message does what it was told to do.
pub(crate) fn chained(deed: &str) {
    let deed = deed.to_owned();
    panic::set_hook(Box::new(move |info| {
        eprintln!("the chained hook: {}", info.payload_as_str().unwrap_or("?"));
        match &*deed {
            "exit" => process::exit(7),
            "abort" => process::abort(),
            "panic" => panic!("in the hook"),
            "log" => tracing::error!("logged by the hook"),
            "sleep" => thread::sleep(Duration::from_millis(300)),
            _ => panic!("there is no deed {deed:?}"),
        }
    }));
    let guard = start();
    add_layer();
    let _ = catch_unwind(|| panic!("the cause"));
    finish(guard);
}

/// A hook that prints for as long as it takes until others were looked for twice, and panics on other threads that
/// come meanwhile.
pub(crate) fn slow() {
    panic::set_hook(Box::new(|info| {
        if info.payload_as_str() == Some("the first") {
            thread::sleep(Duration::from_millis(200));
        }
    }));
    let guard = start();
    thread::scope(|scope| {
        scope.spawn(|| catch_unwind(|| panic!("the first")));
        for _ in 0..20 {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(100));
                catch_unwind(|| panic!("another"))
            });
        }
    });
    finish(guard);
}

/// A hook that ends the process as `kill -9` does, at the last of the panics that are to come.
pub(crate) fn kills(way: &str) {
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("?");
        eprintln!("the chained hook: {message}");
        if message != "the first" {
            let ourselves = rustix::process::getpid();
            let _ = rustix::process::kill_process(ourselves, rustix::process::Signal::KILL);
        }
    }));
    match way {
        "main" => panics::in_main(),
        "thread" => panics::in_thread(),
        "inlined call" => panics::in_inlined_call(),
        "small stack" => panics::on_small_stack(),
        "task" => panics::in_task_of_many_threads(),
        "destructor" => panics::in_drop(),
        "extern C" => panics::in_extern_c(),
        "thread-local" => panics::in_thread_local(),
        "stdout" => panics::holding_stdout(),
        _ => panic!("there is no way {way:?}"),
    }
}

/// A hook from before the guard and one from after it, that calls what it found.
pub(crate) fn order() {
    panic::set_hook(Box::new(|_| eprintln!("the first hook")));
    let guard = start();
    let found = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        eprintln!("the last hook");
        found(info);
    }));
    let _ = catch_unwind(|| panic!("the cause"));
    finish(guard);
}

/// A hook that calls nobody, as that of `human-panic`.
fn silent() {
    panic::set_hook(Box::new(|_| eprintln!("the silent hook")));
}

fn colourful() {
    color_eyre::install().expect("is the first");
}

/// Hooks of others that are set before our start and after it, none of which calls the one that it finds.
pub(crate) fn of_others(order: &str) {
    let (before, after) = order.split_once(" us ").expect("says where we start");
    let set = |name: &str| match name {
        "silent" => silent(),
        "colourful" => colourful(),
        _ => {}
    };
    set(before);
    let guard = start();
    set(after);
    // Ours is looked after in the first second.
    while guard.flush(Duration::from_secs(30)).produced == 0 {
        let _ = catch_unwind(|| panic!("the cause"));
        thread::sleep(Duration::from_millis(5));
    }
    finish(guard);
}
