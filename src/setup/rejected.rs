//! What a collector does not take of an export that it takes.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use crate::cut::cut;

/// The `partial_success` of an answer: a warning, if nothing was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// Spans, or points of metrics.
    pub(super) items: u64,
    pub(super) why: String,
}

/// Of a collector, for one of the signals.
pub(super) trait Answer: Message + Default + 'static {
    fn rejected(self) -> Option<Rejected>;
}

impl Answer for ExportTraceServiceResponse {
    fn rejected(self) -> Option<Rejected> {
        let partly = self.partial_success?;
        Rejected::of(partly.rejected_spans, &partly.error_message)
    }
}

impl Answer for ExportMetricsServiceResponse {
    fn rejected(self) -> Option<Rejected> {
        let partly = self.partial_success?;
        Rejected::of(partly.rejected_data_points, &partly.error_message)
    }
}

impl Rejected {
    /// What is said of nothing, in no words, says nothing.
    fn of(items: i64, why: &str) -> Option<Self> {
        const MAX_WHY: usize = 1024;
        let items = u64::try_from(items).unwrap_or(0);
        let why = cut(why, MAX_WHY).to_owned();
        (items > 0 || !why.is_empty()).then_some(Self { items, why })
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn an_answer_rejects_or_warns_or_says_nothing() {
        let rejected = |rejected_spans, why: &str| {
            let partly = ExportTracePartialSuccess {
                rejected_spans,
                error_message: why.to_owned(),
            };
            let answer = ExportTraceServiceResponse {
                partial_success: Some(partly),
            };
            answer.rejected().map(|it| (it.items, it.why))
        };
        assert_eq!(rejected(2, "old"), Some((2, "old".to_owned())));
        assert_eq!(rejected(2, ""), Some((2, String::new())));
        assert_eq!(rejected(0, "old"), Some((0, "old".to_owned())));
        assert_eq!(rejected(-2, "old"), Some((0, "old".to_owned())));
        assert_eq!(rejected(0, ""), None);
        assert_eq!(rejected(1, &"x".repeat(5000)).unwrap().1.len(), 1024);
        assert_eq!(ExportTraceServiceResponse::default().rejected(), None);
    }
}
