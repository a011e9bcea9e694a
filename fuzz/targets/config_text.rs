//! A configuration as anybody may write it: a file, and behind a zero byte variables of the environment.

#![no_main]

use std::path::PathBuf;

use bugsage_collector::config::Sources;

libfuzzer_sys::fuzz_target!(|data: &str| {
    let mut parts = data.split('\0');
    let text = parts.next().unwrap_or_default().to_owned();
    let variables = parts.filter_map(|pair| pair.split_once('='));
    let sources = Sources {
        variables: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..Sources::default()
    };
    match sources.resolve_text(Some((PathBuf::from("bugsage.toml"), Ok(text)))) {
        Ok(resolved) => {
            let config = resolved.config;
            assert!((1..=3_650).contains(&config.retention.days));
            assert!((1..=65_536).contains(&config.limits.connections));
        }
        Err(problems) => assert!(!problems.lines().is_empty()),
    }
});
