//! The metadata of gRPC messages, which are headers of HTTP.

use http::HeaderMap;
use tonic::metadata::MetadataMap;

use super::{Carrier, CarrierMut};

impl Carrier for MetadataMap {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        let headers: &HeaderMap = self.as_ref();
        headers.each_header(name, each);
    }
}

impl CarrierMut for MetadataMap {
    fn set_header(&mut self, name: &'static str, value: String) {
        let headers: &mut HeaderMap = self.as_mut();
        headers.set_header(name, value);
    }

    fn remove_header(&mut self, name: &'static str) {
        let headers: &mut HeaderMap = self.as_mut();
        headers.remove_header(name);
    }
}
