//! Which status codes of RPC systems are errors.

/// Of gRPC, and of Dubbo's Triple protocol.
const GRPC: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

const CONNECT: [&str; 6] = [
    "unknown",
    "deadline_exceeded",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
];

const DUBBO: [&str; 4] = [
    "SERVER_ERROR",
    "SERVER_THREADPOOL_EXHAUSTED_ERROR",
    "SERVER_TIMEOUT",
    "SERVICE_ERROR",
];

/// Whether a status says that the server has failed, and not the client that called it.
///
/// The words of the systems differ, so that a word tells its system. A number is the code of
/// an error object of JSON-RPC, but for gRPC's 0.
pub(crate) fn is_error_of_the_server(status: &str) -> bool {
    let is_word = GRPC
        .iter()
        .chain(&CONNECT)
        .chain(&DUBBO)
        .any(|word| *word == status);
    is_word || status.parse::<i64>().is_ok_and(|code| code != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_failed_by_the_words_of_each_system() {
        for failed in ["UNKNOWN", "unknown", "SERVER_ERROR", "-32602"] {
            assert!(is_error_of_the_server(failed), "{failed}");
        }
        for good in ["OK", "NOT_FOUND", "not_found", "BAD_REQUEST", "0", ""] {
            assert!(!is_error_of_the_server(good), "{good}");
        }
    }
}
