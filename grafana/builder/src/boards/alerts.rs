//! The alert pipeline: from readings to alerts (evaluator) and from alerts to deliveries (dispatcher).

use super::queue_age::{self, Queues};
use super::uid;
use crate::board::{Board, Folder};
use crate::panel::Panel;
use crate::promql::{Expr, Selector, max, max_by, metric, rate, share, since, sum, sum_by, top};
use crate::subject::Subject;
use crate::unit::Unit;

/// Seconds; a second is usual.
const WAIT_WARN: f64 = 10.0;
const WAIT_BAD: f64 = 60.0;

pub fn board() -> Board {
    Board::new(
        uid::ALERTS,
        "Alert pipeline",
        Folder::Pulse,
        Subject::Services("evaluator|dispatcher|ui_api|ops_worker"),
        "Are readings evaluated and alerts dispatched in time?",
    )
    .tagged(&["evaluator", "dispatcher"])
    .row(
        "Is it working?",
        [
            evaluated(),
            dispatched(),
            queue_age::now(Queues::Evaluator, WAIT_WARN, WAIT_BAD),
            queue_age::now(Queues::Dispatcher, WAIT_WARN, WAIT_BAD),
            failing(),
            open(),
        ],
    )
    .row(
        "Does evaluation keep up?",
        [
            depth("evaluator", "Devices to evaluate"),
            queue_age::over_time(Queues::Evaluator, WAIT_WARN, WAIT_BAD),
            cycles("evaluator"),
            duration("evaluator"),
            rules(),
            lost_devices(),
        ],
    )
    .row("What does evaluation find?", [opened_and_closed(), by_tenant(), errors()])
    .row(
        "Does dispatch keep up?",
        [
            depth("dispatcher", "Alert events to dispatch"),
            queue_age::over_time(Queues::Dispatcher, WAIT_WARN, WAIT_BAD),
            cycles("dispatcher"),
            duration("dispatcher"),
            events(),
            lost_events(),
        ],
    )
    .row("Are people reminded, and is Pulse itself well?", [escalated(), system()])
}

/// Seconds since an operation's last success, where it has ever had one.
fn since_success(service: &'static str, operation: &'static str) -> Expr {
    let success = metric("pulse_processing_last_success_timestamp_seconds").is("service", service).is("operation", operation);
    since(max(Expr::from(success).above(0.0)))
}

fn evaluated() -> Panel {
    Panel::stat("Since the last evaluation", Unit::Seconds, "The evaluator looks for work at least every second, even when there is none.")
        .ask(since_success("evaluator", "evaluation_cycle"), "since")
        .bad_above(30.0, 120.0)
}

fn dispatched() -> Panel {
    Panel::stat("Since the last dispatch", Unit::Seconds, "The dispatcher looks for work at least every second, even when there is none.")
        .ask(since_success("dispatcher", "dispatch_cycle"), "since")
        .bad_above(30.0, 120.0)
}

fn failing() -> Panel {
    let cycles = || metric("pulse_processing_total").like("service", "evaluator|dispatcher");
    Panel::stat(
        "Cycles that fail",
        Unit::Ratio,
        "The share of both services' cycles that ended in an error. Their work is taken up again by a later cycle.",
    )
    .ask(share(sum(rate(cycles().is("outcome", "error"))), sum(rate(cycles()))), "failing")
    .bad_above(0.01, 0.05)
}

fn open() -> Panel {
    Panel::stat("Alerts open", Unit::Count, "Open and acknowledged alerts of the chosen tenants.")
        .ask(sum(max_by(&["tenant_id"], "pulse_fleet_active_alerts")), "open")
}

fn depth(service: &'static str, title: &'static str) -> Panel {
    Panel::lines(title, Unit::Count, "How many items wait in the queue, counted in the store. A line that ends means that the queue cannot be counted, not that it is empty.")
        .ask(max_by(&["queue_name"], metric("pulse_queue_depth").is("service", service)), "{{queue_name}}")
}

