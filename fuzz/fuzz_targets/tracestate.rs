//! What is read is written in printable ASCII, and read again as the same, also after
//! it was changed or cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracing_meter::propagation::Tracestate;

fuzz_target!(|message: &[u8]| {
    let headers = message.split(|byte| *byte == b'\n');
    let Ok(parsed) = Tracestate::parse(headers) else {
        return;
    };
    assert_is_valid(&parsed);
    for limit in [0, 100, 512] {
        let cut = parsed.cut_to(limit);
        assert!(cut.as_str().len() <= limit);
        assert_is_valid(&cut);
    }
    let members: Vec<_> = parsed.iter().collect();
    for (key, value) in members.into_iter().rev().take(2) {
        assert_is_valid(&parsed.remove(key));
        let changed = parsed.insert(key, value).unwrap();
        assert_is_valid(&changed);
        assert_eq!(changed.iter().next(), Some((key, value)));
        assert_eq!(changed.len(), parsed.len());
    }
});

fn assert_is_valid(list: &Tracestate) {
    assert!(list.len() <= 32);
    assert!(list.as_str().bytes().all(|b| (0x20..0x7f).contains(&b)));
    assert_eq!(list.as_str().parse(), Ok(list.clone()));
}
