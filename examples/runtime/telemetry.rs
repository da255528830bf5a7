//! Where metrics, traces and log lines go. Nothing else here knows of it.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tracing_meter::{Boundaries, FacadeSink, MeterHandle, OtelSink, propagation};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use super::Result;
use super::convention::HttpRequests;

pub(crate) const SERVICE: &str = "runtime";

pub(crate) struct Telemetry {
    /// Where `/metrics` is.
    pub(crate) address: SocketAddr,
    pub(crate) meter: MeterHandle,
    metrics: SdkMeterProvider,
    traces: SdkTracerProvider,
}

impl Telemetry {
    /// Measures as `directives` say, for the rest of the process. `endpoint` receives OTLP,
    /// if there is one.
    pub(crate) async fn start(
        listen: SocketAddr,
        directives: &str,
        endpoint: Option<&str>,
    ) -> Result<Self> {
        let boundaries = boundaries();
        let recorder = boundaries.prometheus_builder()?.build_recorder();
        let address = serve(listen, recorder.handle()).await?;
        let metrics = metrics(endpoint)?;
        let traces = traces(endpoint)?;
        let meter = tracing_meter::builder()
            .directives(directives)
            .convention(HttpRequests)
            .boundaries(boundaries)
            .sink(OtelSink::new(metrics.clone()))
            .sink(FacadeSink::new(recorder))
            .build()?;
        let handle = meter.handle();
        let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer(SERVICE));
        let lines = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into());
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        tracing_subscriber::registry()
            .with(meter)
            .with(propagation::layer(otel).with_filter(LevelFilter::INFO))
            .with(log.with_filter(lines.from_env()?))
            .try_init()?;
        Ok(Self {
            address,
            meter: handle,
            metrics,
            traces,
        })
    }

    /// Exports what is left.
    pub(crate) async fn shutdown(&self) -> Result<()> {
        let (metrics, traces) = (self.metrics.clone(), self.traces.clone());
        // It blocks, while the runtime must go on to export.
        tokio::task::spawn_blocking(move || {
            traces.shutdown()?;
            metrics.shutdown()
        })
        .await??;
        Ok(())
    }
}

/// A key is found in less than a statement takes.
fn boundaries() -> Boundaries {
    Boundaries::new()
        .exact(
            "wippy_kv_op_duration",
            &[1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 1e-3],
        )
        .exact(
            "wippy_sql_op_duration",
            &[1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2, 0.1],
        )
}

fn metrics(endpoint: Option<&str>) -> Result<SdkMeterProvider> {
    let mut builder = SdkMeterProvider::builder().with_resource(resource());
    if let Some(endpoint) = endpoint {
        let exporter = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint);
        builder = builder.with_periodic_exporter(exporter.build()?);
    }
    Ok(builder.build())
}

fn traces(endpoint: Option<&str>) -> Result<SdkTracerProvider> {
    let mut builder = SdkTracerProvider::builder().with_resource(resource());
    if let Some(endpoint) = endpoint {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
        builder = builder.with_batch_exporter(exporter.build()?);
    }
    Ok(builder.build())
}

fn resource() -> Resource {
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_service_name(SERVICE);
    resource.with_attribute(version).build()
}

async fn serve(listen: SocketAddr, prometheus: PrometheusHandle) -> Result<SocketAddr> {
    let version = "text/plain; version=0.0.4; charset=utf-8";
    let page = async move || ([(CONTENT_TYPE, version)], prometheus.render());
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let routes = Router::new().route("/metrics", get(page));
    tokio::spawn(async { axum::serve(listener, routes).await });
    Ok(address)
}
