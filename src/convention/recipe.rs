//! What one callsite feeds.

use std::borrow::Cow;

use super::{Feed, Measure};

/// What one callsite feeds: a list of [`Feed`]s, and fields that say what metrics mean.
///
/// A callsite may have several fields of one name, `info!(n = 1, n = 2)`: what a recipe says
/// of a name goes for each of them. Each value is measured; of a label the last one counts,
/// of a help text or a unit the first one.
///
/// Where several conventions recognise one callsite, each has its own recipe. They share no
/// labels. If two of them feed one metric, the first counts, and the other is listed as
/// [`Hidden`](crate::Reason::Hidden).
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Recipe {
    pub(crate) feeds: Vec<Feed>,
    pub(crate) docs: Vec<DocField>,
    /// The name of the convention that it is of.
    pub(crate) convention: String,
}

/// A field whose value says what a metric means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DocField {
    pub(crate) field: Cow<'static, str>,
    pub(crate) metric: Cow<'static, str>,
    pub(crate) says: Says,
}

/// What a documenting field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Help,
    Unit,
}

impl Recipe {
    /// A recipe that feeds nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds measures with their labels.
    pub fn feed(mut self, feed: Feed) -> Self {
        self.feeds.push(feed);
        self
    }

    /// Takes a metric's help text from a field.
    pub fn help(
        self,
        field: impl Into<Cow<'static, str>>,
        metric: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.doc(field.into(), metric.into(), Says::Help)
    }

    /// Takes a metric's unit from a field.
    pub fn unit(
        self,
        field: impl Into<Cow<'static, str>>,
        metric: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.doc(field.into(), metric.into(), Says::Unit)
    }

    /// Leaves out the measures of the metrics for which this is `false`.
    pub fn retain_measures(mut self, mut is_kept: impl FnMut(&str) -> bool) -> Self {
        for feed in &mut self.feeds {
            feed.measures.retain(|measure| is_kept(&measure.metric));
        }
        self.docs.retain(|doc| is_kept(&doc.metric));
        self
    }

    /// Gives other names to metrics; `None` leaves a name as it is.
    pub fn rename_metrics(mut self, mut new_name: impl FnMut(&str) -> Option<String>) -> Self {
        let measures = self.feeds.iter_mut().flat_map(|feed| &mut feed.measures);
        let measures = measures.map(|measure| &mut measure.metric);
        let docs = self.docs.iter_mut().map(|doc| &mut doc.metric);
        for metric in measures.chain(docs) {
            if let Some(name) = new_name(metric) {
                *metric = name.into();
            }
        }
        self
    }

    pub(crate) fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.feeds.iter().flat_map(|feed| &feed.measures)
    }

    /// Whether something is measured by how a span ends.
    pub(crate) fn has_outcome(&self) -> bool {
        self.measures().any(Measure::is_late)
    }

    fn doc(mut self, field: Cow<'static, str>, metric: Cow<'static, str>, says: Says) -> Self {
        self.docs.push(DocField {
            field,
            metric,
            says,
        });
        self
    }
}

impl From<Feed> for Recipe {
    fn from(feed: Feed) -> Self {
        Self::new().feed(feed)
    }
}
