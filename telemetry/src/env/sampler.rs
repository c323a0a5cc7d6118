//! `OTEL_TRACES_SAMPLER` and its argument: which traces are recorded, decided at their head.

use super::lookup::{Env, VariableError, invalid};

pub(super) const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
pub(super) const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Which traces are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SamplerSettings {
    /// A span with a parent does as its parent does.
    pub(crate) parent_based: bool,
    pub(crate) root: RootSampler,
}

/// What is decided for a trace that begins here; without `parent_based`, for every span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RootSampler {
    On,
    Off,
    /// This share of all traces, from 0 to 1.
    Ratio(f64),
}

impl SamplerSettings {
    pub(super) fn read(env: &Env) -> Result<Self, VariableError> {
        const EXPECTED: &str =
            "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio";
        let read = |value: &str| {
            let (parent_based, root) = value.strip_prefix("parentbased_").map_or((false, value), |root| (true, root));
            ["always_on", "always_off", "traceidratio"].contains(&root).then(|| (parent_based, root.to_owned()))
        };
        let named = env.parsed(&[SAMPLER], EXPECTED, read)?;
        let (parent_based, root) = named.unwrap_or_else(|| (true, "always_on".to_owned()));
        let root = match root.as_str() {
            "always_off" => RootSampler::Off,
            "traceidratio" => RootSampler::Ratio(ratio(env)?),
            _ => RootSampler::On,
        };
        Ok(Self { parent_based, root })
    }
}

fn ratio(env: &Env) -> Result<f64, VariableError> {
    let Some(text) = env.get(SAMPLER_ARG) else { return Ok(1.0) };
    text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| invalid(SAMPLER_ARG, text, "a number from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::read;
    use super::*;

    fn sampler(variables: &[(&'static str, &'static str)]) -> Result<SamplerSettings, VariableError> {
        let mut variables = variables.to_vec();
        variables.push(("OTEL_TRACES_EXPORTER", "otlp"));
        read(&variables).map(|settings| settings.traces.unwrap().sampler)
    }

    #[test]
    fn every_sampler_of_the_specification_is_known() {
        use RootSampler::{Off, On, Ratio};
        for (name, share, parent_based, root) in [
            ("", "", true, On),
            ("always_on", "", false, On),
            ("always_off", "", false, Off),
            ("TraceIdRatio", "0.25", false, Ratio(0.25)),
            ("traceidratio", "", false, Ratio(1.0)),
            ("parentbased_always_on", "0.25", true, On),
            ("parentbased_always_off", "", true, Off),
            ("parentbased_traceidratio", "0", true, Ratio(0.0)),
        ] {
            let read = sampler(&[(SAMPLER, name), (SAMPLER_ARG, share)]).unwrap();
            assert_eq!(read, SamplerSettings { parent_based, root }, "{name} {share}");
        }
    }

    #[test]
    fn what_is_not_valid_is_named_with_what_would_be_right() {
        for (variables, expected) in [
            (&[(SAMPLER, "sometimes")][..], "parentbased_traceidratio"),
            (&[(SAMPLER, "parentbased_"), (SAMPLER_ARG, "1")], "parentbased_traceidratio"),
            (&[(SAMPLER, "traceidratio"), (SAMPLER_ARG, "1.5")], "from 0 to 1"),
            (&[(SAMPLER, "traceidratio"), (SAMPLER_ARG, "NaN")], "from 0 to 1"),
        ] {
            let error = sampler(variables).unwrap_err().to_string();
            assert!(error.contains(SAMPLER) && error.contains(expected), "{error}");
        }
    }
}
