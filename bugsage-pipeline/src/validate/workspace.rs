//! What cargo knows of the workspace that the failing file belongs to, and its dependencies.
//!
//! In: a [`Snapshot`]. Out: a [`Workspace`] whose dependencies are on this machine.
//! Never: a build script, a source file, or a `.cargo/config.toml` of the repository: that could name
//! programs. cargo sees manifests and the lock file; every source file is there by name, and empty.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::limits;
use crate::repository::{Repository, Snapshot};
use crate::validate::ValidateError;
use crate::validate::toolchain::Toolchain;
use crate::validate::workshop::{Bench, Workshop};

/// The workspace around a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its folder in the repository; empty for the root.
    pub folder: String,
    /// Its packages.
    pub packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder in the repository; empty for the root.
    pub folder: String,
    /// The oldest Rust that it says it builds with.
    pub rust_version: Option<(u32, u32)>,
}

/// Where the files are laid out. cargo looks for a workspace in all folders above a manifest, but for
/// those above `target/package`, where it unpacks packages itself: the data folder may lie in anybody's
/// workspace.
const LAID_OUT: &str = "target/package/source";

/// Variables of the operator's that say how cargo reaches its registries.
const KEPT: &[&str] = &[
    "HOME",
    "CARGO_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Beginnings of such variables.
const KEPT_PREFIXES: &[&str] = &[
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
];

impl Workspace {
    /// The package that a file belongs to.
    pub fn package_of(&self, path: &str) -> Option<&Package> {
        let fits = |package: &&Package| {
            package.folder.is_empty() || path.starts_with(&format!("{}/", package.folder))
        };
        let packages = self.packages.iter().filter(fits);
        packages.max_by_key(|package| package.folder.len())
    }

    /// The path of a file as the compiler is given it: from the workspace's folder.
    pub fn relative<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&self.folder)
            .map_or(path, |rest| rest.trim_start_matches('/'))
    }

    /// Finds the workspace of the file at `path`.
    pub(crate) fn find(
        repository: &Repository,
        snapshot: &Snapshot,
        path: &str,
        toolchain: &Toolchain,
        workshop: &Workshop,
    ) -> Result<Self, ValidateError> {
        Self::find_in(repository, snapshot, path, toolchain, &workshop.bench()?)
    }

    /// Finds the workspace of the file at `path`, and downloads what it depends on.
    pub(crate) fn prepare(
        repository: &Repository,
        snapshot: &Snapshot,
        path: &str,
        toolchain: &Toolchain,
        workshop: &Workshop,
    ) -> Result<Self, ValidateError> {
        let bench = workshop.bench()?;
        let workspace = Self::find_in(repository, snapshot, path, toolchain, &bench)?;
        let lock = joined(&workspace.folder, "Cargo.lock");
        if !snapshot.entries().iter().any(|entry| entry.path == lock) {
            return Err(ValidateError::NoLock { path: lock });
        }
        let root = joined(&workspace.folder, "Cargo.toml");
        let fetch = [
            "fetch",
            "--locked",
            "--target",
            &toolchain.host,
            "--manifest-path",
            &root,
        ];
        let folder = bench.path(LAID_OUT);
        cargo(toolchain, &folder, &fetch, limits::FETCH_TIME_MAX)?;
        Ok(workspace)
    }

    fn find_in(
        repository: &Repository,
        snapshot: &Snapshot,
        path: &str,
        toolchain: &Toolchain,
        bench: &Bench,
    ) -> Result<Self, ValidateError> {
        let folder = bench.path(LAID_OUT);
        lay_out(repository, snapshot, &folder)?;
        let manifest = manifest_of(snapshot, path).ok_or_else(|| ValidateError::NoPackage {
            path: path.to_owned(),
        })?;
        let about = cargo(
            toolchain,
            &folder,
            &[
                "metadata",
                "--no-deps",
                "--format-version=1",
                "--offline",
                "--manifest-path",
                &manifest,
            ],
            Duration::from_secs(60),
        )?;
        let workspace = read(&about, &folder).ok_or_else(|| ValidateError::Cargo {
            command: "metadata".into(),
            complaint: "it printed something else than a workspace".into(),
            may_pass: false,
        })?;
        if workspace.package_of(path).is_none() {
            return Err(ValidateError::NoPackage {
                path: path.to_owned(),
            });
        }
        Ok(workspace)
    }
}

