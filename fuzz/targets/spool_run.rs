//! A run's folder as a crash, a bad disk or somebody else may have left it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bugsage_sdk::fuzzing::recover(data));
