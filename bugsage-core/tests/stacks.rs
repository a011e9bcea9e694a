//! On a corpus of real stacks every frame has the part that a person has given it.
//!
//! Debug, release and thin LTO builds, tasks of tokio, threads, closures, trait objects, generics, inlined
//! calls, destructors, thread-locals, tests; as std resolved them, from the hook to the end. Made by
//! `BUGSAGE_BLESS=1 cargo test -p bugsage-tests -- stacks`; marks are looked through by hand: `a` is the
//! app's, `k` is kept beside it, `-` is cut off.
#![cfg(feature = "model")]

use std::collections::BTreeMap;

use bugsage_core::fingerprint::frames;
use bugsage_core::stacktrace::Frame;
use serde_json::Value;

fn text(value: &Value) -> Option<std::sync::Arc<str>> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .map(Into::into)
}

#[test]
fn every_frame_of_the_corpus_has_its_part() {
    let corpus: Value = serde_json::from_str(include_str!("stacks/stacks.json")).expect("is JSON");
    let stacks = corpus["stacks"].as_array().expect("is a list");
    let mut judged = 0;

    for stack in stacks {
        let marks = stack["marks"].as_str().expect("is text");
        let indexes = stack["frames"].as_array().expect("is a list");
        let all = indexes.iter().enumerate().map(|(at, index)| {
            let entry = &corpus["frames"][index.as_u64().expect("is a number") as usize];
            Frame {
                function: text(&entry[0]),
                file: text(&entry[1]),
                address: at as u64,
                ..Frame::default()
            }
        });
        let all: Vec<Frame> = all.collect();
        assert_eq!(all.len(), marks.len());
        let kept = frames::trim(all.clone(), true).frames;
        let kept: BTreeMap<u64, bool> = kept.iter().map(|it| (it.address, it.in_app)).collect();

        for (frame, mark) in all.iter().zip(marks.chars()) {
            let told = match kept.get(&frame.address) {
                Some(true) => 'a',
                Some(false) => 'k',
                None => '-',
            };
            assert_eq!(told, mark, "{}: {frame:?}", stack["name"]);
            judged += 1;
        }
    }
    assert!(stacks.len() >= 20 && judged > 500, "{judged} frames");
}
