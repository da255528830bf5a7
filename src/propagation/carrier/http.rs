//! The headers of HTTP messages.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Carrier, CarrierMut};

impl Carrier for HeaderMap {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        self.get_all(name)
            .iter()
            .for_each(|value| each(value.as_bytes()));
    }
}

impl CarrierMut for HeaderMap {
    fn set_header(&mut self, name: &'static str, value: String) {
        // `from_static` copies nothing, but panics for names that no header has.
        let is_name = !name.is_empty() && name.bytes().all(|b| b == b'-' || b.is_ascii_lowercase());
        if let (true, Ok(value)) = (is_name, HeaderValue::try_from(value)) {
            self.insert(HeaderName::from_static(name), value);
        }
    }

    fn remove_header(&mut self, name: &'static str) {
        self.remove(name);
    }
}
