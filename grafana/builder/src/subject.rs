//! Whose series a board shows; the choices of its variables come from there.

/// Those whose series a board shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// These services of Pulse, as a regular expression: `.+` is all of them.
    Services(&'static str),
    /// The OpenTelemetry Collector.
    Collector,
}
