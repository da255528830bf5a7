//! W3C Baggage, rule by rule: <https://www.w3.org/TR/baggage/>.
#![cfg(feature = "propagation")]

#[path = "support/w3c.rs"]
mod w3c;

use opentelemetry::baggage::{BaggageExt as _, KeyValueMetadata};
use opentelemetry::{Context, KeyValue};
use tracing_meter::propagation::{Baggage, W3cPropagator};
use w3c::{headers, meaning, passed_on, sent, value};

/// Section 3.2.1: `key OWS "=" OWS value *( OWS ";" OWS property )`.
#[test]
fn a_member_is_a_key_a_value_and_properties_with_blanks_around() {
    let list = "\ta \t= \t1\t ;p\t; q = 2 ,b=2,, \t,c=3;";
    let read = baggage(list);
    let members: Vec<_> = read.iter().collect();
    assert_eq!(
        members,
        [("a", "1", "p\t; q = 2"), ("b", "2", ""), ("c", "3", "")]
    );
    assert_eq!(read.to_string(), "a=1;p\t; q = 2,b=2,c=3");
}

/// Section 3.2.1: several headers are one list.
#[test]
fn several_headers_are_joined() {
    let received = ["a=1,b=2", "", "c=3", "not a member", "d=4;p"];
    let sent = passed_on(&headers(&received.map(|list| ("Baggage", list))));
    let expected = headers(&[("baggage", "a=1,b=2,c=3,d=4;p")]);
    assert_eq!(meaning(&sent), meaning(&expected));
}

/// Section 3.2.1.1: a token, RFC 9110, section 5.6.2.
#[test]
fn a_key_is_a_token() {
    let every_character = "!#$%&'*+-.^_`|~0123456789abcXYZ";
    for key in [every_character, "k", "%41", "UPPER"] {
        let list = format!("{key}=1");
        assert_eq!(passed_on_alone(&list), Some(list));
    }
    for bad in [
        "", "a b", "a\tb", "(a)", "a/b", "a:b", "a@b", "a\"b", "a[0]", "{a}", "\u{e9}",
    ] {
        assert_eq!(passed_on_alone(&format!("{bad}=1")), None, "{bad}");
        let refused = Baggage::default().insert(bad, "1", "").unwrap_err();
        assert!(refused.is_key(), "{bad}");
    }
}

/// Section 3.2.1.3, properties: keys of tokens, values of baggage-octets.
#[test]
fn a_property_is_a_key_that_is_a_token_with_a_value_or_without() {
    for good in [
        "p",
        "p=",
        "p=1",
        "p=a=b",
        "p;q=2;r",
        "p = 1 ; q",
        "p=%41%2C",
    ] {
        let list = format!("a=1;{good}");
        assert_eq!(passed_on_alone(&list), Some(list));
    }
    for bad in [
        "=1", "p q", "p=1 2", "p=\"1\"", "p=a\\b", "p;;q", "@", "p=\u{e9}", "p=\0",
    ] {
        assert_eq!(passed_on_alone(&format!("a=1;{bad}")), None, "{bad}");
        let refused = Baggage::default().insert("a", "1", bad).unwrap_err();
        assert!(refused.is_properties(), "{bad}");
    }
}

/// Section 3.2.1.2, values: baggage-octets.
#[test]
fn a_value_is_of_baggage_octets() {
    let every_octet: String = ('!'..='~').filter(|c| !"\"%,;\\".contains(*c)).collect();
    for value in ["", "1", "/:?@[]{}()<>", &every_octet] {
        let list = format!("a={value}");
        assert_eq!(passed_on_alone(&list), Some(list));
    }
    for bad in ["a b", "a\tb", "\"a\"", "a\\b", "a\0b", "\x7f", "\u{e9}"] {
        assert_eq!(passed_on_alone(&format!("a={bad}")), None, "{bad}");
    }
}

/// Section 3.2.1.2: only the first equals sign stands between key and value.
#[test]
fn an_equals_sign_in_a_value_belongs_to_it() {
    assert_eq!(baggage("a==").get("a"), Some("="));
    assert_eq!(baggage("a = b=c=").get("a"), Some("b=c="));
    assert_eq!(passed_on_alone("a=b=c=").as_deref(), Some("a=b=c="));
}

/// Section 3.2.1.2: percent-decoded when it is read.
#[test]
fn a_value_is_decoded_when_it_is_read() {
    assert_eq!(baggage("a=caf%C3%a9%20%25%2C").get("a"), Some("café %,"));
    // What is no encoding stands for itself.
    let read = baggage("a=%,b=%4,c=%zz,d=%%341");
    let values: Vec<_> = read.iter().map(|(_, value, _)| value).collect();
    assert_eq!(values, ["%", "%4", "%zz", "%41"]);
}

/// Section 3.2.1.2: bytes that are no UTF-8 become U+FFFD.
#[test]
fn bytes_that_are_no_text_become_the_replacement_character() {
    assert_eq!(baggage("a=x%FFy%C3").get("a"), Some("x\u{fffd}y\u{fffd}"));
    assert_eq!(passed_on_alone("a=%FF").as_deref(), Some("a=%EF%BF%BD"));
}

