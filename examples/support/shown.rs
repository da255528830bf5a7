//! What a sink shows, read back from its own format.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};

use super::counts::Counts;
use super::receiver::{Attributes, ReceivedMetric, attributes};

/// Everything, as the sink shows it, and by the names that were written. The metrics of
/// tracing-meter itself are in the text only.
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) counts: Counts,
}

impl Shown {
    /// `metric=NAME kind=KIND unit=UNIT value=VALUE KEY=VALUE`
    pub(crate) fn logged(text: String) -> Self {
        Self::by_line(text, |counts, line| {
            let mut pairs: Vec<_> = line
                .split(' ')
                .filter_map(|it| it.split_once('='))
                .collect();
            let mut take = |key| {
                let at = pairs.iter().position(|(known, _)| *known == key)?;
                Some(pairs.remove(at).1)
            };
            let (name, kind, _) = (take("metric")?, take("kind")?, take("unit"));
            let value = take("value")?.parse().ok()?;
            measure(counts, kind, name, &pairs, value);
            Some(())
        })
    }

    /// `NAME{KEY="VALUE"} VALUE`, named by these pairs of written and scraped names.
    pub(crate) fn scraped(text: String, names: &[(&str, &str)]) -> Self {
        Self::by_line(text, |counts, line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}').split(',');
            let labels = labels.filter_map(|it| it.split_once('='));
            let labels: Vec<_> = labels
                .map(|(key, it)| (key, it.trim_matches('"')))
                .collect();
            let is_bucket = labels.iter().any(|(key, _)| *key == "le");
            if !line.starts_with('#') && !is_bucket {
                counts.add(&written(name, names), &labels, value.parse().ok()?);
            }
            Some(())
        })
    }

    /// `NAME:VALUE|TYPE|#KEY:VALUE,KEY:VALUE`
    pub(crate) fn sent(lines: &[String]) -> Self {
        Self::by_line(lines.join("\n"), |counts, line| {
            let mut parts = line.split('|');
            let (name, value) = parts.next()?.split_once(':')?;
            let kind = match parts.next()? {
                "c" => "counter",
                "g" => "gauge",
                "h" => "histogram",
                _ => return None,
            };
            let tags = parts.next().unwrap_or_default().trim_start_matches('#');
            let tags: Vec<_> = tags
                .split(',')
                .filter_map(|it| it.split_once(':'))
                .collect();
            measure(counts, kind, name, &tags, value.parse().ok()?);
            Some(())
        })
    }

    /// The last export of each series, which is the sum of all before.
    pub(crate) fn exported(metrics: &[ReceivedMetric]) -> Self {
        let (mut lines, mut counts) = (Vec::new(), Counts::default());
        for ReceivedMetric { metric, .. } in metrics {
            let (name, unit, help) = (&metric.name, &metric.unit, &metric.description);
            lines.push(format!("# {name} [{unit}] {help}"));
            for (suffix, attributes, value) in points(metric.data.as_ref()) {
                let name = format!("{name}{suffix}");
                lines.push(format!("{name} {attributes:?} {value}"));
                let labels: Vec<_> = attributes.iter().map(|(k, v)| (&**k, &**v)).collect();
                if !is_own(&name) {
                    counts.set(&name, &labels, value);
                }
            }
        }
        let text = lines.join("\n");
        Self { text, counts }
    }

    /// A line that cannot be read is a series of its own: it will be missed nowhere.
    fn by_line(text: String, count: impl Fn(&mut Counts, &str) -> Option<()>) -> Self {
        let mut counts = Counts::default();
        for line in text.lines().filter(|it| !it.is_empty() && !is_own(it)) {
            if count(&mut counts, line).is_none() {
                counts.add(line, &[], f64::NAN);
            }
        }
        Self { text, counts }
    }
}

fn is_own(shown: &str) -> bool {
    let name = shown.trim_start_matches("metric=");
    name.starts_with("tracing_meter.") || name.starts_with("tracing_meter_")
}

fn measure(counts: &mut Counts, kind: &str, name: &str, labels: &[(&str, &str)], value: f64) {
    match kind {
        "gauge" => counts.set(name, labels, value),
        "histogram" => counts.observe(name, labels, value),
        _ => counts.add(name, labels, value),
    }
}

fn written(scraped: &str, names: &[(&str, &str)]) -> String {
    for (written, known) in names {
        match scraped.strip_prefix(known) {
            Some("") => return (*written).to_owned(),
            Some("_count") => return format!("{written}.count"),
            Some("_sum") => return format!("{written}.sum"),
            _ => {}
        }
    }
    scraped.to_owned()
}

/// Numbers as they are, histograms by how often and the sum.
#[allow(
    clippy::cast_precision_loss,
    reason = "nobody waits for 2^53 observations"
)]
fn points(data: Option<&Data>) -> Vec<(&'static str, Attributes, f64)> {
    match data {
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(number).collect(),
        Some(Data::Sum(sum)) => sum.data_points.iter().map(number).collect(),
        Some(Data::Histogram(histogram)) => {
            let both = histogram.data_points.iter().flat_map(|point| {
                let labels = attributes(&point.attributes);
                let (count, sum) = (point.count as f64, point.sum());
                [(".count", labels.clone(), count), (".sum", labels, sum)]
            });
            both.collect()
        }
        _ => Vec::new(),
    }
}

fn number(point: &NumberDataPoint) -> (&'static str, Attributes, f64) {
    let value = match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        // tracing-meter has no other.
        _ => f64::NAN,
    };
    ("", attributes(&point.attributes), value)
}
