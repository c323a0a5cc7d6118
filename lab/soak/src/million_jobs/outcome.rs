//! The report: what must hold, and how the queue looked on the way.

use serde_json::json;

use super::MillionJobsSettings;
use super::claims::{ClaimTimes, Claims};
use super::look::{Look, Looks};
use crate::report::{Figure, Report, Verdict, number};

/// Claims of the last stretch may take so many times as long as those of the first,
const TIMES_MAX: f64 = 2.0;
/// and so much more, below which it is the machine's other work that tells.
const SLACK_MS: f64 = 2.0;
/// What is finished stays where it was until autovacuum's next visit: after its pause and its work, which is given as long again.
const PAUSES: f64 = 2.0;
/// The row that was enqueued, and the one that was claimed.
const DEAD_ROWS_PER_JOB: f64 = 2.0;
/// A row with the room that pages leave and its index entries: about 1.1 KiB with these payloads.
const ROW_MAX_KIB: f64 = 1.5;
const WAY: &str = "claim_jobs, record_attempts";

pub(super) fn report(settings: &MillionJobsSettings, looks: &Looks, claims: &Claims, delivered: u64) -> anyhow::Result<Report> {
    let case = format!("{} ready, {} a claim, {} workers", settings.ready, settings.claim, settings.workers);
    let mut figure = Figure::new(&case, WAY);
    let mut stretches = Vec::new();
    let mut lines = Vec::new();
    for pair in looks.taken.windows(2) {
        let [from, to] = pair else { continue };
        let times = claims.between(from.jobs, to.jobs);
        anyhow::ensure!(times.count > 0, "no full claim from {} to {} jobs", from.jobs, to.jobs);
        figure.per_second.push(number(to.jobs - from.jobs) / (to.at_s - from.at_s));
        figure.load_averages.push(to.load_average);
        lines.push(line(to, times));
        stretches.push(times);
    }
    let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { anyhow::bail!("there was nothing to do") };
    let queue_mib = looks.taken.iter().map(Look::queue_mib).fold(0.0, f64::max);
    let pace = figure.per_second.iter().copied().fold(0.0, f64::max);
    let rows_max = number(settings.ready) + DEAD_ROWS_PER_JOB * pace * PAUSES * looks.autovacuum_pause_s;
    let mut report = Report::new("million-jobs", "jobs/s", settings, vec![figure])?;
    report.verdicts = vec![
        Verdict::at_most("median of the last claims, ms", last.median_ms, first.median_ms * TIMES_MAX + SLACK_MS),
        Verdict::at_most("p95 of the last claims, ms", last.p95_ms, first.p95_ms * TIMES_MAX + SLACK_MS),
        Verdict::at_most("the queue with its indexes, MiB", queue_mib, rows_max * ROW_MAX_KIB / 1_024.0),
        Verdict::equal("jobs delivered, with their attempts", delivered, settings.jobs),
    ];
    report.lines = lines;
    report.details = json!({"looks": looks.taken, "claims": stretches});
    Ok(report)
}

/// What was seen after a stretch, and how long its claims took.
fn line(look: &Look, times: ClaimTimes) -> String {
    let indexes: Vec<String> = look.index_bytes.iter().map(|(name, bytes)| format!("{name} {:.1}", mib(*bytes))).collect();
    format!(
        "after {:>9} jobs: claims p50 {:.1} ms, p95 {:.1} ms; dead {}, live {}; MiB: jobs {:.1}, {}; history {:.0}; autovacuums {}",
        look.jobs,
        times.median_ms,
        times.p95_ms,
        look.dead_rows,
        look.live_rows,
        mib(look.table_bytes),
        indexes.join(", "),
        mib(look.history_bytes),
        look.autovacuums
    )
}

#[expect(clippy::cast_precision_loss, reason = "sizes of one run stay far below 2^52 bytes")]
pub(super) fn mib(bytes: i64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
