//! The trace of a span.

use std::error::Error;
use std::fmt;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_core::Dispatch;
use tracing_core::span::Id;
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, SetParentError};
use tracing_subscriber::registry::LookupSpan as _;

use super::carried::{carry, nearest_context, own_context, registry};
use super::carrier::{Carrier, CarrierMut};
use super::propagator::W3cPropagator;
use super::tracer::is_live;

/// Continues and passes on traces with `tracing` spans, whatever layers there are.
///
/// With `tracing_opentelemetry` in the subscriber, before or after other layers, a span
/// is part of the trace that it continues. Without it, or where it does not see the span,
/// the trace is passed on as it came.
///
/// ```
/// use std::collections::HashMap;
/// use tracing::info_span;
/// use tracing_meter::propagation::SpanPropagation;
///
/// # let subscriber = tracing_subscriber::registry();
/// # tracing::subscriber::with_default(subscriber, || {
/// let received = HashMap::from([(
///     "traceparent".to_owned(),
///     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
/// )]);
/// let span = info_span!("consume");
/// assert!(span.continue_from(&received)?);
///
/// let mut sent = Vec::<(String, Vec<u8>)>::new();
/// span.in_scope(|| info_span!("produce").inject_into(&mut sent));
/// assert_eq!(sent[0].1, received["traceparent"].as_bytes()); // there is no tracer here
/// # Ok::<(), tracing_meter::propagation::ContinueError>(())
/// # })?;
/// # Ok::<(), tracing_meter::propagation::ContinueError>(())
/// ```
pub trait SpanPropagation {
    /// Makes the span a child of the one that the message comes from.
    ///
    /// Answers whether the message has a valid trace. If not, the span is what it would
    /// have been, a root or a child of its local parent; the message's baggage is taken if
    /// that is possible yet.
    ///
    /// # Errors
    ///
    /// - The span has started already, as it has where it was entered: inside
    ///   `#[instrument]`, for example. It is linked to the remote span instead. Give the
    ///   span a field `traceparent` to continue a trace there.
    /// - The span is disabled, or nothing in the subscriber can keep the trace.
    fn continue_from(&self, carrier: &(impl Carrier + ?Sized)) -> Result<bool, ContinueError>;

    /// Links the span to the one that the message comes from, as a span has to be that
    /// handles many messages at once. Answers whether the message has a valid trace.
    fn link_to(&self, carrier: &(impl Carrier + ?Sized)) -> bool;

    /// Writes the span's trace and baggage into a message, with the span's own id as the
    /// parent's. A span that is disabled, or that no tracer sees, gives the nearest
    /// trace around it. What the message holds of these headers is overwritten, and removed
    /// where there is nothing to send.
    fn inject_into(&self, carrier: &mut (impl CarrierMut + ?Sized));

    /// The OpenTelemetry context that [`inject_into`](Self::inject_into) writes.
    fn nearest_context(&self) -> Context;
}

impl SpanPropagation for Span {
    fn continue_from(&self, carrier: &(impl Carrier + ?Sized)) -> Result<bool, ContinueError> {
        let received = W3cPropagator::of_the_process().read(carrier);
        if received.is_empty() {
            return Ok(false);
        }
        let is_trace = received.trace.is_some();
        let around = if is_trace {
            Context::current()
        } else {
            parent_context(self)
        };
        let context = received.put_into(&around);
        match self.set_parent(context.clone()) {
            // It may be filtered from the layer, which cannot be seen from here.
            Ok(()) => _ = keep(self, context),
            Err(SetParentError::LayerNotFound) if keep(self, context) => {}
            Err(_) if !is_trace => {}
            Err(error) => {
                self.link_to(carrier);
                return Err(error.into());
            }
        }
        Ok(is_trace)
    }

    fn link_to(&self, carrier: &(impl Carrier + ?Sized)) -> bool {
        let context = W3cPropagator::of_the_process()
            .read(carrier)
            .put_into(&Context::new());
        self.add_link(context.span().span_context().clone());
        is_live(&context)
    }

    fn inject_into(&self, carrier: &mut (impl CarrierMut + ?Sized)) {
        W3cPropagator::of_the_process().inject_into(&self.nearest_context(), carrier);
    }

    fn nearest_context(&self) -> Context {
        let current = Self::current();
        let is_around = self.is_disabled() || self.id() == current.id();
        of(self, own_context)
            .or_else(|| is_around.then(live_context)?)
            .or_else(|| of(self, nearest_context))
            .or_else(live_context)
            .or_else(|| of(&current, nearest_context))
            .unwrap_or_else(Context::current)
    }
}

/// Why a span does not continue a remote trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContinueError(Cause);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Started,
    Disabled,
    Unkept,
}

impl ContinueError {
    /// The span has started: its parent is what it is. It was linked to the remote span.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.0 == Cause::Started
    }

    /// The span is disabled: there is nothing that could continue the trace.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.0 == Cause::Disabled
    }

    /// The subscriber has no OpenTelemetry layer, or hides it (as `reload` does), and does
    /// not stand on `tracing_subscriber`'s registry, which could keep the trace.
    #[must_use]
    pub fn is_unkept(&self) -> bool {
        self.0 == Cause::Unkept
    }
}

impl From<SetParentError> for ContinueError {
    fn from(error: SetParentError) -> Self {
        Self(match error {
            SetParentError::AlreadyStarted => Cause::Started,
            SetParentError::SpanDisabled => Cause::Disabled,
            SetParentError::LayerNotFound => Cause::Unkept,
        })
    }
}

impl fmt::Display for ContinueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Cause::Started => {
                "the span has started already, and was linked to the remote trace; a field \
                 `traceparent` would have continued it"
            }
            Cause::Disabled => "the span is disabled, and continues no trace",
            Cause::Unkept => "nothing in the subscriber keeps the trace that the span continues",
        })
    }
}

impl fmt::Debug for ContinueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ContinueError {}

/// Asks about an enabled span.
fn of(span: &Span, ask: fn(&Dispatch, &Id) -> Option<Context>) -> Option<Context> {
    span.with_subscriber(|(id, dispatch)| ask(dispatch, id))?
}

fn live_context() -> Option<Context> {
    Some(Context::current()).filter(is_live)
}

/// What the span's parent is part of, or would be.
fn parent_context(span: &Span) -> Context {
    let parent = of(span, |dispatch, id| {
        let parent = registry(dispatch)?.span(id)?.parent()?;
        nearest_context(dispatch, &parent.id())
    });
    parent.unwrap_or_else(Context::current)
}

/// Lets the registry keep the context with the span.
fn keep(span: &Span, context: Context) -> bool {
    let kept = span.with_subscriber(|(id, dispatch)| {
        carry(&registry(dispatch)?.span(id)?, context);
        Some(())
    });
    kept.flatten().is_some()
}
