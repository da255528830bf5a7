//! Surface: an event bus. Nobody waits for a slow subscriber: what has no room in its
//! buffer is rejected.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing::debug;

/// How many events wait for a subscriber.
pub(crate) const BUFFER: usize = 8;

#[derive(Clone, Default)]
pub(crate) struct Bus(Arc<Mutex<Subscribers>>);

#[derive(Default)]
struct Subscribers {
    all: Vec<Subscriber>,
    last_id: u64,
    is_closed: bool,
}

struct Subscriber {
    id: u64,
    topic: String,
    buffer: VecDeque<String>,
    is_closed: bool,
    news: Arc<Notify>,
}

/// A subscriber, until it is dropped.
pub(crate) struct Subscription {
    bus: Bus,
    id: u64,
    news: Arc<Notify>,
}

impl Bus {
    pub(crate) fn subscribe(&self, topic: &str) -> Subscription {
        let mut subscribers = self.lock();
        subscribers.last_id += 1;
        let (id, news) = (subscribers.last_id, Arc::new(Notify::new()));
        let is_closed = subscribers.is_closed;
        subscribers.all.push(Subscriber {
            id,
            topic: topic.to_owned(),
            buffer: VecDeque::new(),
            is_closed,
            news: Arc::clone(&news),
        });
        debug!(counter.eventbus_subscribers_active = 1);
        let bus = self.clone();
        Subscription { bus, id, news }
    }

    /// Publishes these events at once: no subscriber takes one before all are published.
    pub(crate) fn publish<'e>(&self, topic: &str, events: impl Iterator<Item = &'e str>) {
        let mut subscribers = self.lock();
        for event in events {
            for subscriber in subscribers.of(topic) {
                if subscriber.buffer.len() == BUFFER {
                    debug!(monotonic_counter.eventbus_rejected = 1);
                    continue;
                }
                subscriber.buffer.push_back(event.to_owned());
                subscriber.news.notify_one();
            }
        }
    }

    /// Ends the topic's subscriptions, behind what waits for them.
    pub(crate) fn end(&self, topic: &str) {
        self.lock().of(topic).for_each(Subscriber::close);
    }

    /// Ends all of them, and those to come.
    pub(crate) fn close(&self) {
        let mut subscribers = self.lock();
        subscribers.is_closed = true;
        subscribers.all.iter_mut().for_each(Subscriber::close);
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscribers {
    fn of(&mut self, topic: &str) -> impl Iterator<Item = &mut Subscriber> {
        let all = self.all.iter_mut();
        all.filter(move |subscriber| subscriber.topic == topic)
    }
}

impl Subscriber {
    fn close(&mut self) {
        self.is_closed = true;
        self.news.notify_one();
    }
}

impl Subscription {
    /// The next event, or `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            match self.poll() {
                Next::Event(event) => return Some(event),
                Next::End => return None,
                Next::Wait => self.news.notified().await,
            }
        }
    }

    fn poll(&self) -> Next {
        let mut subscribers = self.bus.lock();
        let mut all = subscribers.all.iter_mut();
        match all.find(|subscriber| subscriber.id == self.id) {
            None => Next::End,
            Some(subscriber) => match subscriber.buffer.pop_front() {
                Some(event) => Next::Event(event),
                None if subscriber.is_closed => Next::End,
                None => Next::Wait,
            },
        }
    }
}

enum Next {
    Event(String),
    End,
    Wait,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.bus.lock().all.retain(|it| it.id != self.id);
        debug!(counter.eventbus_subscribers_active = -1);
    }
}

pub(crate) fn describe() {
    debug!(
        describe.eventbus_subscribers_active = "Subscribers of the event bus.",
        describe.eventbus_rejected = "Events for which a subscriber had no room.",
    );
}
