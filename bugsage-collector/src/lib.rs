//! The BugSage daemon.
//!
//! ```text
//! batch ─► ingest ─► group ─► store ─► forward ─► worker ─► (bugsage-pipeline)
//!          check     sort     commit   queue      one case,
//!          decode    clean    fsync    a case     stage by stage
//!                               │
//!                               └─► cli · dashboard
//! ```
//!
//! A batch is answered with 2xx only after the transaction that holds it was synced. [`app`] is
//! the one place where the parts are joined.

// Time and random ids, at the edge.
pub mod clock;
// What an operator may set.
pub mod config;
// What the collector tells of itself: counters, and whether each stage still moves.
pub mod observe;
// Batches in: who may send, how much, and what became of it.
pub mod ingest;
// Cleans events and finds their fingerprints.
pub mod group;
// What is kept, behind one trait.
pub mod store;
// Which issues become cases.
pub mod forward;
// Jobs that run beside the ingest path.
pub mod worker;
// The few endpoints for machines, and the errors that all of them share.
pub mod api;
// Pages for people.
pub mod dashboard;
// Spans as a tree, for whoever shows a trace.
pub mod waterfall;
// Issues, events, traces and cases as JSON, under the names that tools rely on.
pub mod view;
// The health of releases, likewise.
pub mod health;
// The ledger, likewise.
pub mod account;
// Joins the parts and serves them.
pub mod app;
// Panics of our own: contained, told, and never with data.
pub mod faults;
// What the process does not need, the system gets back.
mod memory;
// The command line.
pub mod cli;
