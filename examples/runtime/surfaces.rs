//! Everything that a request can reach.

use std::sync::Arc;

use super::bus::{self, Bus};
use super::kv::{self, Store};
use super::outbound::Outbound;
use super::processes::{self, Processes};
use super::queue::{self, Queues};
use super::sql::{self, Database};
use super::streams::Sockets;
use super::{changes, functions, http, log};

pub(crate) struct Surfaces {
    pub(crate) queues: Queues,
    pub(crate) processes: Processes,
    pub(crate) store: Arc<Store>,
    pub(crate) database: Database,
    pub(crate) bus: Bus,
    pub(crate) outbound: Outbound,
    pub(crate) sockets: Sockets,
}

/// What the metrics mean, before any of them is measured.
pub(crate) fn describe() {
    http::describe();
    functions::describe();
    queue::describe();
    processes::describe();
    kv::describe();
    sql::describe();
    changes::describe();
    bus::describe();
    log::describe();
}
