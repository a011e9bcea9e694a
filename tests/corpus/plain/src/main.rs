//! The shop without any crate, so that every compiler builds it: what std prints of each panic is what is
//! recorded. Before each stands a line with the bug, the function that shows it, and the way to it.

#[path = "../../shop/src/orders.rs"]
mod orders;
#[path = "../../shop/src/parse.rs"]
mod parse;
#[path = "../../shop/src/stock.rs"]
mod stock;
#[path = "../../shop/src/traits.rs"]
mod traits;

use std::panic::catch_unwind;

/// `std::hint::black_box`, which the oldest compiler does not have.
#[inline(never)]
pub fn black_box<T>(value: T) -> T {
    value
}

macro_rules! bugs {
    ($($module:ident: $($bug:ident)+;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($bug)), $module::$bug as fn()),)+)+]
    };
}

const BUGS: &[(&str, fn())] = bugs! {
    orders: discount_of_missing_line coupon_that_is_not_there shipping_of_closed_order
        average_of_nothing invoice_without_customer refund_without_invoice
        validate_negative_quantity validate_unknown_product totals_differ
        empty_order_is_checked_out state_that_cannot_be;
    stock: reserve_while_counting count_while_restocking shelf_without_label
        aisle_without_shelves range_that_ends_before_it_begins range_beyond_the_last_box
        more_than_a_label_can_say pallet_that_was_taken queue_that_is_shorter
        copies_of_other_lengths boxes_of_no_size delivery_before_the_order
        inventory_of_unknown_weight weights_that_cannot_be_sorted;
    parse: quantity_in_letters price_in_letters name_of_a_short_line city_of_a_short_line
        bytes_that_are_no_text cut_within_a_letter digit_that_is_none largest_of_no_numbers
        sum_of_words letter_beyond_the_last;
    traits: cart_by_trait gift_by_trait average_by_default_method end_of_a_short_chain
        value_of_another_type plan_that_is_not_written promise_of_a_price promise_of_a_name;
};

fn direct(bug: fn()) {
    drop(catch_unwind(bug));
}

fn thread(bug: fn()) {
    drop(std::thread::spawn(bug).join());
}

fn deep(bug: fn()) {
    drop(catch_unwind(move || level(bug, black_box(8))));
}

fn level(bug: fn(), left: u32) {
    if left == 0 {
        bug();
    } else {
        level(bug, left - 1);
    }
    black_box(left);
}

fn main() {
    for (name, bug) in BUGS {
        for (way, go) in [
            ("direct", direct as fn(fn())),
            ("thread", thread),
            ("deep", deep),
        ] {
            eprintln!("== {name} {way}");
            go(*bug);
        }
    }
}
