//! Rules: which callsites they select, what is measured there and how it is labelled, and
//! what they change of other conventions.

use tracing::field::Empty;
use tracing::{Level, debug, error, event, info, info_span, trace, warn};
use tracing_meter::{
    Condition, Convention as _, Kind, LabelValue, Measure, MemorySink, MeterLayerBuilder,
    OutcomeRule, Reconfiguration, Rule, RuleLabel, Rules, TextValue, ValueUnit,
};

use tracing_subscriber::layer::SubscriberExt as _;

mod support;

use support::{Measured, measure_with};

fn rules(rules: impl IntoIterator<Item = Rule>) -> Rules {
    let rules = rules.into_iter();
    rules.fold(Rules::new(), |all, rule| {
        all.rule(rule).expect("the rule is valid")
    })
}

fn by(rule: Rule, code: impl FnOnce()) -> Measured {
    let with_rule = |builder: MeterLayerBuilder| builder.convention(rules([rule]));
    measure_with(with_rule, code)
}

fn counted(rule: Rule) -> Rule {
    rule.measure(Measure::happened("seen"))
}

#[test]
fn a_rule_selects_by_target_level_name_and_fields() {
    let emit = || {
        event!(target: "shop", Level::INFO, item = 1, "bought");
        event!(target: "shop::cart", Level::DEBUG, item = 1, "put in");
        event!(target: "shopping", Level::INFO, item = 1, "went");
        event!(target: "shop", Level::WARN, "none left");
        event!(name: "restocked", target: "shop", Level::INFO, "again");
        info_span!(target: "shop", "visit", item = 1).in_scope(|| ());
    };
    let seen = |rule: Rule| by(counted(rule), emit).value("seen", &[]);

    assert_eq!(seen(Rule::events("all").target("shop")), Some(4.0));
    assert_eq!(seen(Rule::events("a crate's").target("shop::")), Some(4.0));
    assert_eq!(
        seen(Rule::events("a module's").target("shop::cart")),
        Some(1.0)
    );
    assert_eq!(
        seen(Rule::events("info").target("shop").up_to(Level::INFO)),
        Some(3.0)
    );
    assert_eq!(
        seen(Rule::events("warn").target("shop").up_to(Level::WARN)),
        Some(1.0)
    );
    assert_eq!(seen(Rule::events("named").named("restocked")), Some(1.0));
    assert_eq!(
        seen(Rule::events("fields").target("shop").with_field("item")),
        Some(2.0)
    );
    assert_eq!(
        seen(Rule::events("no field").target("shop").with_field("size")),
        None
    );
    let visits = Rule::spans("visits").target("shop").named("visit");
    let visits = by(visits.measure(Measure::opened("visits")), emit);
    assert_eq!(visits.value("visits", &[]), Some(1.0));
}

#[test]
fn conditions_are_asked_of_each_value() {
    let seen = |condition: Condition| {
        let rule = counted(Rule::events("statuses").target("api").when(condition));
        let measured = by(rule, || {
            info!(target: "api", status = 200, route = "/a", "answered");
            info!(target: "api", status = 404, route = "/b", "answered");
            info!(target: "api", status = 503, route = "/c", "answered");
            info!(target: "api", "no fields");
        });
        assert!(measured.problems().is_empty(), "{:?}", measured.problems());
        measured.value("seen", &[])
    };

    assert_eq!(seen(Condition::equals("status", 404)), Some(1.0));
    assert_eq!(
        seen(Condition::one_of("route", ["/a", "/c", "/d"])),
        Some(2.0)
    );
    assert_eq!(seen(Condition::at_least("status", 404.0)), Some(2.0));
    assert_eq!(seen(Condition::below("status", 404.0)), Some(1.0));
    assert_eq!(seen(Condition::present("status")), Some(3.0));
    assert_eq!(seen(Condition::absent("status")), Some(1.0));
}

