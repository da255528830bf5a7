//! The layer: callbacks of `tracing`, each of which delegates.

use std::any::TypeId;
use std::sync::Arc;

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::callsites::{Anybody, Callsites};
use crate::handle::MeterHandle;
use crate::reentrancy::is_inside_a_sink;

mod builder;
mod filter;
mod filter_ids;
mod other_layers;
mod spans;

pub use builder::MeterLayerBuilder;
use filter::{CallsiteFilter, NoLayer};
use filter_ids::gives_filter_ids;
use spans::Spans;

/// A [`Layer`] that turns spans and events into measurements.
///
/// Built by [`tracing_meter::builder()`](crate::builder), and added to a registry with the
/// layers that are there already. It is its own per-layer filter, so that it neither needs
/// nor changes what other layers see: keep `RUST_LOG` on the `fmt` layer, not above the
/// registry.
///
/// Add it last, with sinks that log: what they say while a span opens is asked about
/// before the layers behind this one have seen the span, and they forget then what their
/// filters have said of it.
///
/// Dropping the layer (by `reload`, say) ends its in-flight counts: for each
/// span that it has seen open, and not close, it takes back what it has added.
pub struct MeterLayer<S> {
    /// Stands for this layer among the subscriber's per-layer filters, and says
    /// which callsites it wants. What is measured is decided by plans.
    filtered: Filtered<NoLayer, CallsiteFilter, S>,
    /// Whether the subscriber has ids to give to filters. Where it has none, this is a
    /// plain layer.
    is_filter: bool,
    /// Whether the subscriber gave the filter its id. A layer that `reload`
    /// puts in place later gets none, and must not use the filter.
    has_filter_id: bool,
    callsites: Arc<Callsites>,
    spans: Spans,
}

impl<S> MeterLayer<S> {
    fn new(callsites: Callsites) -> Self {
        let callsites = Arc::new(callsites);
        let filter = CallsiteFilter::new(Arc::clone(&callsites));
        Self {
            filtered: Filtered::new(NoLayer, filter),
            is_filter: gives_filter_ids::<S>(),
            has_filter_id: false,
            spans: Spans::new(Arc::clone(&callsites)),
            callsites,
        }
    }

    /// A view of what the layer measures, for the operator.
    #[must_use]
    pub fn handle(&self) -> MeterHandle {
        MeterHandle::new(&self.callsites)
    }
}

impl<S> Layer<S> for MeterLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.callsites.own_subscriber.set(subscriber);
        // Not to get an answer: to be asked, if we can be.
        let _ = subscriber.is::<Reachable>();
        if !self.is_filter && !subscriber.is::<Registry>() {
            self.spans.table.expect_any_ids();
        }
        self.filtered.on_register_dispatch(subscriber);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        if self.is_filter {
            self.filtered.on_layer(subscriber);
            self.has_filter_id = true;
        }
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.has_filter_id {
            return self.filtered.register_callsite(metadata);
        }
        // Without a filter's id this is a plain layer, whose `never` would
        // disable the callsite for everybody.
        Interest::always()
    }

    /// Says nothing to the filter, whose bit is never set then: there is no state
    /// of this layer's that a thread could be left with.
    fn enabled(&self, _: &Metadata<'_>, _: Context<'_, S>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.filtered.max_level_hint()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if let Some(plan) = self.callsites.plan(attrs.metadata()) {
            self.spans.open(plan, attrs, id, &ctx);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.spans.record(id, values, &ctx);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        self.spans.pending_closes.settle_outside_a_sink();
        let Some((_, plan)) = self.callsites.plan(event.metadata()) else {
            return;
        };
        if is_inside_a_sink() {
            return self.callsites.reject_reentrant(plan);
        }
        if let Some(location) = plan.fails {
            self.spans.fail_span_of(event, location, &ctx);
        }
        plan.measure_event(event, |labels| {
            self.spans.inherit_into_event(plan, event, &ctx, labels);
        });
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.spans.enter(id);
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        self.spans.exit(id);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.spans.close(&id, &ctx);
    }

    #[allow(
        unsafe_code,
        reason = "the trait's only way to be seen as a per-layer filter"
    )]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        if id == TypeId::of::<Reachable>() {
            self.filtered.filter().set_reachable();
            return None;
        }
        if id == TypeId::of::<Anybody>() {
            self.callsites.own_subscriber.answer();
            return None;
        }
        if !self.is_filter {
            return None;
        }
        // SAFETY: the pointer that `Filtered` gives is to itself or to one of
        // its fields. It lives in `self`, so it is valid as long as `self` is,
        // which is what the caller may assume of a layer.
        let found = unsafe { self.filtered.downcast_raw(id) };
        // No other crate can name those types: the subscriber asks for the filter's mark.
        if found.is_some() {
            self.filtered.filter().set_visible();
        }
        found
    }
}

/// What a subscriber is asked for, to see whether the question gets here. It does
/// not get through a `reload::Layer`.
struct Reachable;

impl<S> std::fmt::Debug for MeterLayer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeterLayer").finish_non_exhaustive()
    }
}
