//! What threads share: structures that are read without a lock, and the mutex of the rest;
//! and what is set on one of them for a scope.

mod mutex;
pub(crate) mod once_map;
mod own_dispatch;
mod per_thread;
mod scoped;
pub(crate) mod segmented;

pub(crate) use mutex::Mutex;
pub(crate) use own_dispatch::OwnDispatch;
pub(crate) use per_thread::PerThread;
pub(crate) use scoped::Scoped;
