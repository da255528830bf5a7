//! What threads share: structures that are read without a lock, and the mutex of the rest;
//! and what is set on one of them for a scope.
//!
//! Each structure has its invariant in its first lines: who may write, who may read, and which
//! order makes what visible. None depends on what it holds, so that it can be tested and
//! modelled alone.

pub(crate) mod blocks;
pub(crate) mod callsite_map;
#[cfg(feature = "propagation")]
pub(crate) mod id_counts;
pub(crate) mod id_table;
mod mutex;
pub(crate) mod once_map;
mod own_dispatch;
mod per_thread;
pub(crate) mod registry_id;
pub(crate) mod ring;
mod scoped;
pub(crate) mod segmented;
pub(crate) mod total;

pub(crate) use mutex::Mutex;
pub(crate) use own_dispatch::OwnDispatch;
pub(crate) use per_thread::PerThread;
pub(crate) use scoped::Scoped;
