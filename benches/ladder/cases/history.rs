//! What ordinary spans cost, by how many measured ones there once were.

use tracing::{Dispatch, Span, dispatcher};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use crate::run::exporters::Otel;
use crate::run::harness::{Case, Stopwatch};
use crate::run::layers::NoOp;
use crate::run::operations::{ordinary_span, scattered, short_span};

const WARM_UP: u64 = 20_000;
/// Of them one at random is entered.
const OPEN: u64 = 10_000;

/// Those of which so many measured ones were open at once, each with so many others.
struct Burst {
    measured: u64,
    others_beside_each: u64,
}

pub(super) fn all() -> Vec<Case> {
    let case = |name, measured, others_beside_each| {
        let burst = Burst {
            measured,
            others_beside_each,
        };
        Case::new(name, move |watch| enter_after(&burst, watch)).every(31)
    };
    vec![
        case("span/entered/after_1", 1, 0),
        case("span/entered/after_1m", 1_000_000, 0),
        case("span/entered/after_10k_of_640k", 10_000, 63),
    ]
}

fn enter_after(burst: &Burst, watch: &mut Stopwatch) {
    let otel = Otel::new();
    let builder = tracing_meter::builder().inherited_labels(["queue"]);
    let layer = builder.sink(otel.sink()).build().expect("it is valid");
    otel.collect();
    let dispatch = Dispatch::new(Registry::default().with(NoOp).with(layer));
    dispatcher::with_default(&dispatch, || {
        drop(burst.open());
        let open: Vec<Span> = (0..OPEN).map(|_| ordinary_span()).collect();
        assert!(!open[0].is_disabled(), "no layer wants it");
        watch.repeat(WARM_UP, |n| {
            let index = usize::try_from(scattered(n) % OPEN);
            drop(open[index.expect("it is small")].enter());
        });
    });
    let totals = otel.totals();
    let measured = u32::try_from(burst.measured).map(f64::from).ok();
    assert_eq!(Some(totals["job_calls"].sum), measured, "one is missing");
    assert_eq!(Some(totals["jobs"].sum), Some(0.0), "one is in flight");
}

impl Burst {
    fn open(&self) -> Vec<Span> {
        let beside_each = || (0..self.others_beside_each).map(|_| ordinary_span());
        let one = |_| std::iter::once(short_span()).chain(beside_each());
        (0..self.measured).flat_map(one).collect()
    }
}
