//! What the kernel tells of this process.

use std::fs;

/// CPU nanoseconds of all threads that live. Those of threads that ended are not in it.
pub(crate) fn cpu_ns() -> f64 {
    // The files of a thread that just ended cannot be read.
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    let of_each = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    of_each.sum()
}

/// Threads beside the calling one, and how often they gave up their core of their own accord.
pub(crate) fn others() -> (u64, u64) {
    let own = fs::read_link("/proc/thread-self").unwrap_or_default();
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    let (mut count, mut switches) = (0, 0);
    for thread in threads.flatten() {
        if Some(&*thread.file_name()) == own.file_name() {
            continue;
        }
        count += 1;
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        switches += field(&status, "voluntary_ctxt_switches:");
    }
    (count, switches)
}

/// Resident memory, and what of it is no file's, counted page by page: the number in `status` may be
/// hundreds of KiB off.
pub(crate) fn memory_kib() -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    (field(&text, "Rss:"), field(&text, "Anonymous:"))
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
