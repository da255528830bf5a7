//! Another configuration takes over.

use std::any::Any;
use std::sync::{Arc, Weak};

use tracing_subscriber::filter::Targets;

use super::Callsites;
use super::callsite::Callsite;
use super::configuration::{Configuration, Conventions};
use crate::convention::Convention;

/// Which directives are to count.
pub(crate) enum Directives {
    AsTheyAre,
    AsBuilt,
    New(Box<Targets>),
}

impl Callsites {
    /// Measures by other directives and conventions from now on. What is open stays as it
    /// was opened.
    ///
    /// What another thread changes at the same time is not overwritten: `edit` is called
    /// again then.
    pub(crate) fn reconfigure(&self, directives: &Directives, edit: impl Fn(&mut Conventions)) {
        while self.try_to_reconfigure(directives, &edit).is_err() {}
    }

    fn try_to_reconfigure(
        &self,
        directives: &Directives,
        edit: impl Fn(&mut Conventions),
    ) -> Result<(), Outdated> {
        let before = self.configuration();
        let mut added = before.added.clone();
        edit(&mut added);
        let directives = match directives {
            Directives::AsTheyAre => before.directives.clone(),
            Directives::AsBuilt => self.first_directives.clone(),
            Directives::New(directives) => Targets::clone(directives),
        };
        let after = Configuration::new(self.known(added), directives);
        if after.is_same_as(&before) {
            return Ok(());
        }
        self.take_over(&before, after)?;
        let subscriber = || self.own_subscriber.get();
        self.interest_cache.rebuild_if(|| true, subscriber);
        Ok(())
    }

    /// All callsites have to be recognised again from now on.
    fn take_over(&self, before: &Arc<Configuration>, after: Configuration) -> Result<(), Outdated> {
        let after = Arc::new(after);
        let disabled = after.disabled();
        let mut current = self.configuration.lock();
        if !Arc::ptr_eq(&current, before) {
            return Err(Outdated);
        }
        *current = after;
        self.disabled.set(disabled);
        self.by_metadata.each(Callsite::set_unknown);
        Ok(())
    }

    /// In place of each convention the one that is the same and was known before, with the
    /// plans that were made of it.
    fn known(&self, added: Conventions) -> Conventions {
        let known: Conventions = {
            let mut known = self.known.lock();
            known.retain(|it| it.strong_count() > 0);
            known.iter().filter_map(Weak::upgrade).collect()
        };
        let known_or = |new: Arc<dyn Convention>| {
            let mut known = known.iter();
            let same = known.find(|it| Arc::ptr_eq(it, &new) || it.is_same(&*new as &dyn Any));
            same.map_or(new, Arc::clone)
        };
        let added: Conventions = added.into_iter().map(known_or).collect();
        let is_new = |it: &&Arc<_>| !known.iter().any(|known| Arc::ptr_eq(known, it));
        let new = added.iter().filter(is_new).map(Arc::downgrade);
        self.known.lock().extend(new);
        added
    }
}

/// Another thread was faster.
struct Outdated;

#[cfg(test)]
mod tests {
    use tracing_core::callsite::{self, Identifier};
    use tracing_core::field::FieldSet;
    use tracing_core::metadata::Kind as CallsiteKind;
    use tracing_core::{Interest, Level, LevelFilter, Metadata};

    use super::*;
    use crate::boundaries::Boundaries;
    use crate::catalog::Catalog;
    use crate::convention::{
        Feed, LabelRule, LogEmissions, Measure, Recipe, Rules, SemanticConventions, SpanMetrics,
    };
    use crate::plan::LabelRules;
    use crate::problem::Problems;
    use crate::sink::{MemorySink, Sinks};

    struct Here;

    impl callsite::Callsite for Here {
        fn set_interest(&self, _: Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            &EVENT
        }
    }

