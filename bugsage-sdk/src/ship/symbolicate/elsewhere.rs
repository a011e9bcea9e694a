//! Resolves addresses where the system has no list of modules in `/proc`.

use std::ffi::c_void;
use std::sync::Arc;

use bugsage_core::stacktrace::{Frame, Module};

/// Asks the `backtrace` crate.
pub(super) struct Resolver;

impl Resolver {
    pub(super) fn new(_bytes_max: u64) -> Self {
        Self
    }

    /// Tells the frames of each address, innermost first.
    pub(super) fn resolve(
        &mut self,
        _loaded: &[Arc<Module>],
        addresses: &[u64],
        mut tell: impl FnMut(u64, Vec<Frame>),
    ) {
        for address in addresses {
            tell(*address, frames(*address));
        }
    }

    /// Gives the memory back.
    pub(super) fn rest(&mut self) {
        backtrace::clear_symbol_cache();
    }
}

fn frames(address: u64) -> Vec<Frame> {
    let base = Frame {
        address,
        ..Frame::default()
    };
    let mut frames = Vec::new();
    backtrace::resolve(address as *mut c_void, |symbol| {
        let file = symbol.filename().and_then(|file| file.to_str());
        frames.push(Frame {
            function: symbol.name().map(|name| format!("{name:#}").into()),
            file: file.map(Into::into),
            line: symbol.lineno(),
            column: symbol.colno(),
            inlined: true,
            ..base.clone()
        });
    });
    match frames.last_mut() {
        Some(called) => called.inlined = false,
        None => frames.push(base),
    }
    frames
}
