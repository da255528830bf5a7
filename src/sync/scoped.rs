//! A value of the thread's that is set for a scope.

use std::cell::Cell;
use std::marker::PhantomData;
use std::thread::LocalKey;

/// Sets a value of this thread's, which is again what it was before when this is dropped.
///
/// It stays in the scope where it was made, so that the last one that was set is the first
/// that is undone, also while a panic unwinds.
pub(crate) struct Scoped<T: Copy + 'static> {
    key: &'static LocalKey<Cell<T>>,
    /// `None` where the thread is ending: what it had is gone, and is read no more.
    before: Option<T>,
    of_this_thread: PhantomData<*const ()>,
}

impl<T: Copy + 'static> Scoped<T> {
    #[inline]
    #[must_use = "the value is what it was as soon as this is dropped"]
    pub(crate) fn set(key: &'static LocalKey<Cell<T>>, value: T) -> Self {
        Self {
            key,
            before: key.try_with(|it| it.replace(value)).ok(),
            of_this_thread: PhantomData,
        }
    }
}

impl<T: Copy + 'static> Drop for Scoped<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let _ = self.key.try_with(|it| it.set(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    thread_local! {
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    #[test]
    fn a_value_is_set_for_a_scope_and_for_those_inside_of_it() {
        let outer = Scoped::set(&DEPTH, 1);
        {
            let _inner = Scoped::set(&DEPTH, 2);
            assert_eq!(DEPTH.get(), 2);
        }
        assert_eq!(DEPTH.get(), 1);
        drop(outer);
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn a_panic_leaves_the_value_that_was_there() {
        let panics = || {
            let _scoped = Scoped::set(&DEPTH, 1);
            panic!("inside");
        };
        assert!(catch_unwind(panics).is_err());
        assert_eq!(DEPTH.get(), 0);
    }
}
