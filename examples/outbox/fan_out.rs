//! Who wants an event.

/// An endpoint, and the types of events that it wants.
pub(crate) struct Subscription {
    pub(crate) endpoint: &'static str,
    /// A type, or `order.*` for all that start so.
    pub(crate) pattern: &'static str,
}

impl Subscription {
    fn wants(&self, event_type: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(start) => event_type.starts_with(start),
            None => event_type == self.pattern,
        }
    }
}

/// An endpoint gets an event once, however many of its subscriptions want it.
pub(super) fn endpoints(subscriptions: &[Subscription], event_type: &str) -> Vec<&'static str> {
    let wanting = subscriptions.iter().filter(|it| it.wants(event_type));
    let mut endpoints: Vec<_> = wanting.map(|it| it.endpoint).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    endpoints
}
