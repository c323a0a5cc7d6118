//! Reads numbers off a service's /metrics text.

/// The value of a metric's one series that carries all of `labels`, each as `name="value"`; none when there is no such series.
pub(crate) fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (own, value) = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        labels.iter().all(|label| own.contains(label)).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_label() {
        let text = "# HELP depth x\ndepth{service=\"a\",queue_name=\"jobs\"} 3\ndepth{service=\"a\",queue_name=\"events\"} 4\ndepth_total 9\nplain 2\n";
        assert_eq!(value(text, "depth", &["queue_name=\"events\""]), Some(4.0));
        assert_eq!(value(text, "depth", &["queue_name=\"none\""]), None);
        assert_eq!(value(text, "plain", &[]), Some(2.0));
    }
}
