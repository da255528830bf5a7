//! What is gathered on each thread, and handed over when a sink is read.
//!
//! To add to a number that all threads share is an atomic read-modify-write, which
//! threads that count the same thing do in turn; a histogram of the OpenTelemetry
//! SDK is behind a mutex. A sum that only its own thread writes takes neither, and
//! observations that wait in a ring take the mutex one after the other. Both take
//! some memory: only series that are measured often get a place, and only for sinks
//! that say when they are about to be read.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use crate::kind::Kind;
use crate::no_poison::NoPoison;
use crate::series::Series;

mod place;

pub(crate) use place::{Place, SamplesIndex, SumIndex};
use place::{Places, Waiting};

thread_local! {
    /// What waits on this thread, for each gatherer that it has met.
    static MINE: RefCell<Vec<Mine>> = const { RefCell::new(Vec::new()) };
}

/// The measurements of a layer that sinks have not seen yet.
pub(crate) struct Gatherer {
    this: Weak<Self>,
    /// What waits on any thread, or did before the thread ended.
    all: NoPoison<Vec<Arc<Waiting>>>,
    /// Of threads that have ended, for those that come.
    free: NoPoison<Vec<Arc<Waiting>>>,
    /// The sinks that have ever said that they are about to be read, by bit.
    readers: AtomicU32,
    hot: NoPoison<Hot>,
}

struct Mine {
    gatherer: Weak<Gatherer>,
    waiting: Arc<Waiting>,
}

impl Drop for Mine {
    fn drop(&mut self) {
        if let Some(gatherer) = self.gatherer.upgrade() {
            gatherer.free.lock().push(Arc::clone(&self.waiting));
        }
    }
}

/// The series that have a place.
#[derive(Default)]
struct Hot {
    all: Vec<Weak<Series>>,
    places: Places,
    /// At this number those that are gone are swept out: seldom enough that a
    /// new one costs the same however many there are.
    sweep_at: usize,
}

/// Brings a sink everything that was measured until now.
///
/// A sink gets it from the layer, in [`Sink::before_it_is_read`](crate::Sink::before_it_is_read).
#[derive(Clone, Debug)]
pub struct HandOver {
    gatherer: Weak<Gatherer>,
    sink: usize,
}

impl HandOver {
    /// Records in the sink's handles what was measured on all threads.
    ///
    /// To be called whenever the sink is about to be read, on any thread, while the
    /// sink holds no lock that its handles take, and never by a handle that records. Counts may wait from the first
    /// call on; before it, or if it is never called, none do.
    pub fn hand_over(&self) {
        if let Some(gatherer) = self.gatherer.upgrade() {
            gatherer.hand_over(self.sink);
        }
    }
}

impl Gatherer {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            all: NoPoison::default(),
            free: NoPoison::default(),
            readers: AtomicU32::new(0),
            hot: NoPoison::default(),
        })
    }

    /// What a sink calls when it is about to be read. Of many sinks not all can.
    pub(crate) fn reader(self: &Arc<Self>, sink: usize) -> Option<HandOver> {
        let gatherer = Arc::downgrade(self);
        (sink < Readers::MOST).then_some(HandOver { gatherer, sink })
    }

    fn hand_over(&self, sink: usize) {
        self.readers.fetch_or(1 << sink, Ordering::Relaxed);
        let hot = self.hot.lock().all.clone();
        for series in hot.iter().filter_map(Weak::upgrade) {
            series.hand_over();
        }
    }

    pub(crate) fn readers(&self) -> Readers {
        Readers(self.readers.load(Ordering::Relaxed))
    }

    /// A place for a series that is hot, while there are some left.
    pub(crate) fn add_series(&self, series: &Weak<Series>, kind: Kind) -> Option<Place> {
        let mut hot = self.hot.lock();
        let place = hot.places.take(kind)?;
        if hot.all.len() >= hot.sweep_at {
            hot.all.retain(|series| series.strong_count() > 0);
            hot.sweep_at = 2 * hot.all.len() + 16;
        }
        hot.all.push(Weak::clone(series));
        Some(place)
    }

    /// Whether the value waits on this thread now.
    #[inline(always)]
    pub(crate) fn add(&self, place: Place, value: f64) -> bool {
        let added = self.with_mine(|waiting| waiting.add(place, value));
        added.unwrap_or_else(|| self.join_and_add(place, value))
    }

    pub(crate) fn sum(&self, at: SumIndex) -> f64 {
        self.all.lock().iter().map(|waiting| waiting.sum(at)).sum()
    }

    /// Empties this thread's ring, or all of them. Only one thread may at a time.
    pub(crate) fn drain(&self, at: SamplesIndex, whose: Whose, mut take: impl FnMut(f64)) {
        match whose {
            Whose::This => {
                self.with_mine(|waiting| waiting.drain(at, &mut take));
            }
            Whose::All => {
                let all = self.all.lock().clone();
                for waiting in all {
                    waiting.drain(at, &mut take);
                }
            }
        }
    }

    /// `None` on a thread that is new here, or about to end.
    #[inline(always)]
    fn with_mine<R>(&self, call: impl FnOnce(&Waiting) -> R) -> Option<R> {
        let found = MINE.try_with(|mine| {
            let mine = mine.try_borrow().ok()?;
            let is_ours = |mine: &&Mine| std::ptr::eq(mine.gatherer.as_ptr(), self);
            mine.iter().find(is_ours).map(|mine| call(&mine.waiting))
        });
        found.ok().flatten()
    }

    /// A thread that is about to end takes nothing any more: it may not even have
    /// a place to keep it.
    #[cold]
    fn join_and_add(&self, place: Place, value: f64) -> bool {
        let joined = MINE.try_with(|mine| {
            let Ok(mut mine) = mine.try_borrow_mut() else {
                return false;
            };
            mine.retain(|mine| mine.gatherer.strong_count() > 0);
            let free = self.free.lock().pop();
            let waiting = free.unwrap_or_else(|| {
                let waiting = Arc::<Waiting>::default();
                self.all.lock().push(Arc::clone(&waiting));
                waiting
            });
            mine.push(Mine {
                gatherer: Weak::clone(&self.this),
                waiting,
            });
            true
        });
        let added = || self.with_mine(|waiting| waiting.add(place, value));
        joined == Ok(true) && added() == Some(true)
    }
}

/// The thread or threads whose measurements are meant.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    This,
    All,
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatherer").finish_non_exhaustive()
    }
}

/// A set of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readers(u32);

impl Readers {
    const MOST: usize = 32;

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn remove(&mut self, sink: usize) {
        if sink < Self::MOST {
            self.0 &= !(1 << sink);
        }
    }

    #[inline]
    pub(crate) const fn contain(self, sink: usize) -> bool {
        sink < Self::MOST && self.0 & (1 << sink) != 0
    }
}