#[test]
fn numbers_are_measured_in_seconds_and_bytes() {
    use ValueUnit::{
        Bytes, Kibibytes, Mebibytes, Microseconds, Milliseconds, Nanoseconds, Seconds,
    };
    for (unit, measured_in, expected) in [
        (Seconds, "s", 3.0),
        (Milliseconds, "s", 0.003),
        (Microseconds, "s", 0.000_003),
        (Nanoseconds, "s", 0.000_000_003),
        (Bytes, "By", 3.0),
        (Kibibytes, "By", 3072.0),
        (Mebibytes, "By", 3_145_728.0),
    ] {
        let amount = Measure::field(Kind::Histogram, "amount", "amount").written_in(unit);
        let rule = Rule::events("amounts").target("t").measure(amount);
        let measured = by(rule, || info!(target: "t", amount = 3, "measured"));

        let samples = measured.snapshot.samples("amount", &[]);
        assert_eq!(samples.len(), 1);
        assert!(
            (samples[0] / expected - 1.0).abs() < 1e-12,
            "{unit:?} {samples:?}"
        );
        let instrument = measured.snapshot.instrument("amount").unwrap();
        assert_eq!(instrument.unit(), Some(measured_in), "{unit:?}");
    }
}

#[test]
fn texts_are_numbers_and_durations_where_a_rule_asks() {
    let text = |text, scale| {
        let wait = Measure::field(Kind::Histogram, "wait", "wait")
            .parse(text)
            .scale(scale);
        Rule::events("waits").target("t").measure(wait)
    };
    let duration = by(text(TextValue::Duration, 1.0), || {
        info!(target: "t", wait = ?std::time::Duration::from_micros(1500), "waited");
        info!(target: "t", wait = "2s", "waited");
    });
    assert_eq!(duration.snapshot.samples("wait", &[]), [0.0015, 2.0]);

    let number = by(text(TextValue::Number, 10.0), || {
        info!(target: "t", wait = "1.5", "waited");
        info!(target: "t", wait = "a while", "waited");
    });
    assert_eq!(number.snapshot.samples("wait", &[]), [15.0]);
    assert_eq!(number.problems(), ["not_a_number wait 1"]);
}

#[test]
fn the_life_of_a_span_is_measured() {
    let rule = Rule::spans("jobs")
        .target("jobs")
        .named("job")
        .measure(Measure::opened("jobs.started"))
        .measure(Measure::closed("jobs.done"))
        .measure(Measure::in_flight("jobs.open"))
        .measure(Measure::duration("jobs.duration"))
        .label("queue", "job.queue")
        .outcome(
            OutcomeRule::new("result")
                .ok("done")
                .error("failed")
                .panic("failed"),
        );
    let started = std::time::Instant::now();
    let measured = by(rule, || {
        info_span!(target: "jobs", "job", queue = "low").in_scope(|| ());
        info_span!(target: "jobs", "job", queue = "low", error = "no").in_scope(|| ());
        info_span!(target: "jobs", "other", queue = "low").in_scope(|| ());
    });
    let at_most = started.elapsed().as_secs_f64();

    let queue = ("job.queue", "low");
    assert_eq!(measured.value("jobs.started", &[queue]), Some(2.0));
    assert_eq!(measured.value("jobs.open", &[queue]), Some(0.0));
    for result in ["done", "failed"] {
        let labels = [queue, ("result", result)];
        assert_eq!(measured.value("jobs.done", &labels), Some(1.0), "{result}");
        let duration = measured.snapshot.samples("jobs.duration", &labels);
        assert!(
            matches!(duration, [it] if (0.0..at_most).contains(it)),
            "{duration:?}"
        );
    }
}

#[test]
fn labels_are_renamed_mapped_and_defaulted() {
    let rule = Rule::events("answers")
        .target("api")
        .measure(Measure::happened("answers"))
        .label("route", "http.route")
        .label_rule(
            RuleLabel::new("class")
                .field("status")
                .map("200..=299", "2xx")
                .map("404", "missing")
                .default("other"),
        )
        .label_rule(RuleLabel::new("error").field("status").map("400..", "e{}"))
        .label_rule(RuleLabel::new("port").field("port").integer())
        .label_rule(RuleLabel::new("tenant").field("tenant").optional())
        .constant("service", "shop")
        .constant("shard", 7);
    let measured = by(rule, || {
        for status in [200, 299, 404, 500] {
            info!(target: "api", status, route = "/a", port = "80", secret = "x", "answered");
        }
    });

    let expected = |class: &str, error: Option<&str>| {
        let mut labels = vec![("class", LabelValue::from(class))];
        labels.extend(error.map(|error| ("error", LabelValue::from(error))));
        labels.push(("http.route", "/a".into()));
        labels.push(("port", 80.into()));
        labels.push(("service", "shop".into()));
        labels.push(("shard", 7.into()));
        labels
    };
    let mut sets: Vec<Vec<(&str, LabelValue)>> = measured
        .snapshot
        .label_sets("answers")
        .map(|labels| {
            labels
                .iter()
                .map(|it| (it.key(), it.value().clone()))
                .collect()
        })
        .collect();
    sets.sort_by_key(|labels| format!("{labels:?}"));
    assert_eq!(
        sets,
        [
            expected("2xx", None),
            expected("missing", Some("e404")),
            expected("other", Some("e500")),
        ]
    );
    assert!(measured.problems().is_empty(), "{:?}", measured.problems());
}

