//! Turns return addresses into functions, files and lines, inlined calls too.
//!
//! The work is done on a thread of its own, which lives only while there is some: reading the debug
//! information of a large program takes a part of a second, and a process that ends has to ship what
//! it has meanwhile, resolved or not. All debug information that is held at a time has
//! [`Symbolicator::bytes_max`] at most; that of a larger module is not read: its functions are named by
//! its symbol table. The memory is given back when there is no more to do; what was found stays known.

mod desk;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod names;
#[cfg(target_os = "linux")]
mod dwarf;
#[cfg(target_os = "linux")]
mod pages;
#[cfg(target_os = "linux")]
mod resolver;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod resolver;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bugsage_core::fingerprint::frames;
use bugsage_core::stacktrace::{Frame, Module, StackTrace};

use crate::capture::modules;
use crate::context;

use desk::Asker;
use resolver::Resolver;

/// Addresses whose frames are remembered; a bug's stack is the same every time.
const KNOWN_MAX: usize = 8_192;

/// How often it is looked whether somebody cannot wait any longer.
const LOOK: Duration = Duration::from_millis(10);

/// How long the thread waits for more before it gives its memory back.
const IDLE: Duration = Duration::from_millis(300);

/// How long a list of modules is trusted while one batch is packed: something may be unloaded and
/// something else loaded in its place at any time.
const TRUST: Duration = Duration::from_millis(500);

/// Where a return address lies.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    /// In this process.
    Here(u64),
    /// In a module that this process does not have: nobody here can tell more than the address.
    Elsewhere(Frame),
}

/// Asks for symbols, and puts stacks together.
pub(super) struct Symbolicator {
    known: Arc<Known>,
    modules: Vec<Arc<Module>>,
    /// When that list was brought up to date.
    looked_at: Option<Instant>,
    /// The most debug information that is held at a time. With 0 nothing is read for symbols at all.
    bytes_max: u64,
    /// The thread, while it lives.
    requests: Option<Asker<Request>>,
}

/// The frames of addresses that were resolved: shared with the thread that resolves.
#[derive(Default)]
struct Known(Mutex<HashMap<u64, Arc<[Frame]>>>);

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<[Frame]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses to be resolved.
struct Request {
    addresses: Vec<u64>,
    modules: Vec<Arc<Module>>,
}

impl Symbolicator {
    /// One that holds so many bytes of debug information at most.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            known: Arc::default(),
            modules: Vec::new(),
            looked_at: None,
            bytes_max,
            requests: None,
        }
    }

    /// Resolves a stack, or as much of it as is known by the time that `give_up` says so.
    pub(super) fn resolve(&mut self, spots: &[Spot], give_up: impl Fn() -> bool) -> StackTrace {
        let here = spots.iter().filter_map(|spot| match spot {
            Spot::Here(address) => Some(*address),
            Spot::Elsewhere(_) => None,
        });
        let mut unknown: Vec<u64> = here.collect();
        self.look_at_modules(&unknown);
        {
            let mut known = self.known.lock();
            if known.len() > KNOWN_MAX {
                known.clear();
            }
            unknown.retain(|address| !known.contains_key(address));
        }
        if !unknown.is_empty() && self.bytes_max > 0 {
            unknown.sort_unstable();
            unknown.dedup();
            self.learn(&unknown, give_up);
        }
        let known = self.known.lock();
        let frames = spots.iter().flat_map(|spot| match spot {
            Spot::Elsewhere(frame) => vec![frame.clone()],
            Spot::Here(address) => match known.get(address) {
                Some(frames) => frames.to_vec(),
                None => vec![bare(*address, &self.modules)],
            },
        });
        let all: Vec<Frame> = frames.collect();
        // What could not be waited for may be resolved elsewhere, so half of a stack is not enough.
        let is_whole = spots.iter().all(|spot| match spot {
            Spot::Elsewhere(_) => true,
            Spot::Here(address) => known.contains_key(address),
        });
        let symbolicated = is_whole && all.iter().any(is_line_of_rust);
        frames::trim(all, symbolicated)
    }

    /// Lets the thread end, which gives the memory back. Reading the debug information again costs a
    /// part of a second, so this is for when nothing more is at hand.
    pub(super) fn rest(&mut self) {
        self.requests = None;
    }

    /// Trusts no list of modules any more: since the last reports were resolved, a library may have
    /// taken the place of another.
    pub(super) fn look_again(&mut self) {
        self.looked_at = None;
    }

    /// Brings the list of modules up to date, where it may be old or cannot be right.
    fn look_at_modules(&mut self, addresses: &[u64]) {
        let is_old = self.looked_at.is_none_or(|at| at.elapsed() >= TRUST);
        // Addresses outside all modules (generated code) cost a look at the list each time, a
        // fraction of a millisecond on this thread.
        let is_covered =
            |address: &u64| self.modules.iter().any(|m| modules::contains(m, *address));
        if !is_old && addresses.iter().all(is_covered) {
            return;
        }
        self.looked_at = Some(Instant::now());
        if modules::update(&mut self.modules) {
            // What was known of an address may be about code that is gone.
            self.known.lock().clear();
        }
    }

    /// Has addresses resolved, and waits for it.
    fn learn(&mut self, addresses: &[u64], give_up: impl Fn() -> bool) {
        let Some(number) = self.ask(addresses) else {
            return;
        };
        while let Some(requests) = &self.requests
            && !requests.is_over(number, LOOK)
            && !give_up()
        {}
    }

    /// Hands addresses to the thread, to a new one where the last has ended. `None` where the system
    /// gives none: stacks go out unresolved then.
    fn ask(&mut self, addresses: &[u64]) -> Option<u64> {
        let request = Request {
            addresses: addresses.to_vec(),
            modules: self.modules.clone(),
        };
        let asked = match &self.requests {
            Some(requests) => requests.ask(request),
            None => Err(request),
        };
        let Err(request) = asked else {
            return asked.ok();
        };
        self.requests = start(self.known.clone(), self.bytes_max);
        self.requests.as_ref()?.ask(request).ok()
    }
}

