//! Another registry than that of `tracing-subscriber` may give its spans any ids.

#[path = "support/allocator.rs"]
mod allocator;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex};

use tracing::field::Empty;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Span, Subscriber, info, info_span};
use tracing_core::span::Current;
use tracing_meter::MemorySink;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{Extensions, ExtensionsMut, LookupSpan, SpanData};

const ROUNDS: u32 = 10_000;

/// The id of the span that is the n-th to open.
type Nth = fn(u64) -> u64;

/// A registry for one thread. Its spans stay, and so do their ids.
struct OtherRegistry {
    nth: Nth,
    spans: Mutex<HashMap<u64, Arc<Kept>>>,
}

struct Kept {
    id: Id,
    metadata: &'static Metadata<'static>,
    parent: Option<Id>,
}

struct Data(Arc<Kept>);

thread_local!(static ENTERED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) });

impl SpanData<'_> for Data {
    fn id(&self) -> Id {
        self.0.id.clone()
    }

    fn metadata(&self) -> &'static Metadata<'static> {
        self.0.metadata
    }

    fn parent(&self) -> Option<&Id> {
        self.0.parent.as_ref()
    }

    fn extensions(&self) -> Extensions<'_> {
        unimplemented!("only the registry of `tracing-subscriber` can make them")
    }

    fn extensions_mut(&self) -> ExtensionsMut<'_> {
        unimplemented!("only the registry of `tracing-subscriber` can make them")
    }
}

impl<'a> LookupSpan<'a> for OtherRegistry {
    type Data = Data;

    fn span_data(&'a self, id: &Id) -> Option<Data> {
        let spans = self.spans.lock().unwrap();
        spans.get(&id.into_u64()).cloned().map(Data)
    }
}

impl Subscriber for OtherRegistry {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let current = ENTERED.with_borrow(|entered| entered.last().cloned());
        let mut spans = self.spans.lock().unwrap();
        let id = Id::from_u64((self.nth)(spans.len() as u64));
        let span = Kept {
            id: id.clone(),
            metadata: attributes.metadata(),
            parent: attributes.parent().cloned().or(current),
        };
        spans.insert(id.into_u64(), Arc::new(span));
        id
    }

    fn enter(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(id.clone()));
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(|entered| _ = entered.pop());
    }

    fn current_span(&self) -> Current {
        let current = ENTERED.with_borrow(|entered| entered.last().cloned());
        current.map_or_else(Current::none, |id| {
            let metadata = self.spans.lock().unwrap()[&id.into_u64()].metadata;
            Current::new(id, metadata)
        })
    }

    fn try_close(&self, _: Id) -> bool {
        true
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
}

fn random(n: u64) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    hasher.hash_one(n).max(1)
}

#[test]
fn whatever_their_ids_they_are_counted_and_take_little_memory() {
    let ids: [(&str, Nth); 4] = [
        ("from one on", |n| n + 1),
        ("from a high one down", |n| u64::MAX - 1 - n),
        ("by strides", |n| (n + 1) << 38),
        ("at random", random),
    ];
    for (ids, nth) in ids {
        let memory = MemorySink::new();
        let builder = tracing_meter::builder().sink(memory.clone());
        let meter = builder.inherited_labels(["tenant"]).build().unwrap();
        let spans = Mutex::default();
        let subscriber = OtherRegistry { nth, spans }.with(meter);

        let bytes = allocator::bytes(|| {
            tracing::subscriber::with_default(subscriber, || {
                let _outer = info_span!("outer", tenant = "acme").entered();
                let mut held: Vec<Span> = Vec::new();
                for n in 0..ROUNDS {
                    let _plain = info_span!("plain").entered();
                    info!(monotonic_counter.seen = 1);
                    held.push(info_span!("job", calls.job = Empty, in_flight.jobs = Empty));
                    if n % 1000 == 0 {
                        held.clear();
                    }
                }
            });
        });

        let measured = memory.snapshot();
        let value = |metric, labels: &[_]| measured.value(metric, labels);
        let all = Some(f64::from(ROUNDS));
        let tenant = ("tenant", "acme");
        assert_eq!(value("seen", &[tenant]), all, "{ids}");
        assert_eq!(value("job", &[tenant, ("outcome", "ok")]), all, "{ids}");
        assert_eq!(value("jobs", &[tenant]), Some(0.0), "{ids}");
        // This test's own registry keeps some hundred bytes for each of them.
        assert!(bytes < 32 << 20, "{bytes} bytes for ids {ids}");
    }
}
