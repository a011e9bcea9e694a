//! Programs and libraries as other people build them: stripped, with symbols elsewhere, with other flags.
//!
//! `strip` and `objcopy` come with the linker that cargo needs anyway. A story on a machine without one
//! fails and says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::collector::Folder;

/// Runs a tool that must end well.
#[track_caller]
pub(crate) fn tool(name: impl AsRef<Path>, words: &[&str], folder: &Path) {
    let name = name.as_ref();
    let output = Command::new(name).args(words).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{} cannot be run: {error}", name.display()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {words:?}: {stderr}",
        name.display()
    );
}

/// A copy of the subject in a folder of its own, for tools to change.
pub(crate) struct Copy {
    folder: Folder,
}

impl Copy {
    pub(crate) fn new() -> Self {
        let copy = Self {
            folder: Folder::new(),
        };
        std::fs::copy(env!("CARGO_BIN_EXE_subject"), copy.path()).expect("can be copied");
        copy
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("subject")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a tool in the folder.
    #[track_caller]
    pub(crate) fn with(self, name: &str, words: &[&str]) -> Self {
        tool(name, words, self.folder.path());
        self
    }
}

/// Builds `programs/plugin` as a library of this name, with these flags beside the usual ones.
#[track_caller]
pub(crate) fn plugin(folder: &Folder, name: &str, flags: &[&str]) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/plugin/plugin.rs");
    let file = format!("lib{name}.so");
    let mut words = vec![
        "--edition=2024",
        "--crate-type=cdylib",
        "--crate-name",
        name,
    ];
    words.extend(["-Clink-arg=-Wl,--build-id", "-o", &file, source]);
    words.extend(flags);
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    tool(rustc, &words, folder.path());
    folder.path().join(file)
}
