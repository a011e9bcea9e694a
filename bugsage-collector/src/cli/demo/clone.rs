//! Finds the clone of BugSage that the demo takes its example from.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// The root of the clone that a folder lies in.
pub(super) fn find(from: &Path) -> anyhow::Result<PathBuf> {
    let root = from.ancestors().find(|folder| {
        folder.join("examples/order-service/Cargo.toml").is_file()
            && folder.join("bugsage-sdk/Cargo.toml").is_file()
    });
    match root {
        Some(root) => Ok(root.canonicalize()?),
        None => bail!(
            "the demo builds examples/order-service, and {} lies in no clone of BugSage: \
             git clone https://github.com/bugsage/bugsage, cd bugsage, and run bugsage demo there",
            from.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clone_is_found_upwards_and_its_absence_says_what_to_do() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = find(&here.join("src/cli")).expect("this is a clone");

        assert_eq!(
            root,
            here.parent()
                .expect("has one")
                .canonicalize()
                .expect("is there")
        );
        let error = find(Path::new("/"))
            .expect_err("the root is no clone")
            .to_string();
        assert!(error.contains("git clone"), "{error}");
    }
}