fn cycles(service: &'static str) -> Panel {
    Panel::lines(
        "Cycles, by outcome",
        Unit::PerSecond,
        "A cycle claims what is due and processes it. A poll that finds nothing is a cycle too.",
    )
    .ask(sum_by(&["outcome"], rate(metric("pulse_processing_total").is("service", service))), "{{outcome}}")
}

fn duration(service: &'static str) -> Panel {
    let cycle = metric("pulse_processing_duration_seconds").is("service", service);
    Panel::lines("Time a cycle takes", Unit::Seconds, "Claim, work and commit; waiting for work is not included. A click leads to traces.")
        .ask_quantiles(cycle)
        .traces_of(service)
}

fn rules() -> Panel {
    Panel::lines("Rules checked against readings", Unit::PerSecond, "The ten tenants with the most rule evaluations.")
        .ask(top(10, sum_by(&["tenant_id"], rate("pulse_evaluator_rules_evaluated_total"))), "{{tenant_id}}")
}

fn lost(counter: Selector, title: &'static str) -> Panel {
    Panel::lines(
        title,
        Unit::PerSecond,
        "Items whose lease had expired at the commit, so that another replica has claimed them. More than a few mean that cycles take too long.",
    )
    .ask(sum_by(&["instance"], rate(counter)), "{{instance}}")
}

fn lost_devices() -> Panel {
    lost(metric("pulse_evaluator_leases_lost_total"), "Devices lost to another evaluator")
}

fn lost_events() -> Panel {
    lost(metric("pulse_dispatcher_leases_lost_total"), "Events lost to another dispatcher")
}

pub(super) fn opened_and_closed() -> Panel {
    Panel::lines(
        "Alerts opened and closed",
        Unit::PerSecond,
        "Alerts that evaluation opened and closed. Many more opened than closed mean that something large is wrong in the fleet.",
    )
    .ask(sum(rate("pulse_evaluator_alerts_created_total")), "opened")
    .ask(sum(rate("pulse_evaluator_alerts_closed_total")), "closed")
}

fn by_tenant() -> Panel {
    Panel::lines("Alerts opened, by tenant", Unit::PerSecond, "The ten tenants with the most alerts opened.")
        .ask(top(10, sum_by(&["tenant_id"], rate("pulse_evaluator_alerts_created_total"))), "{{tenant_id}}")
}

fn errors() -> Panel {
    Panel::lines(
        "Rules that cannot be evaluated",
        Unit::PerSecond,
        "Evaluations that failed because of the tenant's own rules; other tenants are not affected. The API shows the reason in the rule's field error.",
    )
    .ask(top(10, sum_by(&["tenant_id"], rate("pulse_evaluator_evaluation_errors_total"))), "{{tenant_id}}")
}

fn events() -> Panel {
    Panel::lines(
        "Events dispatched, jobs made",
        Unit::PerSecond,
        "Alert events by whether a route matched, and the delivery jobs made from them.",
    )
    .ask(sum_by(&["result"], rate("pulse_dispatcher_events_total")), "{{result}}")
    .ask(sum(rate("pulse_dispatcher_jobs_created_total")), "jobs made")
    .more_on(uid::DELIVERY)
}

fn escalated() -> Panel {
    Panel::lines("Alerts escalated", Unit::PerSecond, "Alerts raised to the next level because nobody acknowledged them in time.")
        .ask(sum(rate("pulse_ops_alerts_escalated_total")), "escalated")
}

fn system() -> Panel {
    Panel::lines("SYSTEM_HEALTH alerts", Unit::PerSecond, "Alerts about Pulse's own services, opened and closed by the ops worker.")
        .ask(sum_by(&["change"], rate("pulse_ops_system_alerts_total")), "{{change}}")
        .more_on(uid::INTERNALS)
}
