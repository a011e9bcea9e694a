//! Decides which issues become cases.
//!
//! In: what grouping found out about an event. Out: a yes, which the store turns into a queued case
//! with its leased job, in the transaction that stores the event. Never: running anything.
//!
//! The policy until projects can set their own: a panic or error in the app's own code, of a
//! project that has a repository to explain it from.

use bugsage_core::event::EventKind;

/// Whether an event is worth a case, as far as the event alone can tell. The store adds what it
/// knows: the project's repository, and whether the issue has a case already.
pub fn wants_case(kind: EventKind, in_app: bool) -> bool {
    in_app && matches!(kind, EventKind::Panic | EventKind::Error)
}
