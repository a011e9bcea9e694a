//! The words and rules that both ends of BugSage share.
//!
//! An app's [`event::Event`]s travel in a [`batch`], are cleaned by [`scrub`], and are sorted by
//! [`fingerprint`]. Everything here is a pure function of its input: no I/O, no clock, no async, no
//! thread. Every size that an outsider can choose has its bound in [`limits`].

#[cfg(feature = "model")]
pub mod limits;
pub mod clock;
pub mod id;
pub mod trace_context;
#[cfg(feature = "model")]
pub mod sketch;
#[cfg(feature = "model")]
pub mod event;
#[cfg(feature = "model")]
pub mod span;
#[cfg(feature = "model")]
pub mod stacktrace;
#[cfg(feature = "model")]
pub mod panic_class;
#[cfg(feature = "model")]
pub mod dsn;
#[cfg(feature = "model")]
pub mod pauses;
#[cfg(feature = "model")]
mod recent;
#[cfg(feature = "model")]
pub mod scrub;
#[cfg(feature = "model")]
pub mod checksum;
#[cfg(feature = "model")]
pub mod batch;
#[cfg(feature = "model")]
pub mod fingerprint;
#[cfg(feature = "fingerprint")]
pub mod similar;
#[cfg(feature = "model")]
pub mod remote;
