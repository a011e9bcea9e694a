//! Facts about host, build and process that go with every event.

use bugsage_core::event::{Pairs, Text};

/// Collects the facts once, at the start.
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
    add("host.name", &read("/proc/sys/kernel/hostname"));
    let executable = std::env::current_exe().ok();
    let executable = executable.as_ref().and_then(|path| path.file_name());
    add(
        "process.executable",
        &executable.unwrap_or_default().to_string_lossy(),
    );
    add("process.pid", &std::process::id().to_string());
    add(
        "build.debug_assertions",
        if cfg!(debug_assertions) { "on" } else { "off" },
    );
    add(
        "build.panic",
        if cfg!(panic = "abort") {
            "abort"
        } else {
            "unwind"
        },
    );
    contexts
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
