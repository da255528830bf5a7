//! The measured program: its events and spans, and what has to arrive of each.

use std::time::Duration;

use metrics::{counter, histogram};
use tracing::field::Empty;
use tracing::{Span, debug, debug_span, info, info_span};

use crate::run::harness::Stopwatch;

pub(crate) mod requests;

/// What a program does over and over.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// Gets the number of the repetition.
    pub(crate) run: fn(u64),
    /// How many series it has.
    pub(crate) series: u64,
    /// How often it is done before it is measured.
    pub(crate) warm_up: u64,
    /// It is done once on each series, and then not for so long.
    pub(crate) gap: Option<Duration>,
    pub(crate) threads: u64,
    /// The span that it is done in.
    pub(crate) inside: fn() -> Span,
    pub(crate) arrives: &'static [(&'static str, Arrives)],
}

/// What there must be in the end, so that nobody is fast who measures nothing.
#[derive(Clone, Copy)]
pub(crate) enum Arrives {
    /// One measurement of each operation.
    EachTime,
    /// The same, in series with so many labels.
    EachTimeWith(usize),
    /// One measurement of each operation, in a series that no other one has.
    EachTimeAnew,
    /// One measurement of each operation but the first.
    AllButFirst,
    /// The last measurement.
    Last,
    /// As much as was added was taken away.
    Back,
}

impl Operation {
    const fn new(run: fn(u64), arrives: &'static [(&'static str, Arrives)]) -> Self {
        Self {
            run,
            series: 1,
            warm_up: 2_000,
            gap: None,
            threads: 1,
            inside: Span::none,
            arrives,
        }
    }

    /// Repeats it on this thread.
    pub(crate) fn repeat(&self, watch: &mut Stopwatch) {
        match self.gap {
            Some(gap) => watch.repeat_after(gap, self.series, self.warm_up, self.run),
            None => watch.repeat(self.warm_up, self.run),
        }
    }
}

const COUNTS: &[(&str, Arrives)] = &[("uploads", Arrives::EachTime)];

pub(crate) const COUNTER_0: Operation =
    Operation::new(|_| info!(monotonic_counter.uploads = 1_u64), COUNTS);

pub(crate) const COUNTER_2: Operation = Operation::new(
    |_| {
        info!(
            monotonic_counter.uploads = 1_u64,
            region = "eu",
            kind = "image"
        );
    },
    COUNTS,
);

pub(crate) const COUNTER_5: Operation = Operation::new(
    |_| {
        info!(
            monotonic_counter.uploads = 1_u64,
            region = "eu",
            kind = "image",
            cached = true,
            attempt = 3,
            owner = %"me",
        );
    },
    COUNTS,
);

pub(crate) const INTEGERS_2: Operation = Operation::new(
    |_| info!(monotonic_counter.uploads = 1_u64, shard = 7, attempt = 3),
    COUNTS,
);

pub(crate) const BOOLS_2: Operation = Operation::new(
    |_| {
        info!(
            monotonic_counter.uploads = 1_u64,
            cached = true,
            late = false
        );
    },
    COUNTS,
);

pub(crate) const DISPLAYS_2: Operation = Operation::new(
    |_| info!(monotonic_counter.uploads = 1_u64, region = %"eu", kind = %"image"),
    COUNTS,
);

pub(crate) const HISTOGRAM_2: Operation = Operation::new(
    |_| info!(histogram.sizes = 17_u64, region = "eu", kind = "image"),
    &[("sizes", Arrives::EachTime)],
);

pub(crate) const GAUGE_2: Operation = Operation::new(
    |_| info!(gauge.free = 12.5, region = "eu", kind = "image"),
    &[("free", Arrives::Last)],
);

pub(crate) const THREE: Operation = Operation::new(
    |_| {
        info!(
            monotonic_counter.uploads = 1_u64,
            histogram.sizes = 17_u64,
            gauge.free = 12_u64,
            region = "eu",
            kind = "image"
        );
    },
    &[
        ("uploads", Arrives::EachTime),
        ("sizes", Arrives::EachTime),
        ("free", Arrives::Last),
    ],
);

pub(crate) const ROTATING_64: Operation = Operation {
    series: 64,
    warm_up: 65_000,
    ..Operation::new(|n| count_by_id(n % 64), COUNTS)
};

