//! How a trace goes from one service to the next.

use crate::context::{self, with_local};
use crate::trace::TraceContext;

/// Where the trace is at: the current span, as the next service is to be told of it in the header
/// `traceparent`. `None` where no span is open.
///
/// It is there whether the trace is sampled or not, so that one decision holds in all services. Costs some
/// loads.
///
/// ```
/// # use tracing_subscriber::layer::SubscriberExt as _;
/// # let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
/// # tracing::subscriber::with_default(subscriber, || {
/// tracing::info_span!("call the bank").in_scope(|| {
///     let context = bugsage_sdk::trace_context().unwrap();
///     // client.post(url).header("traceparent", context.to_string())
///     assert!(context.to_string().starts_with("00-"));
/// });
/// # });
/// ```
pub fn trace_context() -> Option<TraceContext> {
    context::current()?.context()
}

/// Runs `open`, in which the first span without a parent goes on with a trace that another service has
/// begun, and keeps that service's decision whether it is sampled. With `None`, or where a span is open
/// already, it changes nothing. It counts for spans that this thread opens while `open` runs, and for one
/// trace alone.
///
/// ```
/// # use tracing_subscriber::layer::SubscriberExt as _;
/// # let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
/// # tracing::subscriber::with_default(subscriber, || {
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let span = bugsage_sdk::continue_trace(header.parse().ok(), || tracing::info_span!("request"));
/// span.in_scope(|| {
///     let context = bugsage_sdk::trace_context().unwrap();
///     assert_eq!(context.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
///     assert!(context.is_sampled);
/// });
/// # });
/// ```
pub fn continue_trace<T>(caller: Option<TraceContext>, open: impl FnOnce() -> T) -> T {
    let before = with_local(|local| local.swap_remote(caller));
    // Also where `open` unwinds: the next trace that begins here is another one.
    let _restored = Restored(before.flatten());
    open()
}

struct Restored(Option<TraceContext>);

impl Drop for Restored {
    fn drop(&mut self) {
        with_local(|local| local.swap_remote(self.0.take()));
    }
}
