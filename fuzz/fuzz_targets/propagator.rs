//! Whatever comes in, what goes out is valid and means the same to the next service.
#![no_main]

#[path = "../../tests/support/w3c.rs"]
mod w3c;

use libfuzzer_sys::fuzz_target;

// Lines of `name: value`, so that seeds can be read.
fuzz_target!(|message: &[u8]| {
    let lines = message.split(|byte| *byte == b'\n');
    let received = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        Some((name.to_owned(), line[colon + 1..].to_vec()))
    });
    w3c::assert_is_passed_on(&received.collect());
});
