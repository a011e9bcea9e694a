//! The bytes of a request, as anybody may send them.

#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    // An error is an answer; a panic, a hang or a full memory is none.
    let _ = bugsage_core::batch::check(body);
    let _ = bugsage_core::batch::decode(body);
});
