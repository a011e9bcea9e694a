//! However a program was built, its stacks tell as much as there is to tell, and never more.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bugsage_core::event::Event;
use bugsage_core::stacktrace::Frame;

use crate::support::build::{Copy, plugin};
use crate::support::collector::Folder;
use crate::support::program::{Program, subject, subject_at};
use crate::support::sink::Sink;
use crate::support::source;

fn event_of(program: Program) -> Event {
    let sink = Sink::open();
    program.dsn(sink.dsn()).run().well();
    sink.only_event()
}

fn frames(event: &Event) -> &[Arc<Frame>] {
    &event.stack.as_ref().expect("a stack was taken").frames
}

/// What the subject tells as it was built.
fn untouched() -> Event {
    event_of(subject("panic_in_thread"))
}

/// Where the innermost frame of the app is: address and build-id.
fn spot(frame: &Frame) -> (u64, &str) {
    let module = frame.module.as_deref().expect("the module is known");
    (frame.address, &module.build_id)
}

fn is_in(frame: &Frame, file: &str) -> bool {
    let module = frame.module.as_deref();
    module.is_some_and(|module| module.path.ends_with(file))
}

#[track_caller]
fn is_resolved(event: &Event) {
    assert!(event.stack.as_ref().is_some_and(|stack| stack.symbolicated));
    source::in_panics("pick").is_called(&frames(event)[0], "panics::pick");
}

/// The panic's own place is known, and each frame by its module and its address in it.
#[track_caller]
fn is_told_by_addresses(event: &Event) {
    assert!(
        event
            .stack
            .as_ref()
            .is_some_and(|stack| !stack.symbolicated)
    );
    source::in_panics("pick").is(event.location.as_ref());
    let untouched = untouched();
    let known = spot(&frames(&untouched)[0]);
    assert!(known.1.len() >= 16, "{known:?}");
    assert!(frames(event).iter().any(|frame| spot(frame) == known));
    for frame in frames(event) {
        assert!(!spot(frame).1.is_empty(), "{frame:?}");
        // The C library may have debug information on this machine.
        if is_in(frame, "/subject") {
            let place = (frame.file.as_deref(), frame.line);
            assert_eq!(place, (None, None), "{frame:?}");
        }
    }
}

#[test]
fn a_program_carries_no_large_constant_without_content() {
    let copy = Copy::new().with("objcopy", &["--dump-section=.rodata=constants", "subject"]);
    let constants = fs::read(copy.folder().join("constants")).expect("was written");

    let pages = constants.chunks(4_096);
    let empty = pages.map(|page| page.iter().all(|byte| *byte == 0));
    let (_, longest) = empty.fold((0, 0), |(run, longest): (usize, usize), is_empty| {
        let run = if is_empty { run + 1 } else { 0 };
        (run, longest.max(run))
    });

    assert!(longest < 16, "{longest} empty pages in a row");
}

#[test]
fn a_stripped_program_tells_place_addresses_and_build_id() {
    let copy = Copy::new().with("strip", &["subject"]);

    let event = event_of(subject_at(&copy.path(), "panic_in_thread"));

    is_told_by_addresses(&event);
    let ours = frames(&event).iter().filter(|it| is_in(it, "/subject"));
    assert!(ours.clone().count() > 3);
    ours.for_each(|frame| assert_eq!(frame.function, None, "{frame:?}"));
}

#[test]
fn a_program_without_debug_information_tells_functions() {
    let copy = Copy::new().with("strip", &["--strip-debug", "subject"]);

    let event = event_of(subject_at(&copy.path(), "panic_in_thread"));

    let name = frames(&event)[0].function.as_deref();
    assert!(
        name.is_some_and(|name| name.ends_with("panics::pick")),
        "{name:?}"
    );
    is_told_by_addresses(&event);
}

