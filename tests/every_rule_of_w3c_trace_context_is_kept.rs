//! W3C Trace Context, Level 2, rule by rule: <https://www.w3.org/TR/trace-context-2/>.
#![cfg(feature = "propagation")]

#[path = "support/w3c.rs"]
mod w3c;

use tracing_meter::propagation::{Traceparent, Tracestate, W3cPropagator};
use w3c::{TRACEPARENT, headers, passed_on, passed_on_by, traceparent, value, with_trace};

/// Sections 3.2.1 and 3.2.2: the fields, and where they stand.
#[test]
fn a_traceparent_is_a_version_a_trace_a_parent_and_flags() {
    let parsed: Traceparent = TRACEPARENT.parse().unwrap();
    assert_eq!(
        parsed.trace_id().get(),
        0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c
    );
    assert_eq!(parsed.parent_id().get(), 0xb7ad_6b71_6920_3331);
    assert!(parsed.is_sampled() && !parsed.is_random());
    assert_eq!(parsed.to_string(), TRACEPARENT);
}

/// Section 3.2.2: HEXDIGLC.
#[test]
fn every_digit_of_a_traceparent_is_lowercase_hexadecimal() {
    for at in digits() {
        for bad in *b"AFGg+- .\t\0\x7f\x80\xff" {
            assert_is_no_traceparent(&with_byte(at, bad));
        }
    }
}

/// Section 3.2.2.2: the dashes of the version's format.
#[test]
fn dashes_stand_between_the_fields_of_a_traceparent() {
    for at in [2, 35, 52] {
        for bad in *b"0_ =" {
            assert_is_no_traceparent(&with_byte(at, bad));
        }
    }
}

/// Section 3.2.2.2: the format of version 00 is all of it.
#[test]
fn version_00_has_exactly_55_characters() {
    for length in 0..55 {
        assert_is_no_traceparent(&TRACEPARENT.as_bytes()[..length]);
    }
    for more in ["-", "-01", "0", ".", ",", "\0", " 0"] {
        assert_is_no_traceparent(format!("{TRACEPARENT}{more}").as_bytes());
    }
}

/// Section 3.2.2.1.
#[test]
fn version_ff_is_invalid() {
    assert_is_no_traceparent(TRACEPARENT.replacen("00", "ff", 1).as_bytes());
}

/// Sections 3.2.2.3 and 3.2.2.4.
#[test]
fn ids_of_nothing_but_zeros_are_invalid() {
    let trace = format!("00-{}-b7ad6b7169203331-01", "0".repeat(32));
    let parent = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", "0".repeat(16));
    assert_is_no_traceparent(trace.as_bytes());
    assert_is_no_traceparent(parent.as_bytes());
}

/// RFC 9110, section 5.5: blanks and tabs around a field's value are none of it.
#[test]
fn blanks_and_tabs_around_a_traceparent_are_trimmed() {
    for padded in [format!(" \t{TRACEPARENT}"), format!("{TRACEPARENT}\t ")] {
        let sent = passed_on(&headers(&[("traceparent", padded)]));
        assert_eq!(value(&sent, "traceparent"), Some(TRACEPARENT));
    }
    for padded in [format!("\n{TRACEPARENT}"), format!("{TRACEPARENT}\u{a0}")] {
        assert_is_no_traceparent(padded.as_bytes());
    }
}

/// Sections 3.2.1 and 3.3.1: names are read in any case, and written in lowercase.
#[test]
fn names_are_read_in_any_case_and_written_in_lowercase() {
    for (parent, state) in [
        ("TraceParent", "TraceState"),
        ("TRACEPARENT", "TRACESTATE"),
        ("tRaCePaReNt", "tracestate"),
    ] {
        let sent = passed_on(&headers(&[(parent, TRACEPARENT), (state, "rojo=1")]));
        assert_eq!(value(&sent, "traceparent"), Some(TRACEPARENT));
        assert_eq!(value(&sent, "tracestate"), Some("rojo=1"));
    }
}

/// Section 3.2.4, versioning: what is known of a higher version is used.
#[test]
fn a_higher_version_is_read_as_far_as_it_is_known_and_written_as_00() {
    for version in ["01", "cc", "fe"] {
        for more in ["", "-", "-00", "-what the future will be like"] {
            let future = format!("{}{more}", TRACEPARENT.replacen("00", version, 1));
            let sent = passed_on(&headers(&[("traceparent", future)]));
            assert_eq!(value(&sent, "traceparent"), Some(TRACEPARENT));
        }
    }
}

