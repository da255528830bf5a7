//! The measured program: its events and spans, and what has to arrive of each.

use metrics::{counter, histogram};
use tracing::field::Empty;
use tracing::{Span, debug, debug_span, info, info_span};

/// What a program does over and over.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// Gets the number of the repetition.
    pub(crate) run: fn(u64),
    /// How many series it has.
    pub(crate) series: u64,
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
            threads: 1,
            inside: Span::none,
            arrives,
        }
    }

    /// So often that all series are known and hot, and so spread in memory and caches
    /// as they are in a program that has been running for a while.
    pub(crate) fn warm_up(&self) -> u64 {
        match self.series {
            0..=100 => 1_000 + 1_000 * self.series,
            series => 20 * series,
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
    ..Operation::new(|n| count_by_id(n % 64), COUNTS)
};

/// One hot series, counted on both.
pub(crate) const TWO_THREADS: Operation = Operation {
    threads: 2,
    ..COUNTER_2
};

/// An event whose labels are those of the span around it.
pub(crate) const INHERITED_2: Operation = Operation {
    inside: plain_span,
    ..COUNTER_0
};

pub(crate) const ORDINARY_EVENT: Operation =
    Operation::new(|_| info!(user = "me", "something happened"), &[]);

pub(crate) const DISABLED_EVENT: Operation =
    Operation::new(|_| debug!(user = "me", "nobody wants to know"), &[]);

pub(crate) const ORDINARY_SPAN: Operation =
    Operation::new(|_| drop(info_span!("work", user = "me").entered()), &[]);

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
        ..Operation::new(
            |n| count_by_id(if n < SERIES { n } else { scattered(n) % SERIES }),
            COUNTS,
        )
    }
}

pub(crate) fn count_by_id(id: u64) {
    info!(monotonic_counter.uploads = 1_u64, region = "eu", id);
}

/// Numbers in an order that no cache foresees.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}
