//! The files of the guide `docs/scale.md`.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::path::PathBuf;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

/// One of the configuration files beside the guide.
pub fn path(file: &str) -> PathBuf {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs");
    docs.join("scale").join(file)
}

pub fn text(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap()
}

/// A file of YAML, in which no key stands twice.
pub fn yaml(file: &str) -> Value {
    let documents = Yaml::load_from_str(&text(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    assert_eq!(documents.len(), 1, "{file}");
    json(&documents[0])
}

/// The guide's expressions: its blocks of `promql`, of which each is one.
pub fn expressions() -> Vec<String> {
    let guide = include_str!("../../docs/scale.md");
    let blocks = guide.split("```promql\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().trim().to_owned())
        .collect()
}

fn json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Mapping(entries) => {
            let entries = entries.iter();
            let entry =
                |(key, value): (&Yaml<'_>, _)| (key.as_str().unwrap().to_owned(), json(value));
            Value::Object(entries.map(entry).collect::<Map<_, _>>())
        }
        Yaml::Sequence(entries) => entries.iter().map(json).collect(),
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => value.into_inner().into(),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        other => panic!("{other:?} is for no configuration file"),
    }
}
