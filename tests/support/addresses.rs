//! Where a process of a test serves Prometheus: that endpoint chooses no port by itself,
//! and one that was free just now may not be any more.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// A loopback address of this process alone.
pub fn own_address() -> String {
    let [_, a, b, c] = process::id().to_be_bytes();
    format!("127.{}.{b}.{c}", a | 64)
}

/// Another one each time, which nobody else takes at that address.
pub fn own_port() -> String {
    static LAST: AtomicU16 = AtomicU16::new(9463);
    (LAST.fetch_add(1, Ordering::Relaxed) + 1).to_string()
}