#[test]
fn of_two_labels_with_one_key_the_first_that_has_a_value_counts() {
    let rule = Rule::spans("calls")
        .target("rpc")
        .measure(Measure::closed("calls"))
        .label_rule(RuleLabel::new("error.type").field("code").map("1..", "{}"))
        .label_rule(RuleLabel::new("error.type").failure("_OTHER"))
        .without_outcome();
    let measured = by(rule, || {
        let call = || info_span!(target: "rpc", "call", code = Empty, error = Empty);
        call().record("code", 0);
        call().record("code", 5);
        call().record("error", "broken");
        let both = call();
        both.record("error", "broken");
        both.record("code", 5);
    });

    assert!(measured.problems().is_empty(), "{:?}", measured.problems());
    assert_eq!(measured.value("calls", &[]), Some(1.0));
    assert_eq!(measured.value("calls", &[("error.type", "5")]), Some(2.0));
    assert_eq!(
        measured.value("calls", &[("error.type", "_OTHER")]),
        Some(1.0)
    );
}

#[test]
fn two_rules_of_one_callsite_share_no_labels() {
    let both = rules([
        Rule::events("sizes")
            .target("t")
            .measure(Measure::field(Kind::Histogram, "size", "size"))
            .label("kind", "kind"),
        counted(Rule::events("events").target("t")).label("size", "size"),
    ]);
    let measured = measure_with(
        |builder| builder.convention(both),
        || info!(target: "t", size = 3, kind = "a", "came"),
    );
    assert_eq!(measured.value("size", &[("kind", "a")]), Some(3.0));
    assert_eq!(measured.value("seen", &[("size", "3")]), Some(1.0));
}

#[test]
fn a_field_that_a_selected_callsite_lacks_is_listed() {
    let rule = Rule::events("sizes").target("t");
    let rule = rule.measure(Measure::field(Kind::Histogram, "size", "size"));
    let measured = by(rule, || info!(target: "t", siez = 3, "came"));

    let problems = measured.handle.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].reason(), tracing_meter::Reason::MissingField);
    assert_eq!(problems[0].location().file(), Some(file!()));
}

#[test]
fn what_other_conventions_measure_is_dropped_kept_and_renamed() {
    let emit = || {
        event!(target: "pool", Level::INFO, gauge.pool.size = 3, counter.pool.waiting = 1, monotonic_counter.made = 1);
        event!(target: "other", Level::INFO, gauge.pool.size = 5);
    };
    let dropped = by(Rule::callsites("d").target("pool").drop("pool.*"), emit);
    assert_eq!(dropped.value("pool.size", &[]), Some(5.0));
    assert_eq!(dropped.value("pool.waiting", &[]), None);
    assert_eq!(dropped.value("made", &[]), Some(1.0));

    let kept = by(
        Rule::events("k")
            .target("pool")
            .keep("made")
            .keep("pool.size"),
        emit,
    );
    assert_eq!(kept.value("pool.size", &[]), Some(5.0));
    assert_eq!(kept.value("pool.waiting", &[]), None);
    assert_eq!(kept.value("made", &[]), Some(1.0));

    let renamed = Rule::events("r")
        .target("pool")
        .rename("pool.*", "db.pool.*");
    let renamed = by(renamed.rename("made", "db.made"), emit);
    assert_eq!(renamed.value("db.pool.size", &[]), Some(3.0));
    assert_eq!(renamed.value("db.pool.waiting", &[]), Some(1.0));
    assert_eq!(renamed.value("db.made", &[]), Some(1.0));
    assert_eq!(renamed.value("pool.size", &[]), Some(5.0));
}