#[test]
fn debug_information_in_a_file_of_its_own_is_found() {
    let copy = Copy::new()
        .with(
            "objcopy",
            &["--only-keep-debug", "subject", "subject.debug"],
        )
        .with("strip", &["subject"])
        .with("objcopy", &["--add-gnu-debuglink=subject.debug", "subject"]);

    is_resolved(&event_of(subject_at(&copy.path(), "panic_in_thread")));
}

#[test]
fn debug_information_of_another_build_is_not_believed() {
    let copy = Copy::new();
    fs::copy(env!("CARGO_BIN_EXE_twins"), copy.folder().join("twins")).expect("can be copied");
    let copy = copy
        .with("objcopy", &["--only-keep-debug", "twins", "subject.debug"])
        .with("strip", &["subject"])
        .with("objcopy", &["--add-gnu-debuglink=subject.debug", "subject"]);

    is_told_by_addresses(&event_of(subject_at(&copy.path(), "panic_in_thread")));
}

#[test]
fn compressed_debug_information_is_read() {
    let copy = Copy::new().with("objcopy", &["--compress-debug-sections=zlib", "subject"]);

    is_resolved(&event_of(subject_at(&copy.path(), "panic_in_thread")));
}

#[test]
fn symbols_may_be_left_to_the_collector() {
    let program = subject("panic_in_thread").env("BUGSAGE_SYMBOLS_BYTES_MAX", "0");

    let event = event_of(program);

    is_told_by_addresses(&event);
    let mut functions = frames(&event)
        .iter()
        .filter_map(|it| it.function.as_deref());
    assert_eq!(functions.next(), None);
}

#[test]
fn a_program_with_more_debug_information_than_is_granted_tells_functions() {
    let program = subject("panic_in_thread").env("BUGSAGE_SYMBOLS_BYTES_MAX", "100000");

    let event = event_of(program);

    let name = frames(&event)[0].function.as_deref();
    assert!(
        name.is_some_and(|name| name.ends_with("panics::pick")),
        "{name:?}"
    );
    is_told_by_addresses(&event);
}

#[test]
fn a_program_that_was_replaced_on_disk_is_told_by_what_runs() {
    let copy = Copy::new();
    fs::copy(env!("CARGO_BIN_EXE_twins"), copy.folder().join("next")).expect("can be copied");

    let program = subject_at(&copy.path(), "replaced").arg(copy.folder().join("next"));
    let event = event_of(program);

    is_resolved(&event);
    let untouched = untouched();
    assert_eq!(spot(&frames(&event)[0]).1, spot(&frames(&untouched)[0]).1);
}

/// Loads libraries, and tells the stacks of the panics in their calls back, in this order, and where in
/// memory each library's function was.
fn stacks_through(libraries: &[&Path]) -> (Vec<Event>, Vec<String>) {
    let sink = Sink::open();
    let paths: Vec<_> = libraries
        .iter()
        .map(|path| path.to_string_lossy())
        .collect();
    let program = subject("libraries").arg(paths.join(","));
    let ended = program.dsn(sink.dsn()).run().well();
    let mut events = sink.events();
    events.retain(|event| &*event.message == "called back");
    assert_eq!(events.len(), libraries.len());
    let places = ended.stdout.lines();
    let places = places.filter_map(|line| line.strip_prefix("library: "));
    (events, places.map(str::to_owned).collect())
}

/// The library's own frames, innermost first.
fn frames_in<'a>(event: &'a Event, library: &Path) -> Vec<&'a Frame> {
    let is_there = |frame: &&Arc<Frame>| {
        let module = frame.module.as_deref();
        module.is_some_and(|module| Path::new(&*module.path) == library)
    };
    let own = frames(event).iter().filter(is_there).map(|frame| &**frame);
    own.collect()
}

