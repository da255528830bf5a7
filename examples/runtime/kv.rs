//! Surface: a store of keys and values. Its operations are too many for traces: they are
//! events of a level that no tracer takes, and metrics alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::debug;

/// The longest value, in bytes.
pub(crate) const MAX_VALUE: usize = 1024;

#[derive(Default)]
pub(crate) struct Store {
    values: Mutex<Values>,
}

type Values = HashMap<(&'static str, String), String>;

/// A value is too long.
pub(crate) struct TooLong;

impl Store {
    pub(crate) fn get(&self, namespace: &'static str, key: &str) -> Option<String> {
        let start = Instant::now();
        let found = self.lock().get(&(namespace, key.to_owned())).cloned();
        let result = if found.is_some() { "hit" } else { "miss" };
        measure(namespace, "get", result, start);
        found
    }

    pub(crate) fn put(
        &self,
        namespace: &'static str,
        key: &str,
        value: String,
    ) -> Result<(), TooLong> {
        let start = Instant::now();
        if value.len() > MAX_VALUE {
            measure(namespace, "put", "too_long", start);
            return Err(TooLong);
        }
        self.lock().insert((namespace, key.to_owned()), value);
        measure(namespace, "put", "ok", start);
        Ok(())
    }

    pub(crate) fn delete(&self, namespace: &'static str, key: &str) -> bool {
        let start = Instant::now();
        let found = self.lock().remove(&(namespace, key.to_owned())).is_some();
        let result = if found { "hit" } else { "miss" };
        measure(namespace, "delete", result, start);
        found
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn measure(namespace: &str, op: &str, result: &str, start: Instant) {
    debug!(
        monotonic_counter.wippy_kv_ops = 1,
        histogram.wippy_kv_op_duration = start.elapsed().as_secs_f64(),
        namespace,
        op,
        result,
    );
}

pub(crate) fn describe() {
    debug!(
        describe.wippy_kv_ops = "Operations on the key-value store, by what they found.",
        describe.wippy_kv_op_duration = "How long operations on the key-value store took.",
        unit.wippy_kv_op_duration = "s",
    );
}
