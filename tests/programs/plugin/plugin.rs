//! A library that stories build in all the ways in which there are symbols or none, and load into the
//! subject while it runs.

use std::hint::black_box;

type Callback = extern "C-unwind" fn();

trait Handler {
    fn handle(&self, call: Callback);
}

struct Counted<T>(T);

impl<T: Copy> Handler for Counted<T> {
    #[inline(never)]
    fn handle(&self, call: Callback) {
        inlined(call); // here: handle
        black_box(self.0);
    }
}

#[inline(always)]
fn inlined(call: Callback) {
    call(); // here: inlined
    black_box(());
}

#[inline(never)]
fn outer(handler: &dyn Handler, call: Callback) {
    handler.handle(call); // here: outer
    black_box(());
}

/// Calls back, from within some calls of its own.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn enter(call: Callback) {
    outer(&Counted(17_u64), call); // here: enter
    black_box(());
}