    static EVENT: Metadata<'static> = Metadata::new(
        "event",
        "app",
        Level::INFO,
        None,
        None,
        None,
        FieldSet::new(&["key"], Identifier(&Here)),
        CallsiteKind::EVENT,
    );

    /// Counts all events, with a label of a closure.
    #[derive(PartialEq)]
    struct Counts(&'static str);

    impl Convention for Counts {
        fn recognise(&self, _: &Metadata<'static>) -> Option<Recipe> {
            let key = LabelRule::new("key").map("key", |value| Some(value.clone()));
            let events = Feed::new().measure(Measure::happened(self.0));
            Some(events.label_rule(key).into())
        }

        fn is_same(&self, other: &dyn Any) -> bool {
            other.downcast_ref() == Some(self)
        }
    }

    /// Counts all events. It is never the same.
    struct CountsAnew(&'static str);

    impl Convention for CountsAnew {
        fn recognise(&self, _: &Metadata<'static>) -> Option<Recipe> {
            let events = Feed::new().measure(Measure::happened(self.0));
            Some(events.label("key", "key").into())
        }
    }

    /// Has a part in no recipe, or gives other names to what the others measure.
    struct Renames(Option<&'static str>);

    impl Convention for Renames {
        fn recognise(&self, _: &Metadata<'static>) -> Option<Recipe> {
            None
        }

        fn amend(&self, _: &Metadata<'static>, recipe: Recipe) -> Recipe {
            recipe.rename_metrics(|_| self.0.map(str::to_owned))
        }
    }

    fn callsites() -> Callsites {
        let problems = Arc::new(Problems::default());
        let sinks = Sinks::new(vec![Box::new(MemorySink::new())], Arc::clone(&problems));
        let catalog = Catalog::new(Arc::new(sinks), problems, Boundaries::new(), 10);
        let everything = Targets::new().with_default(LevelFilter::TRACE);
        let (rules, added) = (LabelRules::default(), Conventions::new());
        Callsites::new(added, everything, rules, Arc::new(catalog), false)
    }

    fn set(callsites: &Callsites, conventions: &Conventions) {
        let all = |added: &mut Conventions| added.clone_from(conventions);
        callsites.reconfigure(&Directives::AsTheyAre, all);
    }

    /// How many plans are made of the event, if these are its conventions one after the other.
    fn plans(of: impl IntoIterator<Item = Conventions>) -> usize {
        let callsites = callsites();
        for conventions in of {
            set(&callsites, &conventions);
            let plan = callsites.plan(&EVENT);
            assert_eq!(plan.is_some(), !conventions.is_empty());
        }
        let (_, callsite) = callsites.callsite(&EVENT);
        usize::from(callsite.first_plan().is_some()) + callsites.later_plans.len()
    }

    const TIMES: usize = 10_000;

    #[test]
    fn going_back_and_forth_makes_no_new_plans() {
        let both: [Arc<dyn Convention>; 2] =
            [Arc::new(CountsAnew("these")), Arc::new(CountsAnew("those"))];
        let one = |time: usize| vec![Arc::clone(&both[time % 2])];
        assert_eq!(plans((0..TIMES).map(one)), 2);
    }

    #[test]
    fn nor_does_what_says_that_it_is_the_same() {
        let one = |time: usize| -> Conventions {
            vec![Arc::new(Counts(["these", "those", "others"][time % 3]))]
        };
        assert_eq!(plans((0..TIMES).map(one)), 3);
    }

    #[test]
    fn nor_do_the_shipped_conventions_that_say_the_same() {
        let shipped = || -> [Arc<dyn Convention>; 4] {
            [
                Arc::new(SemanticConventions::new()),
                Arc::new(SpanMetrics::new("info").expect("it is a directive")),
                Arc::new(Rules::shipped()),
                Arc::new(LogEmissions::new()),
            ]
        };
        for (one, other) in shipped().into_iter().zip(shipped()) {
            assert!(one.is_same(&*other as &dyn Any), "{}", one.name());
        }
        let others: [Arc<dyn Convention>; 2] = [
            Arc::new(SemanticConventions::new().known_methods(["GET"])),
            Arc::new(SpanMetrics::new("debug").expect("it is a directive")),
        ];
        for (one, other) in shipped().into_iter().zip(others) {
            assert!(!one.is_same(&*other as &dyn Any), "{}", one.name());
        }
    }

    #[test]
    fn nor_does_what_comes_to_the_same_recipe() {
        let one = |_| -> Conventions { vec![Arc::new(CountsAnew("these"))] };
        assert_eq!(plans((0..100).map(one)), 1);
    }

    #[test]
    fn nor_does_a_convention_that_has_no_part_in_the_recipe() {
        let counts: Arc<dyn Convention> = Arc::new(Counts("these"));
        let with = |beside| -> Conventions { vec![Arc::new(Renames(beside)), Arc::clone(&counts)] };
        let all = (0..100).map(|time| with((time % 3 == 0).then_some("renamed")));
        let renamed = (0..100).filter(|time| time % 3 == 0).count();
        // A closure that was made anew, by another convention, is another one.
        assert_eq!(plans(all), 1 + renamed);
    }

    #[test]
    fn what_is_not_measured_has_no_plan() {
        let none = |_| Conventions::new();
        assert_eq!(plans((0..10).map(none)), 0);
    }

    #[test]
    fn a_convention_that_was_never_used_is_let_go() {
        let callsites = callsites();
        let convention: Arc<dyn Convention> = Arc::new(Renames(None));
        let it = Arc::downgrade(&convention);
        set(&callsites, &vec![convention]);
        assert!(it.upgrade().is_some());
        set(&callsites, &Conventions::new());
        assert!(it.upgrade().is_none());
    }
}
