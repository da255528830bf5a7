//! What is measured without a field of ours, as the environment says.

use opentelemetry_sdk::Resource;

use super::environment::Environment;
use super::error::SetupError;
#[cfg(feature = "toml")]
use super::variables::RULES;
use super::variables::{CONVENTIONS, SPANS};
use crate::convention::{SemanticConventions, SpanMetrics};
use crate::error::BuildError;
use crate::layer::MeterLayerBuilder;

#[derive(Clone, Copy, PartialEq)]
enum Of {
    Http,
    Rpc,
    Database,
    Messaging,
}

/// Adds the semantic conventions, and what the environment asks for, to those of the
/// application.
pub(super) fn add(
    env: &Environment<'_>,
    semantic: SemanticConventions,
    resource: &Resource,
    mut meter: MeterLayerBuilder,
) -> Result<MeterLayerBuilder, SetupError> {
    meter = meter.convention(chosen(env, semantic)?);
    if let Some(directives) = env.text(&SPANS)? {
        let error = |why: BuildError| SetupError::value(&SPANS, &directives, why);
        let spans = SpanMetrics::new(&directives).map_err(error)?;
        let service = resource.get(&"service.name".into());
        let service = service.map_or_else(String::new, |name| name.to_string());
        meter = meter.convention(spans.service(service));
    }
    #[cfg(feature = "toml")]
    if let Some(file) = env.text(&RULES)? {
        let error = |why: BuildError| SetupError::value(&RULES, &file, why);
        meter = meter.convention(crate::Rules::from_file(&file).map_err(error)?);
    }
    Ok(meter)
}

/// Those of the application, which the environment turns on or off.
fn chosen(
    env: &Environment<'_>,
    semantic: SemanticConventions,
) -> Result<SemanticConventions, SetupError> {
    if env.text(&CONVENTIONS)?.is_none() {
        return Ok(semantic);
    }
    let known = [
        ("http", Of::Http),
        ("rpc", Of::Rpc),
        ("database", Of::Database),
        ("messaging", Of::Messaging),
    ];
    let on = env.choices(&CONVENTIONS, "none", &known)?;
    Ok(semantic
        .http(on.contains(&Of::Http))
        .rpc(on.contains(&Of::Rpc))
        .database(on.contains(&Of::Database))
        .messaging(on.contains(&Of::Messaging)))
}
