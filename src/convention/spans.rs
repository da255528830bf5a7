//! Metrics of any spans, chosen by directives.

use std::any::Any;

use tracing_core::Metadata;
use tracing_subscriber::filter::Targets;

use super::{Convention, Feed, LabelRule, Recipe};
use crate::error::BuildError;
use crate::labels::LabelValue;

mod directives;
mod names;

use directives::Directives;
use names::Names;

/// Measures spans that directives choose: how many there are, how long they take and how
/// many are open, under the names that the service-performance views of Grafana and Jaeger
/// read.
///
/// | metric | instrument | labels |
/// |---|---|---|
/// | `traces.span.metrics.calls` | Counter | `span.name`, `span.kind`, `status.code` |
/// | `traces.span.metrics.duration` | Histogram, `s` | `span.name`, `span.kind`, `status.code` |
/// | `traces.span.metrics.in_flight` | UpDownCounter | `span.name`, `span.kind` |
///
/// - `span.name` is the field `otel.name`, as in a trace, or else the name of the callsite.
///   Names that have no bound end in the overflow series:
///   [`callsite_names`](Self::callsite_names) leaves `otel.name` out.
/// - `span.kind` is the field `otel.kind`: `SPAN_KIND_SERVER`, `SPAN_KIND_CLIENT`,
///   `SPAN_KIND_PRODUCER`, `SPAN_KIND_CONSUMER`, or else `SPAN_KIND_INTERNAL`.
/// - `status.code` is `STATUS_CODE_ERROR` for a span that has failed or panicked,
///   `STATUS_CODE_OK` if it recorded `otel.status_code = "OK"`, else `STATUS_CODE_UNSET`.
///
/// Each span counts once, however often it is entered, and whether it is sampled or not. Its
/// duration is from its opening to its last exit.
///
/// ```
/// use tracing::instrument;
/// use tracing_meter::{MemorySink, SpanMetrics};
/// use tracing_subscriber::prelude::*;
///
/// #[instrument]
/// fn price(items: u32) -> u32 {
///     items * 5
/// }
///
/// let memory = MemorySink::new();
/// let spans = SpanMetrics::new("info,hyper=off")?;
/// let meter = tracing_meter::builder().sink(memory.clone()).convention(spans).build()?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(meter), || price(2));
///
/// let price = [
///     ("span.name", "price"),
///     ("span.kind", "SPAN_KIND_INTERNAL"),
///     ("status.code", "STATUS_CODE_UNSET"),
/// ];
/// assert_eq!(memory.snapshot().value("traces.span.metrics.calls", &price), Some(1.0));
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
///
/// # Directives
///
/// They have the grammar of `RUST_LOG`: `info`, `my_app=debug`, `my_app::db[query]=debug`,
/// `[query]=trace`, `hyper=off`, with commas in between. A target also stands for those that
/// start so; without a level everything is meant, up to `trace`. The most specific directive
/// decides: that of the longest target, and of two such directives the one with a span's
/// name. Conditions on fields, `[query{rows}]`, are refused.
///
/// What the layer's own [`directives`](crate::MeterLayerBuilder::directives) hide is not
/// measured; it is listed as [`Disabled`](crate::Reason::Disabled).
///
/// # Views
///
/// Jaeger's monitoring finds services by the label `service_name`, see
/// [`service`](Self::service), and has to be told that durations are in seconds. Where
/// Grafana reads what Tempo generates, take [`legacy_names`](Self::legacy_names).
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct SpanMetrics {
    directives: Directives,
    names: Names,
    service: Option<String>,
    callsite_names: bool,
}

impl SpanMetrics {
    /// Measures what these directives choose.
    ///
    /// # Errors
    ///
    /// If there is no directive, or one that cannot be read. The error names it.
    ///
    /// ```
    /// use tracing_meter::SpanMetrics;
    ///
    /// let error = SpanMetrics::new("my_app=info,db[query{rows}]=debug").unwrap_err();
    /// assert!(error.is_directives());
    /// assert!(error.to_string().contains("`db[query{rows}]=debug`"));
    /// ```
    pub fn new(directives: &str) -> Result<Self, BuildError> {
        Ok(Self {
            directives: Directives::parse(directives)?,
            names: Names::CURRENT,
            service: None,
            callsite_names: false,
        })
    }

