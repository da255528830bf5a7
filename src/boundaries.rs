//! The bucket boundaries of histograms: one setting for every exporter.

use std::sync::Arc;

use crate::error::{BuildError, ErrorKind};
use crate::instrument::is_name_char;
use crate::kind::Kind;
use crate::prometheus_name;

mod presets;

use presets::{OTHERWISE, PRESETS, Preset, SECONDS};

/// Which histogram gets which bucket boundaries.
///
/// Rules are held against the name on a Prometheus scrape, so that the
/// OpenTelemetry SDK and the Prometheus exporter cannot disagree: an exact name
/// first, then a prefix, then what the semantic conventions prescribe for
/// `db.client.operation.duration`, `db.client.response.returned_rows` and
/// `http.client.connection.duration`, then [`seconds`](Self::seconds) for whatever is
/// measured in seconds (its scraped name ends in `_seconds`), then
/// [`otherwise`](Self::otherwise).
///
/// Give the same value to [`MeterLayerBuilder::boundaries`] and, for
/// Prometheus, to its [`prometheus_builder`](Self::prometheus_builder).
///
/// [`MeterLayerBuilder::boundaries`]: crate::MeterLayerBuilder::boundaries
#[derive(Clone, Debug)]
#[must_use]
pub struct Boundaries {
    exact: Vec<Rule>,
    prefix: Vec<Rule>,
    seconds: Arc<[f64]>,
    otherwise: Arc<[f64]>,
}

#[derive(Clone, Debug)]
struct Rule {
    written: String,
    bounds: Arc<[f64]>,
}

impl Default for Boundaries {
    fn default() -> Self {
        Self {
            exact: Vec::new(),
            prefix: Vec::new(),
            seconds: SECONDS.into(),
            otherwise: OTHERWISE.into(),
        }
    }
}

impl Boundaries {
    /// The defaults: 5 ms to 10 s for seconds, OpenTelemetry's 0 to 10 000 for
    /// everything else.
    pub fn new() -> Self {
        Self::default()
    }

    /// The boundaries of one metric, named as it is written (`job.wait`), or as
    /// it stands on a scrape (`job_wait_seconds`). With a unit that Prometheus has
    /// no word for (`EUR`), only the name on a scrape will do (`price_EUR`). It also
    /// tells `upload` in bytes from a metric `upload.bytes`.
    pub fn exact(mut self, name: &str, bounds: &[f64]) -> Self {
        self.exact.push(Rule::new(name, bounds));
        self
    }

    /// The boundaries of all metrics whose name starts so. `.` and `_` are the
    /// same here, as they are on a scrape.
    pub fn prefix(mut self, prefix: &str, bounds: &[f64]) -> Self {
        self.prefix.push(Rule::new(prefix, bounds));
        self
    }

    /// The boundaries of what is measured in seconds.
    pub fn seconds(mut self, bounds: &[f64]) -> Self {
        self.seconds = bounds.into();
        self
    }

    /// The boundaries of everything else.
    pub fn otherwise(mut self, bounds: &[f64]) -> Self {
        self.otherwise = bounds.into();
        self
    }

    /// The boundaries for the name that a histogram has on a scrape.
    pub(crate) fn of(&self, scraped: &str) -> Arc<[f64]> {
        let exact = self.exact.iter().find(|rule| rule.names(scraped));
        let rule = exact.or_else(|| self.prefix.iter().find(|rule| rule.starts(scraped)));
        if let Some(rule) = rule {
            return Arc::clone(&rule.bounds);
        }
        let preset = PRESETS.iter().find(|(name, _)| *name == scraped);
        match preset {
            Some((_, Preset::Bounds(bounds))) => (*bounds).into(),
            Some((_, Preset::Seconds)) => Arc::clone(&self.seconds),
            None if is_seconds(scraped) => Arc::clone(&self.seconds),
            None => Arc::clone(&self.otherwise),
        }
    }

    /// Refuses what is no list of boundaries and rules that contradict each other.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        check_bounds("seconds", &self.seconds)?;
        check_bounds("otherwise", &self.otherwise)?;
        for rule in self.exact.iter().chain(&self.prefix) {
            check_bounds(&rule.written, &rule.bounds)?;
            if !is_start_of_a_name(&rule.written) {
                let why = "no metric has such a name";
                return Err(invalid(&format!("`{}`", rule.written), why));
            }
        }
        check_no_clash(&self.exact, |a, b| a.names(&b.scraped_as(None)))?;
        // The Prometheus exporter would take the shorter of two such prefixes,
        // so the longer one could never be used.
        check_no_clash(&self.prefix, |a, b| b.start().starts_with(&a.start()))
    }
}

#[cfg(feature = "prometheus")]
impl Boundaries {
    /// A builder of the Prometheus exporter that makes the same buckets.
    ///
    /// # Errors
    ///
    /// If the boundaries are not valid, as the layer's builder would say too.
    pub fn prometheus_builder(
        &self,
    ) -> Result<metrics_exporter_prometheus::PrometheusBuilder, BuildError> {
        use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

        self.check()?;
        let full = |name: &str, bounds| (Matcher::Full(name.into()), bounds);
        let mut matchers = vec![
            (
                Matcher::Suffix("_seconds".into()),
                Arc::clone(&self.seconds),
            ),
            full("seconds", Arc::clone(&self.seconds)),
        ];
        for rule in &self.prefix {
            matchers.push((Matcher::Prefix(rule.start()), Arc::clone(&rule.bounds)));
        }
        // For the exporter a full name comes before any prefix, which here it does not.
        matchers.extend(PRESETS.iter().map(|(name, _)| full(name, self.of(name))));
        for rule in &self.exact {
            let names = rule.scraped_names();
            matchers.extend(names.map(|name| full(&name, Arc::clone(&rule.bounds))));
        }
        let mut builder = PrometheusBuilder::new()
            .set_buckets(&self.otherwise)
            .map_err(|error| invalid("`otherwise`", &error.to_string()))?;
        for (matcher, bounds) in matchers {
            builder = builder
                .set_buckets_for_metric(matcher, &bounds)
                .map_err(|error| invalid("of a rule", &error.to_string()))?;
        }
        Ok(builder)
    }
}

