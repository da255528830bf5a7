//! What a receiver got by OTLP, written as on a scrape.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint};

use super::ledger::{Series, Values};
use super::receiver::{ReceivedMetric, attributes};

/// How the names of metrics stand on a scrape.
pub(crate) type Names = BTreeMap<String, String>;

/// The last value of each series: they are cumulative.
pub(crate) fn values(received: &[ReceivedMetric], names: &Names) -> Values {
    let mut values = Values::new();
    for ReceivedMetric { metric, .. } in received {
        let name = names.get(&metric.name).unwrap_or(&metric.name);
        match &metric.data {
            Some(Data::Sum(sum)) => {
                values.extend(sum.data_points.iter().map(|it| number(name, it)))
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
