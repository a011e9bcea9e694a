//! A record that a thread was killed over, and the facts about a run.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bugsage_sdk::fuzzing::read(data));