/// Lays out what cargo reads to know a workspace.
fn lay_out(
    repository: &Repository,
    snapshot: &Snapshot,
    folder: &Path,
) -> Result<(), ValidateError> {
    std::fs::create_dir_all(folder)?;
    let mut files = 0;
    for entry in snapshot.entries() {
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        let is_manifest = matches!(name, "Cargo.toml" | "Cargo.lock");
        if !is_manifest && !name.ends_with(".rs") {
            continue;
        }
        files += 1;
        if files > limits::FETCH_FILES_MAX {
            break;
        }
        let content = match is_manifest {
            true => repository
                .content(snapshot, &entry.path)?
                .unwrap_or_default(),
            false => Vec::new(),
        };
        let place = folder.join(&entry.path);
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(place, content)?;
    }
    Ok(())
}

/// The nearest manifest above a file.
fn manifest_of(snapshot: &Snapshot, path: &str) -> Option<String> {
    let mut folder = path;
    while let Some((parent, _)) = folder
        .rsplit_once('/')
        .or((!folder.is_empty()).then_some(("", "")))
    {
        let manifest = joined(parent, "Cargo.toml");
        if snapshot
            .entries()
            .iter()
            .any(|entry| entry.path == manifest)
        {
            return Some(manifest);
        }
        folder = parent;
    }
    None
}

fn joined(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// Runs cargo outside of the sandbox, on manifests alone.
fn cargo(
    toolchain: &Toolchain,
    folder: &Path,
    arguments: &[&str],
    time_max: Duration,
) -> Result<Vec<u8>, ValidateError> {
    let mut command = Command::new(toolchain.cargo());
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| {
            let name = name.to_string_lossy();
            KEPT.contains(&&*name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        }))
        .env("PATH", toolchain.sysroot.join("bin"))
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let name = arguments.first().copied().unwrap_or_default().to_owned();
    let failed = |complaint: String, may_pass: bool| ValidateError::Cargo {
        command: name.clone(),
        complaint,
        may_pass,
    };
    let finished = crate::process::run(
        &mut command,
        b"",
        limits::METADATA_BYTES_MAX,
        limits::COMPLAINT_BYTES_MAX,
        time_max,
    )?;
    match finished {
        crate::process::Finished::Exited { status, output, .. } if status.success() => Ok(output),
        crate::process::Finished::Exited { complaint, .. } => {
            let error = complaint.find("error").unwrap_or(0);
            let complaint = complaint[error..].trim();
            let is_network = [
                "failed to download",
                "spurious network error",
                "Could not resolve",
            ];
            let may_pass = is_network.iter().any(|words| complaint.contains(words));
            // The only paths that can be missing here are those that lead out of the repository.
            let hint = match complaint.contains("No such file or directory") {
                true => "; dependencies by path must lie in the repository",
                false => "",
            };
            Err(failed(format!("{complaint}{hint}"), may_pass))
        }
        crate::process::Finished::TooMuch => Err(failed("it printed too much".into(), false)),
        crate::process::Finished::TooLate => {
            let seconds = time_max.as_secs();
            Err(failed(format!("it took longer than {seconds} s"), true))
        }
    }
}

