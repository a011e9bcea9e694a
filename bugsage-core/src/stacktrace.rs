//! Where a program was: frames, innermost first, and the binaries they lie in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::Text;

/// One call on a stack, or one call that the compiler inlined into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Frame {
    /// The demangled function without its hash; `None` where no symbol is known.
    pub function: Option<Text>,
    /// The source file as the compiler wrote it into the debug information.
    pub file: Option<Text>,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The column, counted from 1.
    pub column: Option<u32>,
    /// The return address relative to the base of `module`; absolute where there is no module.
    pub address: u64,
    /// The binary or library that the address lies in.
    pub module: Option<Arc<Module>>,
    /// Whether the compiler inlined this call into the next frame.
    pub inlined: bool,
    /// Whether the code belongs to the app, by [`crate::fingerprint::frames::in_app`].
    pub in_app: bool,
}

/// The frames of one thread at one moment, innermost first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct StackTrace {
    /// Innermost first; an inlined call stands before the frame that contains it.
    pub frames: Vec<Arc<Frame>>,
    /// Whether somebody who had debug information or symbols has resolved the addresses.
    pub symbolicated: bool,
}

/// A loaded binary or library. Never a Rust module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Module {
    /// The file as the loader found it.
    pub path: Text,
    /// The linker's build-id in lowercase hex; empty where there is none.
    pub build_id: Text,
    /// Where the module was loaded.
    pub base: u64,
    /// How many bytes it spans from there.
    pub size: u64,
}
