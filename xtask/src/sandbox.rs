//! Whether the tests that need a sandbox can run here: bubblewrap is brought where that is allowed,
//! and tried as the pipeline does.

use std::path::Path;

use crate::prerequisites::is_root;
use crate::program::Program;

/// Set to `1`, the gate goes on where the kernel refuses a sandbox, and says at its end what it has
/// not proved.
pub(crate) const WITHOUT: &str = "BUGSAGE_CI_WITHOUT_SANDBOX";

/// Everything that needs a sandbox has it in its path: `cargo test -- --skip sandboxed`.
pub(crate) const SKIPPED: &str = "sandboxed";

/// What is between this machine and a sandbox.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Works,
    /// There is no bubblewrap, and this run may not or cannot bring it.
    Missing(String),
    /// It is there, and does not start.
    Refused(String),
}

/// A system's way to its packages.
struct Packages {
    name: &'static str,
    /// What to do first where the plain installation fails.
    update: Option<&'static str>,
    install: &'static str,
}

const PACKAGES: [Packages; 4] = [
    Packages {
        name: "apt-get",
        update: Some("update --quiet"),
        install: "install --quiet --yes --no-install-recommends bubblewrap",
    },
    Packages {
        name: "dnf",
        update: None,
        install: "install --quiet --assumeyes bubblewrap",
    },
    Packages {
        name: "apk",
        update: Some("update --quiet"),
        install: "add --quiet bubblewrap",
    },
    Packages {
        name: "pacman",
        update: Some("-Sy --noconfirm"),
        install: "-S --noconfirm --needed bubblewrap",
    },
];

/// Looks for a sandbox. `false` where there is none and the gate is to go on without.
pub(crate) fn ensure(root: &Path) -> Result<bool, String> {
    let is_root = is_root(root);
    let found = match bring(root, is_root) {
        Ok(()) => try_out(root, is_root),
        Err(missing) => Found::Missing(missing),
    };
    let without = std::env::var(WITHOUT).is_ok_and(|value| value == "1");
    decide(found, without)
}

fn decide(found: Found, without: bool) -> Result<bool, String> {
    let reason = match found {
        Found::Works => return Ok(true),
        Found::Missing(reason) => reason,
        Found::Refused(reason) => format!("bubblewrap cannot start here ({reason})"),
    };
    if without {
        println!("{reason}; going on without the tests that need it");
        return Ok(false);
    }
    Err(format!(
        "{reason}; {WITHOUT}=1 goes on without the tests that need it"
    ))
}

/// Installs bubblewrap where it is missing.
fn bring(root: &Path, is_root: bool) -> Result<(), String> {
    let is_there = || bubblewrap("--version").works(root);
    if is_there() {
        return Ok(());
    }
    let mut known = PACKAGES.iter();
    let packages = known.find(|packages| Program::new(packages.name, "--version").works(root));
    let Some(packages) = packages else {
        return Err(
            "bubblewrap is missing (generated code is tested in it): install it".to_owned(),
        );
    };
    let install =
        Program::new(packages.name, packages.install).variable("DEBIAN_FRONTEND", "noninteractive");
    let missing = "bubblewrap is missing (generated code is tested in it)";
    let advice = format!("run `sudo {} {}`", packages.name, packages.install);
    if !is_root {
        return Err(format!("{missing}: {advice}"));
    }
    println!("{missing}: {install}");
    let runs = |program: &Program| program.status(root).is_ok_and(|status| status.success());
    // Lists of packages are mostly missing in a fresh container.
    if !runs(&install) {
        if let Some(update) = packages.update {
            runs(&Program::new(packages.name, update));
        }
        if !runs(&install) {
            return Err(format!("{missing} and its installation failed: {advice}"));
        }
    }
    if is_there() {
        Ok(())
    } else {
        Err(format!("{missing} after its installation too: {advice}"))
    }
}

/// Starts it with the namespaces and mounts that the pipeline asks for.
fn try_out(root: &Path, is_root: bool) -> Found {
    let program = bubblewrap(&arguments(is_root));
    println!("{program}");
    match program.complaint(root) {
        Ok(None) => Found::Works,
        Ok(Some(complaint)) => Found::Refused(complaint),
        Err(error) => Found::Refused(error.to_string()),
    }
}

fn arguments(is_root: bool) -> String {
    // As root there is no user namespace: `bugsage-pipeline/src/validate/sandbox/mod.rs` says why.
    let user = match is_root {
        true => "",
        false => "--unshare-user --disable-userns",
    };
    format!(
        "--unshare-ipc --unshare-pid --unshare-net --unshare-uts {user} --die-with-parent \
         --new-session --cap-drop ALL --ro-bind / / --proc /proc --dev /dev \
         --size 1048576 --tmpfs /tmp true"
    )
}

/// The program that the pipeline would take.
fn bubblewrap(arguments: &str) -> Program {
    let named = std::env::var("BUGSAGE_BWRAP").unwrap_or_default();
    if named.is_empty() {
        Program::new("bwrap", arguments)
    } else {
        Program::new("sh", "-c")
            .arg("exec \"$BUGSAGE_BWRAP\" \"$@\"")
            .arg("bwrap")
            .args(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_sandbox_the_gate_stops_with_one_line_or_goes_on_when_told_to() {
        let refused = Found::Refused("No permissions to create a new namespace".to_owned());
        let missing = Found::Missing("bubblewrap is missing: run `sudo …`".to_owned());

        assert_eq!(decide(Found::Works, false), Ok(true));
        assert_eq!(decide(Found::Works, true), Ok(true));
        for found in [refused, missing] {
            assert_eq!(decide(found.clone(), true), Ok(false));
            let reason = decide(found, false).unwrap_err();
            assert!(reason.contains("BUGSAGE_CI_WITHOUT_SANDBOX=1"), "{reason}");
            assert_eq!(reason.lines().count(), 1, "{reason}");
        }
    }

    #[test]
    fn an_ordinary_user_tries_a_user_namespace_and_root_none() {
        assert!(arguments(false).contains("--unshare-user"));
        assert!(!arguments(true).contains("--unshare-user"));
        assert!(arguments(true).contains("--unshare-net"));
    }
}