/// Section 3.2.1.2: percent-encoded when it is written, the percent sign, too.
#[test]
fn a_value_is_the_same_after_any_number_of_hops() {
    for value in [
        "café",
        "%41",
        "100%",
        "%%25",
        "a,b;c=d\\e\"f",
        " \t\r\n\0\x7f",
        "😀",
        "",
    ] {
        let mut written = Baggage::default();
        written.insert("a", value, "").unwrap();
        let mut hop = headers(&[("baggage", written.to_string())]);
        for _ in 0..5 {
            hop = passed_on(&hop);
        }
        assert_eq!(hop, headers(&[("baggage", written.to_string())]));
        let read = baggage(&written.to_string());
        assert_eq!(read.get("a"), Some(value));
    }
}

/// Section 3.2.1.3: nothing says what an encoding in a property means.
#[test]
fn properties_are_passed_on_as_they_came() {
    let list = "a=1;p=%41%2C%0A%C3;q = %;%41";
    assert_eq!(passed_on_alone(list).as_deref(), Some(list));
}

/// Section 3.3: nobody's bad member costs the others theirs.
#[test]
fn one_bad_member_is_dropped_and_the_rest_is_kept() {
    for bad in [
        "bad",
        "=1",
        "b d=1",
        "bad=\"1\"",
        "bad=1;;",
        "bad=\u{e9}",
        "\0",
        "bad=1;p q",
    ] {
        for list in [
            format!("{bad},a=1,b=2"),
            format!("a=1,{bad},b=2"),
            format!("a=1,b=2,{bad}"),
        ] {
            assert_eq!(baggage(&list).to_string(), "a=1,b=2", "{list}");
        }
    }
    let no_text = Baggage::parse([b"a=1,\xff\xfe=2,b=\xff,c=3;\xff,d=4".as_slice()]);
    assert_eq!(no_text.to_string(), "a=1,d=4");
}

/// Section 3.3.2, limits: 64 members.
#[test]
fn what_is_over_64_members_is_dropped() {
    let members: Vec<_> = (0..70).map(|n| format!("k{n}=1")).collect();
    let read = baggage(&members.join(","));
    assert_eq!(read.to_string(), members[..64].join(","));
    let sent = passed_on(&headers(&[("baggage", members.join(","))]));
    let expected = headers(&[("baggage", members[..64].join(","))]);
    assert_eq!(meaning(&sent), meaning(&expected));
}

/// Section 3.3.2, limits: 8192 bytes, commas included.
#[test]
fn what_is_over_8192_bytes_is_dropped_whole() {
    let member = |key: &str, length: usize| format!("{key}={}", "v".repeat(length - 2));
    let exactly = format!("{},{}", member("a", 4096), member("b", 4095));
    assert_eq!(exactly.len(), 8192);
    assert_eq!(baggage(&exactly).to_string(), exactly);
    let small_ones_fit = format!("{},{},c=1", member("a", 4096), member("b", 4096));
    let expected = format!("{},c=1", member("a", 4096));
    assert_eq!(baggage(&small_ones_fit).to_string(), expected);
    assert!(baggage(&member("a", 8193)).is_empty());
    // It is the encoded length that counts.
    let quotes = "\"".repeat(8190 / 3);
    assert_eq!(Baggage::default().insert("a", &quotes, ""), Ok(()));
    let refused = Baggage::default().insert("a", &format!("{quotes}\""), "");
    assert!(refused.unwrap_err().is_limit());
}

/// Section 3.3.2, for what an application puts in: the SDK's limits count no encoding.
#[test]
fn what_an_application_puts_in_stays_within_the_limits() {
    let quotes = "\"".repeat(100);
    let members = (0..64).map(|n| KeyValue::new(format!("k{n}"), quotes.clone()));
    let context = Context::new().with_baggage(members);
    assert_eq!(context.baggage().len(), 64);
    let sent = sent(&W3cPropagator::new(), &context);
    w3c::assert_may_be_sent(&sent);
    assert_eq!(baggage(value(&sent, "baggage").unwrap()).len(), 26);
}

/// Section 3.2.1, for what an application puts in: the SDK's type takes any text.
#[test]
fn what_no_header_can_carry_is_not_sent() {
    let members = [
        KeyValueMetadata::new("good", "1", "p=\r\nx: y"),
        KeyValueMetadata::new("b d", "2", ""),
        KeyValueMetadata::new("caf\u{e9}", "3", ""),
    ];
    let context = Context::new().with_baggage(members);
    let sent = sent(&W3cPropagator::new(), &context);
    assert_eq!(sent, headers(&[("baggage", "good=1")]));
}

/// OpenTelemetry's specification of propagators: what cannot be parsed leaves the
/// context as it is.
#[test]
fn baggage_of_nothing_valid_leaves_the_context_as_it_is() {
    let propagator = W3cPropagator::new();
    let context = Context::new().with_baggage([KeyValue::new("a", "1")]);
    for nothing in ["", "not a member", ",,"] {
        let received = headers(&[("baggage", nothing)]);
        let context = propagator.extract_with(&context, &received);
        assert_eq!(sent(&propagator, &context), headers(&[("baggage", "a=1")]));
    }
    let received = headers(&[("baggage", "b=2")]);
    let context = propagator.extract_with(&context, &received);
    assert_eq!(sent(&propagator, &context), headers(&[("baggage", "b=2")]));
}

fn baggage(list: &str) -> Baggage {
    Baggage::parse([list.as_bytes()])
}

/// Baggage needs no trace.
fn passed_on_alone(list: &str) -> Option<String> {
    let sent = passed_on(&headers(&[("baggage", list)]));
    w3c::assert_may_be_sent(&sent);
    value(&sent, "baggage").map(ToOwned::to_owned)
}
