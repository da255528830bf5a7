//! What is read is written in 55 characters, and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracing_meter::propagation::Traceparent;

fuzz_target!(|header: &[u8]| {
    let Ok(parsed) = Traceparent::parse(header) else {
        return;
    };
    let written = parsed.to_string();
    assert_eq!(written.len(), 55);
    assert_eq!(written.parse(), Ok(parsed));
    // All but the version and the unknown flags stands in what was received.
    let received = String::from_utf8_lossy(header);
    assert!(received.contains(&written[2..53]));
});
