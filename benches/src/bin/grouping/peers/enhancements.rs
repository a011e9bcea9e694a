//! Which frames Sentry takes for the app's and lets count: the stack trace rules of
//! `src/sentry/grouping/enhancer/enhancement-configs/all-platforms@2026-01-20.txt` that a Rust event can meet.
//!
//! Left out are rules on packages, as the SDK tells no libraries for frames, and those of other languages.

use super::told::Call;

/// What a frame is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    System,
    Std,
    Internals,
    ThreadBase,
    Malloc,
    Free,
    Indirection,
    Destructor,
    Shutdown,
    Handler,
    Throw,
    Load,
    Lock,
    Telemetry,
}

/// What a rule asks of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Is {
    /// Its trimmed function is this; `*` stands for anything.
    Function(&'static str),
    /// The path of its file is this.
    Path(&'static str),
    Kind(Kind),
    Not(Kind),
}

/// Which frames a rule changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    It,
    /// All that it called.
    Inner,
    /// All that led to it.
    Outer,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Mark(Kind),
    App(Reach, bool),
    Count(Reach, bool),
}

/// A rule: for the frames that it asks for, between the caller and the callee that it asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) caller: Option<Is>,
    pub(crate) frame: &'static [Is],
    pub(crate) callee: Option<Is>,
    pub(crate) acts: &'static [Act],
}

/// What became of a frame.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) in_app: bool,
    pub(crate) counts: bool,
    kind: Option<Kind>,
}

/// Each frame by the rules, of which the last that meets it decides: first what it is, then whether it counts.
pub(crate) fn judge(frames: &[Call], functions: &[String], rules: &[&[Rule]]) -> Vec<Judged> {
    let judged = frames.iter().map(|frame| Judged {
        in_app: frame.in_app,
        counts: true,
        kind: None,
    });
    let mut judged: Vec<Judged> = judged.collect();
    for decides_count in [false, true] {
        for rule in rules.iter().copied().flatten() {
            // What a rule changes is seen by the rules behind it, not by itself.
            let met: Vec<usize> = (0..frames.len())
                .filter(|at| rule.meets(*at, frames, functions, &judged))
                .collect();
            for at in met {
                for act in rule.acts {
                    act.apply(at, decides_count, &mut judged);
                }
            }
        }
    }
    judged
}

impl Rule {
    fn meets(&self, at: usize, frames: &[Call], functions: &[String], judged: &[Judged]) -> bool {
        let is = |at: usize, is: &Is| match *is {
            Is::Function(form) => resembles(&functions[at], form),
            Is::Path(form) => frames[at]
                .path
                .as_deref()
                .is_some_and(|it| resembles(it, form)),
            Is::Kind(kind) => judged[at].kind == Some(kind),
            Is::Not(kind) => judged[at].kind != Some(kind),
        };
        let caller = self.caller.is_none_or(|it| at > 0 && is(at - 1, &it));
        let callee = self
            .callee
            .is_none_or(|it| at + 1 < frames.len() && is(at + 1, &it));
        caller && callee && self.frame.iter().all(|it| is(at, it))
    }
}

impl Act {
    fn apply(self, at: usize, decides_count: bool, judged: &mut [Judged]) {
        let reached = |reach| match reach {
            Reach::It => at..at + 1,
            Reach::Inner => at + 1..judged.len(),
            Reach::Outer => 0..at,
        };
        match self {
            Act::Mark(kind) if !decides_count => judged[at].kind = Some(kind),
            Act::App(reach, in_app) if !decides_count => {
                let reached = reached(reach);
                judged[reached].iter_mut().for_each(|it| it.in_app = in_app);
            }
            Act::Count(reach, counts) if decides_count => {
                let reached = reached(reach);
                judged[reached].iter_mut().for_each(|it| it.counts = counts);
            }
            _ => {}
        }
    }
}

