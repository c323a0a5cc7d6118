//! What a service shows on `/metrics`.

use anyhow::{Context as _, Result};

/// One scrape, as its lines.
#[derive(Debug, Clone, Default)]
pub struct Scrape(Vec<(String, f64)>);

impl Scrape {
    /// Reads the text of `/metrics`.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').with_context(|| format!("{line:?} is no line of /metrics"))?;
            Ok((series.to_owned(), value.parse().with_context(|| format!("{line:?} has no number"))?))
        });
        Ok(Self(series.collect::<Result<_>>()?))
    }

    /// The sum over the series of this name that have all these labels, each written as `name="value"`. None: there is none.
    pub fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let of_name = |series: &str| series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        let values = self.0.iter().filter(|(series, _)| of_name(series) && labels.iter().all(|label| series.contains(label)));
        values.map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_labels() {
        let scrape = Scrape::parse("# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"2\",y=\"2\"} 4\nab 9\n").unwrap();
        assert_eq!(scrape.sum("a", &["y=\"2\""]), Some(7.0));
        assert_eq!(scrape.sum("a", &["x=\"1\""]), Some(3.0));
        assert_eq!(scrape.sum("ab", &[]), Some(9.0));
        assert_eq!(scrape.sum("a", &["x=\"3\""]), None);
        assert!(Scrape::parse("nonsense").is_err());
    }
}
