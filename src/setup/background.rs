//! The thread on which exporters run.

use std::future::Future;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Runtime};

use super::error::{Cause, SetupError};

/// More than the end of a thread takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// A runtime that is not the application's: gRPC works in any `main`, and a thread that waits
/// for the last export never waits for itself.
pub(super) struct Background(Option<Runtime>);

impl Background {
    pub(super) fn start() -> Result<Self, SetupError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tracing-meter")
            .enable_all()
            .build();
        let runtime = runtime.map_err(Cause::Runtime)?;
        Ok(Self(Some(runtime)))
    }

    /// What is built under the guard runs here.
    pub(super) fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }

    /// Ends, and waits for nothing.
    pub(super) fn leave(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output: Send> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(async { drop(task.await) });
        }
    }
}

/// What was set up in vain is gone then: nothing listens any more.
impl Drop for Background {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else {
            return;
        };
        // Waiting for its end would panic inside of another runtime.
        let end = || runtime.shutdown_timeout(PATIENCE);
        thread::scope(|scope| _ = scope.spawn(end).join());
    }
}
