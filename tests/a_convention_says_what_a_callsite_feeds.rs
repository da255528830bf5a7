//! What a recipe may say: labels by feed, conditions, outcomes, values and their forms.

mod support;

use std::time::Duration;

use support::{Measured, measure_with};
use tracing::field::Empty;
use tracing::{Metadata, info, info_span};
use tracing_meter::{
    Condition, Convention, Feed, Kind, LabelRule, LabelValue, Measure, OutcomeRule, Recipe,
    TextValue,
};

/// Measures under conventions that recognise what is in this file.
fn measure<const N: usize>(recipes: [fn() -> Recipe; N], code: impl FnOnce()) -> Measured {
    let conventions = recipes.map(|recipe| {
        move |callsite: &Metadata<'static>| {
            callsite
                .module_path()?
                .starts_with(module_path!())
                .then(recipe)
        }
    });
    let with = |builder| {
        let add = |builder: tracing_meter::MeterLayerBuilder, it| builder.convention(it);
        conventions.into_iter().fold(builder, add)
    };
    measure_with(with, code)
}

fn details(measured: &Measured) -> Vec<String> {
    let problems = measured.handle.problems();
    problems
        .iter()
        .map(|problem| problem.detail().to_owned())
        .collect()
}

fn keys(measured: &Measured, metric: &str) -> Vec<String> {
    let catalog = measured.handle.catalog();
    let entry = catalog.iter().find(|entry| entry.name() == metric).unwrap();
    entry.label_keys().map(ToOwned::to_owned).collect()
}

#[test]
fn labels_belong_to_their_feed() {
    let recipe = || {
        let one = Feed::new()
            .measure(Measure::happened("one"))
            .label("a", "a");
        let other = Feed::new()
            .measure(Measure::happened("other"))
            .label("b", "renamed");
        Recipe::new().feed(one).feed(other)
    };
    let measured = measure([recipe], || info!(a = 1, b = true));
    assert_eq!(measured.value("one", &[("a", "1")]), Some(1.0));
    assert_eq!(measured.value("other", &[("renamed", "true")]), Some(1.0));
    assert_eq!(keys(&measured, "one"), ["a"]);
    assert_eq!(keys(&measured, "other"), ["renamed"]);
}

#[test]
fn conventions_of_one_callsite_share_no_labels() {
    let spans = || {
        Feed::new()
            .measure(Measure::closed("spans"))
            .label("a", "a")
            .into()
    };
    let measured = measure([spans], || {
        drop(info_span!("s", calls.mine = Empty, label.b = 1, a = 2));
    });
    assert_eq!(
        measured.value("spans", &[("a", "2"), ("outcome", "ok")]),
        Some(1.0)
    );
    assert_eq!(
        measured.value("mine", &[("b", "1"), ("outcome", "ok")]),
        Some(1.0)
    );
    assert!(measured.problems().is_empty(), "{:?}", measured.problems());
}

#[test]
fn one_instrument_is_counted_once_and_what_hides_a_measure_is_listed() {
    let again = || {
        Feed::new()
            .measure(Measure::closed("jobs"))
            .constant("by", "again")
            .into()
    };
    let measured = measure([again], || drop(info_span!("s", calls.jobs = Empty)));
    assert_eq!(measured.value("jobs", &[("outcome", "ok")]), Some(1.0));
    assert_eq!(
        measured.value("jobs", &[("outcome", "ok"), ("by", "again")]),
        None
    );
    assert_eq!(measured.problems(), ["hidden jobs 0"]);
    assert_eq!(
        details(&measured),
        ["`FieldConvention` measures it here before `a closure`"]
    );
    let problem = &measured.handle.problems()[0];
    assert!(
        problem
            .location()
            .file()
            .is_some_and(|file| file.ends_with("feeds.rs"))
    );
    assert!(problem.location().line().is_some());
}

#[test]
fn what_one_convention_does_not_feed_another_one_may() {
    let first = || {
        let feed = Feed::new().when(Condition::equals("kind", "a"));
        feed.measure(Measure::happened("n"))
            .constant("by", "first")
            .into()
    };
    let second = || {
        Feed::new()
            .measure(Measure::happened("n"))
            .constant("by", "second")
            .into()
    };
    let measured = measure([first, second], || {
        for kind in ["a", "b", "b"] {
            info!(kind);
        }
    });
    assert_eq!(measured.value("n", &[("by", "first")]), Some(1.0));
    assert_eq!(measured.value("n", &[("by", "second")]), Some(2.0));
}

