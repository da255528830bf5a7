//! A service with a tracer of the SDK between what comes in and what goes out.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use opentelemetry::trace::{
    Link, SpanKind, TraceContextExt as _, TraceId, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
};
use tracing_meter::propagation::W3cPropagator;

use crate::w3c::{Headers, sent};

pub struct Service {
    tracer: SdkTracerProvider,
    propagator: W3cPropagator,
}

impl Service {
    pub fn new(sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        Self::with(W3cPropagator::new(), sampler)
    }

    pub fn with(propagator: W3cPropagator, sampler: impl Into<Box<dyn ShouldSample>>) -> Self {
        let tracer = SdkTracerProvider::builder().with_sampler(sampler).build();
        Self { tracer, propagator }
    }

    /// A span for what was received.
    pub fn receives(&self, received: &Headers) -> Context {
        self.starts(&self.propagator.extract_with(&Context::new(), received))
    }

    /// A span in a context.
    pub fn starts(&self, context: &Context) -> Context {
        let tracer = self.tracer.tracer("service");
        context.with_span(tracer.start_with_context("span", context))
    }

    /// What is sent within a span, with one of its own around the call.
    pub fn calls(&self, context: &Context) -> Headers {
        self.sends(&self.starts(context))
    }

    pub fn sends(&self, context: &Context) -> Headers {
        sent(&self.propagator, context)
    }

    /// What is sent by a service that receives this and calls another one.
    pub fn passes_on(&self, received: &Headers) -> Headers {
        self.calls(&self.receives(received))
    }
}

/// Every way in which the SDK makes the context of a span of its parent's.
pub fn samplers() -> Vec<Box<dyn ShouldSample>> {
    vec![
        Sampler::AlwaysOn.into(),
        Sampler::AlwaysOff.into(),
        Sampler::ParentBased(Box::new(Sampler::AlwaysOn)).into(),
        Deciding::new(SamplingDecision::RecordOnly).into(),
    ]
}

/// A sampler that decides always the same, and may change the list.
#[derive(Clone, Debug)]
pub struct Deciding {
    decision: SamplingDecision,
    change: fn(TraceState) -> TraceState,
}

impl Deciding {
    pub fn new(decision: SamplingDecision) -> Self {
        let change = |list| list;
        Self { decision, change }
    }

    pub fn and_changing(mut self, change: fn(TraceState) -> TraceState) -> Self {
        self.change = change;
        self
    }
}

impl ShouldSample for Deciding {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let list = parent.map(|parent| parent.span().span_context().trace_state().clone());
        SamplingResult {
            decision: self.decision.clone(),
            attributes: Vec::new(),
            trace_state: (self.change)(list.unwrap_or_default()),
        }
    }
}
