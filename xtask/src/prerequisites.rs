//! What the gate needs beside cargo, brought once and up front where that is allowed.
//!
//! Tests never install anything: what is missing here stops the gate with one line that names it.

use std::path::Path;

use crate::program::Program;

/// One thing that the gate needs.
struct Need {
    name: &'static str,
    /// What it is needed for, as the end of a sentence.
    why: &'static str,
    /// Ends well where the thing is there.
    probe: Program,
    /// How it can be had.
    source: Source,
}

enum Source {
    /// Debian packages, installed by root.
    Apt(&'static str),
    /// A component of the Rust toolchain, which belongs to the user.
    Rustup(&'static str),
}

impl Source {
    /// The programs that bring it.
    fn programs(&self) -> Vec<Program> {
        match self {
            Source::Apt(packages) => vec![
                Program::new("apt-get", "update --quiet"),
                Program::new(
                    "apt-get",
                    &format!("install --quiet --yes --no-install-recommends {packages}"),
                )
                .variable("DEBIAN_FRONTEND", "noninteractive"),
            ],
            Source::Rustup(component) => {
                vec![Program::new("rustup", "component add").arg(component)]
            }
        }
    }

    /// Whether this run may bring it by itself.
    fn allowed(&self, root: &Path) -> bool {
        match self {
            Source::Apt(_) => Program::new("apt-get", "--version").works(root) && is_root(root),
            Source::Rustup(_) => Program::new("rustup", "--version").works(root),
        }
    }

    fn advice(&self) -> String {
        match self {
            Source::Apt(packages) => {
                format!("install it (on Debian: `sudo apt-get install {packages}`)")
            }
            Source::Rustup(component) => format!("run `rustup component add {component}`"),
        }
    }
}

/// Brings what is missing, or says in one line what it is.
pub(crate) fn ensure(root: &Path) -> Result<(), String> {
    for need in needs() {
        if need.probe.works(root) {
            continue;
        }
        bring(&need, root)?;
    }
    Ok(())
}

fn needs() -> [Need; 6] {
    let compiler = match std::env::var("CC") {
        Ok(compiler) if !compiler.is_empty() => Program::new("sh", "-c").arg("$CC --version"),
        _ => Program::new("cc", "--version"),
    };
    [
        Need {
            name: "git",
            why: "tests make repositories with it",
            probe: Program::new("git", "--version"),
            source: Source::Apt("git"),
        },
        Need {
            name: "a C compiler",
            why: "SQLite and the TLS crypto are built from source",
            probe: compiler,
            source: Source::Apt("gcc libc6-dev"),
        },
        Need {
            name: "a C++ compiler",
            why: "libFuzzer is built from source",
            probe: Program::new("c++", "--version"),
            source: Source::Apt("g++"),
        },
        Need {
            name: "valgrind",
            why: "it looks at what the SDK reads and writes by pointers",
            probe: Program::new("valgrind", "--version"),
            source: Source::Apt("valgrind"),
        },
        Need {
            name: "cargo fmt",
            why: "the gate checks the format",
            probe: Program::cargo("fmt --version"),
            source: Source::Rustup("rustfmt"),
        },
        Need {
            name: "cargo clippy",
            why: "the gate lints",
            probe: Program::cargo("clippy --version"),
            source: Source::Rustup("clippy"),
        },
    ]
}

fn bring(need: &Need, root: &Path) -> Result<(), String> {
    let Need { name, why, .. } = need;
    let missing = format!("{name} is missing ({why})");
    let advice = need.source.advice();
    if !need.source.allowed(root) {
        return Err(format!("{missing}: {advice}"));
    }
    for program in need.source.programs() {
        println!("{missing}: {program}");
        if !program.status(root).is_ok_and(|status| status.success()) {
            return Err(format!("{missing} and `{program}` failed: {advice}"));
        }
    }
    if need.probe.works(root) {
        Ok(())
    } else {
        Err(format!("{missing} after its installation too: {advice}"))
    }
}

/// Whether this run may install packages.
pub(crate) fn is_root(root: &Path) -> bool {
    let id = Program::new("id", "-u").output(root);
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
