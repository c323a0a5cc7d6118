//! Reads numbers off a service's own /metrics text: the summary shows what Prometheus would see, and nothing else.

/// One service's scrape in the Prometheus text format.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrape(String);

impl Scrape {
    /// Reads the text of /metrics.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The sum of a metric's series that carry every one of `labels` (each as `name="value"`); 0 when there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.series(name, labels).map(|(_, value)| value).sum()
    }

    /// A quantile of a histogram, over all its series, interpolated within its bucket as PromQL's `histogram_quantile` does; none when
    /// nothing was observed.
    pub(crate) fn quantile(&self, histogram: &str, quantile: f64) -> Option<f64> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (labels, count) in self.series(&format!("{histogram}_bucket"), &[]) {
            let bound = label(labels, "le")?.parse().ok()?;
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let rank = quantile * total;
        let at = buckets.iter().position(|(_, count)| *count >= rank)?;
        let (lower, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
        let (upper, upto) = buckets[at];
        if upper.is_infinite() {
            return Some(lower);
        }
        Some(lower + (upper - lower) * ((rank - below) / (upto - below).max(f64::MIN_POSITIVE)))
    }

    fn series<'a>(&'a self, name: &'a str, labels: &'a [&str]) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (own, value) = match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            labels.iter().all(|label| own.contains(label)).then_some((own, value.trim().parse().ok()?))
        })
    }
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP pulse_x_total x\n# TYPE pulse_x_total counter\npulse_x_total{tenant_id=\"a\",result=\"accepted\"} 3\n\
        pulse_x_total{tenant_id=\"b\",result=\"accepted\"} 4\npulse_x_total{tenant_id=\"b\",result=\"invalid\"} 9\npulse_x_total_more 100\nplain 2\n\
        h_bucket{le=\"1\"} 10\nh_bucket{le=\"2\"} 90\nh_bucket{le=\"+Inf\"} 100\n";

    #[test]
    fn sums_pick_series_by_label() {
        let scrape = Scrape::new(TEXT.to_owned());
        assert_eq!(scrape.sum("pulse_x_total", &["result=\"accepted\""]), 7.0);
        assert_eq!(scrape.sum("pulse_x_total", &[]), 16.0);
        assert_eq!(scrape.sum("plain", &[]), 2.0);
        assert_eq!(scrape.sum("absent", &[]), 0.0);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let scrape = Scrape::new(TEXT.to_owned());
        assert_eq!(scrape.quantile("h", 0.5), Some(1.5));
        assert_eq!(scrape.quantile("h", 0.05), Some(0.5));
        assert_eq!(scrape.quantile("h", 0.99), Some(2.0));
        assert_eq!(scrape.quantile("absent", 0.5), None);
    }
}
