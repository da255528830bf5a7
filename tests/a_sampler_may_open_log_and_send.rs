//! The SDK calls samplers and span processors while a span starts, and is locked.

#![cfg(feature = "propagation")]

#[path = "support/traces.rs"]
mod traces;

use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData,
    SpanProcessor,
};
use tracing::{info, info_span};
use tracing_meter::propagation::{self, SpanPropagation as _, with_trace_ids};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use traces::{Headers, TRACEPARENT};

/// What may be called there, of which nothing may wait for the span that starts.
fn use_spans() {
    let current = tracing::Span::current();
    drop(info_span!("message", traceparent = TRACEPARENT).entered());
    drop(info_span!(parent: &current, "message", traceparent = TRACEPARENT, baggage = "a=1"));
    info!("contextual");
    info!(parent: &current, "of the current span");
    current.inject_into(&mut Headers::new());
}

#[derive(Clone, Debug)]
struct BusySampler;

impl ShouldSample for BusySampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        if name != "message" {
            use_spans();
        }
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

#[derive(Debug)]
struct BusyProcessor;

impl SpanProcessor for BusyProcessor {
    fn on_start(&self, span: &mut Span, _: &Context) {
        if span
            .exported_data()
            .is_some_and(|data| data.name != "message")
        {
            use_spans();
        }
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Alone in its process: under a global subscriber the callbacks' own events are seen.
#[test]
fn a_sampler_and_a_span_processor_may_open_log_and_send() {
    let provider = SdkTracerProvider::builder()
        .with_sampler(BusySampler)
        .with_span_processor(BusyProcessor)
        .build();
    let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("busy"));
    let fmt = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .with(with_trace_ids(fmt))
        .with(LevelFilter::TRACE)
        .init();

    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || {
        let outer = info_span!("outer").entered();
        drop(info_span!("inner").entered());
        info_span!("unentered").inject_into(&mut Headers::new());
        drop(info_span!("consume", traceparent = TRACEPARENT).entered());
        drop(outer);
        sender.send(()).unwrap();
    });

    done.recv_timeout(Duration::from_secs(60))
        .expect("it hangs");
}
