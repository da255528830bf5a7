//! What is read stays within the limits, and is the same after it was written and read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracing_meter::propagation::Baggage;

fuzz_target!(|message: &[u8]| {
    let read = Baggage::parse(message.split(|byte| *byte == b'\n'));
    let written = read.to_string();
    assert!(read.len() <= 64 && written.len() <= 8192);
    assert!(
        written
            .bytes()
            .all(|b| b == b'\t' || (0x20..0x7f).contains(&b))
    );
    assert_eq!(Baggage::parse([written.as_bytes()]), read);

    // An application may set any value that it received again.
    let mut copy = Baggage::default();
    for (key, value, properties) in read.iter() {
        copy.insert(key, value, properties).unwrap();
    }
    assert_eq!(copy, read);
});