/// Section 3.2.4, versioning.
#[test]
fn a_higher_version_that_does_not_begin_like_00_is_invalid() {
    let future = TRACEPARENT.replacen("00", "cc", 1);
    for more in ["0", "_01", ".", ",01"] {
        assert_is_no_traceparent(format!("{future}{more}").as_bytes());
    }
    assert_is_no_traceparent(&future.as_bytes()[..54]);
    for at in digits().filter(|at| *at > 1) {
        let mut upper = format!("{future}-01").into_bytes();
        upper[at] = b'F';
        assert_is_no_traceparent(&upper);
    }
}

/// Section 3.2.1: there is one `traceparent`; nobody can say which of two it would be.
#[test]
fn of_two_traceparents_none_is_used() {
    for other in [TRACEPARENT, "", "not one", &TRACEPARENT.replace("0a", "0b")] {
        for pair in [[TRACEPARENT, other], [other, TRACEPARENT]] {
            let pair = pair.map(|header| ("traceparent", header));
            assert_eq!(passed_on(&headers(&pair)), []);
        }
    }
    assert_eq!(
        passed_on(&headers(&[("traceparent", TRACEPARENT); 3])),
        headers::<&str>(&[])
    );
}

/// Section 4, step 2: an invalid `traceparent` is as none.
#[test]
fn without_a_valid_traceparent_the_list_is_not_read() {
    let alone = [("tracestate", "rojo=1")];
    let invalid = [("traceparent", "00-0-0-0"), ("tracestate", "rojo=1")];
    assert_eq!(passed_on(&headers(&alone)), []);
    assert_eq!(passed_on(&headers(&invalid)), []);
}

/// Sections 3.3 and 4: the two headers depend on each other in one direction only.
#[test]
fn a_bad_list_never_affects_the_trace() {
    for bad in ["foo", "=", "foo=1=2", "Foo=1", "foo=1,,bar", "foo=\u{e9}"] {
        let sent = passed_on(&with_trace(&[("tracestate", bad)]));
        assert_eq!(sent, headers(&[("traceparent", TRACEPARENT)]), "{bad}");
    }
    let bytes: [u8; 3] = [b'a', b'=', 0xff];
    let sent = passed_on(&with_trace(&[("tracestate", bytes)]));
    assert_eq!(sent, headers(&[("traceparent", TRACEPARENT)]));
}

/// Section 3.2.2.5: sampled and random are kept, all other flags are written as 0.
#[test]
fn only_known_flags_are_passed_on() {
    for flags in 0..=u8::MAX {
        let received = format!("{}{flags:02x}", &TRACEPARENT[..53]);
        let sent = passed_on(&headers(&[("traceparent", received)]));
        let expected = format!("{}{:02x}", &TRACEPARENT[..53], flags & 3);
        assert_eq!(value(&sent, "traceparent"), Some(expected.as_str()));
        let parsed = traceparent(&sent).unwrap();
        assert_eq!(parsed.is_sampled(), flags & 1 != 0);
        assert_eq!(parsed.is_random(), flags & 2 != 0);
    }
}

/// Section 3.3.1, combined header value: several headers are one list.
#[test]
fn several_lists_are_joined_in_the_order_received() {
    let lists = ["congo=1,rojo=2", "", "azul=3", " , ", "verde=4"];
    let sent = passed_on(&with_trace(&lists.map(|list| ("tracestate", list))));
    assert_eq!(
        value(&sent, "tracestate"),
        Some("congo=1,rojo=2,azul=3,verde=4")
    );
}

/// Section 3.3.1.1: `list-member 0*31( OWS "," OWS list-member )`.
#[test]
fn blanks_tabs_and_empty_members_are_dropped() {
    let list = "\t, ,rojo=1 \t,,\t congo=2\t ,, \t";
    assert_eq!(list_passed_on(list).as_deref(), Some("rojo=1,congo=2"));
}

/// Section 3.3.1.1: an empty list is accepted, but should not be sent.
#[test]
fn for_an_empty_list_none_is_sent() {
    for empty in ["", " ", "\t", ",", ", ,\t,,"] {
        assert_eq!(empty.parse(), Ok(Tracestate::default()));
        assert_eq!(list_passed_on(empty), None);
    }
}

