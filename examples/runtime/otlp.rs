//! What a receiver got by OTLP, written as on a scrape.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint};

use super::ledger::{Series, Values};
use super::receiver::{ReceivedMetric, attributes};

/// The last value of each series: they are cumulative.
pub(crate) fn values(received: &[ReceivedMetric]) -> Values {
    let mut values = Values::new();
    for ReceivedMetric { metric, .. } in received.iter().filter(|it| it.scope == SCOPE) {
        let name = &scraped_name(metric);
        match &metric.data {
            Some(Data::Sum(sum)) => {
                values.extend(sum.data_points.iter().map(|it| number(name, it)));
            }
            Some(Data::Gauge(gauge)) => {
                values.extend(gauge.data_points.iter().map(|it| number(name, it)));
            }
            Some(Data::Histogram(histogram)) => {
                values.extend(histogram.data_points.iter().flat_map(|it| parts(name, it)));
            }
            _ => {}
        }
    }
    values
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

fn number(name: &str, point: &NumberDataPoint) -> (Series, f64) {
    let value = match point.value {
        Some(Value::AsDouble(value)) => value,
        #[allow(clippy::cast_precision_loss, reason = "nothing here counts to 2^53")]
        Some(Value::AsInt(value)) => value as f64,
        None => f64::NAN,
    };
    (series(name, &point.attributes), value)
}

/// The samples that a histogram has on a scrape, where each bucket has those below it, too.
#[allow(clippy::cast_precision_loss, reason = "nothing here counts to 2^53")]
fn parts(name: &str, point: &HistogramDataPoint) -> Vec<(Series, f64)> {
    let part = |part: &str| series(&format!("{name}_{part}"), &point.attributes);
    let mut parts = vec![
        (part("count"), point.count as f64),
        (part("sum"), point.sum.unwrap_or(f64::NAN)),
    ];
    let bounds = point.explicit_bounds.iter().map(f64::to_string);
    let bounds = bounds.chain(["+Inf".to_owned()]);
    let mut below = 0;
    for (bound, count) in bounds.zip(&point.bucket_counts) {
        below += count;
        let mut bucket = part("bucket");
        bucket.labels.insert("le".to_owned(), bound);
        parts.push((bucket, below as f64));
    }
    parts
}

fn series(name: &str, labels: &[KeyValue]) -> Series {
    Series {
        name: name.to_owned(),
        labels: attributes(labels),
    }
}
