//! A shop with known bugs: each is reached in many ways, and what the SDK reports of it goes to a file,
//! with the bug's name beside it: `corpus-shop FILE`.

mod errors;
mod orders;
mod parse;
mod stock;
mod tasks;
mod traits;
mod ways;

use std::fs::File;
use std::future::ready;
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use bugsage_sdk::transport::{Answer, Batch, Sending, Transport};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use ways::{Bug, WAYS};

/// Writes batches behind each other, each with its length in four bytes before it.
struct Recorder(File);

impl Transport for Recorder {
    fn send(&mut self, batch: Batch) -> Sending {
        let bytes = batch.bytes();
        let length = (bytes.len() as u32).to_le_bytes();
        let written = self
            .0
            .write_all(&length)
            .and_then(|()| self.0.write_all(bytes));
        Box::pin(ready(match written {
            Ok(()) => Answer::Taken,
            Err(_) => Answer::Refused,
        }))
    }
}

macro_rules! bugs {
    ($($module:ident: $($bug:ident)+;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($bug)), Bug::Sync($module::$bug)),)+)+]
    };
}

macro_rules! tasks {
    ($($bug:ident)+) => {
        [$((concat!("tasks::", stringify!($bug)), Bug::Async(|| Box::pin(tasks::$bug()))),)+]
    };
}

/// What two functions show that are one bug: the name that both have.
const SAME: &[(&str, &str)] = &[
    ("parse::date_by_form", "parse::date_by_table"),
    ("parse::largest_of_no_names", "parse::largest_of_no_numbers"),
    (
        "traits::end_of_a_long_chain",
        "traits::end_of_a_short_chain",
    ),
];

fn main() {
    let path = std::env::args().nth(1).expect("usage: corpus-shop FILE");
    let file = File::create(path).expect("the file can be written");
    let guard = bugsage_sdk::builder()
        .transport(Recorder(file))
        .without_spool()
        .release("shop@1.0.0")
        .init();
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime starts");
    let sync = bugs! {
        orders: discount_of_missing_line coupon_that_is_not_there shipping_of_closed_order
            average_of_nothing invoice_without_customer refund_without_invoice
            validate_negative_quantity validate_unknown_product first_of_two_unwraps
            second_of_two_unwraps totals_differ empty_order_is_checked_out state_that_cannot_be;
        stock: reserve_while_counting count_while_restocking shelf_without_label
            aisle_without_shelves range_that_ends_before_it_begins range_beyond_the_last_box
            more_than_a_label_can_say pallet_that_was_taken pallet_that_is_swapped
            queue_that_is_shorter copies_of_other_lengths boxes_of_no_size
            shared_shelf_is_taken_apart delivery_before_the_order split_beyond_the_end
            inventory_of_unknown_weight first_closure_of_two second_closure_of_two
            weights_that_cannot_be_sorted clock_that_went_back;
        parse: quantity_in_letters price_in_letters name_of_a_short_line city_of_a_short_line
            date_by_table date_by_form bytes_that_are_no_text cut_within_a_letter
            cut_beyond_the_end digit_that_is_none largest_of_no_numbers largest_of_no_names
            sum_of_words letter_beyond_the_last number_base_of_none;
        traits: cart_by_trait gift_by_trait average_by_default_method end_of_a_short_chain
            end_of_a_long_chain even_and_odd_never_meet value_of_another_type
            lock_that_is_not_held plan_that_is_not_written format_that_is_not_there
            promise_of_a_price promise_of_a_name;
        errors: order_is_shown order_is_printed user_is_denied prices_are_missing
            settings_are_missing stock_is_no_number payment_fails delivery_fails
            disk_is_full_by_log;
        tasks: till_that_is_poisoned belt_that_stopped worker_that_failed;
    };
    let tasks = tasks! {
        greeting_of_nobody joined_prices selected_job boxed_recursion answer_that_never_comes
        block_without_change
    };
    for (name, bug) in sync.into_iter().chain(tasks) {
        let same = SAME.iter().find(|(one, _)| *one == name);
        bugsage_sdk::set_tag("bug", same.map_or(name, |(_, other)| other));
        bugsage_sdk::set_tag("shown_by", name);
        for (way, go) in WAYS {
            bugsage_sdk::set_tag("way", way);
            go(&runtime, bug);
        }
        // Equal reports would be folded into one.
        guard.flush(Duration::from_secs(60));
    }
    let report = guard.shutdown(Duration::from_secs(60));
    println!(
        "{} reports, {} lost",
        report.produced,
        report.dropped_total()
    );
}
