//! What a process is given once: its subscriber, its logger of `log`, its propagator.

use std::io;
use std::sync::MutexGuard;
use std::thread;

use tracing_core::LevelFilter;
use tracing_core::dispatcher::{self, Dispatch};
use tracing_core::subscriber::NoSubscriber;
use tracing_log::{AsLog as _, LogTracer, log};

use super::error::{Cause, SetupError};
use crate::propagation::W3cPropagator;
use crate::sync::Mutex;

/// Asks whether the process has none of them yet, and changes nothing. Another call of
/// `setup` waits until what this gives is dropped: it finds either all of them or none.
pub(super) fn ask() -> Result<MutexGuard<'static, ()>, SetupError> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let asked = ONE_AT_A_TIME.lock();
    if has_subscriber()? || W3cPropagator::is_installed() {
        return Err(Cause::AlreadySet.into());
    }
    Ok(asked)
}

/// Leads `log` to `tracing`. Whether it has a logger cannot be asked. This refuses if it has
/// one, and so has to come before anything else is set.
pub(super) fn set_logger() -> Result<(), SetupError> {
    let nothing = LogTracer::builder().with_max_level(log::LevelFilter::Off);
    nothing.init().map_err(|_| Cause::AlreadySet.into())
}

/// Fails only if one was set elsewhere since it was asked for.
pub(super) fn set(
    subscriber: impl Into<Dispatch>,
    propagator: W3cPropagator,
) -> Result<(), SetupError> {
    let subscriber = dispatcher::set_global_default(subscriber.into());
    subscriber.map_err(|_| Cause::AlreadySet)?;
    // What the subscriber has no use for, `log` does not even pass on.
    log::set_max_level(LevelFilter::current().as_log());
    propagator.install().map_err(|_| Cause::AlreadySet.into())
}

/// Whether there is a global one. Only a new thread is certain to have none that hides it.
fn has_subscriber() -> Result<bool, SetupError> {
    let asking = thread::Builder::new().spawn(|| dispatcher::get_default(is_some));
    let asked = asking.map_err(Cause::Runtime)?.join();
    let asked = asked.map_err(|_| io::Error::other("it has panicked"));
    Ok(asked.map_err(Cause::Runtime)?)
}

/// By its address: a process may have chosen to have a [`NoSubscriber`].
fn is_some(subscriber: &Dispatch) -> bool {
    let none = Dispatch::none();
    let address = |of: &Dispatch| of.downcast_ref::<NoSubscriber>().map(std::ptr::from_ref);
    address(subscriber) != address(&none)
}
