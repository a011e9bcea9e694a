//! Spans that no registry knows: opened and entered at once, left and closed at once.

use std::fmt;

use tracing::Metadata;
use tracing::field::{Iter, Value};

use super::fields::Recorder;
use super::sampling::Candidate;
use super::{OpenSpan, Origin, open_native};
use crate::client;
use crate::context::with_local;
use crate::ticks;

/// Takes the values of a span's fields, in their order.
pub struct Values<'a> {
    fields: Iter,
    recorder: Recorder<'a>,
}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Values").finish_non_exhaustive()
    }
}

impl Values<'_> {
    /// The value of the next field.
    #[inline]
    pub fn add<V: Value + ?Sized>(&mut self, value: &V) {
        if let Some(field) = self.fields.next() {
            value.record(&field, &mut self.recorder);
        }
    }
}

/// A span that this thread has entered.
pub(crate) struct Entered {
    span: OpenSpan,
    key: u64,
}

impl Entered {
    /// Opens a span within whatever is open on this thread. `None` where nobody is to know of it, or where
    /// too many are open.
    pub(crate) fn begin(
        metadata: &'static Metadata<'static>,
        values: impl FnOnce(&mut Values<'_>),
    ) -> Option<Self> {
        if client::is_off() {
            return None;
        }
        let opened = with_local(|local| {
            if local.is_ours() {
                return None;
            }
            local.with_scratch(|fields| {
                values(&mut Values {
                    fields: metadata.fields().iter(),
                    recorder: Recorder { bytes: fields },
                });
                let parent = local.current().and_then(OpenSpan::of);
                let root = Candidate { metadata, fields };
                let origin = parent.map_or_else(|| Origin::of_root(local, root), Origin::Parent);
                let opened = open_native(metadata, origin, &local.spare, fields);
                if opened.is_none() {
                    origin.note_lost();
                }
                let (span, key) = opened?;
                let at = if span.is_sampled() {
                    span.opened_at()
                } else {
                    0
                };
                local.enter(key, span.handle, at);
                Some(Self { span, key })
            })
        });
        opened.flatten()
    }

    /// Leaves the span and closes it.
    pub(crate) fn end(self) {
        let ended = with_local(|local| {
            let left = local.exit(self.key);
            let closed_at = if self.span.is_sampled() {
                ticks::now()
            } else {
                0
            };
            if let Some((_, at)) = left
                && at != 0
            {
                self.span.add_busy(closed_at.saturating_sub(at));
            }
            self.span.close(Some(local), closed_at);
            local.spare.keep_place(self.span.handle.place());
        });
        if ended.is_none() {
            self.span.close(None, 0);
        }
    }
}
