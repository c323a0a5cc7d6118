//! The three things that are pushed.

/// What is pushed over OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Metrics,
    Traces,
    Logs,
}

impl Signal {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// The label `signal`, and the end of the path over HTTP.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// As it stands in the names of variables.
    pub(crate) fn upper(self) -> &'static str {
        match self {
            Self::Metrics => "METRICS",
            Self::Traces => "TRACES",
            Self::Logs => "LOGS",
        }
    }
}
