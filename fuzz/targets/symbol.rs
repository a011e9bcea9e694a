//! Names of functions as any compiler, or anybody at all, may write them.

#![no_main]

use std::sync::Arc;

use bugsage_core::fingerprint::frames;
use bugsage_core::fingerprint::source::Functions;
use bugsage_core::fingerprint::symbol::{self, Symbol};
use bugsage_core::stacktrace::Frame;

libfuzzer_sys::fuzz_target!(|data: &str| {
    let name = symbol::normalize(data);
    let read = Symbol::read(data);
    assert_eq!(read.name, name);
    // What a symbol repeats by reference grows when it is written out, to 8 KiB at most; `{` alone
    // then stands for a closure.
    assert!(
        name.len() <= 4 * (8 << 10),
        "it grows to {} bytes",
        name.len()
    );
    let (function, file) = data.split_once('\n').unwrap_or((data, ""));
    let frame = Frame {
        function: Some(function.into()),
        file: (!file.is_empty()).then(|| file.into()),
        line: Some(1),
        ..Frame::default()
    };
    let part = frames::judge(&frame);
    let stack = frames::trim(vec![frame], true);
    assert!(stack.frames.len() == 1 && stack.frames[0].in_app == (part == frames::Part::App));
    let functions = Arc::new(Functions::read(data));
    if let Some(around) = functions.at(1) {
        assert!(data.contains(around));
        let _ = functions.caller(around, &name);
    }
});
