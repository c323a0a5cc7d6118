//! Database pools: does anything wait for a connection, can queues be counted, and are old rows removed?

use super::uid;
use crate::board::{Board, Folder};
use crate::panel::Panel;
use crate::promql::{Expr, buckets, max, max_by, metric, quantile, quantile_by, rate, rate_of_count, sum, sum_by};
use crate::subject::Subject;
use crate::unit::Unit;

pub fn board() -> Board {
    Board::new(uid::DATABASE, "Database pools", Folder::Internals, Subject::Services(".+"), "Do requests wait for a database connection?")
        .tagged(&["database"])
        .row("Is any pool exhausted?", [waiting_now(), share_now(), wait_now(), timeouts_now()])
        .row("How full are the pools?", [share_in_use(), open(), waiting()])
        .row("How long does a request wait for a connection?", [wait(), wait_heat(), requests(), timeouts()])
        .row("Can queues be counted, and are old rows removed?", [probes(), tidied(), tidying()])
}

fn in_use(labels: &[&str]) -> Expr {
    sum_by(labels, "pulse_db_pool_size") - sum_by(labels, "pulse_db_pool_free")
}

fn waiting_now() -> Panel {
    Panel::stat(
        "Requests that wait now",
        Unit::Count,
        "Requests that wait for a connection of any pool. A pool without idle connections is no problem in itself; requests that wait are.",
    )
    .ask(sum("pulse_db_pool_waiting"), "waiting")
    .bad_above(1.0, 10.0)
}

fn share_now() -> Panel {
    Panel::stat(
        "Fullest pool",
        Unit::Ratio,
        "The share of its connections that a service has in use, for the service with the highest share.",
    )
    .ask(max(in_use(&["service"]) / sum_by(&["service"], "pulse_db_pool_max")), "in use")
    .bad_above(0.8, 1.0)
}

fn wait_now() -> Panel {
    Panel::stat("Wait for a connection, 99 %", Unit::Seconds, "99 of 100 requests were given a connection within this time.")
        .ask(quantile(0.99, "pulse_db_pool_acquire_duration_seconds"), "99 %")
        .bad_above(0.1, 0.5)
}

fn timeouts_now() -> Panel {
    Panel::stat(
        "Waits for a connection that timed out",
        Unit::Of("an hour"),
        "Waits for a connection that timed out, at the present rate. The operations that needed the connections have failed.",
    )
    .ask(sum(rate("pulse_db_pool_acquire_timeouts_total")) * 3_600.0, "timed out")
    .bad_above(1.0, 1.0)
}

fn share_in_use() -> Panel {
    Panel::lines("Connections in use", Unit::Ratio, "The share of the connections that a service's pools may open.")
        .ask(in_use(&["service"]) / sum_by(&["service"], "pulse_db_pool_max"), "{{service}}")
        .up_to(1.0)
}

fn open() -> Panel {
    Panel::lines("Connections", Unit::Count, "The connections of all the chosen services' pools, over all replicas.")
        .ask(in_use(&[]), "in use")
        .ask(sum("pulse_db_pool_size"), "open")
        .ask_limit(sum("pulse_db_pool_max"), "at most")
}

fn waiting() -> Panel {
    Panel::lines("Requests that wait", Unit::Count, "Requests that wait for a connection at the moment of each scrape.")
        .ask(sum_by(&["service"], "pulse_db_pool_waiting"), "{{service}}")
}

fn wait() -> Panel {
    Panel::lines(
        "Wait for a connection, 99 %",
        Unit::Seconds,
        "99 of 100 requests of a service waited no longer; waits that timed out are included.",
    )
    .ask(quantile_by(&["service"], 0.99, "pulse_db_pool_acquire_duration_seconds"), "{{service}}")
    .bad_above(0.1, 0.5)
    .traces_of_the_series()
}

fn wait_heat() -> Panel {
    Panel::heat("Wait for a connection, every request", Unit::Seconds, "How many requests waited how long.")
        .ask(buckets("pulse_db_pool_acquire_duration_seconds"), "{{le}}")
}

fn requests() -> Panel {
    Panel::lines("Requests for a connection", Unit::PerSecond, "How often each service asks its pool for a connection.")
        .ask(sum_by(&["service"], rate_of_count("pulse_db_pool_acquire_duration_seconds")), "{{service}}")
}

fn timeouts() -> Panel {
    Panel::lines(
        "Waits for a connection that timed out",
        Unit::PerSecond,
        "Requests that were given no connection in time. The operations that needed the connections have failed.",
    )
    .ask(sum_by(&["service"], rate("pulse_db_pool_acquire_timeouts_total")), "{{service}}")
}

fn probes() -> Panel {
    Panel::lines(
        "Queues that cannot be counted",
        Unit::PerSecond,
        "Counts of a queue that failed or took too long. Meanwhile the queue's depth and age are absent on every board.",
    )
    .ask(sum_by(&["service", "queue_name"], rate("pulse_queue_probe_failures_total")), "{{service}}: {{queue_name}}")
}

fn tidied() -> Panel {
    Panel::lines(
        "Rows removed",
        Unit::PerSecond,
        "Readings, and finished jobs, attempts, events and alerts, removed because they were older than the time that they are kept.",
    )
    .ask(sum_by(&["kind"], rate("pulse_ops_rows_purged_total")), "{{kind}}")
}

fn tidying() -> Panel {
    let chores =
        metric("pulse_processing_last_success_timestamp_seconds").is("service", "ops_worker").like("operation", "retention|jobs_expiry");
    Panel::lines(
        "Since the last clean-up",
        Unit::Seconds,
        "jobs_expiry runs every ten seconds, retention every ten minutes, unless set otherwise.",
    )
    .ask(crate::promql::since(max_by(&["operation"], Expr::from(chores).above(0.0))), "{{operation}}")
    .more_on(uid::INTERNALS)
}
