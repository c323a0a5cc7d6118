//! The part of Prometheus's HTTP API that boards need.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How long a query may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address or the client's settings are wrong.
    #[error("Prometheus cannot be asked: {0}")]
    Client(String),
    /// It did not answer, or not as it should.
    #[error("Prometheus does not answer")]
    Http(#[from] reqwest::Error),
    /// It refused.
    #[error("Prometheus says: {0}")]
    Refused(String),
}

/// The time that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// Unix time in seconds.
    pub start: f64,
    /// Unix time in seconds.
    pub end: f64,
    /// Seconds between two points.
    pub step: f64,
}

impl Times {
    /// The time `over` up to `end`, in at most so many points, at least a second apart.
    pub fn until(end: SystemTime, over: Duration, points: u32) -> Self {
        let end = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64().floor();
        let step = (over.as_secs_f64() / f64::from(points)).ceil().max(1.0);
        Self { start: end - over.as_secs_f64(), end, step }
    }
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Wire")]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Unix time and value, rising in time.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// Whether there is anything to see: 0/0 is not.
    pub fn has_value(&self) -> bool {
        self.points.iter().any(|(_, value)| !value.is_nan())
    }

    /// The last value.
    pub fn last(&self) -> Option<f64> {
        self.points.iter().rev().map(|(_, value)| *value).find(|value| !value.is_nan())
    }
}

/// A series as Prometheus writes it: `values` over time, `value` at one moment.
#[derive(Deserialize)]
struct Wire {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
}

impl From<Wire> for Series {
    fn from(wire: Wire) -> Self {
        // Prometheus writes numbers as Rust reads them, +Inf and NaN too.
        let points = wire.values.into_iter().chain(wire.value).map(|(time, value)| (time, value.parse().unwrap_or(f64::NAN))).collect();
        Self { labels: wire.metric, points }
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    result: serde_json::Value,
}

/// A Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    base: Result<(String, Client), String>,
}

impl Prometheus {
    /// A Prometheus at a base address. If the address is wrong, every query says so.
    pub fn new(base: &str) -> Self {
        let client = pulse_simulator::client::base_url(base)
            .and_then(|base| Ok((base, pulse_simulator::client::build(|client| client.timeout(TIMEOUT))?)));
        Self { base: client.map_err(|error| error.to_string()) }
    }

    /// The series of a query at the end of the time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn now(&self, query: &str, times: &Times) -> Result<Vec<Series>, Error> {
        let found = self.post("/api/v1/query", &[("query", query.to_owned()), ("time", times.end.to_string())]).await?;
        series(found)
    }

    /// The series of a query over the time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn over(&self, query: &str, times: &Times) -> Result<Vec<Series>, Error> {
        let form = [
            ("query", query.to_owned()),
            ("start", times.start.to_string()),
            ("end", times.end.to_string()),
            ("step", times.step.to_string()),
        ];
        let found = self.post("/api/v1/query_range", &form).await?;
        series(found)
    }

    /// The values of a label among the series that a selector chooses.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn label_values(&self, label: &str, selector: &str, times: &Times) -> Result<Vec<String>, Error> {
        let (base, client) = self.base()?;
        let query = [("match[]", selector.to_owned()), ("start", times.start.to_string()), ("end", times.end.to_string())];
        let url = reqwest::Url::parse_with_params(&format!("{base}/api/v1/label/{label}/values"), &query)
            .map_err(|error| Error::Client(error.to_string()))?;
        data(client.get(url).send().await?.json().await?)
    }

    async fn post(&self, path: &str, form: &[(&str, String)]) -> Result<Found, Error> {
        let (base, client) = self.base()?;
        let url = reqwest::Url::parse_with_params(&format!("{base}{path}"), form).map_err(|error| Error::Client(error.to_string()))?;
        // The query is sent as a form, because it may be too long for an address.
        let body = url.query().unwrap_or_default().to_owned();
        let request = client.post(format!("{base}{path}")).header("content-type", "application/x-www-form-urlencoded").body(body);
        data(request.send().await?.json().await?)
    }

    fn base(&self) -> Result<&(String, Client), Error> {
        self.base.as_ref().map_err(|error| Error::Client(error.clone()))
    }
}

fn data<T: DeserializeOwned>(envelope: Envelope<T>) -> Result<T, Error> {
    envelope.data.ok_or_else(|| Error::Refused(envelope.error.unwrap_or_else(|| "nothing".into())))
}

/// A number alone, which some queries are answered with, has no series.
fn series(found: Found) -> Result<Vec<Series>, Error> {
    serde_json::from_value(found.result).map_err(|error| Error::Refused(format!("no series: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let found: Envelope<Found> = serde_json::from_str(
            r#"{"status":"success","data":{"resultType":"matrix","result":[
                {"metric":{"job":"a"},"values":[[10,"1.5"],[20,"NaN"]]},
                {"metric":{},"value":[10.5,"+Inf"]}]}}"#,
        )
        .unwrap();
        let series = series(data(found).unwrap()).unwrap();
        assert_eq!(series[0].labels["job"], "a");
        assert_eq!(series[0].last(), Some(1.5));
        assert!(series[0].points[1].1.is_nan());
        assert_eq!(series[1].points, [(10.5, f64::INFINITY)]);
    }

    #[test]
    fn refusals_say_why() {
        let refused: Envelope<Found> = serde_json::from_str(r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#).unwrap();
        assert_eq!(data(refused).err().unwrap().to_string(), "Prometheus says: parse error");
    }

    #[test]
    fn a_time_has_no_more_points_than_asked() {
        let times = Times::until(UNIX_EPOCH + Duration::from_secs(10_000), Duration::from_secs(3_600), 240);
        assert_eq!(times, Times { start: 6_400.0, end: 10_000.0, step: 15.0 });
        assert_eq!(Times::until(UNIX_EPOCH + Duration::from_secs(100), Duration::from_secs(60), 240).step, 1.0);
    }
}