/// Section 3.3.1.3.1.
#[test]
fn a_key_begins_with_a_letter_or_digit_and_has_256_characters_at_most() {
    let longest = "k".repeat(256);
    let long_vendor = format!("t@{}", "v".repeat(254));
    let good = [
        "a",
        "0",
        "z9_-*/@",
        "foo@@bar",
        "foo@",
        "0@1@2",
        "a@-",
        &longest,
        &long_vendor,
    ];
    for key in good {
        let list = format!("{key}=1");
        assert_eq!(list_passed_on(&list), Some(list));
    }
    let too_long = "k".repeat(257);
    let bad = [
        "", "_a", "@a", "-a", "*a", "/a", "A", "aB", "a b", "a\tb", "a.b", "a:b", "\u{e9}", "a\0",
        &too_long,
    ];
    for key in bad {
        assert_is_no_key(key);
    }
    // A blank before the equals sign would be part of the key.
    assert_eq!(list_passed_on("foo =1"), None);
}

/// Section 3.3.1.3.2.
#[test]
fn a_value_is_printable_without_commas_equals_signs_and_a_last_blank() {
    let every_character: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    let (longest, too_long) = ("v".repeat(256), "v".repeat(257));
    for value in [" leading", "  in  side", "\"", &every_character, &longest] {
        let list = format!("rojo={value}");
        assert_eq!(list_passed_on(&list), Some(list));
    }
    for bad in [
        "", " ", "a=b", "=", "a\tb", "a\0", "a\x7f", "\u{e9}", &too_long,
    ] {
        let error = Tracestate::default().insert("rojo", bad).unwrap_err();
        assert!(error.is_value(), "{bad}");
        assert_eq!(list_passed_on(&format!("rojo={bad}")), None, "{bad}");
    }
    assert!(Tracestate::default().insert("rojo", "a ").is_err());
    assert_eq!(list_passed_on("rojo=a ").as_deref(), Some("rojo=a"));
}

/// Section 3.3.1.1: there are 32 list-members at most.
#[test]
fn a_list_of_more_than_32_members_is_dropped_and_the_trace_goes_on() {
    assert_eq!(list_passed_on(&list(32)), Some(list(32)));
    assert!(list(33).parse::<Tracestate>().unwrap_err().is_members());
    let (first, second) = (list(32), "one-more=1".to_owned());
    for lists in [vec![list(33)], vec![first, second], vec![list(1); 33]] {
        let lists: Vec<_> = lists.iter().map(|list| ("tracestate", list)).collect();
        let sent = passed_on(&with_trace(&lists));
        assert_eq!(sent, headers(&[("traceparent", TRACEPARENT)]));
    }
}

/// Section "Mutating the tracestate field": what is added stands at the left, and the right-most goes.
#[test]
fn of_a_full_list_the_right_most_goes_when_one_is_added() {
    let full: Tracestate = list(32).parse().unwrap();
    let added = full.insert("new", "1").unwrap();
    assert_eq!(added.to_string(), format!("new=1,{}", list(31)));
    let changed = full.insert("k31", "2").unwrap();
    assert_eq!(changed.to_string(), format!("k31=2,{}", list(31)));
}

/// Section "Mutating the tracestate field".
#[test]
fn what_is_changed_moves_left_and_the_order_of_the_rest_is_kept() {
    let received: Tracestate = "a=1,b=2,c=3,d=4".parse().unwrap();
    assert_eq!(
        received.insert("c", "5").unwrap().as_str(),
        "c=5,a=1,b=2,d=4"
    );
    assert_eq!(
        received.insert("e", "5").unwrap().as_str(),
        "e=5,a=1,b=2,c=3,d=4"
    );
    assert_eq!(received.remove("b").as_str(), "a=1,c=3,d=4");
    assert_eq!(received.remove("e"), received);
}

/// Section 3.3.1: one illegal member, and the list says nothing.
#[test]
fn one_illegal_member_makes_the_list_invalid() {
    for bad in ["Foo=1", "foo", "foo=", "foo=a=b", "foo=\u{7}"] {
        for list in [
            format!("{bad},a=1"),
            format!("a=1,{bad}"),
            format!("a=1,{bad},b=2"),
        ] {
            assert_eq!(list_passed_on(&list), None, "{list}");
        }
    }
}

