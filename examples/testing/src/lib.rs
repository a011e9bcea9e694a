//! How an app tests what it reports: in memory, without network or disk, side by side with other tests.
//!
//! ```sh
//! cargo test -p example-testing
//! ```

use std::num::ParseIntError;

use bugsage_sdk::ReportError as _;

/// Charges an amount in cents, and tells what is left of the balance.
///
/// # Errors
///
/// Where the amount is no number. It is reported here, with the customer.
#[tracing::instrument]
pub fn charge(customer: &str, amount: &str) -> Result<u64, ParseIntError> {
    bugsage_sdk::set_user(customer);
    tracing::info!("charging {amount}");
    let amount = amount.parse::<u64>().report()?;
    // More than there is panics where overflow is checked, as it is in tests.
    Ok(BALANCE - amount)
}

const BALANCE: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic;
    use std::thread;

    use bugsage_sdk::event::EventKind;
    use bugsage_sdk::test::{Recorder, capture};
    use tracing_subscriber::layer::SubscriberExt as _;

    /// Runs something with the layer that `main` installs, for this thread alone.
    fn with_layer<T>(run: impl FnOnce() -> T) -> T {
        let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
        tracing::subscriber::with_default(subscriber, run)
    }

    #[test]
    fn an_amount_that_is_no_number_is_reported_with_its_customer() {
        let events = capture(|| {
            with_layer(|| {
                assert!(charge("customer-4711", "ten").is_err());
            });
        });

        let [event] = &events[..] else {
            panic!("one event is expected: {events:?}");
        };
        assert_eq!(event.kind, EventKind::Error);
        assert_eq!(&*event.message, "invalid digit found in string");
        assert_eq!(event.user.as_deref(), Some("customer-4711"));
        assert_eq!(&*event.spans[0].name, "charge");
        assert_eq!(&*event.breadcrumbs[0].message, "charging ten");
    }

    #[test]
    fn what_goes_well_is_not_reported() {
        let events = capture(|| assert_eq!(charge("customer-4711", "400"), Ok(600)));

        assert_eq!(events, []);
    }

    #[test]
    fn a_panic_of_another_thread_is_recorded_where_that_thread_is_attached() {
        let recorder = Recorder::new();
        let worker = thread::spawn({
            let recorder = recorder.clone();
            move || {
                let _attached = recorder.attach();
                panic::catch_unwind(|| charge("customer-4711", "2000"))
            }
        });
        let outcome = worker.join().expect("the panic was caught");

        assert!(outcome.is_err());
        let events = recorder.events();
        assert_eq!(&*events[0].message, "attempt to subtract with overflow");
        assert_eq!(events[0].kind, EventKind::Panic);
    }

    #[test]
    fn a_charge_is_a_span() {
        let recorder = Recorder::new();
        let _attached = recorder.attach();
        with_layer(|| charge("customer-4711", "400")).expect("is a number");

        let spans = recorder.spans();
        assert_eq!(&*spans[0].name, "charge");
        assert!(
            spans[0]
                .fields
                .contains(&("customer".into(), "customer-4711".into()))
        );
    }
}