#[test]
fn what_is_measured_behind_a_question_is_emitted() {
    let asking = || {
        if tracing::enabled!(target: "sql", Level::DEBUG) {
            debug!(target: "sql", rows = 2, "executed");
        }
        if tracing::event_enabled!(target: "sql", Level::DEBUG) {
            debug!(target: "sql", rows = 2, "executed");
        }
        // What no rule measures stays off.
        assert!(!tracing::enabled!(target: "sql", Level::TRACE));
        assert!(!tracing::enabled!(target: "other", Level::DEBUG));
        assert!(!tracing::span_enabled!(target: "sql", Level::DEBUG));
    };
    let rule = Rule::events("statements")
        .target("sql")
        .up_to(Level::DEBUG)
        .with_field("rows");
    let rows = Measure::field(Kind::Counter, "rows", "rows");
    let measured = by(rule.measure(rows), asking);
    assert_eq!(measured.value("rows", &[]), Some(4.0));
    assert!(measured.problems().is_empty(), "{:?}", measured.problems());
}

#[test]
fn no_other_callsite_becomes_enabled() {
    let rule = Rule::events("statements")
        .target("sql")
        .up_to(Level::INFO)
        .with_field("rows");
    let measured = by(counted(rule), || {
        error!(target: "sql", rows = 1, "counted");
        let refused = |what: &str| -> &str { panic!("{what} is evaluated") };
        error!(target: "sql", other = refused("another field"), "not counted");
        debug!(target: "sql", rows = refused("another level"), "not counted");
        warn!(target: "sqlite", rows = refused("another target"), "not counted");
        trace!(rows = refused("another target"), "not counted");
    });
    assert_eq!(measured.value("seen", &[]), Some(1.0));
}

#[test]
fn a_rule_changes_what_the_rules_before_it_measure() {
    let rules = rules([
        Rule::events("sizes")
            .target("t")
            .measure(Measure::field(Kind::Histogram, "t.size", "size"))
            .measure(Measure::field(Kind::Gauge, "t.last", "size")),
        Rule::events("names")
            .target("t")
            .rename("t.*", "pool.*")
            .drop("t.last"),
        counted(Rule::events("events").target("t")).label("size", "pool.size"),
    ]);
    let measured = measure_with(
        |builder| builder.convention(rules),
        || info!(target: "t", size = 3, "came"),
    );
    assert_eq!(measured.value("pool.size", &[]), Some(3.0));
    assert_eq!(measured.value("pool.last", &[]), None);
    assert_eq!(measured.value("seen", &[("pool.size", "3")]), Some(1.0));
}

#[test]
fn rules_are_changed_while_they_measure() {
    let with = |level: Level| rules([counted(Rule::events("events").target("t").up_to(level))]);
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    let layer = builder.convention(with(Level::INFO)).build().unwrap();
    let handle = layer.handle();
    support::under(tracing_subscriber::registry().with(layer), || {
        for level in [Level::INFO, Level::DEBUG, Level::DEBUG, Level::ERROR] {
            let new = Reconfiguration::new().convention(with(level));
            handle.reconfigure(new).unwrap();
            info!(target: "t", "came");
            debug!(target: "t", "came");
        }
    });
    assert_eq!(memory.snapshot().value("seen", &[]), Some(5.0));
    assert!(handle.problems().is_empty());
}

#[test]
fn rules_are_equal_if_they_say_the_same() {
    let one = || counted(Rule::events("one").target("t"));
    let two = || counted(Rule::events("two").target("t")).constant("n", 2);
    assert_eq!(rules([one(), two()]), rules([one(), two()]));
    assert_ne!(rules([one(), two()]), rules([two(), one()]));
    assert_ne!(rules([one()]), rules([one().up_to(Level::INFO)]));
    assert_eq!(Rules::shipped(), Rules::shipped());
    assert!(rules([one()]).is_same(&rules([one()])));
    assert!(!rules([one()]).is_same(&rules([two()])));
}