    /// Adds the label `service.name`, for views that know no other name of a service.
    ///
    /// ```
    /// # use tracing::info_span;
    /// # use tracing_meter::{MemorySink, SpanMetrics};
    /// # use tracing_subscriber::prelude::*;
    /// # let memory = MemorySink::new();
    /// # let builder = tracing_meter::builder().sink(memory.clone());
    /// let spans = SpanMetrics::new("info")?.service("checkout");
    /// # let meter = builder.convention(spans).build()?;
    /// # let subscriber = tracing_subscriber::registry().with(meter);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     drop(info_span!("job", otel.name = "job 17"));
    /// });
    /// let job = [
    ///     ("service.name", "checkout"),
    ///     ("span.name", "job 17"),
    ///     ("span.kind", "SPAN_KIND_INTERNAL"),
    ///     ("status.code", "STATUS_CODE_UNSET"),
    /// ];
    /// assert_eq!(memory.snapshot().value("traces.span.metrics.calls", &job), Some(1.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = Some(name.into());
        self
    }

    /// Takes the names and labels that Tempo generates: on a scrape
    /// `traces_spanmetrics_calls_total` and `traces_spanmetrics_latency`, in seconds, by
    /// `span_name`, `span_kind`, `status_code` and `service`.
    ///
    /// ```
    /// # use tracing::info_span;
    /// # use tracing_meter::{MemorySink, SpanMetrics};
    /// # use tracing_subscriber::prelude::*;
    /// # let memory = MemorySink::new();
    /// # let builder = tracing_meter::builder().sink(memory.clone());
    /// let spans = SpanMetrics::new("info")?.legacy_names();
    /// # let meter = builder.convention(spans).build()?;
    /// # let subscriber = tracing_subscriber::registry().with(meter);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     drop(info_span!("job", otel.name = "job 17"));
    /// });
    /// let job = [
    ///     ("span_name", "job 17"),
    ///     ("span_kind", "SPAN_KIND_INTERNAL"),
    ///     ("status_code", "STATUS_CODE_UNSET"),
    /// ];
    /// assert_eq!(memory.snapshot().value("traces_spanmetrics_calls", &job), Some(1.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn legacy_names(mut self) -> Self {
        self.names = Names::LEGACY;
        self
    }

    /// Takes the names of callsites, whatever `otel.name` is. Their number is bounded.
    ///
    /// ```
    /// # use tracing::info_span;
    /// # use tracing_meter::{MemorySink, SpanMetrics};
    /// # use tracing_subscriber::prelude::*;
    /// # let memory = MemorySink::new();
    /// # let builder = tracing_meter::builder().sink(memory.clone());
    /// let spans = SpanMetrics::new("info")?.callsite_names();
    /// # let meter = builder.convention(spans).build()?;
    /// # let subscriber = tracing_subscriber::registry().with(meter);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     drop(info_span!("job", otel.name = "job 17"));
    /// });
    /// let job = [
    ///     ("span.name", "job"),
    ///     ("span.kind", "SPAN_KIND_INTERNAL"),
    ///     ("status.code", "STATUS_CODE_UNSET"),
    /// ];
    /// assert_eq!(memory.snapshot().value("traces.span.metrics.calls", &job), Some(1.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn callsite_names(mut self) -> Self {
        self.callsite_names = true;
        self
    }

    /// What is known of a span from its opening on.
    fn feed(&self, callsite: &Metadata<'static>) -> Feed {
        let name = LabelRule::new(self.names.span_name).optional();
        let name = if self.callsite_names {
            name
        } else {
            name.field("otel.name")
        };
        let kind = LabelRule::new(self.names.span_kind).optional();
        let kind = kind.map("otel.kind", span_kind);
        let feed = Feed::new()
            .label_rule(name.default(callsite.name()))
            .label_rule(kind.default("SPAN_KIND_INTERNAL"))
            .without_outcome();
        match &self.service {
            Some(service) => feed.constant(self.names.service, &**service),
            None => feed,
        }
    }

    fn status(&self) -> LabelRule {
        LabelRule::new(self.names.status_code)
            .failure("STATUS_CODE_ERROR")
            .map("otel.status_code", ok)
            .default("STATUS_CODE_UNSET")
            .optional()
    }
}

impl Convention for SpanMetrics {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        if !callsite.is_span() || !self.directives.choose(callsite) {
            return None;
        }
        let ended = self
            .feed(callsite)
            .measure(self.names.calls())
            .measure(self.names.duration())
            .label_rule(self.status());
        let open = self.feed(callsite).measure(self.names.in_flight());
        Some(Recipe::new().feed(ended).feed(open))
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }

    fn asked(&self) -> Targets {
        self.directives.targets()
    }
}

/// As `tracing-opentelemetry` reads it, in any case.
fn span_kind(kind: &LabelValue) -> Option<LabelValue> {
    let kinds = ["SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    let kind = kind.to_string();
    let kind = kinds
        .into_iter()
        .find(|it| it.eq_ignore_ascii_case(&kind))?;
    Some(format!("SPAN_KIND_{kind}").into())
}

fn ok(status: &LabelValue) -> Option<LabelValue> {
    let is_ok = status.to_string().eq_ignore_ascii_case("ok");
    is_ok.then(|| "STATUS_CODE_OK".into())
}