fn resembles(text: &str, form: &str) -> bool {
    let mut parts = form.split('*');
    let Some(rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    let mut rest = rest;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

const fn marks(function: &'static [Is], act: &'static [Act]) -> Rule {
    Rule {
        caller: None,
        frame: function,
        callee: None,
        acts: act,
    }
}

macro_rules! function {
    ($name:literal, $($act:expr),+) => {
        marks(&[Is::Function($name)], &[$($act),+])
    };
}

macro_rules! kind {
    ($kind:ident, $($act:expr),+) => {
        marks(&[Is::Kind(Kind::$kind)], &[$($act),+])
    };
}

/// What is called by a frame of one kind and is of another is nothing but how that works.
macro_rules! within {
    ($caller:ident, $frame:ident) => {
        Rule {
            caller: Some(Is::Kind(Kind::$caller)),
            frame: &[Is::Kind(Kind::$frame)],
            callee: None,
            acts: &[Act::Mark(Kind::Internals)],
        }
    };
}

const NOT_APP: Act = Act::App(Reach::It, false);
const INNER_NOT_APP: Act = Act::App(Reach::Inner, false);
const NOT_COUNTED: Act = Act::Count(Reach::It, false);
const INNER_NOT_COUNTED: Act = Act::Count(Reach::Inner, false);
const OUTER_NOT_COUNTED: Act = Act::Count(Reach::Outer, false);

pub(crate) const PUBLISHED: &[Rule] = &[
    function!("memset", Act::Mark(Kind::System)),
    function!("memcpy", Act::Mark(Kind::System)),
    function!("__memcpy", Act::Mark(Kind::System)),
    function!("memcmp", Act::Mark(Kind::System)),
    function!("boost::*", Act::Mark(Kind::Std)),
    function!("std::*", Act::Mark(Kind::Std)),
    function!("std::_*", Act::Mark(Kind::Internals)),
    function!("wWinMain", Act::Mark(Kind::ThreadBase)),
    function!("invoke_main", Act::Mark(Kind::ThreadBase)),
    function!("BaseThreadInitThunk", Act::Mark(Kind::ThreadBase)),
    function!("RtlUserThreadStart", Act::Mark(Kind::ThreadBase)),
    function!("thread_start", Act::Mark(Kind::ThreadBase)),
    function!("_pthread_start", Act::Mark(Kind::ThreadBase)),
    function!("__pthread_start", Act::Mark(Kind::ThreadBase)),
    function!("_pthread_body", Act::Mark(Kind::ThreadBase)),
    function!("malloc", Act::Mark(Kind::Malloc)),
    function!("std::*::allocator_traits*", Act::Mark(Kind::Malloc)),
    function!("*::operator()*", Act::Mark(Kind::Indirection)),
    function!("*<lambda>*", Act::Mark(Kind::Indirection)),
    function!("destructor'", Act::Mark(Kind::Indirection)),
    function!("__dynamic_cast", Act::Mark(Kind::Indirection)),
    function!("*::{dtor}", Act::Mark(Kind::Destructor)),
    function!("destructor'", Act::Mark(Kind::Destructor)),
    function!("exit", Act::Mark(Kind::Shutdown)),
    function!("_sigtramp", Act::Mark(Kind::Handler)),
    function!("abort", Act::Mark(Kind::Throw)),
    function!("raise", Act::Mark(Kind::Throw)),
    function!("std::terminate", Act::Mark(Kind::Throw)),
    function!("_CxxThrowException", Act::Mark(Kind::Throw)),
    function!("RaiseException", Act::Mark(Kind::Throw)),
    function!("std::_Deallocate", Act::Mark(Kind::Free)),
    function!("free", Act::Mark(Kind::Free)),
    function!("crashpad::*", Act::Mark(Kind::Telemetry)),
    function!("dlopen", Act::Mark(Kind::Load)),
    function!("dladdr", Act::Mark(Kind::Load)),
    function!("pthread_mutex_lock", Act::Mark(Kind::Lock)),
    within!(Malloc, Malloc),
    within!(Throw, Throw),
    marks(
        &[Is::Kind(Kind::System), Is::Function("_*")],
        &[Act::Mark(Kind::Internals)],
    ),
    function!("_INTERNAL*", Act::Mark(Kind::Internals)),
    function!("closure", Act::Mark(Kind::Internals)),
    function!("range", Act::Mark(Kind::Internals)),
    function!("*.cold.1", Act::Mark(Kind::Indirection)),
    Rule {
        caller: Some(Is::Not(Kind::System)),
        frame: &[Is::Kind(Kind::System)],
        callee: Some(Is::Not(Kind::System)),
        acts: &[Act::Mark(Kind::Indirection)],
    },
    within!(Free, System),
    within!(System, System),
    within!(Std, System),
    within!(Std, Std),
    within!(Internals, System),
    within!(Load, System),
    within!(Load, Load),
    within!(Throw, System),
    within!(Destructor, Destructor),
    marks(&[Is::Path("/usr/local/lib/*")], &[NOT_APP]),
    marks(&[Is::Path("*/.local/share/*")], &[NOT_APP]),
    function!("std::*", NOT_APP),
    function!("core::*", NOT_APP),
    function!("alloc::*", NOT_APP),
    function!("__rust_*", NOT_APP),
    function!("rust_begin_unwind", NOT_APP),
    function!(
        "std::panicking::begin_panic",
        INNER_NOT_COUNTED,
        NOT_COUNTED,
        INNER_NOT_APP,
        NOT_APP
    ),
    function!(
        "core::panicking::begin_panic",
        INNER_NOT_COUNTED,
        NOT_COUNTED,
        INNER_NOT_APP,
        NOT_APP
    ),
    function!(
        "failure::backtrace::Backtrace::new",
        INNER_NOT_COUNTED,
        NOT_COUNTED,
        INNER_NOT_APP,
        NOT_APP
    ),
    function!(
        "error_chain::make_backtrace",
        INNER_NOT_COUNTED,
        NOT_COUNTED,
        INNER_NOT_APP,
        NOT_APP
    ),
    function!("std::panicking::panic_fmt", INNER_NOT_APP, NOT_APP),
    function!("core::panicking::panic_fmt", INNER_NOT_APP, NOT_APP),
    function!(
        "__cxa_throw",
        INNER_NOT_COUNTED,
        NOT_COUNTED,
        INNER_NOT_APP,
        NOT_APP
    ),
    kind!(
        Throw,
        INNER_NOT_COUNTED,
        NOT_COUNTED,
        INNER_NOT_APP,
        NOT_APP
    ),
    kind!(System, NOT_APP),
    kind!(ThreadBase, NOT_COUNTED, OUTER_NOT_COUNTED),
    kind!(Handler, INNER_NOT_COUNTED, NOT_COUNTED),
    kind!(Telemetry, NOT_APP, NOT_COUNTED),
    kind!(Indirection, NOT_COUNTED),
    kind!(Internals, NOT_APP, NOT_COUNTED),
    marks(&[Is::Path("*/vendor/*")], &[NOT_APP]),
];
