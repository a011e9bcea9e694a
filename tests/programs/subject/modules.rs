//! Apps that load libraries, and apps that are replaced while they run.

use std::ffi::{CString, c_void};
use std::fs;
use std::panic::catch_unwind;

use crate::{finish, panics, start, timeout};

/// Panics, then loads libraries one after the other, and panics in a call back from each.
pub(crate) fn libraries(paths: &str) {
    let guard = start();
    let _ = catch_unwind(panics::in_pick);
    // From here on somebody may believe to know all that is loaded.
    guard.flush(timeout());
    for path in paths.split(',') {
        call_library(path, || {
            guard.flush(timeout());
        });
    }
    finish(guard);
}

fn call_library(path: &str, before_it_goes: impl FnOnce()) {
    extern "C-unwind" fn called_back() {
        panic!("called back"); // here: called_back
    }
    let path = CString::new(path).expect("is a path");
    // SAFETY: the library is one of the tests' own; what it does when it is loaded is std's.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null(), "{path:?} can be loaded");
    // SAFETY: the handle is good.
    let enter = unsafe { libc::dlsym(library, c"enter".as_ptr()) };
    assert!(!enter.is_null(), "it has the function");
    // SAFETY: that is how the library declares it.
    let enter = unsafe {
        std::mem::transmute::<*mut c_void, extern "C-unwind" fn(extern "C-unwind" fn())>(enter)
    };
    println!("library: {:x}", enter as usize);
    assert!(catch_unwind(|| enter(called_back)).is_err());
    before_it_goes();
    // SAFETY: nothing of it is used any more.
    unsafe { libc::dlclose(library) };
}

/// Panics after its file was replaced by another program, as a deploy does.
pub(crate) fn replaced(other: &str) {
    let guard = start();
    let own = std::env::current_exe().expect("is running");
    fs::rename(other, own).expect("can be replaced");
    let _ = catch_unwind(panics::in_pick);
    finish(guard);
}
