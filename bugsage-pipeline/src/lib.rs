//! What is done about an issue, one stage after the other.
//!
//! ```text
//! Case (queued) ──► evidence ──► analyze ──► fix ──► validate ──► (ready) review ──► apply ──► (applied)
//!                      │            │         │        │  │                            │
//!                      └────────────┴─ repository ─────┘  └─ sandbox                   └─ a branch
//! ```
//!
//! A [`case::Case`] is a document. [`run::advance`] takes it one stage further: each stage is a
//! function of the saved case and the repository alone, so that a worker may be killed at any moment
//! and another one comes to the same result. Whoever calls loads and saves; nothing here knows a
//! store, a network or a model.

// The thing that travels, its states, and which may follow which.
pub mod case;
// What is known about the issue when the case begins.
pub mod subject;
// One stage further: the only `match` on the state.
pub mod run;
// What the stages fix and validate make of a case.
mod stages;
// The frozen bundle that a case starts from.
pub mod evidence;
// What went wrong, why, and since which commit.
pub mod analyze;
// Candidate patches, and the test that reproduces the failure.
pub mod fix;
// A proposed change.
pub mod patch;
// What a patch must pass, and where.
pub mod validate;
// What a person decides, and how long it holds.
pub mod review;
// What was approved, as a branch.
pub mod apply;
// The source at a commit, through the `git` binary.
pub mod repository;
// A program with bounds on its output and its time.
mod process;
// How much of everything.
pub mod limits;
