//! An app with a few bugs, each in a form that compilers treat differently.
//!
//! Nothing here asks for inlining or against it: what becomes of each call is up to the profile.

mod courier;
mod list;
mod orders;
mod stock;

use std::hint::black_box;
use std::panic::catch_unwind;
use std::time::Duration;

/// All bugs. Some stand in closures of this table, which no function calls by name.
const BUGS: &[fn()] = &[
    // Two in one helper.
    || use_up(orders::first_price(&[])),
    || use_up(stock::shelf(7)),
    || use_up(orders::cheapest(black_box(&[]))),
    || use_up(orders::amount("many")),
    || use_up(stock::share(black_box(0))),
    || use_up(stock::counted(&["a", "b"])),
    || black_box(stock::boxed()).check(),
    || use_up(list::only(black_box(&[1, 2]))),
    || stock::reserve(black_box(3), 2),
    courier::in_thread,
    courier::in_task,
    courier::in_tasks_of_one_function,
];

fn main() {
    let guard = bugsage_sdk::builder().environment("test").init();
    for bug in BUGS {
        // Each is met where a server would meet it: behind a call that goes on afterwards.
        let _ = catch_unwind(bug);
    }
    guard.shutdown(Duration::from_secs(30));
    println!("bugs: {}", BUGS.len());
}

/// Keeps the compiler from leaving out what nobody uses.
fn use_up<T>(value: T) {
    black_box(value);
}
