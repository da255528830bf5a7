//! What a receiver got by OTLP, written as on a scrape.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};

use super::Result;
use super::ledger::{Series, Values};
use super::receiver::{ReceivedMetric, attributes};

/// The last value of each series: they are cumulative. Of one time there is one value.
pub(crate) fn values(received: &[ReceivedMetric]) -> Result<Values> {
    let mut points = BTreeMap::new();
    for ReceivedMetric { metric, .. } in received.iter().filter(|it| it.scope == SCOPE) {
        for (time, series, value) in samples(metric) {
            let entry = (series, time);
            if points.contains_key(&entry) {
                return Err(format!("it came twice: {} of {time}", entry.0).into());
            }
            points.insert(entry, value);
        }
    }
    let in_order = points.into_iter();
    Ok(in_order
        .map(|((series, _), value)| (series, value))
        .collect())
}

/// Each with its time.
fn samples(metric: &Metric) -> Vec<(u64, Series, f64)> {
    let name = &scraped_name(metric);
    match &metric.data {
        Some(Data::Sum(sum)) => numbers(name, &sum.data_points),
        Some(Data::Gauge(gauge)) => numbers(name, &gauge.data_points),
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter();
            points.flat_map(|it| parts(name, it)).collect()
        }
        _ => Vec::new(),
    }
}

/// The SDK and its exporters measure themselves in others.
pub(crate) const SCOPE: &str = "tracing-meter";

/// What OpenTelemetry's rules for Prometheus make of a name.
fn scraped_name(metric: &Metric) -> String {
    let is_counter = matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic);
    let unit = match metric.unit.as_str() {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    let mut name = metric.name.replace('.', "_");
    for suffix in [unit, if is_counter { "_total" } else { "" }] {
        if !name.ends_with(suffix) {
            name += suffix;
        }
    }
    name
}

fn numbers(name: &str, points: &[NumberDataPoint]) -> Vec<(u64, Series, f64)> {
    let number = |point: &NumberDataPoint| {
        let value = match point.value {
            Some(Value::AsDouble(value)) => value,
            #[allow(clippy::cast_precision_loss, reason = "nothing here counts to 2^53")]
            Some(Value::AsInt(value)) => value as f64,
            None => f64::NAN,
        };
        (point.time_unix_nano, series(name, &point.attributes), value)
    };
    points.iter().map(number).collect()
}

/// The samples that a histogram has on a scrape, where each bucket has those below it, too.
#[allow(clippy::cast_precision_loss, reason = "nothing here counts to 2^53")]
fn parts(name: &str, point: &HistogramDataPoint) -> Vec<(u64, Series, f64)> {
    let time = point.time_unix_nano;
    let part = |part: &str| series(&format!("{name}_{part}"), &point.attributes);
    let mut parts = vec![
        (time, part("count"), point.count as f64),
        (time, part("sum"), point.sum.unwrap_or(f64::NAN)),
    ];
    let bounds = point.explicit_bounds.iter().map(f64::to_string);
    let bounds = bounds.chain(["+Inf".to_owned()]);
    let mut below = 0;
    for (bound, count) in bounds.zip(&point.bucket_counts) {
        below += count;
        let mut bucket = part("bucket");
        bucket.labels.insert("le".to_owned(), bound);
        parts.push((time, bucket, below as f64));
    }
    parts
}

fn series(name: &str, labels: &[KeyValue]) -> Series {
    let labels = attributes(labels).into_iter();
    Series {
        name: name.to_owned(),
        labels: labels
            .map(|(key, value)| (key.replace('.', "_"), value))
            .collect(),
    }
}
