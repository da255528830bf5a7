//! What is tried again of calls of OTLP, and when.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// As the exporters of OTLP over HTTP do it.
const RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_JITTER: u64 = 100;

/// Makes a call, and makes it again while it fails with what may pass. In a runtime.
pub(super) async fn within<A, F>(limit: Duration, call: impl Fn() -> F) -> Result<A, Status>
where
    F: Future<Output = Result<A, Status>>,
{
    let mut failure = None;
    let calls = async {
        let mut pause = FIRST_PAUSE;
        for _ in 0..RETRIES {
            let status = match call().await {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            let Some(asked) = pause_after(&status) else {
                return Err(status);
            };
            failure = Some(status);
            pause = pause.max(asked);
            sleep(pause + jitter()).await;
            pause *= 2;
        }
        call().await
    };
    match timeout(limit, calls).await {
        Ok(called) => called,
        Err(_) => Err(failure.unwrap_or_else(|| Status::deadline_exceeded("no answer"))),
    }
}

/// `None` where another call would be answered the same. What a collector has no
/// room for it may have later only if it says so.
fn pause_after(status: &Status) -> Option<Duration> {
    let asked = status.get_details_retry_info();
    let asked = asked.and_then(|it| it.retry_delay);
    match status.code() {
        Code::ResourceExhausted => asked,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Some(asked.unwrap_or_default()),
        _ => None,
    }
}

/// So that processes that failed together do not come again together.
fn jitter() -> Duration {
    Duration::from_millis(RandomState::new().hash_one(()) % MAX_JITTER)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use tonic_types::ErrorDetails;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// The result, and how often was called, where the first calls fail.
    async fn called(failures: u32, with: &Status) -> (Result<(), Code>, u32) {
        let calls = Cell::new(0);
        let call = || {
            calls.set(calls.get() + 1);
            let fails = calls.get() <= failures;
            ready(if fails { Err(with.clone()) } else { Ok(()) })
        };
        let result = within(LONG, call).await;
        (result.map_err(|it| it.code()), calls.get())
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_again_and_nothing_else() {
        let down = Status::unavailable("");
        assert_eq!(called(0, &down).await, (Ok(()), 1));
        assert_eq!(called(2, &down).await, (Ok(()), 3));
        let bad = Status::invalid_argument("");
        assert_eq!(called(1, &bad).await, (Err(Code::InvalidArgument), 1));
        let full = Status::resource_exhausted("");
        assert_eq!(called(1, &full).await, (Err(Code::ResourceExhausted), 1));
        let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1)));
        let later = Status::with_error_details(Code::ResourceExhausted, "", details);
        assert_eq!(called(1, &later).await, (Ok(()), 2));
    }

    #[tokio::test]
    async fn it_ends_after_some_calls() {
        let down = Status::unavailable("");
        assert_eq!(
            called(9, &down).await,
            (Err(Code::Unavailable), RETRIES + 1)
        );
    }

    /// With what it knows of why.
    #[tokio::test]
    async fn it_ends_with_its_time() {
        let limit = Duration::from_millis(1);
        let silent = within(limit, pending::<Result<(), _>>).await;
        assert_eq!(silent.unwrap_err().code(), Code::DeadlineExceeded);
        let down = || ready(Err::<(), _>(Status::unavailable("")));
        assert_eq!(
            within(limit, down).await.unwrap_err().code(),
            Code::Unavailable
        );
    }
}
