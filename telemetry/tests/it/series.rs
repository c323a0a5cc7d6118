//! `/metrics` and OTLP in one form, so that they can be compared: `name{label="value",…}` and the number.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, HistogramDataPoint, Metric, NumberDataPoint};

use crate::receiver::Push;

pub(crate) type Series = BTreeMap<String, f64>;

/// What is another number at every collection, of the process, its runtime and the collections themselves.
const MOVING: [&str; 3] = ["pulse_process_", "pulse_runtime_", "pulse_telemetry_scrape_"];

/// Of all series those that two collections can be compared by.
pub(crate) fn steady(mut series: Series) -> Series {
    series.retain(|name, _| !MOVING.iter().any(|prefix| name.starts_with(prefix)));
    series
}

/// Of a text exposition.
pub(crate) fn shown(text: &str) -> Series {
    let mut series = Series::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(series.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} stands twice in\n{text}");
    }
    series
}

/// Of a push. Sums and histograms have to be cumulative.
pub(crate) fn pushed(push: &Push) -> Series {
    let mut series = Series::new();
    for metric in metrics(push) {
        match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => gauge.data_points.iter().for_each(|point| add_number(&mut series, &metric.name, point)),
            Data::Sum(sum) => {
                assert_eq!((sum.aggregation_temporality(), sum.is_monotonic), (AggregationTemporality::Cumulative, true));
                sum.data_points.iter().for_each(|point| add_number(&mut series, &metric.name, point));
            }
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Cumulative);
                histogram.data_points.iter().for_each(|point| add_histogram(&mut series, &metric.name, point));
            }
            other => panic!("{} is {other:?}", metric.name),
        }
    }
    series
}

pub(crate) fn metrics(push: &Push) -> impl Iterator<Item = &Metric> {
    push.request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics)
}

/// The resource's attributes.
pub(crate) fn resource(push: &Push) -> BTreeMap<String, String> {
    let resource = push.request.resource_metrics[0].resource.as_ref().unwrap();
    resource.attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref()))).collect()
}

fn add_number(series: &mut Series, name: &str, point: &NumberDataPoint) {
    let value = match point.value.unwrap() {
        Number::AsDouble(value) => value,
        #[allow(clippy::cast_precision_loss, reason = "counts of a test")]
        Number::AsInt(value) => value as f64,
    };
    add(series, name, &point.attributes, &[], value);
}

#[allow(clippy::cast_precision_loss, reason = "counts of a test")]
fn add_histogram(series: &mut Series, name: &str, point: &HistogramDataPoint) {
    let bounds = point.explicit_bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    let mut cumulated = 0;
    for (bound, count) in bounds.zip(&point.bucket_counts) {
        cumulated += count;
        add(series, &format!("{name}_bucket"), &point.attributes, &[("le", &bound)], cumulated as f64);
    }
    add(series, &format!("{name}_sum"), &point.attributes, &[], point.sum.unwrap());
    add(series, &format!("{name}_count"), &point.attributes, &[], point.count as f64);
}

fn add(series: &mut Series, name: &str, attributes: &[KeyValue], last: &[(&str, &str)], value: f64) {
    let mut labels: Vec<_> = attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref()))).collect();
    labels.sort();
    labels.extend(last.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())));
    let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    let key = if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) };
    assert!(series.insert(key.clone(), value).is_none(), "{key} was pushed twice");
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?} is not text"),
    }
}
