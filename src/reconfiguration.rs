//! What is to be measured otherwise from now on.

use std::sync::Arc;

use crate::callsites::{Conventions, Directives};
use crate::convention::Convention;
use crate::directives;
use crate::error::BuildError;

/// What [`MeterHandle::reconfigure`](crate::MeterHandle::reconfigure) changes. What is not
/// mentioned stays as it is.
///
/// ```
/// use tracing_meter::{MeterHandle, Reconfiguration};
///
/// /// `POST /directives`
/// fn set_directives(meter: &MeterHandle, body: &str) -> Result<(), String> {
///     let new = Reconfiguration::new().directives(body);
///     meter.reconfigure(new).map_err(|error| error.to_string())
/// }
/// ```
#[derive(Default)]
#[must_use]
pub struct Reconfiguration {
    directives: Option<String>,
    edits: Vec<Edit>,
}

/// A change of the conventions that were added to that of field names.
type Edit = Box<dyn Fn(&mut Conventions) + Send>;

impl Reconfiguration {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which targets may be measured, up to which level, as
    /// [`MeterLayerBuilder::directives`](crate::MeterLayerBuilder::directives) has it.
    ///
    /// They count more than the environment variable `TRACING_METER`, which is older: an
    /// operator has set it when the process started. Without a directive in the text those
    /// count again that the layer was built with, of the environment or of the builder.
    pub fn directives(mut self, directives: impl Into<String>) -> Self {
        self.directives = Some(directives.into());
        self
    }

    /// Puts a convention where one of its type stands, or at the end if there is none. Those
    /// of its type that follow are taken out.
    ///
    /// ```
    /// use tracing_core::Metadata;
    /// use tracing_meter::{Convention, Feed, Measure, MeterHandle, Recipe, Reconfiguration};
    ///
    /// /// Counts the events of targets that an operator lists.
    /// #[derive(PartialEq)]
    /// struct Listed(Vec<String>);
    ///
    /// impl Convention for Listed {
    ///     fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
    ///         let is_listed = self.0.iter().any(|target| target == callsite.target());
    ///         let events = Feed::new().measure(Measure::happened("events"));
    ///         is_listed.then(|| events.into())
    ///     }
    ///
    ///     /// A list that is read again is the same if nothing has changed.
    ///     fn is_same(&self, other: &dyn std::any::Any) -> bool {
    ///         other.downcast_ref() == Some(self)
    ///     }
    /// }
    ///
    /// /// On SIGHUP.
    /// fn read_again(meter: &MeterHandle) -> Result<(), Box<dyn std::error::Error>> {
    ///     let list = std::fs::read_to_string("targets.txt")?;
    ///     let listed = Listed(list.lines().map(str::to_owned).collect());
    ///     Ok(meter.reconfigure(Reconfiguration::new().convention(listed))?)
    /// }
    /// ```
    pub fn convention<C: Convention>(self, convention: C) -> Self {
        let convention: Arc<dyn Convention> = Arc::new(convention);
        self.conventions(move |conventions| {
            let mut new = Some(Arc::clone(&convention));
            conventions.retain_mut(|it| {
                let is_other = !is_a::<C>(it);
                if !is_other && let Some(new) = new.take() {
                    *it = new;
                    return true;
                }
                is_other
            });
            conventions.extend(new);
        })
    }

    /// Takes out the conventions of a type.
    pub fn without<C: Convention>(self) -> Self {
        self.conventions(|conventions| conventions.retain(|it| !is_a::<C>(it)))
    }

    /// Changes the list of conventions, without that of field names, which always is the
    /// first one.
    ///
    /// The closure is called again if another thread has changed them meanwhile. Keep the
    /// `Arc` of a convention that may come back: the plans that were made of it count again
    /// then.
    pub fn conventions(
        mut self,
        edit: impl Fn(&mut Vec<Arc<dyn Convention>>) + Send + 'static,
    ) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// What it says, as far as that can be wrong, and how it changes conventions.
    pub(crate) fn parse(self) -> Result<(Directives, impl Fn(&mut Conventions)), BuildError> {
        let Self { directives, edits } = self;
        let directives = match directives {
            Some(directives) => parse_directives(&directives)?,
            None => Directives::AsTheyAre,
        };
        let edit = move |conventions: &mut Conventions| {
            for edit in &edits {
                edit(conventions);
            }
        };
        Ok((directives, edit))
    }
}

impl std::fmt::Debug for Reconfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconfiguration")
            .field("directives", &self.directives)
            .finish_non_exhaustive()
    }
}

fn parse_directives(directives: &str) -> Result<Directives, BuildError> {
    let parsed = directives::parse(directives, "of the reconfiguration")?;
    Ok(parsed.map_or(Directives::AsBuilt, |it| Directives::New(it.into())))
}

fn is_a<C: Convention>(convention: &Arc<dyn Convention>) -> bool {
    let convention: &dyn std::any::Any = &**convention;
    convention.is::<C>()
}
