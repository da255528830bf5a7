//! A thread that works for a sink, and that no subscriber hears.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::Duration;

use tracing_core::dispatcher::{Dispatch, with_default};

/// How long a measurement waits for a job that is stuck: longer than a collection takes,
/// so that what is measured meanwhile is there when it returns, and not as long that
/// a person or a timeout takes it for a hang.
///
/// It is waited in turns: where processors are short each of them takes longer, and so the
/// waiting does not end before the worker had its turns, too.
const TURN: Duration = Duration::from_millis(5);
const TURNS: u32 = 20;

/// Runs jobs one after the other, on a thread that starts with the first one and ends
/// with the worker.
///
/// An SDK logs while it creates something, and we ask it to in the middle of an event or
/// a span of the application. A subscriber that is asked about an event inside of another
/// one forgets what its filters have said of that: other layers would get what
/// they refuse, and a `fmt` layer panics about a span that it does not know. On the
/// measuring thread the subscriber cannot be changed: `tracing` may have borrowed it.
///
/// And it may wait for locks that the measuring thread itself holds, further out.
#[derive(Default)]
pub(super) struct Worker {
    jobs: OnceLock<Sender<Job>>,
    in_vain: Arc<AtomicU32>,
}

/// It must not panic.
type Job = Box<dyn FnOnce() + Send>;

impl Worker {
    /// Runs a job, and waits until it is done, or is known to take long.
    ///
    /// Who waits in vain halves the time for those that come next, until a job is done:
    /// in all a thread waits for twice that time, however much it asks for.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let (done, is_done) = mpsc::sync_channel(1);
        self.send(move || {
            job();
            let _ = done.send(());
        });
        let in_vain = self.in_vain.load(Ordering::Relaxed);
        let turns = TURNS.checked_shr(in_vain).unwrap_or_default();
        if !(0..turns).any(|_| is_done.recv_timeout(TURN).is_ok()) {
            self.in_vain.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a job takes long for which somebody has waited.
    pub(super) fn is_stuck(&self) -> bool {
        self.in_vain.load(Ordering::Relaxed) > 0
    }

    /// Runs a job on another thread, and waits until it is done.
    pub(super) fn run_on_another_thread(job: impl Fn() + Sync) {
        let unheard = || with_default(&Dispatch::none(), &job);
        std::thread::scope(|scope| {
            if Builder::new().spawn_scoped(scope, unheard).is_err() {
                job();
            }
        });
    }

    /// Runs a job some time.
    pub(super) fn send(&self, job: impl FnOnce() + Send + 'static) {
        let jobs = self.jobs.get_or_init(|| start(Arc::clone(&self.in_vain)));
        // Where no thread is to be had there are worse things than a line too many.
        if let Err(not_sent) = jobs.send(Box::new(job)) {
            not_sent.0();
        }
    }
}

fn start(in_vain: Arc<AtomicU32>) -> Sender<Job> {
    let (sender, jobs) = mpsc::channel();
    let thread = Builder::new().name("tracing-meter-sink".to_owned());
    // Without a thread the receiver is gone, and each job comes back.
    let _ = thread.spawn(move || work(&jobs, &in_vain));
    sender
}

fn work(jobs: &Receiver<Job>, in_vain: &AtomicU32) {
    let no_subscriber = Dispatch::none();
    for job in jobs {
        // Not for the whole thread: while any thread has set a subscriber, all threads of
        // the process look for theirs at each event.
        with_default(&no_subscriber, job);
        in_vain.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_in_turn_and_waited_for() {
        let worker = Worker::default();
        let (sender, done) = mpsc::channel();
        for n in 0..100 {
            let sender = sender.clone();
            worker.run(move || sender.send(n).unwrap());
            assert_eq!(done.try_recv(), Ok(n));
        }
    }

    #[test]
    fn a_job_that_is_stuck_is_not_waited_for() {
        let worker = Worker::default();
        let (leave, may_leave) = mpsc::channel::<()>();
        worker.run(move || _ = may_leave.recv());
        let (sender, done) = mpsc::channel();
        // Thousands of times 100 ms would never end.
        for n in 0..10_000 {
            let sender = sender.clone();
            worker.run(move || sender.send(n).unwrap());
        }
        assert!(done.try_recv().is_err());
        leave.send(()).unwrap();
        worker.run(|| ());
        assert!(done.iter().take(10_000).eq(0..10_000));
    }

    #[test]
    fn jobs_that_wait_are_done_although_the_worker_is_gone() {
        let worker = Worker::default();
        let (leave, may_leave) = mpsc::channel::<()>();
        let (sender, done) = mpsc::channel();
        worker.send(move || _ = may_leave.recv());
        worker.send(move || sender.send(1).unwrap());
        drop(worker);
        leave.send(()).unwrap();
        assert_eq!(done.recv(), Ok(1));
    }
}
