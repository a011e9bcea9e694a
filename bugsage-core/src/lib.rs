//! The words and rules that both ends of BugSage share.
//!
//! An app's [`event::Event`]s travel in a [`batch`], are cleaned by [`scrub`], and are sorted by
//! [`fingerprint`]. Everything here is a pure function of its input: no I/O, no clock, no async, no
//! thread. Every size that an outsider can choose has its bound in [`limits`].

pub mod limits;
pub mod clock;
pub mod id;
pub mod sketch;
pub mod event;
pub mod stacktrace;
pub mod panic_class;
pub mod dsn;
pub mod scrub;
pub mod batch;
pub mod fingerprint;
