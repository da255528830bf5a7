//! A request, and what is expected of the calls that a service makes for it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::{Called, Harness, Result};

pub(crate) const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const PARENT_ID: &str = "b7ad6b7169203331";

/// Of what a request says of its trace, which is valid or not.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    sent: Vec<(String, String)>,
    calls: usize,
    trace: Trace,
    random: Option<bool>,
    /// If it matters: the members that may be sent, separated by commas.
    tracestate: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug)]
enum Trace {
    Valid,
    Continued,
    New,
}

impl Exchange {
    /// A request with these headers alone. All calls for it have a valid trace.
    pub(crate) fn of<const N: usize>(headers: [(&str, &str); N]) -> Self {
        Self {
            sent: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            calls: 1,
            trace: Trace::Valid,
            random: None,
            tracestate: None,
        }
    }

    /// A `traceparent` of these parts.
    pub(crate) fn of_parts(version: &str, trace_id: &str, parent_id: &str, flags: &str) -> Self {
        let traceparent = format!("{version}-{trace_id}-{parent_id}-{flags}");
        Self::of([("traceparent", &traceparent)])
    }

    /// A `traceparent` that is valid, and these headers `tracestate`. The trace goes on.
    pub(crate) fn of_tracestate<const N: usize>(values: [&str; N]) -> Self {
        let mut valid = Self::of_parts("00", TRACE_ID, PARENT_ID, "00").continues();
        let headers = values.map(|value| ("tracestate".to_owned(), value.to_owned()));
        valid.sent.extend(headers);
        valid
    }

    /// The request asks for so many calls.
    pub(crate) fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// All calls are part of the trace [`TRACE_ID`].
    pub(crate) fn continues(mut self) -> Self {
        self.trace = Trace::Continued;
        self
    }

    /// The calls are part of no trace that was sent.
    pub(crate) fn starts_anew(mut self) -> Self {
        self.trace = Trace::New;
        self
    }

    /// All calls say that the trace's id is random, or that it may not be.
    pub(crate) fn with_random_flag(mut self, random: bool) -> Self {
        self.random = Some(random);
        self
    }

    /// The calls have this list, in this order.
    pub(crate) fn carries(self, list: &str) -> Self {
        self.carries_one_of([list])
    }

    pub(crate) fn carries_one_of<const N: usize>(mut self, lists: [&str; N]) -> Self {
        self.tracestate = Some(lists.map(ToOwned::to_owned).into());
        self
    }

    /// The calls have no list, or one without members.
    pub(crate) fn carries_nothing(self) -> Self {
        self.carries("")
    }

    /// What is wrong with these calls, if anything is.
    fn check(&self, called: &[Called]) -> std::result::Result<(), String> {
        let mut parent_ids = BTreeSet::new();
        for call in called {
            let [trace_id, parent_id, flags] = call.trace()?;
            let is_as_expected = match self.trace {
                Trace::Valid => true,
                Trace::Continued => trace_id == TRACE_ID,
                Trace::New => !self.has_sent(trace_id),
            };
            if !is_as_expected {
                return Err(format!("the trace is {trace_id}"));
            }
            if self.has_sent(parent_id) || !parent_ids.insert(parent_id) {
                return Err(format!("the parent {parent_id} comes twice"));
            }
            let random = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 0b10 != 0);
            if self.random.is_some_and(|expected| random != expected) {
                return Err(format!("the flags are {flags}"));
            }
            let list = call.tracestate();
            if matches!(&self.tracestate, Some(expected) if !expected.contains(&list)) {
                return Err(format!("the list is `{list}`"));
            }
        }
        Ok(())
    }

    fn has_sent(&self, id: &str) -> bool {
        self.sent.iter().any(|(_, value)| value.contains(id))
    }
}

/// Whether a service does what is expected: what it does not is in the inner result, and
/// the outer one says what kept us from asking.
pub(crate) async fn pass(
    exchanges: Vec<Exchange>,
    service: (SocketAddr, &str),
) -> Result<std::result::Result<(), String>> {
    let harness = Harness::start().await?;
    for exchange in exchanges {
        let called = harness.ask(service, &exchange.sent, exchange.calls).await?;
        if let Err(problem) = exchange.check(&called) {
            return Ok(Err(format!(
                "{problem}: {exchange:#?}, and got {called:#?}"
            )));
        }
    }
    Ok(Ok(()))
}

impl Called {
    /// The trace id, the parent's and the flags of its one `traceparent`.
    pub(crate) fn trace(&self) -> std::result::Result<[&str; 3], String> {
        let values = self.values("traceparent");
        let [traceparent] = values[..] else {
            return Err(format!("{} headers `traceparent`", values.len()));
        };
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |text: &str, length| is_hex(text, length) && text.bytes().any(|b| b != b'0');
        let parts: Vec<_> = traceparent.split('-').collect();
        match parts[..] {
            ["00", trace_id, parent_id, flags]
                if is_id(trace_id, 32) && is_id(parent_id, 16) && is_hex(flags, 2) =>
            {
                Ok([trace_id, parent_id, flags])
            }
            _ => Err(format!("`{traceparent}` is no traceparent")),
        }
    }

    /// The members of all headers `tracestate`, without blanks around them.
    fn tracestate(&self) -> String {
        let all = self.values("tracestate").join(",");
        let members = all
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']));
        let members: Vec<_> = members.filter(|member| !member.is_empty()).collect();
        members.join(",")
    }
}