/// Section 3.3.1.3: a key stands in a list once. That is no reason to forget the others.
#[test]
fn of_several_members_with_one_key_the_first_is_kept() {
    assert_eq!(
        list_passed_on("a=1,b=2,a=3,b=4,c=5").as_deref(),
        Some("a=1,b=2,c=5")
    );
    let sent = passed_on(&with_trace(&[("tracestate", "a=1"), ("tracestate", "a=2")]));
    assert_eq!(value(&sent, "tracestate"), Some("a=1"));
}

/// Section 3.3.1.5: at least 512 characters are propagated.
#[test]
fn at_least_512_characters_of_a_list_are_passed_on() {
    let of_512 = format!("a={},b={}", "1".repeat(253), "2".repeat(254));
    assert_eq!(of_512.len(), 512);
    let received = with_trace(&[("tracestate", &of_512)]);
    for limit in [0, 1, 511, 512] {
        let sent = passed_on_by(&W3cPropagator::new().tracestate_limit(limit), &received);
        assert_eq!(value(&sent, "tracestate"), Some(of_512.as_str()));
    }
    // Without a limit of its own, a service sends all that a list can be.
    let longest: Vec<_> = (0..32).map(|n| format!("{n:k<256}={n:v<256}")).collect();
    let longest = longest.join(",");
    assert_eq!(list_passed_on(&longest), Some(longest));
}

/// Section 3.3.1.5: whole members go, first those of more than 128 characters.
#[test]
fn a_list_is_cut_by_whole_members_the_long_ones_first_and_from_the_right() {
    let member = |key: &str, length: usize| format!("{key}={}", "v".repeat(length - 2));
    let list = |members: &[(&str, usize)]| -> String {
        let members: Vec<_> = members.iter().map(|(k, n)| member(k, *n)).collect();
        members.join(",")
    };
    let all = list(&[("a", 129), ("b", 100), ("c", 128), ("d", 129), ("e", 100)]);
    let received = with_trace(&[("tracestate", &all)]);
    let of_512 = W3cPropagator::new().tracestate_limit(512);
    let sent = passed_on_by(&of_512, &received);
    let expected = list(&[("a", 129), ("b", 100), ("c", 128), ("e", 100)]);
    assert_eq!(value(&sent, "tracestate"), Some(expected.as_str()));

    let parsed: Tracestate = all.parse().unwrap();
    let short = list(&[("b", 100), ("c", 128), ("e", 100)]);
    assert_eq!(parsed.cut_to(short.len()).as_str(), short);
    let shorter = list(&[("b", 100), ("c", 128)]);
    assert_eq!(parsed.cut_to(short.len() - 1).as_str(), shorter);
    assert_eq!(parsed.cut_to(99).as_str(), "");
}

/// The positions of digits in a `traceparent`.
fn digits() -> impl Iterator<Item = usize> {
    (0..55).filter(|at| ![2, 35, 52].contains(at))
}

fn with_byte(at: usize, byte: u8) -> Vec<u8> {
    let mut header = TRACEPARENT.as_bytes().to_vec();
    header[at] = byte;
    header
}

/// It is an error, and whoever receives it does not continue its trace.
fn assert_is_no_traceparent(header: &[u8]) {
    let shown = String::from_utf8_lossy(header);
    assert!(Traceparent::parse(header).is_err(), "{shown:?}");
    assert_eq!(passed_on(&headers(&[("traceparent", header)])), []);
}

fn assert_is_no_key(key: &str) {
    let error = Tracestate::default().insert(key, "1").unwrap_err();
    assert!(error.is_key(), "{key}");
    assert_eq!(list_passed_on(&format!("{key}=1")), None, "{key}");
}

fn list_passed_on(list: &str) -> Option<String> {
    let sent = passed_on(&with_trace(&[("tracestate", list)]));
    assert_eq!(value(&sent, "traceparent"), Some(TRACEPARENT));
    value(&sent, "tracestate").map(ToOwned::to_owned)
}

/// So many members.
fn list(members: usize) -> String {
    let members: Vec<_> = (0..members).map(|n| format!("k{n}=1")).collect();
    members.join(",")
}