#[test]
fn a_label_has_the_first_value_that_there_is() {
    let recipe = || {
        let class = |status: &LabelValue| match status {
            LabelValue::I64(status) => Some(format!("{}xx", status / 100).into()),
            _ => None,
        };
        let rule = LabelRule::new("result")
            .field("result")
            .map("status", class)
            .default("none");
        Feed::new()
            .measure(Measure::happened("n"))
            .label_rule(rule)
            .into()
    };
    let event = |result: Option<&str>, status: Option<i64>| info!(result, status);
    let measured = measure([recipe], || {
        event(Some("said"), Some(200));
        event(None, Some(404));
        event(None, Some(410));
        event(None, None);
    });
    assert_eq!(measured.value("n", &[("result", "said")]), Some(1.0));
    assert_eq!(measured.value("n", &[("result", "4xx")]), Some(2.0));
    assert_eq!(measured.value("n", &[("result", "none")]), Some(1.0));
}

#[test]
fn constants_keep_their_types() {
    let recipe = || {
        let feed = Feed::new().measure(Measure::happened("n"));
        feed.constant("text", "t")
            .constant("int", 1)
            .constant("float", 0.5)
            .constant("bool", true)
            .into()
    };
    let measured = measure([recipe], || info!("happened"));
    let labels = measured.snapshot.label_sets("n").next().unwrap();
    assert_eq!(labels.get("text"), Some(&LabelValue::Str("t".into())));
    assert_eq!(labels.get("int"), Some(&LabelValue::I64(1)));
    assert_eq!(labels.get("float"), Some(&LabelValue::F64(0.5)));
    assert_eq!(labels.get("bool"), Some(&LabelValue::Bool(true)));
}

#[test]
fn a_map_that_panics_gives_no_value() {
    let recipe = || {
        let rule = LabelRule::new("k")
            .map("k", |_| panic!("a map"))
            .default("default");
        Feed::new()
            .measure(Measure::happened("n"))
            .label_rule(rule)
            .into()
    };
    let measured = measure([recipe], || info!(k = 1));
    assert_eq!(measured.value("n", &[("k", "default")]), Some(1.0));
}

#[test]
fn something_is_measured_where_all_conditions_hold() {
    let recipe = || {
        let feed = |metric: &'static str| Feed::new().measure(Measure::happened(metric));
        Recipe::new()
            .feed(feed("present").when(Condition::present("text")))
            .feed(feed("absent").when(Condition::absent("text")))
            .feed(feed("equal").when(Condition::equals("text", "a")))
            .feed(feed("one_of").when(Condition::one_of("number", [1, 3])))
            .feed(feed("high").when(Condition::at_least("number", 2.0)))
            .feed(feed("low").when(Condition::below("number", 2.0)))
            .feed(
                feed("between")
                    .when(Condition::at_least("number", 1.0))
                    .when(Condition::below("number", 3.0)),
            )
            .feed(feed("other_field_absent").when(Condition::absent("nowhere")))
    };
    let event = |text: Option<&str>, number: i64| info!(text, number);
    let measured = measure([recipe], || {
        event(Some("a"), 1);
        event(Some("b"), 2);
        event(None, 3);
        info!(text = %"a", number = 3.0);
        info!(text = ?"a", number = 1_u64);
    });
    let counted = |metric| measured.value(metric, &[]);
    assert_eq!(counted("present"), Some(4.0));
    assert_eq!(counted("absent"), Some(1.0));
    assert_eq!(counted("equal"), Some(2.0), "`?` quotes a text");
    assert_eq!(counted("one_of"), Some(3.0), "3.0 is no integer");
    assert_eq!(counted("high"), Some(3.0));
    assert_eq!(counted("low"), Some(2.0));
    assert_eq!(counted("between"), Some(3.0));
    assert_eq!(counted("other_field_absent"), Some(5.0));
}

#[test]
fn a_condition_is_asked_when_a_measure_is_due() {
    let recipe = || {
        let failed = Feed::new()
            .when(Condition::at_least("status", 500.0))
            .without_outcome();
        let failed = failed
            .measure(Measure::closed("failed"))
            .measure(Measure::in_flight("failing"));
        let all = Feed::new()
            .without_outcome()
            .measure(Measure::closed("all"));
        Recipe::new().feed(failed).feed(all)
    };
    let measured = measure([recipe], || {
        for status in [200, 500, 503, 404] {
            let span = info_span!("request", status = Empty);
            span.record("status", status);
        }
    });
    assert_eq!(measured.value("all", &[]), Some(4.0));
    assert_eq!(measured.value("failed", &[]), Some(2.0));
    assert_eq!(
        measured.value("failing", &[]),
        None,
        "no status was there at any opening"
    );
}

