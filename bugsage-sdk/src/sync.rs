//! What threads share, in the standard library's form, or in loom's, which tries all orders in which
//! threads can meet: `cargo xtask prove loom`.

#[cfg(not(bugsage_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::AtomicU64, atomic::fence,
};

#[cfg(bugsage_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::AtomicU64, atomic::fence,
};
