//! Turns return addresses into functions, files and lines, inlined calls too.
//!
//! Runs on the shipping thread only. The symbolizer reads all debug information of a module and
//! keeps several times as much memory, so modules with more of it than [`DEBUG_BYTES_MAX`] are
//! not resolved here: their addresses and build-id go out as they are. Its memory is given back
//! once nothing more waits to be resolved.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use bugsage_core::fingerprint::frames;
use bugsage_core::stacktrace::{Frame, StackTrace};

use crate::capture::modules::{self, LoadedModule};

/// The most debug information of one module that is read.
const DEBUG_BYTES_MAX: u64 = 64 << 20;

/// Addresses whose frames are remembered; a bug's stack is the same every time.
const KNOWN_MAX: usize = 8_192;

/// What stands at the inner end of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// The panic machinery, which [`frames::trim`] knows.
    Panic,
    /// Our own functions and those of `tracing`, down to the app's call.
    Caller,
}

#[derive(Default)]
pub(super) struct Symbolicator {
    modules: Vec<LoadedModule>,
    known: HashMap<u64, Arc<[Frame]>>,
    /// Whether the symbolizer holds debug information.
    has_read: bool,
}

impl Symbolicator {
    pub(super) fn resolve(&mut self, addresses: &[u64], ends: Ends) -> StackTrace {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        let is_unknown = |address: &&u64| !self.modules.iter().any(|m| m.contains(**address));
        if addresses.iter().any(|address| is_unknown(&address)) {
            // Something was loaded since. Addresses outside all modules (generated code) cost a
            // look at the list each time, a fraction of a millisecond on this thread.
            self.modules = modules::loaded();
        }
        self.learn(addresses);
        let known = addresses
            .iter()
            .filter_map(|address| self.known.get(address));
        let mut all: Vec<Frame> = known.flat_map(|frames| frames.iter().cloned()).collect();
        let symbolicated = all.iter().any(|frame| frame.line.is_some());
        if ends == Ends::Caller {
            let plumbing = all.iter().take_while(|frame| is_plumbing(frame)).count();
            if plumbing < all.len() {
                all.drain(..plumbing);
            }
        }
        frames::trim(all, symbolicated)
    }

    /// Gives the symbolizer's memory back. Reading the debug information again costs a part of a
    /// second, so this is for when nothing more is at hand.
    pub(super) fn rest(&mut self) {
        if std::mem::take(&mut self.has_read) {
            backtrace::clear_symbol_cache();
        }
    }

    /// Resolves what is not known yet.
    fn learn(&mut self, addresses: &[u64]) {
        let mut unknown: Vec<u64> = addresses.to_vec();
        unknown.retain(|address| !self.known.contains_key(address));
        unknown.sort_unstable();
        unknown.dedup();
        self.has_read |= !unknown.is_empty();
        for module in &self.modules {
            let here: Vec<u64> = unknown
                .iter()
                .copied()
                .filter(|a| module.contains(*a))
                .collect();
            if here.is_empty() {
                continue;
            }
            for (address, name) in here.iter().zip(module.function_names(&here)) {
                let mut frames = self.resolve_one(*address);
                if let (Some(called), Some(name)) = (frames.last_mut(), name) {
                    // The last is the function that was called; those before were inlined into it.
                    called.function = Some(format!("{:#}", rustc_demangle::demangle(&name)).into());
                }
                self.known.insert(*address, frames.into());
            }
        }
        for address in unknown {
            if !self.known.contains_key(&address) {
                self.known.insert(address, self.resolve_one(address).into());
            }
        }
    }

    fn resolve_one(&self, address: u64) -> Vec<Frame> {
        let module = self.modules.iter().find(|module| module.contains(address));
        let base = Frame {
            address: module.map_or(address, |module| address - module.module.base),
            module: module.map(|module| module.module.clone()),
            ..Frame::default()
        };
        let mut resolved: Vec<Frame> = Vec::new();
        if module.is_none_or(|module| module.debug_bytes <= DEBUG_BYTES_MAX) {
            backtrace::resolve(address as *mut c_void, |symbol| {
                resolved.push(Frame {
                    function: symbol.name().map(|name| format!("{name:#}").into()),
                    file: symbol
                        .filename()
                        .and_then(|file| file.to_str())
                        .map(Into::into),
                    line: symbol.lineno(),
                    column: symbol.colno(),
                    inlined: true,
                    ..base.clone()
                });
            });
        }
        match resolved.last_mut() {
            Some(outermost) => outermost.inlined = false,
            None => resolved.push(base),
        }
        resolved
    }
}

/// Whether a frame stands between the app's call and the capture.
fn is_plumbing(frame: &Frame) -> bool {
    const CRATES: &[&str] = &[
        "bugsage_sdk",
        "backtrace",
        "tracing",
        "tracing_core",
        "tracing_subscriber",
    ];
    let function = frame
        .function
        .as_deref()
        .map(bugsage_core::fingerprint::symbol::normalize);
    let function = function.as_deref().unwrap_or("");
    CRATES.contains(&bugsage_core::fingerprint::symbol::crate_of(function))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::backtrace::Addresses;

    #[inline(never)]
    fn where_it_happens() -> Vec<u64> {
        let addresses = Addresses::take();
        addresses
            .as_slice()
            .iter()
            .map(|address| *address as u64)
            .collect()
    }

    #[test]
    fn addresses_become_functions_with_lines() {
        let mut symbolicator = Symbolicator::default();

        // Not `Caller`: this test is itself in a crate that is cut away.
        let all: Vec<Frame> = where_it_happens()
            .iter()
            .flat_map(|a| symbolicator.resolve_one(*a))
            .collect();

        let here = all.iter().find(|f| {
            f.function
                .as_deref()
                .is_some_and(|f| f.ends_with("where_it_happens"))
        });
        let here = here.expect("is on the stack");
        assert!(
            here.file
                .as_deref()
                .is_some_and(|file| file.ends_with("ship/symbolicate.rs"))
        );
        assert!(here.line.is_some());
        drop(symbolicator.resolve(&where_it_happens(), Ends::Panic));
    }
}