/// Longer than what makes a handle of the facade look for its series again.
pub(crate) const ROTATING_64_AFTER_11_MS: Operation = Operation {
    gap: Some(Duration::from_millis(11)),
    ..ROTATING_64
};

/// What a gap costs without that: what the processor has forgotten.
pub(crate) const ROTATING_64_AFTER_1_MS: Operation = Operation {
    gap: Some(Duration::from_millis(1)),
    ..ROTATING_64
};

/// A value that no counter takes.
pub(crate) const REJECTED: Operation = Operation::new(
    |_| {
        info!(
            monotonic_counter.uploads = -1_i64,
            region = "eu",
            kind = "image"
        );
    },
    &[("tracing_meter.rejected", Arrives::EachTime)],
);

const OVERFLOWS: &[(&str, Arrives)] = &[
    ("uploads", Arrives::EachTime),
    ("tracing_meter.overflowed", Arrives::AllButFirst),
];

/// Under a limit of one series: labels that were seen before.
pub(crate) const OVER_THE_LIMIT: Operation = Operation::new(
    |n| count_by_id(if n == 0 { 0 } else { 1 + n % 64 }),
    OVERFLOWS,
);

/// The same with labels that are new each time.
pub(crate) const NEW_OVER_THE_LIMIT: Operation = Operation::new(count_by_id, OVERFLOWS);

/// Each time another series.
pub(crate) const FIRST_SIGHT: Operation = Operation {
    series: 10_000,
    warm_up: 64,
    ..Operation::new(count_by_id, &[("uploads", Arrives::EachTimeAnew)])
};

/// One hot series, counted on both.
pub(crate) const TWO_THREADS: Operation = Operation {
    threads: 2,
    ..COUNTER_2
};

const INHERITS: &[(&str, Arrives)] = &[("uploads", Arrives::EachTimeWith(2))];

/// An event whose labels are those of the span around it.
pub(crate) const INHERITED_2: Operation = Operation {
    inside: plain_span,
    arrives: INHERITS,
    ..COUNTER_0
};

/// Ten spans around, which give no label.
pub(crate) const NESTED_10: Operation = Operation {
    inside: || ten_spans(ordinary_span, ordinary_span),
    arrives: INHERITS,
    ..COUNTER_2
};

/// Ten spans around, of which the innermost gives all labels.
pub(crate) const INNERMOST_OF_10: Operation = Operation {
    inside: || ten_spans(ordinary_span, plain_span),
    ..INHERITED_2
};

/// Ten spans around, of which the outermost gives all labels.
pub(crate) const OUTERMOST_OF_10: Operation = Operation {
    inside: || ten_spans(plain_span, ordinary_span),
    ..INHERITED_2
};

pub(crate) const ORDINARY_EVENT: Operation =
    Operation::new(|_| info!(user = "me", "something happened"), &[]);

pub(crate) const DISABLED_EVENT: Operation =
    Operation::new(|_| debug!(user = "me", "nobody wants to know"), &[]);

pub(crate) const ORDINARY_SPAN: Operation =
    Operation::new(|_| drop(ordinary_span().entered()), &[]);

pub(crate) const DISABLED_SPAN: Operation =
    Operation::new(|_| drop(debug_span!("quiet", user = "me").entered()), &[]);

/// What a span is to whoever does not know our fields.
pub(crate) const PLAIN_SPAN: Operation = Operation::new(|_| drop(plain_span().entered()), &[]);

pub(crate) const MEASURED_SPAN: Operation = Operation::new(
    |_| {
        let span = info_span!(
            "job",
            calls.job_calls = Empty,
            in_flight.jobs = Empty,
            duration.job = Empty,
            label.queue = "low",
            label.kind = "image",
        );
        drop(span.entered());
    },
    &[
        ("job_calls", Arrives::EachTime),
        ("jobs", Arrives::Back),
        ("job", Arrives::EachTime),
    ],
);

pub(crate) fn plain_span() -> Span {
    info_span!("job", queue = "low", kind = "image")
}

/// The innermost, which keeps the others open.
fn ten_spans(outermost: fn() -> Span, innermost: fn() -> Span) -> Span {
    (0..9).fold(outermost(), |around, depth| {
        assert!(!around.is_disabled(), "no layer wants it");
        around.in_scope(if depth < 8 { ordinary_span } else { innermost })
    })
}

