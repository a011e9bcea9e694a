//! What went wrong, told class by class from the expression that failed.

// What a collection does not have.
mod collection;
// What was not there.
mod absent;
// What does not fit.
mod arithmetic;
// All that a call or a macro can do.
mod call;

use syn::Expr;

use bugsage_core::panic_class::{Classified, PanicClass};

use self::absent::unwrap;
use self::arithmetic::{division, overflow};
use self::call::{borrow, call, deliberate};
use self::collection::{element, range};
use crate::analyze::story::Story;
use crate::analyze::syntax::Spot;

pub(crate) use self::absent::passed_on;

/// Tells why `spot` failed as `classified` says.
pub(crate) fn tell<'a>(story: &mut Story<'_, 'a>, spot: Spot<'a>, classified: &Classified<'_>) {
    use PanicClass::*;
    let (first, last) = spot.lines();
    story.lines.extend(first..=last.min(first + 4));
    let class = classified.class;
    match (class, spot) {
        (IndexOutOfBounds | DequeIndex | KeyNotFound, Spot::Expr(Expr::Index(index))) => {
            element(story, index, classified);
        }
        (
            SliceRange | NotCharBoundary | StrOutOfBounds | StrRangeReversed,
            Spot::Expr(Expr::Index(index)),
        ) => range(story, &index.expr, &index.index, classified),
        (
            UnwrapNone | UnwrapErr | UnwrapOk | Expect | Channel,
            Spot::Expr(Expr::MethodCall(call)),
        ) => {
            unwrap(story, call, classified);
        }
        (ArithmeticOverflow | TimeOverflow, Spot::Expr(Expr::Binary(binary))) => {
            overflow(story, binary, classified);
        }
        (DivideByZero, Spot::Expr(Expr::Binary(binary))) => division(story, binary),
        (RefcellBorrow, Spot::Expr(Expr::MethodCall(call))) => borrow(story, call),
        (_, Spot::Macro(mac)) => deliberate(story, mac, classified),
        (_, Spot::Expr(expr)) => call(story, expr, classified),
    }
}
