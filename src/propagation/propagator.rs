//! The propagator.

use std::sync::{LazyLock, OnceLock};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};

use super::baggage::{self, Member};
use super::carrier::{Carrier, CarrierMut, Extracted};
use super::received::{self, Received};
use super::remote::SentTrace;
use super::tracestate::Tracestate;
use super::{BAGGAGE, TRACEPARENT, TRACESTATE};

/// W3C Trace Context, Level 2, and W3C Baggage, as an OpenTelemetry propagator.
///
/// It works alone, in a composite, or as the global one; and without OpenTelemetry's
/// traits, from any [`Carrier`] and into any [`CarrierMut`].
///
/// ```
/// use std::collections::HashMap;
/// use tracing_meter::propagation::W3cPropagator;
///
/// let received = HashMap::from([
///     ("traceparent".to_owned(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03".to_owned()),
///     ("tracestate".to_owned(), "rojo@@eu=1".to_owned()),
/// ]);
/// let propagator = W3cPropagator::new();
/// let context = propagator.extract_from(&received);
///
/// // Nothing was started in between, so it is passed on as it came.
/// let mut sent = HashMap::new();
/// propagator.inject_into(&context, &mut sent);
/// assert_eq!(sent, received);
/// ```
///
/// What OpenTelemetry's types refuse, keys with two `@` or more than 14 characters
/// after one, and what they forget, the random flag of a span that is not sampled,
/// travels with them in the [`Context`], and reaches everything that continues it.
#[derive(Clone, Debug)]
pub struct W3cPropagator {
    trace_context: bool,
    baggage: bool,
    random_ids: bool,
    tracestate_limit: usize,
}

/// What the spans of this process propagate by.
static INSTALLED: OnceLock<W3cPropagator> = OnceLock::new();
static DEFAULT: W3cPropagator = W3cPropagator::new();

static FIELDS: LazyLock<[String; 3]> =
    LazyLock::new(|| [TRACEPARENT, TRACESTATE, BAGGAGE].map(ToOwned::to_owned));

/// The least that must be passed on, section 3.3.1.5.
const LEAST_TRACESTATE: usize = 512;