/// Whether a frame tells a line of the app, of std or of a crate: the lines of a C library, which many
/// systems have debug information of, help nobody.
fn is_line_of_rust(frame: &Frame) -> bool {
    let file = frame.file.as_deref().unwrap_or("");
    frame.line.is_some() && file.ends_with(".rs")
}

/// An address of which nothing more is known than where it lies.
fn bare(address: u64, modules: &[Arc<Module>]) -> Frame {
    let mut modules = modules.iter();
    let module = modules.find(|module| modules::contains(module, address));
    Frame {
        address: module.map_or(address, |module| address - module.base),
        module: module.cloned(),
        ..Frame::default()
    }
}

/// Starts the thread.
fn start(known: Arc<Known>, bytes_max: u64) -> Option<Asker<Request>> {
    let (requests, received) = desk::open::<Request>();
    let thread = std::thread::Builder::new().name("bugsage-symbols".to_owned());
    let work = move || {
        context::mark_thread_ours();
        let mut resolver = Resolver::new(bytes_max);
        while let Some(request) = received.next(IDLE, || resolver.rest()) {
            answer(&mut resolver, &known, &request);
            received.done();
        }
    };
    thread.spawn(work).ok()?;
    Some(requests)
}

fn answer(resolver: &mut Resolver, known: &Known, request: &Request) {
    resolver.resolve(
        &request.modules,
        &request.addresses,
        |address, mut frames| {
            frames.iter_mut().for_each(name_ours);
            known.lock().insert(address, frames.into());
        },
    );
}

