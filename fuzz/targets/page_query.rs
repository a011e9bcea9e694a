//! The address of a page, as anybody may write it by hand.

#![no_main]

use axum::extract::Query;
use axum::http::Uri;
use bugsage_collector::dashboard::query::{Issues, Ledger, Releases};
use bugsage_core::clock::Timestamp;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(uri) = Uri::try_from([b"/issues?", data].concat()) else {
        return;
    };
    if let Ok(Query(issues)) = Query::<Issues>::try_from_uri(&uri) {
        let filter = issues.filter(100);
        assert!(filter.words.iter().map(String::len).sum::<usize>() <= 200);
        assert_ne!(filter.project.as_deref(), Some(""));
    }
    if let Ok(Query(releases)) = Query::<Releases>::try_from_uri(&uri) {
        assert!(releases.days() >= 1);
        for now in [Timestamp(0), Timestamp(u64::MAX)] {
            let filter = releases.filter(now, 50);
            assert!(filter.environment.is_none_or(|name| name.len() <= 200));
        }
    }
    if let Ok(Query(ledger)) = Query::<Ledger>::try_from_uri(&uri) {
        assert!(ledger.hours() >= 1);
    }
});
