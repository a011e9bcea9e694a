//! Code that means harm, to see what the sandbox makes of it.
//!
//! - `probe outside WORD...` runs the words in the sandbox, with small limits.
//! - `probe direct WORD...` runs them without one: what does nothing here proves nothing there.
//! - `probe inside WORD...` is what both of them start: it tries one word after the other.
//!
//! A word is `name` or `name=argument`. What comes of it is told as `word: outcome: detail` a line,
//! see [`Outcome`].

mod outside;
mod sys;
mod processes;
mod memory;
mod packets;
mod bytes;
mod kernel;

use std::fmt;
use std::io::{self, Write};
use std::process::{Command, ExitCode};

/// What came of an attempt.
enum Outcome {
    /// It was refused.
    Held(String),
    /// It did harm.
    BrokeOut(String),
    /// It got so much: whoever reads this knows the cap.
    Got(u64),
    /// It did what projects' tests need, and what does no harm.
    Works(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Held(why) => write!(f, "held: {why}"),
            Outcome::BrokeOut(what) => write!(f, "broke out: {what}"),
            Outcome::Got(amount) => write!(f, "got: {amount}"),
            Outcome::Works(what) => write!(f, "works: {what}"),
        }
    }
}

/// An attempt that must fail.
fn must_fail<T>(what: &str, result: io::Result<T>) -> Outcome {
    match result {
        Ok(_) => Outcome::BrokeOut(what.to_owned()),
        Err(error) => Outcome::Held(format!("{what}: {error}")),
    }
}

/// Attempts that must all fail: the first that does not, or all the reasons.
fn must_all_fail(attempts: impl IntoIterator<Item = Outcome>) -> Outcome {
    let mut reasons = Vec::new();
    for attempt in attempts {
        match attempt {
            Outcome::Held(reason) => reasons.push(reason),
            other => return other,
        }
    }
    Outcome::Held(reasons.join(", "))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((role, words)) = words.split_first() else {
        return ExitCode::from(2);
    };
    match &**role {
        "outside" => outside::in_sandbox(words),
        "direct" => outside::directly(words),
        "inside" => all(words),
        "alone" => println!("{}", one(&words[0])),
        role => panic!("unknown role {role}"),
    }
    ExitCode::SUCCESS
}

/// Each word in a process of its own: it may be killed for what it does.
fn all(words: &[String]) {
    let program = std::env::current_exe().expect("it was started from somewhere");
    for word in words {
        print!("{word}: ");
        let _ = io::stdout().flush();
        match Command::new(&program).args(["alone", word]).status() {
            Ok(status) if status.success() => {}
            Ok(status) => println!("ended: {status}"),
            Err(error) => println!("cannot start: {error}"),
        }
    }
}

fn one(word: &str) -> Outcome {
    let (name, argument) = word.split_once('=').unwrap_or((word, ""));
    match name {
        "daemon" => processes::daemon(),
        "forks" => processes::forks(),
        "threads" => processes::threads(),
        "deaf" => processes::deaf(),
        "kills-everyone" => processes::kills_everyone(),
        "signals" => processes::signals(argument),
        "traces" => processes::traces(argument),
        "takes-over" => processes::takes_over(),

        "memory" => memory::private(),
        "memory-of-many" => memory::of_many(),
        "memory-shared" => memory::shared(),
        "memory-zero" => memory::device_zero(),
        "memory-memfd" => memory::memfd(),
        "memory-sysv" => memory::sysv(),
        "memory-sockets" => memory::sockets(),
        "files-shm" => memory::files("/dev/shm", 1 << 20),
        "files-tmp" => memory::files(&bytes::temporary(), 1 << 20),
        "file" => memory::file(),
        "inodes" => memory::inodes(),
        "floods" => memory::floods(),

        "sends" => packets::sends(argument),
        "socket" => packets::socket(argument),
        "resolves" => packets::resolves(argument),
        "interface" => packets::interface(),
        "loopback" => packets::loopback(),

        "reads" => bytes::reads(argument),
        "writes" => bytes::writes(argument),
        "creates" => bytes::creates(argument),
        "links" => bytes::links(argument),
        "finds" => bytes::finds(argument),
        "lists" => bytes::lists(argument),
        "device" => bytes::device(),

        "rights" => kernel::rights(argument),
        "becomes-root" => kernel::becomes_root(),
        "setuid-programs" => kernel::setuid_programs(),
        "namespaces" => kernel::namespaces(),
        "bubblewrap" => kernel::bubblewrap(),
        "mounts" => kernel::mounts(),
        "keyring" => kernel::keyring(),
        "kernel-log" => kernel::log(),
        "terminal" => kernel::terminal(),
        "sysv-of-host" => kernel::sysv_of_host(argument),
        "limits" => kernel::limits(),
        "core-limit" => kernel::core_limit(),
        "priority" => kernel::priority(),
        "refused-calls" => kernel::refused_calls(),
        "calls-of-32-bit" => kernel::calls_of_32_bit(),
        name => panic!("unknown word {name}"),
    }
}
