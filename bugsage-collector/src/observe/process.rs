//! What the system knows of this process: memory, processor time, open files. Under the names that every
//! exporter uses.

use std::fs;

use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Adds what is known; elsewhere than on Linux that is nothing.
pub(super) fn register(registry: &mut Registry) {
    let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: Option<f64>| {
        let Some(gauge) = value.map(ConstGauge::new) else {
            return;
        };
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    };
    let bytes = |pages: u64| pages as f64 * rustix::param::page_size() as f64;
    let memory = |column| number("/proc/self/statm", column).map(bytes);
    let kind = || Some(Unit::Bytes);
    gauge("process_virtual_memory", "Address space", kind(), memory(0));
    gauge(
        "process_resident_memory",
        "Memory in use",
        kind(),
        memory(1),
    );
    let open = fs::read_dir("/proc/self/fd").map(|entries| entries.count() as f64);
    gauge("process_open_fds", "Open file descriptors", None, open.ok());
    let max = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let help = "File descriptors that may be open";
    gauge("process_max_fds", help, None, max.map(|max| max as f64));
    gauge(
        "process_threads",
        "Threads",
        None,
        stat(17).map(|it| it as f64),
    );
    if let Some(ticks) = stat(11).zip(stat(12)).map(|(user, system)| user + system) {
        let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        let counter = ConstCounter::new(seconds);
        let help = "Processor time, of the program and for it";
        registry.register_with_unit("process_cpu", help, Unit::Seconds, counter);
    }
}

/// A number in a file of the kernel.
fn number(path: &str, column: usize) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().nth(column)?.parse().ok()
}

/// A number behind the process's name, which may have spaces and parentheses in it.
fn stat(column: usize) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    behind.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells_of_this_process() {
        assert!(number("/proc/self/statm", 1).is_some_and(|pages| pages > 100));
        assert!(stat(17).is_some_and(|threads| (1..10_000).contains(&threads)));
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("is text");
        for name in [
            "process_virtual_memory_bytes ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_max_fds ",
            "process_threads ",
            "process_cpu_seconds_total ",
        ] {
            assert!(text.contains(&format!("\n{name}")), "{name} in {text}");
        }
    }
}
