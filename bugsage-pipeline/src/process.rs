//! Runs a program with bounds on its output and its time.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Starts a program whose output and errors are piped, and waits for it within the bounds. When this
/// returns, the program is gone. `input` is for one whose input is piped.
pub(crate) fn run(
    command: &mut Command,
    input: &[u8],
    bytes_max: usize,
    complaint_bytes_max: usize,
    time_max: Duration,
) -> std::io::Result<Finished> {
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // It may print before it has read everything; both pipes are small.
        thread::Builder::new().name("input".into()).spawn(move || {
            // A program that does not want all of it says so by its exit code.
            let _ = stdin.write_all(&input);
        })?;
    }
    let finished = finish(&mut child, bytes_max, complaint_bytes_max, time_max);
    if !matches!(finished, Ok(Finished::Exited { .. })) {
        // It may have ended by itself in the meantime; what counts is that it is gone.
        let _ = child.kill();
        let _ = child.wait();
    }
    finished
}

/// How a program came to its end.
pub(crate) enum Finished {
    Exited {
        status: ExitStatus,
        output: Vec<u8>,
        complaint: String,
    },
    TooMuch,
    TooLate,
}

/// Waits for the child's output and end. Readers stand in threads of their own, so that a child that
/// prints nothing, or a grandchild that keeps a pipe open, cannot hold the caller.
fn finish(
    child: &mut Child,
    bytes_max: usize,
    complaint_bytes_max: usize,
    time_max: Duration,
) -> std::io::Result<Finished> {
    let deadline = Instant::now() + time_max;
    let output = read_in_thread(child.stdout.take(), bytes_max + 1)?;
    let complaint = read_in_thread(child.stderr.take(), complaint_bytes_max)?;
    let left = || deadline.saturating_duration_since(Instant::now());

    let Ok(output) = output.recv_timeout(left()) else {
        return Ok(Finished::TooLate);
    };
    if output.len() > bytes_max {
        return Ok(Finished::TooMuch);
    }
    let complaint = complaint.recv_timeout(left()).unwrap_or_default();
    let complaint = String::from_utf8_lossy(&complaint).into_owned();
    // The pipe is closed, so the end is near; there is nothing to wait on with a timeout.
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Finished::Exited {
                status,
                output,
                complaint,
            });
        }
        if left().is_zero() {
            return Ok(Finished::TooLate);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Reads at most `bytes_max` and sends them. What is beyond is left, and the pipe closed.
fn read_in_thread(
    pipe: Option<impl Read + Send + 'static>,
    bytes_max: usize,
) -> std::io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new()
        .name("output".into())
        .spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                // What was read before an error is still worth showing; the exit code tells of failure.
                let _ = pipe.take(bytes_max as u64).read_to_end(&mut bytes);
            }
            let _ = sender.send(bytes);
        })?;
    Ok(receiver)
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn run(script: &str, bytes_max: usize, time_max: Duration) -> (Finished, Duration) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let finished = finish(&mut child, bytes_max, 400, time_max).unwrap();
        let taken = start.elapsed();
        let _ = child.kill();
        child.wait().unwrap();
        (finished, taken)
    }

    #[test]
    fn a_program_that_hangs_is_left_after_its_time() {
        let time_max = Duration::from_millis(100);

        for script in [
            "exec sleep 60",
            "exec >&-; exec sleep 60",
            "sleep 1 & exit 0",
        ] {
            let (finished, taken) = run(script, 10, time_max);

            assert!(matches!(finished, Finished::TooLate), "{script}");
            assert!(taken < Duration::from_secs(30), "{script}: {taken:?}");
        }
    }

    #[test]
    fn a_program_that_prints_without_end_is_left_at_the_bound() {
        let (finished, _) = run("exec yes", 1_000, Duration::from_secs(60));

        assert!(matches!(finished, Finished::TooMuch));
    }

    #[test]
    fn a_complaint_is_kept_with_the_exit_code() {
        let (finished, _) = run(
            "echo out; echo no >&2; exit 3",
            1_000,
            Duration::from_secs(60),
        );

        let Finished::Exited {
            status,
            output,
            complaint,
        } = finished
        else {
            panic!()
        };
        assert_eq!(
            (status.code(), &*output, &*complaint),
            (Some(3), &b"out\n"[..], "no\n")
        );
    }
}