/// Gives a frame of ours its whole name. Of an inlined call the debug information may tell only the
/// last part, which could be anybody's; the file tells that it is ours.
fn name_ours(frame: &mut Frame) {
    const THIS: &str = "ship/symbolicate/mod.rs";
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
        let mut symbolicator = Symbolicator::new(64 << 20);

        // Looked up and not resolved: this test is in a crate that is cut off as machinery.
        symbolicator.look_at_modules(&addresses);
        symbolicator.learn(&addresses, || false);

        let known = symbolicator.known.lock();
        let all: Vec<&Frame> = addresses.iter().flat_map(|a| known[a].iter()).collect();
        let here = all.iter().find(|f| {
            f.function
                .as_deref()
                .is_some_and(|f| f.ends_with("where_it_happens"))
        });
        let here = here.expect("is on the stack");
        let file = here.file.as_deref();
        assert!(file.is_some_and(|file| file.ends_with("ship/symbolicate/mod.rs")));
        assert!(here.line.is_some());
        let is_named = |f: &&Frame| {
            f.function
                .as_deref()
                .is_some_and(|f| f.contains("bugsage_sdk::"))
        };
        assert!(is_named(here));
    }

    /// The functions of this test's program, at an address within each.
    #[cfg(target_os = "linux")]
    fn places_in_functions(count: usize) -> Vec<u64> {
        use object::{Object, ObjectSymbol, SymbolKind};

        let mut modules = Vec::new();
        modules::update(&mut modules);
        let here = places_in_functions as fn(usize) -> Vec<u64> as usize as u64;
        let program = modules
            .iter()
            .find(|module| modules::contains(module, here));
        let program = program.expect("is loaded");
        let bytes = std::fs::read(&*program.path).expect("can be read");
        let elf = object::File::parse(&*bytes).expect("is a program");
        let functions = elf.symbols().filter(|symbol| {
            symbol.kind() == SymbolKind::Text && symbol.size() > 16 && symbol.is_definition()
        });
        let places = functions.map(|symbol| symbol.address() + symbol.size() / 2 + program.base);
        let mut places: Vec<u64> = places.collect();
        places.sort_unstable();
        let step = (places.len() / count).max(1);
        places.into_iter().step_by(step).collect()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_place_is_told_as_the_backtrace_crate_tells_it() {
        let addresses = places_in_functions(150);
        let mut symbolicator = Symbolicator::new(1 << 40);
        symbolicator.look_at_modules(&addresses);
        symbolicator.learn(&addresses, || false);

        let known = symbolicator.known.lock();
        let mut compared = 0;
        for address in &addresses {
            let told = known[address].iter();
            let told: Vec<_> = told
                .map(|f| (f.file.as_deref(), f.line, f.column))
                .collect();
            let mut expected = Vec::new();
            let mut names = Vec::new();
            backtrace::resolve(*address as *mut std::ffi::c_void, |symbol| {
                let file = symbol.filename().and_then(|file| file.to_str());
                let column = symbol.colno().filter(|column| *column > 0);
                names.push(symbol.name().map(|name| format!("{name:#}")));
                expected.push((file.map(str::to_owned), symbol.lineno(), column));
            });
            let expected = expected.iter();
            let expected: Vec<_> = expected.map(|(f, l, c)| (f.as_deref(), *l, *c)).collect();
            assert_eq!(told, expected, "at {address:x}");
            for (frame, name) in known[address].iter().zip(names).filter(|(f, _)| f.inlined) {
                let told = frame.function.as_deref().unwrap_or("");
                assert!(
                    told.ends_with(&name.unwrap_or_default()),
                    "{told} at {address:x}"
                );
            }
            compared += usize::from(told[0].1.is_some());
        }
        assert!(
            compared > addresses.len() / 2,
            "most have lines: {compared}"
        );
    }

    /// An app may resolve a stack of its own for as long as it likes.
    #[cfg(target_os = "linux")]
    #[test]
    fn who_holds_the_lock_of_the_backtrace_crate_keeps_nobody_waiting() {
        let (sent, received) = std::sync::mpsc::channel();
        let mut asked = 0;
        let here = where_it_happens()[0];

        backtrace::resolve(here as *mut std::ffi::c_void, |_| {
            asked += 1;
            let sent = sent.clone();
            std::thread::spawn(move || {
                let mut symbolicator = Symbolicator::new(1 << 40);
                let addresses = where_it_happens();
                symbolicator.look_at_modules(&addresses);
                symbolicator.learn(&addresses, || false);
                let known = symbolicator.known.lock();
                let has_lines = known.values().flat_map(|it| it.iter()).any(is_line_of_rust);
                // The test may have given up.
                let _ = sent.send(has_lines);
            });
            let answer = received.recv_timeout(Duration::from_secs(60));
            assert_eq!(
                answer,
                Ok(true),
                "taken and resolved while the lock is held"
            );
        });

        assert!(asked > 0);
    }

    #[test]
    fn half_a_stack_is_not_said_to_be_resolved() {
        let mut symbolicator = Symbolicator::new(1 << 40);
        let addresses = where_it_happens();
        let known: Vec<Spot> = addresses.into_iter().map(Spot::Here).collect();
        let mut more = known.clone();
        more.push(Spot::Here(1));

        // Another test may load a library in between, and what was known is forgotten then.
        let (whole, half) = loop {
            symbolicator.bytes_max = 1 << 40;
            let whole = symbolicator.resolve(&known, || false);
            let modules = symbolicator.modules.clone();
            symbolicator.rest();
            symbolicator.bytes_max = 0;
            let half = symbolicator.resolve(&more, || true);
            if symbolicator.modules == modules {
                break (whole, half);
            }
        };

        assert!(whole.symbolicated);
        assert!(half.frames.iter().any(|frame| is_line_of_rust(frame)));
        assert!(!half.symbolicated, "one address is not resolved");
    }

    #[test]
    fn who_cannot_wait_gets_addresses() {
        let mut symbolicator = Symbolicator::new(64 << 20);

        let stack = symbolicator.resolve(&[Spot::Here(1), Spot::Here(2)], || true);

        // The thread may have been faster; it knows nothing about these either.
        let addresses: Vec<u64> = stack.frames.iter().map(|frame| frame.address).collect();
        assert_eq!((addresses, stack.symbolicated), (vec![1, 2], false));
    }
}
