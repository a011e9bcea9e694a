//! Turns return addresses into functions, files and lines, inlined calls too.
//!
//! The work is done on a thread of its own, which lives only while there is some: reading the debug
//! information of a large program takes a second, and a process that ends has to ship what it has
//! meanwhile, resolved or not. The symbolizer keeps several times the memory that it reads, so
//! modules with more than [`DEBUG_BYTES_MAX`] are not resolved here: their addresses and build-id go
//! out as they are. Its memory is given back when the thread ends; what it found stays known.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::mpsc::{self, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bugsage_core::fingerprint::frames;
use bugsage_core::stacktrace::{Frame, StackTrace};

use crate::capture::modules::{self, LoadedModule};
use crate::context;

/// The most debug information of one module that is read.
const DEBUG_BYTES_MAX: u64 = 64 << 20;

/// Addresses whose frames are remembered; a bug's stack is the same every time.
const KNOWN_MAX: usize = 8_192;

/// How often it is looked whether somebody cannot wait any longer.
const LOOK: Duration = Duration::from_millis(10);

/// Where a return address lies.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    /// In this process.
    Here(u64),
    /// In a module that this process does not have: nobody here can tell more than the address.
    Elsewhere(Frame),
}

/// Asks for symbols, and puts stacks together.
#[derive(Default)]
pub(super) struct Symbolicator {
    known: Arc<Known>,
    /// The thread, while it lives.
    requests: Option<Sender<Request>>,
}

/// The frames of addresses that were resolved: shared with the thread that resolves.
#[derive(Default)]
struct Known(Mutex<HashMap<u64, Arc<[Frame]>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<[Frame]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses to be resolved, and whom to tell.
struct Request {
    addresses: Vec<u64>,
    done: SyncSender<()>,
}

impl Symbolicator {
    /// Resolves a stack, or as much of it as is known by the time that `give_up` says so.
    pub(super) fn resolve(&mut self, spots: &[Spot], give_up: impl Fn() -> bool) -> StackTrace {
        let here = spots.iter().filter_map(|spot| match spot {
            Spot::Here(address) => Some(*address),
            Spot::Elsewhere(_) => None,
        });
        let mut unknown: Vec<u64> = here.collect();
        {
            let mut known = self.known.lock();
            if known.len() > KNOWN_MAX {
                known.clear();
            }
            unknown.retain(|address| !known.contains_key(address));
        }
        if !unknown.is_empty() {
            self.learn(unknown, give_up);
        }
        let known = self.known.lock();
        let frames = spots.iter().flat_map(|spot| match spot {
            Spot::Elsewhere(frame) => vec![frame.clone()],
            Spot::Here(address) => match known.get(address) {
                Some(frames) => frames.to_vec(),
                None => vec![Frame {
                    address: *address,
                    ..Frame::default()
                }],
            },
        });
        let all: Vec<Frame> = frames.collect();
        let symbolicated = all.iter().any(|frame| frame.line.is_some());
        frames::trim(all, symbolicated)
    }

    /// Lets the thread end, which gives the symbolizer's memory back. Reading the debug information
    /// again costs a part of a second, so this is for when nothing more is at hand.
    pub(super) fn rest(&mut self) {
        self.requests = None;
    }

    /// Has addresses resolved, and waits for it.
    fn learn(&mut self, addresses: Vec<u64>, give_up: impl Fn() -> bool) {
        let (done, answer) = mpsc::sync_channel(1);
        let Some(requests) = self.requests.take().or_else(|| start(self.known.clone())) else {
            return;
        };
        if requests.send(Request { addresses, done }).is_err() {
            return;
        }
        self.requests = Some(requests);
        while answer.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if give_up() {
                return;
            }
        }
    }
}

