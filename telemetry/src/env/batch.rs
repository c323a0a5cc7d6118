//! `OTEL_BSP_*` and `OTEL_BLRP_*`: how spans and log records wait for their push.

use std::time::Duration;

use super::lookup::{Env, VariableError, invalid};

/// The specification's defaults.
const QUEUE_DEFAULT: usize = 2_048;
const BATCH_DEFAULT: usize = 512;
const EXPORT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// The queue before a push. What does not fit is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchSettings {
    pub(crate) queue_max: usize,
    pub(crate) batch_max: usize,
    /// The longest wait of an item.
    pub(crate) delay: Duration,
    /// Of one push.
    pub(crate) timeout: Duration,
}

impl BatchSettings {
    /// `prefix` is `OTEL_BSP` or `OTEL_BLRP`; their delays differ.
    pub(super) fn read(env: &Env, prefix: &str, delay_default: Duration) -> Result<Self, VariableError> {
        let name = |option: &str| format!("{prefix}_{option}");
        let count = |option, default| -> Result<usize, VariableError> {
            let read = |value: &str| value.parse().ok().filter(|count| *count > 0);
            Ok(env.parsed(&[name(option)], "a whole number above 0", read)?.unwrap_or(default))
        };
        let queue_max = count("MAX_QUEUE_SIZE", QUEUE_DEFAULT)?;
        let batch_max = count("MAX_EXPORT_BATCH_SIZE", BATCH_DEFAULT.min(queue_max))?;
        if batch_max > queue_max {
            return Err(invalid(&name("MAX_EXPORT_BATCH_SIZE"), batch_max.to_string(), "at most MAX_QUEUE_SIZE (2048 unless set)"));
        }
        Ok(Self {
            queue_max,
            batch_max,
            delay: env.millis(&[name("SCHEDULE_DELAY")], delay_default)?,
            timeout: env.millis(&[name("EXPORT_TIMEOUT")], EXPORT_TIMEOUT_DEFAULT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::read;
    use super::*;

    fn batches(variables: &[(&'static str, &'static str)]) -> Result<[BatchSettings; 2], VariableError> {
        let mut variables = variables.to_vec();
        variables.extend([("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp")]);
        read(&variables).map(|settings| [settings.traces.unwrap().batch, settings.logs.unwrap().batch])
    }

    #[test]
    fn spans_and_records_wait_as_the_specification_says_unless_told_otherwise() {
        let [spans, records] = batches(&[]).unwrap();
        assert_eq!((spans.queue_max, spans.batch_max, spans.delay), (2_048, 512, Duration::from_secs(5)));
        assert_eq!(records, BatchSettings { delay: Duration::from_secs(1), ..spans });
        let set = [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "250"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "7"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ];
        let [spans, records] = batches(&set).unwrap();
        assert_eq!((spans.queue_max, spans.batch_max, spans.delay), (100, 100, Duration::from_millis(250)));
        assert_eq!((records.queue_max, records.batch_max, records.delay), (2_048, 7, Duration::from_millis(20)));
    }

    #[test]
    fn what_is_not_valid_is_named_with_what_would_be_right() {
        for (variable, value, expected) in [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "above 0"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5000", "at most MAX_QUEUE_SIZE"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s", "milliseconds"),
        ] {
            let error = batches(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(value) && error.contains(expected), "{error}");
        }
    }
}
