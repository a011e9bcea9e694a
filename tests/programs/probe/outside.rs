//! Starts the attempts, in the sandbox or without it, and tells what is left of them.
//!
//! Its environment says what the sandbox is to be, and what lies about outside for them to find.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::IntoRawFd;
use std::process::Command;
use std::time::Duration;

use bugsage_pipeline::validate::sandbox::{Job, Limits, Mount, Sandbox, quoted};

use crate::sys;

/// The variable that all processes of a run inherit, to know them by.
const MARK: &str = "PROBE_MARK";

pub(crate) fn in_sandbox(words: &[String]) {
    let sandbox = match Sandbox::find() {
        Ok(sandbox) => sandbox,
        Err(error) => {
            println!("refused: {error}");
            return;
        }
    };
    let _segment = plant();
    let program = std::env::current_exe().expect("it was started from somewhere");
    let mut mounts = vec![Mount::new(program, "probe")];
    if let Some(file) = std::env::var_os("PROBE_MOUNT") {
        mounts.push(Mount::new(file, "mounted"));
    }
    let words = words.iter().map(|word| quoted(word));
    let script = format!(
        "exec /build/probe inside {}",
        words.collect::<Vec<_>>().join(" ")
    );
    let mark = std::env::var(MARK).unwrap_or_default();
    let job = Job {
        script: &script,
        mounts: &mounts,
        environment: &[(MARK, &mark)],
        limits: limits(),
    };

    let mut output = Vec::new();
    let ended = sandbox.run(&job, &mut output);

    let left = living(&mark);
    // Of a flood the beginning is enough.
    output.truncate(64 << 10);
    let mut stdout = std::io::stdout().lock();
    if !output.is_empty() && !output.ends_with(b"\n") {
        output.push(b'\n');
    }
    stdout.write_all(&output).expect("the story reads it");
    match ended {
        Ok(ended) => {
            println!("end: {:?}", ended.end);
            println!("took: {}", ended.wall.as_millis());
            println!("complaint: {}", ended.complaint.trim().replace('\n', "; "));
        }
        Err(error) => println!("end: {error}"),
    }
    println!("sandbox: {}", sandbox.describe());
    println!("left: {left}");
}

/// The same without a sandbox.
pub(crate) fn directly(words: &[String]) {
    let _segment = plant();
    let program = std::env::current_exe().expect("it was started from somewhere");
    let status = Command::new(program).arg("inside").args(words).status();
    println!("end: {:?}", status.map(|status| status.code()));
    println!("left: {}", living(&std::env::var(MARK).unwrap_or_default()));
}

fn limits() -> Limits {
    let number = |name: &str, otherwise: u64| {
        let value = std::env::var(format!("PROBE_{name}"));
        value.map_or(otherwise, |value| value.parse().expect("is a number"))
    };
    Limits {
        wall: Duration::from_millis(number("WALL_MS", 30_000)),
        // Far above what a probe needs: stories at the same time fill memory too, which a run could
        // not tell from its own. Those that are about memory say how much.
        memory_bytes: number("MEMORY_MB", 4_096) << 20,
        processes: number("PROCESSES", 32) as u32,
        file_bytes: number("FILE_MB", 16) << 20,
        disk_bytes: number("DISK_MB", 48) << 20,
        output_bytes: number("OUTPUT_BYTES", 1 << 20),
    }
}

/// What an operator's process may hold when it starts a sandbox.
fn plant() -> Option<Segment> {
    if let Some(secret) = std::env::var_os("PROBE_OPEN_FILE") {
        let file = std::fs::File::open(secret).expect("the story made it");
        // A library that forgets to close on exec, in the middle of this process's descriptors.
        let copied = sys::call(libc::SYS_dup3, [file.into_raw_fd() as usize, 77, 0]);
        copied.expect("the number is free");
    }
    let key = std::env::var("PROBE_SYSV_KEY").ok()?;
    let key: usize = key.parse().expect("is a number");
    let flags = (libc::IPC_CREAT | libc::IPC_EXCL | 0o600) as usize;
    let made = sys::call(libc::SYS_shmget, [key, 4096, flags]);
    Some(Segment(made.expect("nobody has the key") as usize))
}

/// Shared memory that others find by its key, until this is dropped.
struct Segment(usize);

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = sys::call(libc::SYS_shmctl, [self.0, libc::IPC_RMID as usize, 0]);
    }
}

/// How many processes have the mark, beside this one.
fn living(mark: &str) -> usize {
    let wanted = OsString::from(format!("{MARK}={mark}"));
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    // Not `self`, which is this process again.
    let others = processes.filter(|process| {
        let name = process.file_name();
        name != *own && name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    });
    let environments =
        others.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    environments
        .filter(|environment| {
            let mut variables = environment.split(|byte| *byte == 0);
            variables.any(|variable| variable == wanted.as_encoded_bytes())
        })
        .count()
}