/// Starts the thread. `None` where the system gives none: stacks go out unresolved then.
fn start(known: Arc<Known>) -> Option<Sender<Request>> {
    let (requests, received) = mpsc::channel::<Request>();
    let thread = std::thread::Builder::new().name("bugsage-symbols".to_owned());
    let work = move || {
        context::mark_thread_ours();
        let mut resolver = Resolver {
            modules: Vec::new(),
            known,
        };
        for request in received {
            resolver.learn(&request.addresses);
            // Whoever asked may have given up.
            let _ = request.done.send(());
        }
        backtrace::clear_symbol_cache();
    };
    thread.spawn(work).ok()?;
    Some(requests)
}

/// Reads symbols and debug information.
struct Resolver {
    modules: Vec<LoadedModule>,
    known: Arc<Known>,
}

impl Resolver {
    fn learn(&mut self, addresses: &[u64]) {
        let is_unknown = |address: &u64| !self.modules.iter().any(|m| m.contains(*address));
        if addresses.iter().any(is_unknown) {
            // Something was loaded since. Addresses outside all modules (generated code) cost a
            // look at the list each time, a fraction of a millisecond on this thread.
            self.modules = modules::loaded(usize::MAX);
        }
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        addresses.dedup();
        for module in &self.modules {
            let (here, elsewhere) = addresses.into_iter().partition(|a| module.contains(*a));
            addresses = elsewhere;
            let here: Vec<u64> = here;
            if here.is_empty() {
                continue;
            }
            for (address, name) in here.iter().zip(module.function_names(&here)) {
                let mut frames = self.resolve_one(*address);
                if let (Some(called), Some(name)) = (frames.last_mut(), name) {
                    // The last is the function that was called; those before were inlined into it.
                    called.function = Some(format!("{:#}", rustc_demangle::demangle(&name)).into());
                }
                frames.iter_mut().for_each(name_ours);
                self.known.lock().insert(*address, frames.into());
            }
        }
        for address in addresses {
            self.known
                .lock()
                .insert(address, self.resolve_one(address).into());
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

/// Gives a frame of ours its whole name. Of an inlined call the debug information may tell only the
/// last part, which could be anybody's; the file tells that it is ours.
fn name_ours(frame: &mut Frame) {
    const THIS: &str = "ship/symbolicate.rs";
    let Some(sources) = file!().strip_suffix(THIS) else {
        return;
    };
    let is_ours = frame
        .file
        .as_deref()
        .is_some_and(|file| file.contains(sources));
    let name = frame.function.as_deref().unwrap_or("");
    if is_ours && !name.contains("bugsage_sdk::") {
        frame.function = Some(format!("bugsage_sdk::{name}").into());
    }
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
        let addresses = where_it_happens();
        let mut symbolicator = Symbolicator::default();

        // Looked up and not resolved: this test is in a crate that is cut off as machinery.
        symbolicator.learn(addresses.clone(), || false);

        let known = symbolicator.known.lock();
        let all: Vec<&Frame> = addresses.iter().flat_map(|a| known[a].iter()).collect();
        let here = all.iter().find(|f| {
            f.function
                .as_deref()
                .is_some_and(|f| f.ends_with("where_it_happens"))
        });
        let here = here.expect("is on the stack");
        let file = here.file.as_deref();
        assert!(file.is_some_and(|file| file.ends_with("ship/symbolicate.rs")));
        assert!(here.line.is_some());
        let is_named = |f: &&Frame| {
            f.function
                .as_deref()
                .is_some_and(|f| f.contains("bugsage_sdk::"))
        };
        assert!(is_named(here));
    }

    #[test]
    fn who_cannot_wait_gets_addresses() {
        let mut symbolicator = Symbolicator::default();

        let stack = symbolicator.resolve(&[Spot::Here(1), Spot::Here(2)], || true);

        // The thread may have been faster; it knows nothing about these either.
        let addresses: Vec<u64> = stack.frames.iter().map(|frame| frame.address).collect();
        assert_eq!((addresses, stack.symbolicated), (vec![1, 2], false));
    }
}
