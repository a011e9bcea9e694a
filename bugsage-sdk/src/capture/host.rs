//! Facts about host, build and process that go with every event.

use std::fs::File;
use std::io::Read;

use bugsage_core::event::{Pairs, Text};

use super::executable;

/// More than the part of any of these files that is of interest.
const FILE_BYTES_MAX: u64 = 8 << 10;

/// Collects the facts once, at the start: some files of the kernel, less than half a millisecond.
pub(crate) fn contexts() -> Pairs {
    let mut contexts: Pairs = Vec::new();
    let mut add = |name: &str, value: &str| {
        let value = value.trim();
        if !value.is_empty() {
            contexts.push((Text::from(name), Text::from(value)));
        }
    };
    add("os.name", std::env::consts::OS);
    add("os.arch", std::env::consts::ARCH);
    add("os.kernel", &read("/proc/sys/kernel/osrelease"));
    let release = read("/etc/os-release");
    add(
        "os.distribution",
        value_after(&release, "PRETTY_NAME=").trim_matches('"'),
    );
    add("host.name", &read("/proc/sys/kernel/hostname"));
    let cpus = std::thread::available_parallelism();
    add(
        "host.cpus",
        &cpus.map_or_else(|_| String::new(), |cpus| cpus.to_string()),
    );
    let model = read("/proc/cpuinfo");
    add("host.cpu", value_after(&model, "model name\t: "));
    let memory = read("/proc/meminfo");
    add("host.memory", value_after(&memory, "MemTotal:"));
    // What a container may have of it, where there are limits.
    let limit = |file: &str| {
        let limit = read(&format!("/sys/fs/cgroup/{file}"));
        if limit.starts_with("max") {
            String::new()
        } else {
            limit
        }
    };
    add("container.memory_max_bytes", &limit("memory.max"));
    add("container.cpu_max", &limit("cpu.max"));
    add("container.runtime", container().unwrap_or(""));
    let executable = std::env::current_exe().ok();
    let executable = executable.as_ref().and_then(|path| path.file_name());
    add(
        "process.executable",
        &executable.unwrap_or_default().to_string_lossy(),
    );
    add("process.pid", &std::process::id().to_string());
    add_build(&mut add);
    add_runtime(&mut add);
    contexts
}

fn add_build(add: &mut impl FnMut(&str, &str)) {
    let is_debug = cfg!(debug_assertions);
    // As Cargo names its profiles; one of an app's own counts as what it inherits.
    add("build.profile", if is_debug { "debug" } else { "release" });
    add("build.debug_assertions", on_or_off(is_debug));
    let checks = executable::overflow_checks();
    add("build.overflow_checks", checks.map_or("", on_or_off));
    let is_abort = cfg!(panic = "abort");
    add("build.panic", if is_abort { "abort" } else { "unwind" });
    let (rustc, debug_info) = executable::file();
    add("build.rustc", &rustc.unwrap_or_default());
    add("build.debug_info", debug_info.unwrap_or(""));
}

/// The tokio runtime that the SDK was started in, where there is one.
fn add_runtime(add: &mut impl FnMut(&str, &str)) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let flavor = match runtime.runtime_flavor() {
        tokio::runtime::RuntimeFlavor::CurrentThread => "current_thread",
        tokio::runtime::RuntimeFlavor::MultiThread => "multi_thread",
        _ => "another",
    };
    add("tokio.flavor", flavor);
    add(
        "tokio.workers",
        &runtime.metrics().num_workers().to_string(),
    );
}

fn on_or_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// In what the process runs, by the traces that each leaves inside.
fn container() -> Option<&'static str> {
    let is_there = |path: &str| std::path::Path::new(path).exists();
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Some("kubernetes")
    } else if is_there("/run/.containerenv") {
        Some("podman")
    } else {
        is_there("/.dockerenv").then_some("docker")
    }
}

/// The rest of the first line that begins so.
fn value_after<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or("").trim()
}

fn read(path: &str) -> String {
    // Else it is read by 32 bytes first, then by 32 more.
    let mut bytes = Vec::with_capacity(FILE_BYTES_MAX as usize);
    // Where there is no such file there is nothing to tell.
    let _ = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(contexts: &'a Pairs, name: &str) -> Option<&'a str> {
        let found = contexts.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| &**value)
    }

    #[test]
    fn host_build_and_process_are_known() {
        let contexts = contexts();

        for name in [
            "os.name",
            "os.arch",
            "host.cpus",
            "process.pid",
            "build.panic",
            "build.profile",
            "build.rustc",
            "build.debug_info",
        ] {
            assert!(value(&contexts, name).is_some(), "{name} in {contexts:?}");
        }
        if cfg!(target_os = "linux") {
            let memory = value(&contexts, "host.memory").expect("is known");
            assert!(memory.ends_with(" kB"), "{memory}");
        }
        assert_eq!(value(&contexts, "tokio.flavor"), None, "there is none here");
        assert!(contexts.iter().all(|(_, value)| !value.contains('\n')));
    }

    #[test]
    fn the_runtime_is_known_where_there_is_one() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let contexts = runtime.expect("starts").block_on(async { contexts() });

        assert_eq!(value(&contexts, "tokio.flavor"), Some("current_thread"));
        assert_eq!(value(&contexts, "tokio.workers"), Some("1"));
    }

    #[test]
    fn a_value_is_the_rest_of_its_line() {
        let text = "NAME=x\nPRETTY_NAME=\"Debian\"\n";
        assert_eq!(value_after(text, "PRETTY_NAME="), "\"Debian\"");
        assert_eq!(value_after(text, "MISSING="), "");
    }
}
