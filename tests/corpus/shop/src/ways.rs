//! The ways that lead to a bug: who asks for it is no part of it.

use crate::black_box;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use tokio::runtime::Runtime;

/// A bug, as a function or as a future.
#[derive(Clone, Copy)]
pub enum Bug {
    Sync(fn()),
    Async(fn() -> Pin<Box<dyn Future<Output = ()> + Send>>),
}

pub const WAYS: &[(&str, fn(&Runtime, Bug))] = &[
    ("direct", direct),
    ("wrapped", wrapped),
    ("spawned", spawned),
    ("thread", thread),
    ("generic", generic),
    ("deep", deep),
];

fn direct(runtime: &Runtime, bug: Bug) {
    contained(|| run(runtime, bug));
}

fn run(runtime: &Runtime, bug: Bug) {
    match bug {
        Bug::Sync(bug) => bug(),
        Bug::Async(bug) => runtime.block_on(bug()),
    }
}

async fn step(bug: Bug) {
    tokio::task::yield_now().await;
    match bug {
        Bug::Sync(bug) => bug(),
        Bug::Async(bug) => bug().await,
    }
}

async fn request(bug: Bug) {
    step(bug).await;
}

fn wrapped(runtime: &Runtime, bug: Bug) {
    contained(|| runtime.block_on(request(bug)));
}

fn spawned(runtime: &Runtime, bug: Bug) {
    let task = runtime.spawn(async move { request(bug).await });
    black_box(runtime.block_on(task).is_err());
}

fn thread(runtime: &Runtime, bug: Bug) {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| run(runtime, bug));
        black_box(worker.join().is_err());
    });
}

trait Handler {
    fn handle(&self, runtime: &Runtime, bug: Bug);
}

struct Page<T>(T);

impl<T: AsRef<str>> Handler for Page<T> {
    fn handle(&self, runtime: &Runtime, bug: Bug) {
        if self.0.as_ref() == "page" {
            run(runtime, bug);
        }
    }
}

fn generic(runtime: &Runtime, bug: Bug) {
    contained(|| Page("page").handle(runtime, bug));
    contained(|| Page(String::from("page")).handle(runtime, bug));
}

fn deep(runtime: &Runtime, bug: Bug) {
    contained(|| level(runtime, bug, black_box(12)));
}

fn level(runtime: &Runtime, bug: Bug, left: u32) {
    if left == 0 {
        run(runtime, bug);
    } else if left % 2 == 0 {
        level(runtime, bug, left - 1);
    } else {
        other_level(runtime, bug, left);
    }
    black_box(left);
}

fn other_level(runtime: &Runtime, bug: Bug, left: u32) {
    level(runtime, bug, left - 1);
    black_box(left);
}

fn contained(run: impl FnOnce()) -> Option<Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(run)).err()
}
