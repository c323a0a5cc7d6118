//! The variables at the head of a board, each used in its queries.

use crate::subject::Subject;

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// Which Prometheus.
    DataSource,
    /// Which Tempo the links to traces lead to.
    Tempo,
    /// Which of the three routes into Prometheus.
    Transport,
    Job,
    Instance,
    Service,
    Tenant,
}

/// The routes by which Prometheus receives a series; the first is shown unless another is chosen.
pub const TRANSPORTS: [&str; 3] = ["scrape", "collector", "otlp"];

/// The data sources that grafana/provisioning makes, and that boards open with.
pub const PROMETHEUS_UID: &str = "prometheus";
pub const TEMPO_UID: &str = "tempo";

impl Variable {
    /// In the order in which they stand, each after those it depends on.
    pub const ALL: [Self; 7] = [Self::DataSource, Self::Tempo, Self::Transport, Self::Job, Self::Instance, Self::Service, Self::Tenant];

    /// The name that queries write after a dollar sign.
    pub fn name(self) -> &'static str {
        match self {
            Self::DataSource => "datasource",
            Self::Tempo => "tempo",
            Self::Transport => "transport",
            Self::Job => "job",
            Self::Instance => "instance",
            Self::Service => "service",
            Self::Tenant => "tenant",
        }
    }

    /// The name that people read.
    pub fn label(self) -> &'static str {
        match self {
            Self::DataSource => "Data source",
            Self::Tempo => "Traces",
            Self::Transport => "Transport",
            Self::Job => "Job",
            Self::Instance => "Instance",
            Self::Service => "Service",
            Self::Tenant => "Tenant",
        }
    }

    /// What the variable asks Prometheus for its choices; none for a variable with fixed choices.
    pub fn asks(self, subject: Subject) -> Option<Asks> {
        let series = |pulse: String| match subject {
            Subject::Services(_) => pulse,
            Subject::Collector if self == Self::Job => "otelcol_process_uptime".into(),
            Subject::Collector => r#"otelcol_process_uptime{job=~"$job"}"#.into(),
        };
        let services = match subject {
            Subject::Services(services) => services,
            Subject::Collector => "",
        };
        let (label, series) = match self {
            Self::DataSource | Self::Tempo | Self::Transport => return None,
            Self::Job => ("job", series(format!(r#"pulse_build_info{{transport="$transport", service=~"{services}"}}"#))),
            Self::Instance => {
                ("instance", series(format!(r#"pulse_build_info{{transport="$transport", service=~"{services}", job=~"$job"}}"#)))
            }
            Self::Service => {
                ("service", series(format!(r#"pulse_build_info{{transport="$transport", service=~"{services}", job=~"$job"}}"#)))
            }
            Self::Tenant => ("tenant_id", r#"pulse_ingest_messages_total{transport="$transport"}"#.into()),
        };
        Some(Asks { label, series })
    }
}

/// What a variable asks Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// The label whose values are the choices.
    pub label: &'static str,
    /// The series that have it, with variables.
    pub series: String,
}