impl W3cPropagator {
    /// Of `traceparent`, `tracestate` and `baggage`.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            trace_context: true,
            baggage: true,
            random_ids: true,
            tracestate_limit: usize::MAX,
        }
    }

    /// Of `traceparent` and `tracestate` alone.
    #[must_use]
    pub const fn trace_context() -> Self {
        let mut all = Self::new();
        all.baggage = false;
        all
    }

    /// Of `baggage` alone.
    #[must_use]
    pub const fn baggage() -> Self {
        let mut all = Self::new();
        all.trace_context = false;
        all
    }

    /// Of nothing: what comes is not continued, and nothing is sent.
    #[must_use]
    pub const fn none() -> Self {
        let mut none = Self::new();
        none.trace_context = false;
        none.baggage = false;
        none
    }

    /// Makes this the propagator of the process: the one by which spans continue and
    /// send traces, and OpenTelemetry's global one. Without it spans propagate all three
    /// headers.
    ///
    /// # Errors
    ///
    /// The propagator, if one was installed before: it stays.
    pub fn install(self) -> Result<(), Self> {
        INSTALLED.set(self.clone())?;
        opentelemetry::global::set_text_map_propagator(self);
        Ok(())
    }

    /// Whether the process has one that was installed.
    #[cfg(feature = "setup")]
    pub(crate) fn is_installed() -> bool {
        INSTALLED.get().is_some()
    }

    /// That of the process.
    pub(crate) fn of_the_process() -> &'static Self {
        INSTALLED.get().unwrap_or(&DEFAULT)
    }

    /// Whether the right-most 7 bytes of the ids of traces that start here are random,
    /// as those of the SDK's default generator are. With an id generator that makes
    /// others, say `false`, to every propagator of the process; and
    /// [install](Self::install) it for the spans.
    #[must_use]
    pub const fn random_ids(mut self, random: bool) -> Self {
        self.random_ids = random;
        self
    }

    /// Sends no more than so many bytes of `tracestate`, but 512 at least. Whole
    /// members are dropped, as [`Tracestate::cut_to`] says.
    #[must_use]
    pub const fn tracestate_limit(mut self, bytes: usize) -> Self {
        self.tracestate_limit = if bytes > LEAST_TRACESTATE {
            bytes
        } else {
            LEAST_TRACESTATE
        };
        self
    }

    /// The current context, as part of the trace and with the baggage that the carrier
    /// brings; as it is where the carrier brings none that is valid.
    pub fn extract_from(&self, carrier: &(impl Carrier + ?Sized)) -> Context {
        // The current context is not borrowed while a carrier is called, which may be a
        // user's: it could open a span.
        self.extract_with(&Context::current(), carrier)
    }

    /// As [`extract_from`](Self::extract_from), with another context than the current.
    pub fn extract_with(&self, context: &Context, carrier: &(impl Carrier + ?Sized)) -> Context {
        self.read(carrier).put_into(context)
    }

    /// What is valid of the headers that it propagates.
    pub(super) fn read<'m>(&self, carrier: &'m (impl Carrier + ?Sized)) -> Received<'m> {
        let trace = self.trace_context.then(|| received::trace(carrier));
        let baggage = self.baggage.then(|| received::baggage(carrier));
        Received {
            trace: trace.flatten(),
            baggage: baggage.flatten(),
            random_ids: self.random_ids,
        }
    }

    /// Writes the context's trace and baggage into the carrier. What the carrier holds
    /// of these headers is overwritten, and removed where there is nothing to send.
    pub fn inject_into(&self, context: &Context, carrier: &mut (impl CarrierMut + ?Sized)) {
        self.write(context, &mut |name, value| match value {
            Some(value) => carrier.set_header(name, value),
            None => carrier.remove_header(name),
        });
    }

    fn write(&self, context: &Context, header: &mut dyn FnMut(&'static str, Option<String>)) {
        if self.trace_context {
            let trace = SentTrace::of(context, self.random_ids);
            let (traceparent, tracestate) = match trace {
                Some(trace) => (Some(trace.traceparent.into()), self.cut(trace.tracestate)),
                None => (None, None),
            };
            header(TRACEPARENT, traceparent);
            header(TRACESTATE, tracestate);
        }
        if self.baggage {
            header(BAGGAGE, baggage_header(context));
        }
    }

    fn cut(&self, list: Tracestate) -> Option<String> {
        let fits = list.as_str().len() <= self.tracestate_limit;
        let list = if fits {
            list
        } else {
            list.cut_to(self.tracestate_limit)
        };
        (!list.is_empty()).then(|| list.into())
    }
}

impl Default for W3cPropagator {
    fn default() -> Self {
        Self::new()
    }
}

impl TextMapPropagator for W3cPropagator {
    fn inject(&self, injector: &mut dyn Injector) {
        self.inject_context(&Context::current(), injector);
    }

    fn extract(&self, extractor: &dyn Extractor) -> Context {
        self.extract_with_context(&Context::current(), extractor)
    }

    /// An [`Injector`] can only set: clear the [`fields`](Self::fields) of what is used
    /// again, or inject into a [`CarrierInjector`](super::CarrierInjector), which does.
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        self.write(cx, &mut |name, value| {
            if let Some(value) = value {
                injector.set(name, value);
            }
        });
    }

    fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
        self.extract_with(cx, &Extracted(extractor))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(match (self.trace_context, self.baggage) {
            (true, true) => &FIELDS[..],
            (true, false) => &FIELDS[..2],
            (false, true) => &FIELDS[2..],
            (false, false) => &[],
        })
    }
}

fn baggage_header(context: &Context) -> Option<String> {
    let members = context.baggage().iter();
    baggage::header(members.map(|(key, (value, properties))| Member {
        key: key.as_str(),
        value: value.as_str(),
        properties: properties.as_str(),
    }))
}
