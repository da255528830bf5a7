//! What threads share: structures that are read without a lock, and the mutex of the rest.

mod mutex;
pub(crate) mod once_map;
mod per_thread;
pub(crate) mod segmented;

pub(crate) use mutex::Mutex;
pub(crate) use per_thread::PerThread;
