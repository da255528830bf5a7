//! A mutex that a panic does not poison.
//!
//! Invariant: the thread that holds the lock reads and writes; the next one sees all of it.

use std::sync::{self, MutexGuard, PoisonError, TryLockError};

/// A [`sync::Mutex`] whose lock always succeeds.
///
/// Every critical section of this crate leaves its data whole at each step, so
/// a panic inside one (of an allocation, say) must not silence measurements
/// for the rest of the process.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
