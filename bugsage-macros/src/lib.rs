//! What an app's build knows and its run no longer can: the release that it is.
//!
//! Apps use it as `bugsage_sdk::release!()`. It has no dependency, so it costs a second of a cold build.

mod git;

use std::env;
use std::path::Path;

use proc_macro::TokenStream;

/// The release of the crate that is being built, as text: `name@version+commit`.
///
/// The commit is `BUGSAGE_COMMIT`, where the build sets it, else what the repository around the crate has
/// checked out; without either there is none. The crate is built again when the commit changes.
#[proc_macro]
pub fn release(_: TokenStream) -> TokenStream {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let name = variable("CARGO_PKG_NAME").unwrap_or_default();
    let version = variable("CARGO_PKG_VERSION").unwrap_or_default();
    let folder = variable("CARGO_MANIFEST_DIR").unwrap_or_default();
    let checkout = git::checkout(Path::new(&folder)).unwrap_or_default();
    let commit = variable("BUGSAGE_COMMIT").and_then(|commit| git::commit(&commit));
    let commit = commit.or(checkout.commit);
    let commit = commit.map_or_else(String::new, |commit| format!("+{commit}"));
    let release = format!("{name}@{version}{commit}");
    // Read for nothing but that the compiler notes them: a change of either builds the crate anew.
    let files = checkout.files.iter().filter_map(|file| file.to_str());
    let files: String = files
        .map(|file| format!("const _: &[u8] = ::core::include_bytes!({file:?});"))
        .collect();
    let tokens = format!(
        "{{ const _: ::core::option::Option<&str> = ::core::option_env!(\"BUGSAGE_COMMIT\"); {files} {release:?} }}"
    );
    // Text in quotes and paths are tokens of Rust, whatever is in them.
    tokens.parse().unwrap_or_default()
}