#[test]
fn what_a_condition_asks_for_is_no_label_and_makes_no_series() {
    let recipe = || {
        let feed = Feed::new().when(Condition::at_least("id", 10.0));
        feed.measure(Measure::happened("n")).into()
    };
    let measured = measure([recipe], || (0..1_000).for_each(|id: i64| info!(id)));
    assert_eq!(measured.value("n", &[]), Some(990.0));
    assert_eq!(keys(&measured, "n"), [""; 0]);
}

#[test]
fn the_outcome_stands_under_a_key_and_in_texts_of_choice_or_nowhere() {
    let recipe = || {
        let result = OutcomeRule::new("result")
            .ok("completed")
            .error("error")
            .panic("error");
        let some = OutcomeRule::new("failed").error("yes");
        Recipe::new()
            .feed(
                Feed::new()
                    .measure(Measure::closed("chosen"))
                    .outcome(result),
            )
            .feed(Feed::new().measure(Measure::closed("some")).outcome(some))
            .feed(
                Feed::new()
                    .measure(Measure::closed("none"))
                    .without_outcome(),
            )
            .feed(Feed::new().measure(Measure::closed("default")))
    };
    let measured = measure([recipe], || {
        drop(info_span!("s", error = Empty));
        info_span!("s", error = Empty).record("error", "it failed");
        let panics = || {
            let _span = info_span!("s").entered();
            panic!("as expected");
        };
        assert!(std::panic::catch_unwind(panics).is_err());
    });
    assert_eq!(
        measured.value("chosen", &[("result", "completed")]),
        Some(1.0)
    );
    assert_eq!(measured.value("chosen", &[("result", "error")]), Some(2.0));
    assert_eq!(measured.value("some", &[("failed", "yes")]), Some(1.0));
    assert_eq!(measured.value("some", &[]), Some(2.0));
    assert_eq!(measured.value("none", &[]), Some(3.0));
    for outcome in ["ok", "error", "panic"] {
        assert_eq!(
            measured.value("default", &[("outcome", outcome)]),
            Some(1.0)
        );
    }
}

#[test]
fn a_span_that_failed_has_the_label_of_failures() {
    let recipe = || {
        let rule = LabelRule::new("error.type")
            .field("error.type")
            .failure("_OTHER");
        let feed = Feed::new().without_outcome().label_rule(rule.optional());
        feed.measure(Measure::duration("d"))
            .measure(Measure::in_flight("f"))
            .into()
    };
    let measured = measure([recipe], || {
        drop(info_span!("s", error.type = Empty, otel.status_code = Empty));
        info_span!("s", error.type = Empty).record("error.type", "timeout");
        info_span!("s", otel.status_code = Empty).record("otel.status_code", "ERROR");
    });
    assert_eq!(measured.snapshot.samples("d", &[]).len(), 1);
    assert_eq!(
        measured
            .snapshot
            .samples("d", &[("error.type", "timeout")])
            .len(),
        1
    );
    assert_eq!(
        measured
            .snapshot
            .samples("d", &[("error.type", "_OTHER")])
            .len(),
        1
    );
    assert_eq!(measured.value("f", &[]), Some(0.0));
}

#[test]
fn a_field_is_measured_at_the_close_with_the_final_labels() {
    let recipe = || {
        let feed = Feed::new().label("status", "status").without_outcome();
        feed.measure(Measure::field_at_close(Kind::Histogram, "size", "size").unit("By"))
            .measure(Measure::field_at_close(Kind::Counter, "messages", "count").or(1.0))
            .into()
    };
    let measured = measure([recipe], || {
        let span = info_span!("s", status = Empty, size = 5, count = Empty);
        span.record("size", 7);
        span.record("status", 200);
        drop(span);
        let span = info_span!("s", status = Empty, size = Empty, count = Empty);
        span.record("count", 3);
        span.record("status", 500);
        drop(span);
    });
    assert_eq!(
        measured.snapshot.samples("size", &[("status", "200")]),
        [7.0]
    );
    assert!(
        measured
            .snapshot
            .samples("size", &[("status", "500")])
            .is_empty()
    );
    assert_eq!(measured.value("messages", &[("status", "200")]), Some(1.0));
    assert_eq!(measured.value("messages", &[("status", "500")]), Some(3.0));
}

