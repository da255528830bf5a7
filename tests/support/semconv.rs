//! The model of the semantic conventions, and what of an export disagrees with it.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};

const FILES: [&str; 4] = [
    include_str!("../semconv/http.txt"),
    include_str!("../semconv/rpc.txt"),
    include_str!("../semconv/database.txt"),
    include_str!("../semconv/messaging.txt"),
];

/// What OpenTelemetry gives to histograms for which the conventions prescribe nothing.
const DEFAULT_BOUNDARIES: &str = "0 5 10 25 50 75 100 250 500 750 1000 2500 5000 7500 10000";

/// The metrics by their names.
pub struct Model(pub BTreeMap<&'static str, Defined>);

/// A metric as the model defines it.
#[derive(Default)]
pub struct Defined {
    pub instrument: &'static str,
    pub unit: &'static str,
    pub brief: &'static str,
    boundaries: Option<&'static str>,
    pub attributes: BTreeMap<&'static str, Attribute>,
}

pub struct Attribute {
    ty: &'static str,
    pub level: &'static str,
    /// Empty where any value is good.
    values: Vec<&'static str>,
}

impl Model {
    pub fn read() -> Self {
        let mut metrics = BTreeMap::new();
        for file in FILES {
            let mut name = "";
            for line in file.lines().filter(|line| !line.starts_with('#')) {
                let (word, rest) = line.trim().split_once(' ').unwrap_or_default();
                let metric: &mut Defined = metrics.entry(name).or_default();
                match word {
                    "" => {}
                    "metric" => name = rest,
                    "instrument" => metric.instrument = rest,
                    "unit" => metric.unit = rest,
                    "brief" => metric.brief = rest,
                    "boundaries" => metric.boundaries = Some(rest),
                    "attribute" => metric.add(rest),
                    other => panic!("`{other}` is no word of the model"),
                }
            }
        }
        metrics.remove("");
        Self(metrics)
    }

    /// What is exported and not as the model has it, one line each.
    pub fn disagreements(&self, exported: &ResourceMetrics) -> Vec<String> {
        let metrics = exported.scope_metrics().flat_map(ScopeMetrics::metrics);
        let compare = |metric: &Metric| match self.0.get(metric.name()) {
            Some(defined) => defined.disagreements(metric),
            None => vec!["is not in the model".to_owned()],
        };
        metrics
            .flat_map(|metric| {
                let lines = compare(metric).into_iter();
                lines
                    .map(|line| format!("{}: {line}", metric.name()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Defined {
    fn add(&mut self, attribute: &'static str) {
        let mut words = attribute.split(' ');
        let mut next = || words.next().expect("key, type and level");
        let (key, ty, level) = (next(), next(), next());
        let values = words.collect();
        self.attributes.insert(key, Attribute { ty, level, values });
    }

    pub fn boundaries(&self) -> Vec<f64> {
        if self.instrument != "histogram" {
            return Vec::new();
        }
        let boundaries = self.boundaries.unwrap_or(DEFAULT_BOUNDARIES).split(' ');
        boundaries.map(|bound| bound.parse().unwrap()).collect()
    }

    fn disagreements(&self, metric: &Metric) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, exported, defined) in [
            ("unit", metric.unit(), self.unit),
            ("description", metric.description(), self.brief),
            ("instrument", instrument(metric), self.instrument),
        ] {
            if exported != defined {
                lines.push(format!("the {what} is `{exported}`, not `{defined}`"));
            }
        }
        for (attributes, bounds) in points(metric) {
            if bounds != self.boundaries() {
                lines.push(format!("the boundaries are {bounds:?}"));
            }
            for attribute in &attributes {
                lines.extend(self.wrong_attribute(attribute));
            }
            let keys: BTreeSet<_> = attributes.iter().map(|it| it.key.as_str()).collect();
            let required = self.keys_of(|level| level == "required");
            lines.extend(
                required
                    .difference(&keys)
                    .map(|key| format!("lacks `{key}`")),
            );
        }
        lines
    }

    fn wrong_attribute(&self, attribute: &KeyValue) -> Option<String> {
        let key = attribute.key.as_str();
        let Some(defined) = self.attributes.get(key) else {
            return Some(format!("`{key}` is no attribute of it"));
        };
        let ty = match &attribute.value {
            Value::String(_) => "string",
            Value::I64(_) => "int",
            Value::F64(_) => "double",
            Value::Bool(_) => "boolean",
            _ => "another",
        };
        let value = attribute.value.to_string();
        let is_known = defined.values.is_empty() || defined.values.contains(&&*value);
        (ty != defined.ty || !is_known).then(|| format!("`{key}` is {value}, of type {ty}"))
    }

    pub fn keys_of(&self, is_meant: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
        let attributes = self.attributes.iter();
        let meant = attributes.filter(|(_, attribute)| is_meant(attribute.level));
        meant.map(|(key, _)| *key).collect()
    }
}

/// The keys that a metric has in any of its series.
pub fn exported_keys(exported: &ResourceMetrics, name: &str) -> BTreeSet<String> {
    let metrics = exported.scope_metrics().flat_map(ScopeMetrics::metrics);
    let metrics = metrics.filter(|metric| metric.name() == name);
    let attributes = metrics
        .flat_map(points)
        .flat_map(|(attributes, _)| attributes);
    attributes.map(|it| it.key.to_string()).collect()
}

/// The keys that a metric's lines have on a scrape, without those of buckets.
pub fn scraped_keys(scrape: &str, name: &str) -> BTreeSet<String> {
    let of_metric = |line: &&str| {
        let rest = line.strip_prefix(name).unwrap_or_default();
        rest.strip_prefix("_count").unwrap_or(rest).starts_with('{')
    };
    let pairs = scrape
        .lines()
        .filter(of_metric)
        .flat_map(|line| line.split("=\""));
    let key = |pair: &str| {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        pair.rsplit(word).next().unwrap_or_default().to_owned()
    };
    // What follows the last `=` is a value.
    pairs
        .map(key)
        .filter(|key| !key.is_empty() && key.parse::<f64>().is_err())
        .collect()
}

/// All series, as `NAME {key="text", key=7}` with the keys in their order, and how often or
/// how much: so that a type can be seen.
pub fn series(exported: &ResourceMetrics) -> Vec<String> {
    let metrics = exported.scope_metrics().flat_map(ScopeMetrics::metrics);
    let mut series: Vec<_> = metrics
        .flat_map(|metric| {
            let name = metric.name().to_owned();
            let points = points(metric).into_iter();
            points.map(move |(attributes, _)| format!("{name} {{{}}}", shown(attributes)))
        })
        .collect();
    series.sort();
    series
}

fn shown(mut attributes: Vec<KeyValue>) -> String {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    let pairs = attributes.iter().map(|it| match &it.value {
        Value::String(text) => format!("{}={:?}", it.key, text.as_str()),
        other => format!("{}={other}", it.key),
    });
    pairs.collect::<Vec<_>>().join(", ")
}

fn instrument(metric: &Metric) -> &'static str {
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Sum(sum)) if sum.is_monotonic() => "counter",
        AggregatedMetrics::F64(MetricData::Sum(_)) => "updowncounter",
        AggregatedMetrics::F64(MetricData::Histogram(_)) => "histogram",
        _ => "another",
    }
}

/// Attributes, and boundaries of a histogram.
fn points(metric: &Metric) -> Vec<(Vec<KeyValue>, Vec<f64>)> {
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Sum(sum)) => {
            let points = sum.data_points();
            points
                .map(|it| (it.attributes().cloned().collect(), Vec::new()))
                .collect()
        }
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
            let points = histogram.data_points();
            points
                .map(|it| (it.attributes().cloned().collect(), it.bounds().collect()))
                .collect()
        }
        _ => panic!("{} is neither a sum nor a histogram", metric.name()),
    }
}