#[track_caller]
fn is_resolved_through(event: &Event, library: &Path, name: &str) {
    let called_back = &frames(event)[0];
    assert!(
        called_back
            .function
            .as_deref()
            .is_some_and(|it| it.contains("called_back"))
    );
    let own = frames_in(event, library);
    let told: Vec<_> = own
        .iter()
        .map(|frame| (frame.function.as_deref(), frame.line))
        .collect();
    let expected = [
        ("inlined", "inlined", true),
        ("handle", "handle", false),
        ("outer", "outer", false),
        ("enter", "enter", false),
    ];
    assert_eq!(own.len(), expected.len(), "{told:?}");
    for (frame, (place, function, inlined)) in own.into_iter().zip(expected) {
        source::in_plugin(place).is_called(frame, function);
        assert_eq!(frame.inlined, inlined, "{told:?}");
        assert!(!spot(frame).1.is_empty(), "{frame:?}");
        let function = frame.function.as_deref().unwrap_or_default();
        let is_whole = function.contains(name) || function == "enter" || inlined;
        assert!(is_whole, "{function} is in {name}");
    }
}

/// Debug, optimized, other formats of debug information, and other ways to keep it.
#[test]
fn a_library_that_is_loaded_later_is_resolved_however_it_was_built() {
    let folder = Folder::new();
    let builds: [(&str, &[&str]); 9] = [
        ("debug", &["-Cdebuginfo=2"]),
        ("lines", &["-Cdebuginfo=line-tables-only"]),
        ("optimized", &["-Cdebuginfo=2", "-Copt-level=3"]),
        ("pointers", &["-Cdebuginfo=2", "-Cforce-frame-pointers=yes"]),
        (
            "thin_lto",
            &["-Cdebuginfo=1", "-Copt-level=3", "-Clto=thin"],
        ),
        ("dwarf5", &["-Cdebuginfo=2", "-Cdwarf-version=5"]),
        ("packed", &["-Cdebuginfo=2", "-Csplit-debuginfo=packed"]),
        (
            "packed5",
            &[
                "-Cdebuginfo=2",
                "-Csplit-debuginfo=packed",
                "-Cdwarf-version=5",
            ],
        ),
        ("unpacked", &["-Cdebuginfo=2", "-Csplit-debuginfo=unpacked"]),
    ];
    let built = builds.map(|(name, flags)| (name, plugin(&folder, name, flags)));
    let paths: Vec<&Path> = built.iter().map(|(_, path)| &**path).collect();

    let (events, _) = stacks_through(&paths);

    for (event, (name, path)) in events.iter().zip(&built) {
        is_resolved_through(event, path, name);
    }
}

#[test]
fn a_stripped_library_is_told_by_addresses_and_its_own_build_id() {
    let folder = Folder::new();
    let path = plugin(&folder, "stripped", &["-Cstrip=symbols"]);

    let (events, _) = stacks_through(&[&path]);

    let own = frames_in(&events[0], &path);
    assert!(own.len() >= 3, "{own:?}");
    for frame in &own {
        assert_eq!(
            (frame.line, spot(frame).1.is_empty()),
            (None, false),
            "{frame:?}"
        );
    }
    let program = &frames(&events[0])[0];
    assert!(program.line.is_some(), "{program:?}");
    assert_ne!(spot(program).1, spot(own[0]).1);
}

#[test]
fn a_library_in_the_place_of_one_that_is_gone_is_told_by_its_own_names() {
    let folder = Folder::new();
    let flags = ["-Cdebuginfo=2"];
    let (first, second) = (
        plugin(&folder, "one", &flags),
        plugin(&folder, "two", &flags),
    );

    // Mostly the first attempt: in between the place may go to somebody else.
    let mut attempts = (0..20).map(|_| stacks_through(&[&first, &second]));
    let in_one_place = attempts.find(|(_, places)| places[0] == places[1]);
    let (events, _) = in_one_place.expect("the second is where the first was");

    is_resolved_through(&events[0], &first, "one");
    is_resolved_through(&events[1], &second, "two");
}
