//! Processes that are copied while the SDK is active.

use std::panic::catch_unwind;
use std::time::Duration;

use bugsage_sdk::Guard;
use rustix::process::{Pid, Signal, WaitOptions};
use tracing::Level;

use crate::{builder, finish, start, tell_account, tell_time, timeout};

/// What the child does, and the parent beside it.
pub(crate) fn fork(what: &str) {
    let guard = match what {
        "own_transport" => builder().transport(Silent).init(),
        _ => start(),
    };
    report("parent before");
    match what {
        "report" | "own_transport" => in_child(guard, |guard| {
            report("child");
            drop(catch_unwind(|| panic!("child panics")));
            finish(guard);
        }),
        "nothing" => in_child(guard, |guard| tell_time("drop", || drop(guard))),
        "killed" => in_child(guard, |_guard| {
            report("child");
            let ourselves = rustix::process::getpid();
            let _ = rustix::process::kill_process(ourselves, Signal::KILL);
        }),
        "daemon" => daemon(guard),
        "many" => many(guard),
        _ => panic!("there is no child that does {what:?}"),
    }
}

/// Takes nothing.
struct Silent;

impl bugsage_sdk::transport::Transport for Silent {
    fn send(&mut self, _: bugsage_sdk::transport::Batch) -> bugsage_sdk::transport::Sending {
        Box::pin(std::future::ready(bugsage_sdk::transport::Answer::Later {
            after: None,
        }))
    }
}

fn report(message: &str) {
    bugsage_sdk::capture_message(Level::ERROR, message);
}

/// Copies the process; the child ends when `child` does.
fn in_child(guard: Guard, child: impl FnOnce(Guard)) {
    match fork_here() {
        None => {
            child(guard);
            // Not `exit`, which would flush what the parent has written to its streams again.
            std::io::Write::flush(&mut std::io::stdout()).expect("is a pipe");
        }
        Some(pid) => {
            wait_for(pid);
            report("parent after");
            tell_account("parent", &guard.shutdown(timeout()));
        }
    }
}

/// The parent is gone when the child reports.
fn daemon(guard: Guard) {
    match fork_here() {
        Some(_) => finish(guard),
        None => {
            let parent = rustix::process::getppid();
            while rustix::process::getppid() == parent {
                std::thread::sleep(Duration::from_millis(5));
            }
            report("daemon");
            let report = guard.shutdown(timeout());
            tell_account("daemon", &report);
        }
    }
}

/// Children of one parent that report at the same moment.
fn many(guard: Guard) {
    let mut children = Vec::new();
    for _ in 0..8 {
        let Some(pid) = fork_here() else {
            report("one of many");
            drop(guard);
            return;
        };
        children.push(pid);
    }
    children.into_iter().for_each(wait_for);
    finish(guard);
}

fn wait_for(pid: Pid) {
    rustix::process::waitpid(Some(pid), WaitOptions::empty()).expect("is our child");
}

/// The child's number; `None` in the child.
fn fork_here() -> Option<Pid> {
    // SAFETY: the child goes on with the copied memory of one thread, as `fork` says. What other
    // threads may hold at this moment is the allocator's, which glibc keeps usable, and the SDK's,
    // which is what is looked at here.
    match unsafe { libc::fork() } {
        0 => None,
        pid => Some(Pid::from_raw(pid).expect("the system has room for a process")),
    }
}
