//! Spans without a `tracing` subscriber: the macro [`span!`](crate::span!) and its guard.

use std::fmt;
use std::marker::PhantomData;

use tracing::Metadata;
use tracing::callsite::{Callsite, Identifier};
use tracing::field::FieldSet;
use tracing::metadata::Kind;
use tracing::subscriber::Interest;

#[cfg(not(feature = "capture"))]
use crate::facade::spans::{Entered, Values};
#[cfg(feature = "capture")]
use crate::spans::native::{Entered, Values};

/// Opens a span, without a `tracing` subscriber: the span lasts until the guard that it returns is dropped.
///
/// ```
/// # let order = 7;
/// # let card = "visa";
/// let _span = bugsage_sdk::span!("checkout", order, card = %card, shop.region = "eu", retry = false);
/// ```
///
/// The name and the names of the fields are part of the program; values are numbers, booleans and texts, with
/// `%` whatever has `Display`, with `?` whatever has `Debug`, and of a variable alone, as `order` here, the
/// name is the field's. There are at most 32 fields, as `tracing` has it. Values are taken while the span
/// opens, within a closure: `?` and `return` do not leave the function around it. Spans of both kinds nest in
/// each other, and sampling, limits and what an error tells are the same for both.
///
/// ```compile_fail
/// let _span = bugsage_sdk::span!("too many", a = 1, b = 1, c = 1, d = 1, e = 1, f = 1, g = 1, h = 1, i = 1,
///     j = 1, k = 1, l = 1, m = 1, n = 1, o = 1, p = 1, q = 1, r = 1, s = 1, t = 1, u = 1, v = 1, w = 1,
///     x = 1, y = 1, z = 1, aa = 1, bb = 1, cc = 1, dd = 1, ee = 1, ff = 1, gg = 1);
/// ```
///
/// It costs about half of what a span through a registry does: 80 ns where the trace is not sampled, 125 to
/// 190 ns where it is, and nothing but two loads where nothing is reported. For spans that outlive a block or
/// go on over an `.await`, use those of `tracing`: this guard stays on its thread, and held over an `.await` it is
/// around whatever other tasks do there meanwhile.
#[macro_export]
macro_rules! span {
    ($name:expr $(,)?) => {
        $crate::__span!($name; [] [];)
    };
    ($name:expr, $($fields:tt)+) => {
        $crate::__span!($name; [] []; $($fields)+,)
    };
}

/// For [`span!`](crate::span!): takes field after field, then opens the span.
#[doc(hidden)]
#[macro_export]
macro_rules! __span {
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $(,)?) => {{
        static __BUGSAGE_METADATA: $crate::__private::Metadata<'static> =
            $crate::__private::metadata(
                $name,
                ::core::module_path!(),
                ::core::file!(),
                ::core::line!(),
                &[$($key),*],
                &__BUGSAGE_CALLSITE,
            );
        static __BUGSAGE_CALLSITE: $crate::__private::NativeCallsite =
            $crate::__private::NativeCallsite::new(&__BUGSAGE_METADATA);
        $crate::__private::open(&__BUGSAGE_METADATA, |__bugsage_fields| {
            let _ = &__bugsage_fields;
            $(__bugsage_fields.add(&$value);)*
        })
    }};
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $($field:ident).+ = ?$new:expr, $($rest:tt)*) => {
        $crate::__span!(
            $name;
            [$($key,)* ::core::stringify!($($field).+),]
            [$($value,)* $crate::__private::debug(&$new),];
            $($rest)*
        )
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $($field:ident).+ = %$new:expr, $($rest:tt)*) => {
        $crate::__span!(
            $name;
            [$($key,)* ::core::stringify!($($field).+),]
            [$($value,)* $crate::__private::display(&$new),];
            $($rest)*
        )
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $($field:ident).+ = $new:expr, $($rest:tt)*) => {
        $crate::__span!(
            $name;
            [$($key,)* ::core::stringify!($($field).+),]
            [$($value,)* $new,];
            $($rest)*
        )
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $field:literal = ?$new:expr, $($rest:tt)*) => {
        $crate::__span!(
            $name; [$($key,)* $field,] [$($value,)* $crate::__private::debug(&$new),]; $($rest)*
        )
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $field:literal = %$new:expr, $($rest:tt)*) => {
        $crate::__span!(
            $name; [$($key,)* $field,] [$($value,)* $crate::__private::display(&$new),]; $($rest)*
        )
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $field:literal = $new:expr, $($rest:tt)*) => {
        $crate::__span!($name; [$($key,)* $field,] [$($value,)* $new,]; $($rest)*)
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; ?$($field:ident).+, $($rest:tt)*) => {
        $crate::__span!(
            $name;
            [$($key,)* ::core::stringify!($($field).+),]
            [$($value,)* $crate::__private::debug(&$($field).+),];
            $($rest)*
        )
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; %$($field:ident).+, $($rest:tt)*) => {
        $crate::__span!(
            $name;
            [$($key,)* ::core::stringify!($($field).+),]
            [$($value,)* $crate::__private::display(&$($field).+),];
            $($rest)*
        )
    };
    ($name:expr; [$($key:expr,)*] [$($value:expr,)*]; $($field:ident).+, $($rest:tt)*) => {
        $crate::__span!(
            $name;
            [$($key,)* ::core::stringify!($($field).+),]
            [$($value,)* $($field).+,];
            $($rest)*
        )
    };
}

/// A span that is open until this is dropped. Made by [`span!`](crate::span!).
///
/// It stays on the thread that opened it. Guards may be dropped in any order; one that is forgotten
/// (`mem::forget`) leaves its span open, around all that the thread does later.
#[must_use = "the span ends when this is dropped: bind it to a name, as in `let _span = span!(..)`"]
pub struct SpanGuard {
    entered: Option<Entered>,
    /// It belongs to the thread that made it.
    _thread: PhantomData<*const ()>,
}

impl fmt::Debug for SpanGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanGuard").finish_non_exhaustive()
    }
}

impl Drop for SpanGuard {
    fn drop(&mut self) {
        if let Some(entered) = self.entered.take() {
            entered.end();
        }
    }
}

/// For [`span!`](crate::span!): where in the program spans are opened.
#[derive(Debug)]
pub struct NativeCallsite {
    metadata: &'static Metadata<'static>,
}

impl NativeCallsite {
    /// Of spans with this metadata.
    pub const fn new(metadata: &'static Metadata<'static>) -> Self {
        Self { metadata }
    }
}

impl Callsite for NativeCallsite {
    /// Nobody subscribes to it.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata
    }
}

/// For [`span!`](crate::span!): what is known of a span before the program runs.
pub const fn metadata(
    name: &'static str,
    module: &'static str,
    file: &'static str,
    line: u32,
    fields: &'static [&'static str],
    callsite: &'static NativeCallsite,
) -> Metadata<'static> {
    assert!(fields.len() <= 32, "a span has at most 32 fields");
    Metadata::new(
        name,
        module,
        tracing::Level::INFO,
        Some(file),
        Some(line),
        Some(module),
        FieldSet::new(fields, Identifier(callsite)),
        Kind::SPAN,
    )
}

/// For [`span!`](crate::span!): opens a span.
#[inline]
pub fn open(
    metadata: &'static Metadata<'static>,
    values: impl FnOnce(&mut Values<'_>),
) -> SpanGuard {
    SpanGuard {
        entered: Entered::begin(metadata, values),
        _thread: PhantomData,
    }
}