impl Rule {
    fn new(written: &str, bounds: &[f64]) -> Self {
        Self {
            written: written.to_owned(),
            bounds: bounds.into(),
        }
    }

    fn scraped_as(&self, unit: Option<&str>) -> String {
        prometheus_name::of_metric(&self.written, Kind::Histogram, unit)
    }

    fn scraped_names(&self) -> impl Iterator<Item = String> + '_ {
        let units = prometheus_name::likely_units().map(Some);
        std::iter::once(None)
            .chain(units)
            .map(|unit| self.scraped_as(unit))
    }

    fn names(&self, scraped: &str) -> bool {
        self.scraped_names().any(|name| name == scraped)
    }

    fn start(&self) -> String {
        prometheus_name::of_prefix(&self.written)
    }

    fn starts(&self, scraped: &str) -> bool {
        scraped.starts_with(&self.start())
    }
}

fn is_start_of_a_name(written: &str) -> bool {
    let is_separator = |c: char| !c.is_ascii_alphanumeric();
    let mut pairs = written.chars().zip(written.chars().skip(1));
    written.starts_with(|c: char| c.is_ascii_alphabetic())
        && written.chars().all(is_name_char)
        && !pairs.any(|(one, next)| is_separator(one) && is_separator(next))
}

fn is_seconds(scraped: &str) -> bool {
    scraped == "seconds" || scraped.ends_with("_seconds")
}

fn check_bounds(of: &str, bounds: &[f64]) -> Result<(), BuildError> {
    let why = if bounds.is_empty() {
        "there are none"
    } else if !bounds.iter().all(|bound| bound.is_finite()) {
        "one of them is not finite"
    } else if !bounds.windows(2).all(|pair| pair[0] < pair[1]) {
        "they do not ascend"
    } else {
        return Ok(());
    };
    Err(invalid(&format!("`{of}`"), why))
}

fn check_no_clash(rules: &[Rule], clash: impl Fn(&Rule, &Rule) -> bool) -> Result<(), BuildError> {
    for (at, a) in rules.iter().enumerate() {
        for b in &rules[at + 1..] {
            if clash(a, b) || clash(b, a) {
                let (a, b) = (&a.written, &b.written);
                let why = format!("both `{a}` and `{b}` would apply to one metric");
                return Err(invalid(&format!("`{b}`"), &why));
            }
        }
    }
    Ok(())
}

fn invalid(culprit: &str, why: &str) -> BuildError {
    BuildError::new(ErrorKind::Boundaries, culprit, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_comes_before_a_prefix_and_a_prefix_before_the_unit() {
        let boundaries = Boundaries::new()
            .exact("job.wait", &[1.0])
            .prefix("job.", &[2.0])
            .seconds(&[3.0])
            .otherwise(&[4.0]);
        boundaries.check().unwrap();
        for (scraped, bound) in [
            ("job_wait_seconds", 1.0),
            ("job_wait_bytes", 1.0),
            ("job_wait", 1.0),
            ("job_waits_seconds", 2.0),
            ("other_seconds", 3.0),
            ("seconds", 3.0),
            ("other_milliseconds", 4.0),
        ] {
            assert_eq!(*boundaries.of(scraped), [bound], "{scraped}");
        }
    }

    #[test]
    fn the_conventions_come_after_what_was_said_of_a_name() {
        let database = "db_client_operation_duration_seconds";
        let boundaries = Boundaries::new().seconds(&[3.0]);
        assert_eq!(boundaries.of(database)[..2], [0.001, 0.005]);
        assert_eq!(*boundaries.of("traces_spanmetrics_latency"), [3.0]);
        let boundaries = boundaries.prefix("db.client.", &[2.0]);
        assert_eq!(*boundaries.of(database), [2.0]);
        let boundaries = boundaries.exact("db.client.operation.duration", &[1.0]);
        assert_eq!(*boundaries.of(database), [1.0]);
    }

    #[test]
    fn boundaries_that_cannot_be_right_are_refused() {
        for bad in [
            &[][..],
            &[1.0, 1.0],
            &[2.0, 1.0],
            &[f64::NAN],
            &[f64::INFINITY],
        ] {
            let error = Boundaries::new().exact("job", bad).check().unwrap_err();
            assert!(
                error.is_boundaries() && error.to_string().contains("`job`"),
                "{error}"
            );
            assert!(Boundaries::new().seconds(bad).check().is_err());
            assert!(Boundaries::new().otherwise(bad).check().is_err());
        }
    }

    #[test]
    fn rules_that_shadow_each_other_are_refused() {
        let twice = Boundaries::new().exact("a.b", &[1.0]).exact("a_b", &[2.0]);
        assert!(twice.check().unwrap_err().to_string().contains("`a_b`"));
        let inside = Boundaries::new().prefix("a.", &[1.0]).prefix("a.b", &[2.0]);
        assert!(inside.check().unwrap_err().to_string().contains("`a.b`"));
        for none in ["", "two words", "größe", "!"] {
            assert!(Boundaries::new().prefix(none, &[1.0]).check().is_err());
            assert!(Boundaries::new().exact(none, &[1.0]).check().is_err());
        }
    }
}