#[test]
fn a_number_may_be_scaled_and_read_from_text() {
    let recipe = || {
        let histogram = |metric: &'static str, field: &'static str| {
            Measure::field(Kind::Histogram, metric, field)
        };
        Feed::new()
            .measure(histogram("scaled", "ms").scale(0.001))
            .measure(
                histogram("number", "text")
                    .parse(TextValue::Number)
                    .scale(2.0),
            )
            .measure(histogram("duration", "took").parse(TextValue::Duration))
            .measure(histogram("strict", "text"))
            .into()
    };
    let measured = measure([recipe], || {
        let event = |ms: i64, text, took: &dyn std::fmt::Debug| info!(ms, text, took = ?took);
        event(1500, "2.5", &Duration::from_micros(1500));
        event(-250, "x", &format_args!("20 s"));
    });
    assert_eq!(measured.snapshot.samples("scaled", &[]), [1.5, -0.25]);
    assert_eq!(measured.snapshot.samples("number", &[]), [5.0]);
    assert_eq!(measured.snapshot.samples("duration", &[]), [0.0015, 20.0]);
    assert_eq!(
        measured.problems(),
        ["not_a_number number 1", "not_a_number strict 2"]
    );
}

#[test]
fn names_may_be_owned() {
    let recipe = || {
        let (metric, key) = (["ow", "ned"].concat(), ["ke", "y"].concat());
        let measure = Measure::happened(metric)
            .unit("{it}".to_owned())
            .help("Owned.".to_owned());
        Feed::new()
            .measure(measure)
            .label("field".to_owned(), key)
            .into()
    };
    let measured = measure([recipe], || info!(field = 1));
    assert_eq!(measured.value("owned", &[("key", "1")]), Some(1.0));
    let catalog = measured.handle.catalog();
    let entry = catalog
        .iter()
        .find(|entry| entry.name() == "owned")
        .unwrap();
    assert_eq!(entry.unit(), Some("{it}"));
    assert_eq!(entry.description(), Some("Owned."));
}

#[test]
fn a_recipe_that_names_a_missing_field_is_listed_with_file_and_line() {
    let recipe = || {
        let feed = Feed::new()
            .measure(Measure::happened("n"))
            .label("no_label", "l");
        let optional = LabelRule::new("o").field("not_here_either").optional();
        Recipe::new()
            .feed(feed.label_rule(optional))
            .feed(Feed::new().measure(Measure::field(Kind::Gauge, "g", "no_value")))
            .feed(
                Feed::new()
                    .measure(Measure::happened("m"))
                    .when(Condition::present("no_test")),
            )
    };
    let measured = measure([recipe], || info!("happened"));
    assert_eq!(measured.value("n", &[]), Some(1.0));
    assert_eq!(measured.value("m", &[]), None);
    assert_eq!(
        details(&measured),
        [
            "`a closure` measures the field `no_value`, which is not here",
            "`a closure` asks for the field `no_test`, which is not here",
            "`a closure` labels with the field `no_label`, which is not here",
        ]
    );
    assert!(
        measured
            .handle
            .problems()
            .iter()
            .all(|it| it.location().line().is_some())
    );
}

#[test]
fn inherited_labels_reach_every_feed_that_does_not_refuse_them() {
    let recipe = || {
        let feed = |metric: &'static str| Feed::new().measure(Measure::happened(metric));
        Recipe::new()
            .feed(feed("open"))
            .feed(feed("exact").exactly())
            .feed(feed("own").constant("tenant", "own"))
    };
    let convention = move |callsite: &Metadata<'static>| callsite.is_event().then(recipe);
    let with = |builder: tracing_meter::MeterLayerBuilder| {
        builder.convention(convention).inherited_labels(["tenant"])
    };
    let measured = measure_with(with, || {
        let _span = info_span!("request", tenant = "acme").entered();
        info!("happened");
    });
    assert_eq!(measured.value("open", &[("tenant", "acme")]), Some(1.0));
    assert_eq!(measured.value("exact", &[]), Some(1.0));
    assert_eq!(measured.value("own", &[("tenant", "own")]), Some(1.0));
}