#[test]
fn a_rule_that_is_not_valid_is_refused_with_its_name_and_the_reason() {
    let field = |metric: &'static str| Measure::field(Kind::Counter, metric, "n");
    let events = || Rule::events("r");
    for (rule, why) in [
        (
            counted(Rule::events("")),
            "invalid rule ``: its name is empty",
        ),
        (events(), "it measures nothing, and changes nothing"),
        (
            events().label("a", "a").drop("b"),
            "it has labels or conditions, but measures nothing",
        ),
        (
            counted(events().target("a b")),
            "the target `a b`: it holds a blank or a control character",
        ),
        (
            events().measure(field("9a")),
            "the metric `9a`: it does not start with an ASCII letter",
        ),
        (
            events().measure(field("a").unit("a b")),
            "the metric `a`: the unit `a b`: it holds something else than printable ASCII characters without blanks",
        ),
        (
            events().measure(field("a").scale(0.0)),
            "the metric `a`: the scale is no number above 0",
        ),
        (
            events().measure(field("a").scale(f64::NAN)),
            "the metric `a`: the scale is no number above 0",
        ),
        (
            events().measure(Measure::duration("a")),
            "the metric `a`: only spans are measured so",
        ),
        (
            counted(Rule::spans("r")),
            "the metric `seen`: only events are counted so",
        ),
        (
            counted(Rule::callsites("r")),
            "the metric `seen`: only events are counted so",
        ),
        (
            counted(counted(events())),
            "the metric `seen`: the rule measures it twice",
        ),
        (
            counted(events()).label("a", ""),
            "the label ``: the key is empty",
        ),
        (
            counted(events()).label("a", "le"),
            "the label `le`: Prometheus reserves the key",
        ),
        (
            counted(events()).label_rule(RuleLabel::new("a")),
            "the label `a`: it has no field and no value",
        ),
        (
            counted(events()).label_rule(RuleLabel::new("a").map("b", "c").default("d")),
            "the label `a`: there is no field to read",
        ),
        (
            counted(events()).label_rule(RuleLabel::new("a").field("b").map("2..1", "c")),
            "the label `a`: the range `2..1` has no number",
        ),
        (
            events().drop("a b"),
            "the metric `a b`: it holds something else than ASCII letters, digits, `_`, `.`, `-` and `/`",
        ),
        (
            events().rename("a.*", "b"),
            "`a.*` may be several metrics, which cannot all be `b`",
        ),
        (
            events()
                .drop("a")
                .when(Condition::present("b"))
                .measure(field("c")),
            "what others measure is changed for a callsite, whatever its values: a rule that drops, keeps or renames has no conditions",
        ),
    ] {
        let error = Rules::new().rule(rule).expect_err(why);
        assert!(error.is_rule(), "{error}");
        let text = error.to_string();
        assert!(text.ends_with(why), "{text}");
        assert!(text.starts_with("invalid rule `"), "{text}");
    }
}

#[test]
fn durations_have_one_unit() {
    let text = Measure::field(Kind::Histogram, "a", "b").parse(TextValue::Duration);
    for (measure, why) in [
        (Measure::duration("a").unit("ms"), "durations are in `s`"),
        (
            text.clone().unit("ms"),
            "a text that is a duration is measured in `s`",
        ),
        (
            text.scale(0.001),
            "a text that is a duration is measured in `s`",
        ),
    ] {
        let rule = Rule::spans("rule").measure(measure);
        let error = Rules::new().rule(rule).expect_err(why);
        assert!(error.to_string().ends_with(why), "{error}");
    }
}

#[test]
fn rules_of_one_list_agree_on_names_and_instruments() {
    let field = |metric: &'static str| Measure::field(Kind::Counter, metric, "n");
    let events = || Rule::events("r");
    let other = Rule::events("other").measure(Measure::field(Kind::Gauge, "a", "n"));
    let both = Rules::new()
        .rule(events().measure(field("a")))
        .unwrap()
        .rule(other);
    assert_eq!(
        both.unwrap_err().to_string(),
        "invalid rule `other`: the metric `a` is a gauge, but a counter in the rule `r`",
    );
    let same_name = rules([counted(events())]).rule(counted(events()));
    assert_eq!(
        same_name.unwrap_err().to_string(),
        "invalid rule `r`: there is another rule of this name",
    );
}
