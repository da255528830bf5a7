//! Traces that are continued by naming convention.

use std::any::TypeId;

use opentelemetry::Context as OtelContext;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Interest, Level, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, Filtered};
use tracing_subscriber::layer::{Context, Identity};
use tracing_subscriber::registry::LookupSpan;

use super::active::{Whose, activate, deactivate};
use super::carried::{carried, carry, may_carry, nearest_carried, nearest_context};
use super::fields::{ReceivedFields, are_fields_of};
use super::forward::forward_to_inner;
use super::propagator::W3cPropagator;
use super::tracer::{inside_tracer, is_inside_tracer, is_live, tracer_context};
use crate::sync::OwnDispatch;
use crate::sync::callsite_map::CallsiteMap;

/// Wraps the OpenTelemetry layer, so that a span with a field `traceparent` continues
/// that trace.
///
/// ```
/// use opentelemetry::trace::TracerProvider as _;
/// use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
/// use tracing::instrument;
/// use tracing_meter::propagation;
/// use tracing_subscriber::prelude::*;
///
/// struct Message { traceparent: Option<String> }
///
/// #[instrument(skip_all, fields(traceparent = message.traceparent))]
/// fn consume(message: &Message) {}
///
/// let exporter = InMemorySpanExporter::default();
/// let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
/// let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("doc"));
/// let subscriber = tracing_subscriber::registry().with(propagation::layer(otel));
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let message = Message { traceparent: Some(header.to_owned()) };
/// tracing::subscriber::with_default(subscriber, || consume(&message));
///
/// let spans = exporter.get_finished_spans()?;
/// assert_eq!(spans[0].span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
/// assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
/// # Ok::<(), opentelemetry_sdk::error::OTelSdkError>(())
/// ```
///
/// The fields `tracestate` and `baggage` of the span are read, too. All of them are texts:
/// `&str`, `String`, an `Option` of them, or a value after `%`. They must have their values
/// when the span is created. A value that is missing or not valid changes nothing: the
/// span is a root, or the child of its local parent, as it would have been. A span that
/// continues a remote trace inside a local one is linked to its local parent.
///
/// Keep the layer's context activation, which it has by default: without it a local parent
/// that was entered stays the parent.
pub fn layer<L>(opentelemetry: L) -> PropagationLayer<L> {
    PropagationLayer {
        inner: opentelemetry,
        callsites: CallsiteMap::new(),
        subscriber: OwnDispatch::default(),
    }
}

/// The layer for a service without a tracer: a span with a field `traceparent` passes that
/// trace on as it came, to everything that is sent inside.
///
/// It enables the callsites of such spans, of the level INFO and above, and no other.
#[must_use]
pub fn pass_through<S>() -> PassThroughLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_message =
        |metadata: &Metadata<'_>| *metadata.level() <= Level::INFO && are_fields_of(metadata);
    let filter = FilterFn::new(is_message as fn(&Metadata<'_>) -> bool);
    layer(Identity::new()).with_filter(filter.with_max_level_hint(LevelFilter::INFO))
}

/// What [`pass_through`] makes.
pub type PassThroughLayer<S> = Filtered<PropagationLayer<Identity>, FilterFn, S>;

/// What [`layer()`] makes.
pub struct PropagationLayer<L> {
    inner: L,
    /// Whether a callsite has the fields of a message.
    callsites: CallsiteMap<bool>,
    subscriber: OwnDispatch,
}

impl<L> PropagationLayer<L> {
    /// The context of a span that continues a remote trace, if it is one.
    fn remote_context(&self, attrs: &Attributes<'_>) -> Option<(OtelContext, bool)> {
        let metadata = attrs.metadata();
        let has_fields = || are_fields_of(metadata);
        if !self.callsites.get_or_insert_with(metadata, has_fields).1 {
            return None;
        }
        let fields = ReceivedFields::of(attrs);
        let received = W3cPropagator::of_the_process().read(&fields);
        if received.is_empty() {
            return None;
        }
        let is_trace = received.trace.is_some();
        let around = match self.around(attrs) {
            Some(around) => around,
            None if is_trace => OtelContext::new(),
            // Baggage alone is no reason to lose the parent.
            None => return None,
        };
        Some((received.put_into(&around), is_trace))
    }

    /// The context that a span takes from one around it which carries it, and which the
    /// inner layer does not see, because it is filtered.
    fn inherited_context<S>(
        &self,
        attrs: &Attributes<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<OtelContext>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if attrs.is_root() || attrs.is_contextual() && OtelContext::map_current(is_live) {
            return None;
        }
        let current = ctx.current_span();
        let around = attrs.parent().or_else(|| current.id())?;
        let subscriber = self.subscriber.get()?;
        let carried = nearest_carried(&subscriber, around)?;
        // A parent that the inner layer sees has a context.
        let is_seen = attrs.parent().is_some() && tracer_context(&subscriber, around).is_some();
        (!is_seen).then_some(carried)
    }

    /// The context that the span would be created in, if that is known.
    fn around(&self, attrs: &Attributes<'_>) -> Option<OtelContext> {
        match attrs.parent() {
            Some(parent) => nearest_context(&self.subscriber.get()?, parent),
            None if attrs.is_root() => Some(OtelContext::new()),
            None => Some(OtelContext::current()),
        }
    }

    fn whose(&self, id: &Id) -> Whose {
        Whose {
            layer: std::ptr::from_ref(self).addr(),
            span: id.clone(),
        }
    }

    /// Lets the inner layer take `context` for what is around the span: that of a contextual
    /// span is the current one, so a span with an explicit parent, or none, is made one.
    fn create_in<S>(
        &self,
        context: OtelContext,
        attrs: &Attributes<'_>,
        id: &Id,
        ctx: Context<'_, S>,
    ) where
        S: Subscriber,
        L: Layer<S>,
    {
        let _current = context.attach();
        let contextual = Attributes::new(attrs.metadata(), attrs.values());
        inside_tracer(|| self.inner.on_new_span(&contextual, id, ctx));
    }
}

impl<S, L> Layer<S> for PropagationLayer<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some((context, is_trace)) = self.remote_context(attrs) else {
            return match self.inherited_context(attrs, &ctx) {
                Some(context) => self.create_in(context, attrs, id, ctx),
                None => inside_tracer(|| self.inner.on_new_span(attrs, id, ctx)),
            };
        };
        self.create_in(context.clone(), attrs, id, ctx.clone());
        if let Some(span) = ctx.span(id) {
            carry(&span, context);
        }
        let current = ctx.current_span();
        let local = attrs
            .parent()
            .or_else(|| current.id().filter(|_| attrs.is_contextual()));
        // To link a span that is just being started would wait for itself.
        if is_trace
            && !is_inside_tracer()
            && let Some(local) = local
        {
            inside_tracer(|| self.inner.on_follows_from(id, local, ctx.clone()));
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        inside_tracer(|| self.inner.on_enter(id, ctx.clone()));
        // The tracer of a span has made its context the current one, or was told not to.
        if may_carry(id)
            && let Some(context) = ctx.span(id).and_then(|span| carried(&span))
            && let Some(subscriber) = self.subscriber.get()
            && tracer_context(&subscriber, id).is_none()
        {
            activate(self.whose(id), context);
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        deactivate(&self.whose(id));
        self.inner.on_exit(id, ctx);
    }

    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.subscriber.set(subscriber);
        self.inner.on_register_dispatch(subscriber);
    }

    forward_to_inner!();
}

impl<L> std::fmt::Debug for PropagationLayer<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PropagationLayer").finish_non_exhaustive()
    }
}
