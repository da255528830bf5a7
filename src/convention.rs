//! Conventions: which callsites are measured, and how.

use std::any::Any;

use tracing_core::Metadata;
use tracing_subscriber::filter::Targets;

mod condition;
mod feed;
mod fields;
mod hint;
mod label_rule;
mod log_emissions;
mod measure;
mod outcome_rule;
mod recipe;
mod rules;
mod semantic;
mod spans;
mod value_unit;

pub use crate::value::TextValue;
pub use condition::Condition;
pub(crate) use condition::Test;
pub use feed::Feed;
pub use fields::FieldConvention;
pub use label_rule::LabelRule;
pub(crate) use label_rule::{MapValue, ValueMap, ValueSource};
pub use log_emissions::LogEmissions;
pub use measure::Measure;
pub(crate) use measure::{Reading, Source, ValueField};
pub use outcome_rule::OutcomeRule;
pub use recipe::Recipe;
pub(crate) use recipe::Says;
pub use rules::{Rule, RuleLabel, Rules};
pub use semantic::{OptIn, SemanticConventions};
pub use spans::SpanMetrics;
pub use value_unit::ValueUnit;

/// A rule that reads a callsite's metadata and says which instruments it feeds.
///
/// It is asked once for each callsite and layer, never while something is
/// measured. [`FieldConvention`] is the one that every layer has; further ones are
/// added by [`MeterLayerBuilder::convention`](crate::MeterLayerBuilder::convention).
///
/// ```
/// use tracing_core::Metadata;
/// use tracing_meter::{Convention, Feed, Kind, Measure, Recipe};
///
/// /// Another crate's events, measured without touching that crate.
/// struct SlowStatements;
///
/// impl Convention for SlowStatements {
///     fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
///         if callsite.target() != "sqlx::query" || !callsite.is_event() {
///             return None;
///         }
///         let elapsed = Measure::field(Kind::Histogram, "db.client.operation.duration", "elapsed_secs");
///         Some(Feed::new().measure(elapsed.unit("s")).label("summary", "db.query.summary").into())
///     }
/// }
///
/// let layer = tracing_meter::builder()
///     .sink(tracing_meter::MemorySink::new())
///     .convention(SlowStatements)
///     .build::<tracing_subscriber::Registry>();
/// assert!(layer.is_ok());
/// ```
pub trait Convention: Any + Send + Sync {
    /// What the callsite feeds, or `None` if the convention does not know it.
    ///
    /// It has to give the same for the same callsite.
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe>;

    /// Changes what another convention makes of a callsite. By default it stays as it is.
    ///
    /// Every convention is asked, in their order, about the recipe of each other one.
    fn amend(&self, callsite: &Metadata<'static>, recipe: Recipe) -> Recipe {
        let _ = callsite;
        recipe
    }

    /// Whether another convention is the same as this one, which is kept then, with its
    /// plans, when a layer is [reconfigured](crate::MeterHandle::reconfigure). By default
    /// none is.
    ///
    /// A convention that is read from a file again compares what was read: where its type is
    /// `PartialEq`, by `other.downcast_ref() == Some(self)`.
    fn is_same(&self, other: &dyn Any) -> bool {
        let _ = other;
        false
    }

    /// What was asked of the convention by name: targets, and levels. By default nothing was.
    ///
    /// What of it the layer's directives disable is not measured; it is listed as
    /// [`Disabled`](crate::Reason::Disabled).
    fn asked(&self) -> Targets {
        Targets::new()
    }

    /// The name of the convention in problems: by default that of its type.
    fn name(&self) -> &'static str {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name)
    }
}

/// A closure is a convention, too.
impl<F> Convention for F
where
    F: Fn(&Metadata<'static>) -> Option<Recipe> + Send + Sync + 'static,
{
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        self(callsite)
    }

    fn name(&self) -> &'static str {
        "a closure"
    }
}
