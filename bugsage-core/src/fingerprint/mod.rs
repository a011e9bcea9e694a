//! Says which bug an event belongs to, and why.
//!
//! A pure, versioned function of the event. The rules, in their order:
//!
//! 1. The class counts always: for a panic what std's message says ([`crate::panic_class`]), for
//!    an error the type or variant at the root of its chain.
//! 2. [`frames`] cuts the panic machinery, the runtime's ends and what lies beyond a catch of
//!    panics off the stack, drops what is not the app's own, and folds recursion. Of what is left
//!    the two innermost functions count, as file and name: where it failed, and who asked for it.
//!    Lines never count. A closure has the name of its function; an optimized build may not know
//!    it, so there is a second, weak fingerprint for which closures have no names.
//! 3. The words of the message count only where the stack does not separate: where no function is
//!    left, and where the class is the app's own text (`panic!("...")`), by its first words.
//! 4. Without source files in the stack (no debug information) the function around the panic's line decides, by the
//!    source of the commit that ran. Where that is not at hand, the file and the function that is visible do, and
//!    the fingerprint is marked provisional.
//! 5. Only the first of these is strong. Other bugs may share the rest, by how much they leave out: [`place`] says
//!    what such a fingerprint finds.
//! 6. A project's own [`rules`], or else what the app wants, count beside all of this or instead of it.
//!
//! Old fingerprints stay with their issue for ever, so a new version of the rules splits nothing.

pub mod symbol;
pub mod frames;
pub mod message;
pub mod source;
#[cfg(feature = "fingerprint")]
mod identity;
#[cfg(feature = "fingerprint")]
mod outline;
#[cfg(feature = "fingerprint")]
mod explain;
#[cfg(feature = "fingerprint")]
mod alike;
#[cfg(feature = "fingerprint")]
pub mod place;
#[cfg(feature = "fingerprint")]
pub mod rules;
#[cfg(all(test, feature = "fingerprint"))]
pub(crate) mod tests;

#[cfg(feature = "fingerprint")]
pub use alike::Alike;
#[cfg(feature = "fingerprint")]
pub use explain::{Dropped, Explanation, Grouping, Kept, explain, group, group_on, title};
#[cfg(feature = "fingerprint")]
pub use identity::{Fingerprint, InvalidFingerprint, Strength, VERSION};
#[cfg(feature = "fingerprint")]
pub use outline::Outline;
