//! What `tracing` remembers of callsites, asked for again.

use std::sync::{Arc, Condvar, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use tracing_core::dispatcher::with_default;
use tracing_core::{Dispatch, callsite};

use crate::sync::Mutex;

/// How long who changes an interest waits until `tracing` knows. It takes some milliseconds
/// at most, but other layers are asked, and one of them may wait for a lock that this thread
/// holds. `tracing` comes to know then, too, after this thread has gone on. Unit tests may
/// run on a busy machine.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 1 });

/// The interest of subscribers in callsites, and their most verbose level, as `tracing` has
/// them. It asks again for all of them at once.
///
/// One thread asks at a time: of two the slower could leave what the other one has found
/// outdated.
#[derive(Default)]
pub(super) struct InterestCache(Arc<Shared>);

struct Shared {
    ask: fn(),
    rebuilds: Mutex<Rebuilds>,
    has_ended: Condvar,
}

/// How often it was asked for, and up to which of these it was done.
#[derive(Default)]
struct Rebuilds {
    wanted: u64,
    done: u64,
    is_running: bool,
}

impl Shared {
    fn new(ask: fn()) -> Self {
        Self {
            ask,
            rebuilds: Mutex::default(),
            has_ended: Condvar::new(),
        }
    }

    /// Whether no more was asked for. The next one who asks needs another thread then.
    fn ends_at(&self, done: u64) -> bool {
        let mut rebuilds = self.rebuilds.lock();
        rebuilds.is_running = rebuilds.wanted > done;
        !rebuilds.is_running
    }

    fn set_done(&self, done: u64) {
        let mut rebuilds = self.rebuilds.lock();
        rebuilds.done = rebuilds.done.max(done);
        drop(rebuilds);
        self.has_ended.notify_all();
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new(callsite::rebuild_interest_cache)
    }
}

impl InterestCache {
    /// Asks again if this is so, which is found out for one thread after the other. Waits for
    /// what other threads have asked for, too.
    pub(super) fn rebuild_if(
        &self,
        is_outdated: impl FnOnce() -> bool,
        subscriber: impl FnOnce() -> Option<Dispatch>,
    ) {
        let mut rebuilds = self.0.rebuilds.lock();
        if is_outdated() {
            rebuilds.wanted += 1;
        }
        let wanted = rebuilds.wanted;
        let is_pending = rebuilds.done < wanted;
        let starts = is_pending && !rebuilds.is_running;
        rebuilds.is_running |= starts;
        drop(rebuilds);
        if starts {
            self.start(subscriber());
        }
        if is_pending {
            self.wait_for(wanted);
        }
    }

    /// On another thread: where `tracing` has lent this thread its subscriber, it finds none
    /// here, and would disable everything.
    fn start(&self, subscriber: Option<Dispatch>) {
        let run = Run(Some(Arc::clone(&self.0)));
        let Some(subscriber) = subscriber else {
            return;
        };
        let thread = Builder::new().name("tracing-meter-interest".to_owned());
        // Where no thread is to be had, `tracing` keeps what it knows.
        let _ = thread.spawn(move || run.rebuild(subscriber));
    }

    fn wait_for(&self, wanted: u64) {
        let rebuilds = self.0.rebuilds.lock();
        let is_pending = |rebuilds: &mut Rebuilds| rebuilds.done < wanted;
        let ended = &self.0.has_ended;
        let rebuilds = ended.wait_timeout_while(rebuilds, PATIENCE, is_pending);
        drop(rebuilds.unwrap_or_else(PoisonError::into_inner));
    }
}

/// The thread that asks. If it fails, those who wait for it go on.
struct Run(Option<Arc<Shared>>);

impl Run {
    /// Until nothing was asked for meanwhile. Who waits goes on when the subscriber is none of
    /// this thread's any more.
    fn rebuild(mut self, subscriber: Dispatch) {
        let Some(shared) = self.0.clone() else {
            return;
        };
        let mut done = 0;
        while !shared.ends_at(done) {
            done = shared.rebuilds.lock().wanted;
            with_default(&subscriber, shared.ask);
        }
        self.0 = None;
        drop(subscriber);
        shared.set_done(done);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            let wanted = {
                let mut rebuilds = shared.rebuilds.lock();
                rebuilds.is_running = false;
                rebuilds.wanted
            };
            shared.set_done(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::thread::scope;

    use super::*;

    fn cache(ask: fn()) -> InterestCache {
        InterestCache(Arc::new(Shared::new(ask)))
    }

    fn rebuild(cache: &InterestCache) {
        cache.rebuild_if(|| true, || Some(Dispatch::none()));
    }

    #[test]
    fn one_thread_asks_at_a_time_after_what_was_changed() {
        static CHANGED: AtomicU64 = AtomicU64::new(0);
        static SEEN: AtomicU64 = AtomicU64::new(0);
        static ASKING: AtomicU64 = AtomicU64::new(0);
        static TOGETHER: AtomicU64 = AtomicU64::new(0);
        let cache = cache(|| {
            TOGETHER.fetch_max(1 + ASKING.fetch_add(1, Relaxed), Relaxed);
            SEEN.store(CHANGED.load(Relaxed), Relaxed);
            ASKING.fetch_sub(1, Relaxed);
        });
        let change = || {
            for _ in 0..200 {
                let change = 1 + CHANGED.fetch_add(1, Relaxed);
                rebuild(&cache);
                assert!(SEEN.load(Relaxed) >= change);
            }
        };
        scope(|threads| {
            for _ in 0..4 {
                threads.spawn(change);
            }
        });
        assert_eq!(TOGETHER.load(Relaxed), 1);
        let rebuilds = cache.0.rebuilds.lock();
        assert!(rebuilds.done == 800 && !rebuilds.is_running);
    }

    #[test]
    fn a_panic_of_what_is_asked_ends_the_waiting() {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let cache = cache(|| {
            let asked = ASKED.fetch_add(1, Relaxed);
            assert!(asked > 0, "the first time");
        });
        rebuild(&cache);
        assert!(!cache.0.rebuilds.lock().is_running);
        rebuild(&cache);
        assert_eq!(ASKED.load(Relaxed), 2);
    }

    #[test]
    fn without_a_subscriber_nothing_is_asked() {
        let cache = cache(|| panic!("it was asked"));
        cache.rebuild_if(|| true, || None);
        let rebuilds = cache.0.rebuilds.lock();
        assert!(rebuilds.done == 1 && !rebuilds.is_running);
    }

    #[test]
    fn what_is_not_outdated_is_not_asked() {
        let cache = cache(|| panic!("it was asked"));
        cache.rebuild_if(|| false, || panic!("no subscriber is needed"));
        assert_eq!(cache.0.rebuilds.lock().wanted, 0);
    }
}
