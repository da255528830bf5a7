//! What all telemetry of the process is of.

use std::collections::BTreeMap;

use opentelemetry::{KeyValue, Value};
use opentelemetry_resource_detectors::{
    ContainerResourceDetector, HostResourceDetector, OsResourceDetector, ProcessResourceDetector,
    ServiceInstanceIdResourceDetector,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector, TelemetryResourceDetector};

/// What was detected, over it what the code says, over it what the environment says.
pub(super) fn resource(
    of_the_code: &BTreeMap<String, String>,
    of_the_environment: &BTreeMap<String, String>,
) -> Resource {
    let said = of_the_code.iter().chain(of_the_environment);
    let said = said.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_detectors(&detectors())
        .with_detector(Box::new(Detected))
        .with_attributes(said)
        .build()
}

fn detectors() -> [Box<dyn ResourceDetector>; 5] {
    [
        Box::new(TelemetryResourceDetector),
        Box::new(HostResourceDetector::default()),
        Box::new(ContainerResourceDetector),
        // Two processes of one service must not write the same series.
        Box::new(ServiceInstanceIdResourceDetector),
        Box::new(OsResourceDetector),
    ]
}

/// What the detectors say in other words than the semantic conventions, say too loudly,
/// cannot find, or read from the environment by other rules.
struct Detected;

impl ResourceDetector for Detected {
    fn detect(&self) -> Resource {
        let of_the_process = ProcessResourceDetector.detect();
        let of_the_process = of_the_process.iter();
        // Arguments may hold secrets.
        let of_the_process = of_the_process
            .filter(|(key, _)| key.as_str() != "process.command_args")
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let executable = executable();
        let service = match &executable {
            Some(name) => format!("unknown_service:{name}"),
            None => "unknown_service".to_owned(),
        };
        let attributes = [
            Some(KeyValue::new("service.name", service)),
            Some(KeyValue::new("host.arch", architecture())),
            Some(KeyValue::new("os.type", os_type())),
            host_name().map(|name| KeyValue::new("host.name", name)),
            executable.map(|name| KeyValue::new("process.executable.name", name)),
        ];
        let attributes = attributes.into_iter().flatten().chain(of_the_process);
        Resource::builder_empty()
            .with_attributes(attributes)
            .build()
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

fn os_type() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// The detector asks a program, which small images do not have.
fn host_name() -> Option<Value> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned().into())
}

fn executable() -> Option<String> {
    let path = std::env::current_exe().ok()?;
    Some(path.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn the_environment_wins_over_the_code_and_both_over_what_is_detected() {
        let code = map(&[
            ("service.name", "code"),
            ("service.version", "1"),
            ("os.type", "code"),
        ]);
        let environment = map(&[("service.name", "env"), ("host.name", "env")]);
        let resource = resource(&code, &environment);
        let value = |key: &'static str| resource.get(&Key::new(key)).map(|it| it.to_string());
        assert_eq!(value("service.name").unwrap(), "env");
        assert_eq!(value("service.version").unwrap(), "1");
        assert_eq!(value("os.type").unwrap(), "code");
        assert_eq!(value("host.name").unwrap(), "env");
    }

    #[test]
    fn a_process_is_told_from_every_other_one() {
        let resource = resource(&BTreeMap::new(), &BTreeMap::new());
        let value = |key: &'static str| resource.get(&Key::new(key)).map(|it| it.to_string());
        let pid = std::process::id().to_string();
        assert_eq!(value("process.pid"), Some(pid));
        let expected = [
            "service.instance.id",
            "service.name",
            "host.arch",
            "host.name",
            "os.type",
            "process.executable.name",
            "process.runtime.name",
            "telemetry.sdk.name",
        ];
        for key in expected {
            assert!(value(key).is_some_and(|it| !it.is_empty()), "{key}");
        }
        assert_eq!(value("process.command_args"), None);
    }
}