/// A measured span of which one label is known when it is open.
pub(crate) const LATE_LABEL: Operation = Operation {
    run: |_| {
        let span = info_span!(
            "job",
            calls.job_calls = Empty,
            in_flight.jobs = Empty,
            duration.job = Empty,
            label.queue = "low",
            label.kind = Empty,
        );
        span.record("label.kind", "image");
        drop(span.entered());
    },
    ..MEASURED_SPAN
};

/// A measured span without a time: many of them are quick.
pub(crate) fn short_span() -> Span {
    info_span!(
        "job",
        calls.job_calls = Empty,
        in_flight.jobs = Empty,
        queue = "low",
        label.kind = "image"
    )
}

/// The same with long labels that are known when it is open.
pub(crate) fn late_span() -> Span {
    const LONG: &str = match std::str::from_utf8(&[b'x'; 200]) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    };
    let span = info_span!(
        "job",
        calls.job_calls = Empty,
        in_flight.jobs = Empty,
        label.a = Empty,
        label.b = Empty,
        label.c = Empty,
        label.d = Empty,
        label.e = Empty,
        label.f = Empty,
        label.g = Empty,
        label.h = Empty,
    );
    for label in [
        "label.a", "label.b", "label.c", "label.d", "label.e", "label.f", "label.g", "label.h",
    ] {
        span.record(label, LONG);
    }
    span
}

/// A span that is not measured.
pub(crate) fn ordinary_span() -> Span {
    info_span!("work", user = "me")
}

/// A span with an event inside that has its labels.
pub(crate) const INHERITED_SPAN: Operation = Operation::new(
    |_| {
        let _inside = plain_span().entered();
        info!(monotonic_counter.uploads = 1_u64);
    },
    COUNTS,
);

/// The same by macros of the facade.
pub(crate) const MACRO_COUNTER_2: Operation = Operation::new(
    |_| counter!("uploads", "region" => "eu", "kind" => "image").increment(1),
    COUNTS,
);

pub(crate) const MACRO_HISTOGRAM_2: Operation = Operation::new(
    |_| histogram!("sizes", "region" => "eu", "kind" => "image").record(17),
    &[("sizes", Arrives::EachTime)],
);

pub(crate) const MACRO_ROTATING_64: Operation = Operation {
    run: |n| counter!("uploads", "region" => "eu", "id" => (n % 64).to_string()).increment(1),
    ..ROTATING_64
};

pub(crate) const MACRO_ROTATING_64_AFTER_11_MS: Operation = Operation {
    gap: ROTATING_64_AFTER_11_MS.gap,
    ..MACRO_ROTATING_64
};

pub(crate) const MACRO_ROTATING_64_AFTER_1_MS: Operation = Operation {
    gap: ROTATING_64_AFTER_1_MS.gap,
    ..MACRO_ROTATING_64
};

pub(crate) const MACRO_INHERITED_2: Operation = Operation {
    run: |_| counter!("uploads").increment(1),
    ..INHERITED_2
};

pub(crate) const MACRO_INHERITED_SPAN: Operation = Operation {
    run: |_| {
        let _inside = plain_span().entered();
        counter!("uploads").increment(1);
    },
    ..INHERITED_SPAN
};

/// As many series, at random once each of them is known.
pub(crate) const fn among<const SERIES: u64>() -> Operation {
    Operation {
        series: SERIES,
        // So often that all series are known and hot, and so spread in memory and caches
        // as they are in a program that has been running for a while.
        warm_up: match SERIES {
            0..=100 => 1_000 + 1_000 * SERIES,
            _ => 20 * SERIES,
        },
        ..Operation::new(|n| count_by_id(one_of(SERIES, n)), COUNTS)
    }
}

/// The same by a macro of the facade.
pub(crate) const fn macro_among<const SERIES: u64>() -> Operation {
    Operation {
        run: |n| {
            let id = one_of(SERIES, n).to_string();
            counter!("uploads", "region" => "eu", "id" => id).increment(1);
        },
        ..among::<SERIES>()
    }
}

/// Each of them once, then at random.
const fn one_of(series: u64, n: u64) -> u64 {
    if n < series { n } else { scattered(n) % series }
}

pub(crate) fn count_by_id(id: u64) {
    info!(monotonic_counter.uploads = 1_u64, region = "eu", id);
}

/// Numbers in an order that no cache foresees.
pub(crate) const fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}
