//! Which traces are recorded.

use opentelemetry_sdk::trace::Sampler;

use super::Result;
use crate::setup::environment::Environment;
use crate::setup::error::SetupError;
use crate::setup::variables::{TRACES_SAMPLER, TRACES_SAMPLER_ARG};

pub(super) fn read(env: &Environment<'_>) -> Result<Sampler> {
    let ratio = Sampler::TraceIdRatioBased(sampled_ratio(env)?);
    let of_roots = |sampler| Sampler::ParentBased(Box::new(sampler));
    let known = [
        ("always_on", Sampler::AlwaysOn),
        ("always_off", Sampler::AlwaysOff),
        ("traceidratio", ratio.clone()),
        ("parentbased_always_on", of_roots(Sampler::AlwaysOn)),
        ("parentbased_always_off", of_roots(Sampler::AlwaysOff)),
        ("parentbased_traceidratio", of_roots(ratio)),
    ];
    let chosen = env.choice(&TRACES_SAMPLER, &known)?;
    Ok(chosen.unwrap_or_else(|| of_roots(Sampler::AlwaysOn)))
}

fn sampled_ratio(env: &Environment<'_>) -> Result<f64> {
    let ratio = env.number::<f64>(&TRACES_SAMPLER_ARG)?.unwrap_or(1.0);
    if (0.0..=1.0).contains(&ratio) {
        return Ok(ratio);
    }
    Err(SetupError::variable(
        &TRACES_SAMPLER_ARG,
        format!("`{ratio}` is not in 0..=1"),
    ))
}

#[cfg(test)]
mod tests {
    use crate::setup::config::tests::read;

    fn sampler_of(name: &str, ratio: &str) -> String {
        let variables = [
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", ratio),
        ];
        format!("{:?}", read(&variables).unwrap().sampler)
    }

    #[test]
    fn every_sampler_is_known() {
        assert_eq!(sampler_of("always_on", ""), "AlwaysOn");
        assert_eq!(sampler_of("always_off", ""), "AlwaysOff");
        assert_eq!(
            sampler_of("traceidratio", "0.25"),
            "TraceIdRatioBased(0.25)"
        );
        assert_eq!(sampler_of("traceidratio", ""), "TraceIdRatioBased(1.0)");
        assert_eq!(
            sampler_of("parentbased_always_on", ""),
            "ParentBased(AlwaysOn)"
        );
        assert_eq!(
            sampler_of("parentbased_always_off", ""),
            "ParentBased(AlwaysOff)"
        );
        assert_eq!(
            sampler_of("parentbased_traceidratio", "0.5"),
            "ParentBased(TraceIdRatioBased(0.5))"
        );
    }
}