#[test]
fn the_own_label_of_one_feed_hides_no_inherited_one_from_another() {
    let recipe = || {
        let feed = |metric: &'static str| Feed::new().measure(Measure::happened(metric));
        Recipe::new()
            .feed(feed("own").label("mine", "tenant"))
            .feed(feed("inherits"))
    };
    let convention = move |callsite: &Metadata<'static>| callsite.is_event().then(recipe);
    let with = |builder: tracing_meter::MeterLayerBuilder| {
        builder.convention(convention).inherited_labels(["tenant"])
    };
    let measured = measure_with(with, || {
        let _span = info_span!("request", tenant = "acme").entered();
        info!(mine = "event");
    });
    assert_eq!(measured.value("own", &[("tenant", "event")]), Some(1.0));
    assert_eq!(measured.value("inherits", &[("tenant", "acme")]), Some(1.0));
}

/// Renames what others measure, and drops some of it.
struct Amends;

impl Convention for Amends {
    fn recognise(&self, _: &Metadata<'static>) -> Option<Recipe> {
        None
    }

    fn amend(&self, callsite: &Metadata<'static>, recipe: Recipe) -> Recipe {
        if callsite.name() != "amended" {
            return recipe;
        }
        recipe
            .retain_measures(|metric| metric != "dropped")
            .rename_metrics(|metric| {
                metric
                    .strip_prefix("old.")
                    .map(|rest| format!("new.{rest}"))
            })
    }
}

#[test]
fn a_convention_may_amend_what_another_one_says() {
    let measured = measure_with(
        |builder| builder.convention(Amends),
        || {
            drop(info_span!(
                "amended",
                calls.dropped = Empty,
                calls.old.jobs = Empty
            ));
            drop(info_span!("other", calls.old.jobs = Empty));
        },
    );
    assert_eq!(measured.value("dropped", &[("outcome", "ok")]), None);
    assert_eq!(measured.value("new.jobs", &[("outcome", "ok")]), Some(1.0));
    assert_eq!(measured.value("old.jobs", &[("outcome", "ok")]), Some(1.0));
}

#[test]
fn without_a_convention_nothing_is_measured_by_its_meaning() {
    let measured = measure([], || {
        info!(target: "sqlx::query", elapsed_secs = 0.1, "summary");
        drop(info_span!(
            "s",
            otel.kind = "server",
            http.request.method = "GET"
        ));
        drop(info_span!("s", db.system.name = "sqlite"));
    });
    let catalog = measured.handle.catalog();
    let others = catalog
        .iter()
        .filter(|it| !it.name().starts_with("tracing_meter."));
    assert_eq!(others.count(), 0);
}

#[test]
fn what_a_map_refuses_is_no_label_although_its_key_is_inherited() {
    let recipe = || {
        let vip = |user: &LabelValue| (*user == "vip".into()).then(|| user.clone());
        let rule = LabelRule::new("user").map("user", vip);
        Feed::new()
            .label_rule(rule)
            .measure(Measure::opened("n"))
            .into()
    };
    let convention = move |it: &Metadata<'static>| it.fields().field("user").map(|_| recipe());
    let measured = measure_with(
        |builder| builder.convention(convention).inherited_labels(["user"]),
        || {
            drop(info_span!("s", user = "vip"));
            drop(info_span!("s", user = "secret"));
        },
    );
    assert_eq!(measured.value("n", &[("user", "vip")]), Some(1.0));
    assert_eq!(measured.value("n", &[]), Some(1.0));
}

#[test]
fn a_convention_that_panics_is_listed_and_the_others_measure() {
    let panics = |it: &Metadata<'static>| -> Option<Recipe> {
        assert!(it.fields().field("bad").is_none(), "a convention panics");
        None
    };
    let measured = measure_with(
        |builder| builder.convention(panics),
        || (0..3).for_each(|_| info!(monotonic_counter.n = 1, bad = true)),
    );
    assert_eq!(measured.value("n", &[("bad", "true")]), Some(3.0));
    assert_eq!(measured.problems(), ["convention_panicked a closure 0"]);
    assert!(measured.handle.problems()[0].location().line().is_some());
}

#[test]
fn an_integer_passes_a_condition_in_any_of_its_types() {
    let recipe = || {
        let feed = Feed::new().when(Condition::equals("n", 5));
        feed.measure(Measure::happened("equal")).into()
    };
    let measured = measure([recipe], || {
        info!(n = 5_u8);
        info!(n = 5_i64);
        info!(n = 5_u128);
        info!(n = 5_i128);
        info!(n = %5);
    });
    assert_eq!(measured.value("equal", &[]), Some(4.0), "text is no number");
}