fn read(about: &[u8], laid_out: &Path) -> Option<Workspace> {
    let about: serde_json::Value = serde_json::from_slice(about).ok()?;
    let relative = |path: &serde_json::Value| -> Option<String> {
        let path = Path::new(path.as_str()?).strip_prefix(laid_out).ok()?;
        Some(path.to_str()?.to_owned())
    };
    let packages = about["packages"].as_array()?.iter().filter_map(|package| {
        let manifest = relative(&package["manifest_path"])?;
        let rust_version = package["rust_version"].as_str().and_then(|version| {
            let mut numbers = version.split('.').map(|part| part.parse().ok());
            Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
        });
        Some(Package {
            name: package["name"].as_str()?.to_owned(),
            folder: manifest
                .strip_suffix("Cargo.toml")?
                .trim_end_matches('/')
                .to_owned(),
            rust_version,
        })
    });
    Some(Workspace {
        folder: relative(&about["workspace_root"])?,
        packages: packages.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::testing::TestRepository;

    fn prepare(repository: &TestRepository, path: &str) -> Result<Workspace, ValidateError> {
        let folder = TestRepository::without_git();
        let workshop = Workshop::new(folder.path()).unwrap();
        let opened = repository.open();
        let snapshot = opened.snapshot(&opened.head().unwrap()).unwrap();
        let toolchain = Toolchain::find(None).unwrap();
        Workspace::prepare(&opened, &snapshot, path, &toolchain, &workshop)
    }

    fn shop() -> TestRepository {
        let repository = TestRepository::new();
        let package = |name: &str| {
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nrust-version = \"1.85\"\n")
        };
        repository.write("app/Cargo.toml", "[workspace]\nmembers = [\"a\", \"b\"]\n");
        repository.write("app/a/Cargo.toml", package("a"));
        repository.write("app/b/Cargo.toml", package("b"));
        repository.write("app/a/src/lib.rs", "compile_error!();");
        repository.write("app/b/src/main.rs", "");
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        repository.write("app/Cargo.lock", lock);
        repository
    }

    #[test]
    fn a_workspace_below_the_root_is_found_with_its_packages() {
        let repository = shop();
        repository.commit("all");

        let workspace = prepare(&repository, "app/b/src/main.rs").unwrap();

        assert_eq!(workspace.folder, "app");
        let package = workspace.package_of("app/b/src/main.rs").unwrap();
        assert_eq!(
            (package.name.as_str(), package.rust_version),
            ("b", Some((1, 85)))
        );
        assert_eq!(workspace.relative("app/b/src/main.rs"), "b/src/main.rs");
    }

    #[test]
    fn a_workspace_that_the_data_folder_lies_in_is_not_the_repositorys() {
        let repository = TestRepository::new();
        let manifest = "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
        repository.write("Cargo.toml", manifest);
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n";
        repository.write("Cargo.lock", lock);
        repository.commit_file("src/lib.rs", "", "all");
        let outer = TestRepository::without_git();
        outer.write("Cargo.toml", "[workspace]\nmembers = []\n");
        let workshop = Workshop::new(outer.path().join("data")).unwrap();
        let opened = repository.open();
        let snapshot = opened.snapshot(&opened.head().unwrap()).unwrap();
        let toolchain = Toolchain::find(None).unwrap();

        let workspace =
            Workspace::prepare(&opened, &snapshot, "src/lib.rs", &toolchain, &workshop).unwrap();

        assert_eq!(
            (workspace.folder.as_str(), workspace.packages.len()),
            ("", 1)
        );
    }

    #[test]
    fn what_a_repository_configures_for_cargo_has_no_effect_outside() {
        let repository = shop();
        let canary = repository.path().join("canary");
        let program = repository.path().join("evil.sh");
        std::fs::write(
            &program,
            format!("#!/bin/sh\ntouch {}\nexit 1\n", canary.display()),
        )
        .unwrap();
        std::fs::set_permissions(
            &program,
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let config = format!(
            "[build]\nrustc = \"{0}\"\nrustc-wrapper = \"{0}\"\n[alias]\nfetch = \"run\"\n",
            program.display()
        );
        repository.write(".cargo/config.toml", &config);
        repository.write("app/.cargo/config.toml", &config);
        repository.write(
            "app/rust-toolchain.toml",
            "[toolchain]\nchannel = \"1.0.0\"\n",
        );
        repository.write("app/a/build.rs", "fn main() { panic!() }");
        repository.commit("hostile");

        prepare(&repository, "app/a/src/lib.rs").unwrap();

        assert!(!canary.exists());
    }

    #[test]
    fn what_cannot_be_prepared_says_what_is_missing() {
        let repository = shop();
        repository.write("stray.rs", "");
        repository.commit("all");
        let stray = prepare(&repository, "stray.rs").unwrap_err().to_string();
        std::fs::remove_file(repository.path().join("app/Cargo.lock")).unwrap();
        repository.commit("unlocked");
        let unlocked = prepare(&repository, "app/a/src/lib.rs")
            .unwrap_err()
            .to_string();
        repository.write("app/Cargo.lock", "version = 4\n");
        repository.commit("stale");
        let stale = prepare(&repository, "app/a/src/lib.rs").unwrap_err();

        assert!(stray.contains("stray.rs belongs to no package"), "{stray}");
        assert!(unlocked.contains("app/Cargo.lock"), "{unlocked}");
        assert!(!stale.is_retryable(), "{stale}");
        assert!(stale.to_string().contains("--locked"), "{stale}");
    }
}
