//! The alert pipeline: from readings to alerts (evaluator) and from alerts to deliveries (dispatcher).

use super::{delivery, since_success};
use crate::board::{Board, Folder, Of};
use crate::panel::Panel;
use crate::promql::{Selector, max, max_by, metric, quantile, rate, share, sum, sum_by, top};
use crate::unit::Unit;

pub const UID: &str = "pulse-alerts";

pub fn board() -> Board {
    Board::new(
        UID,
        "Alert pipeline",
        Folder::Pulse,
        Of::Services("evaluator|dispatcher|ui_api|ops_worker"),
        "Are readings judged and alerts passed on in time?",
    )
    .tagged(&["evaluator", "dispatcher"])
    .row("Is it working?", [evaluated(), dispatched(), wait("evaluator"), wait("dispatcher"), failing(), open()])
    .row(
        "Does evaluation keep up?",
        [depth("evaluator", "Devices to be judged"), age("evaluator"), cycles("evaluator"), duration("evaluator"), rules(), lost_devices()],
    )
    .row("What does evaluation find?", [found(), by_tenant(), errors()])
    .row(
        "Does dispatch keep up?",
        [
            depth("dispatcher", "Alert events to be passed on"),
            age("dispatcher"),
            cycles("dispatcher"),
            duration("dispatcher"),
            events(),
            lost_events(),
        ],
    )
    .row("Does anybody have to be reminded?", [escalated(), system()])
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

fn wait(service: &'static str) -> Panel {
    let title = if service == "evaluator" { "Longest wait to be judged" } else { "Longest wait to be passed on" };
    Panel::stat(title, Unit::Seconds, "The age of the oldest item in the queue; a second is usual.")
        .ask(max(metric("pulse_queue_oldest_age_seconds").is("service", service)), "oldest")
        .bad_above(10.0, 60.0)
}

fn failing() -> Panel {
    let cycles = || metric("pulse_processing_total").like("service", "evaluator|dispatcher");
    Panel::stat(
        "Cycles that fail",
        Unit::Ratio,
        "Of both services' cycles, those that ended in an error. What they left is taken up again.",
    )
    .ask(share(sum(rate(cycles().is("outcome", "error"))), sum(rate(cycles()))), "failing")
    .bad_above(0.01, 0.05)
}

fn open() -> Panel {
    Panel::stat("Alerts open", Unit::Count, "Open and acknowledged alerts of the chosen tenants.")
        .ask(sum(max_by(&["tenant_id"], "pulse_fleet_active_alerts")), "open")
}

fn depth(service: &'static str, title: &'static str) -> Panel {
    Panel::lines(title, Unit::Count, "Counted in the store, all of them. A line that ends means that the queue cannot be counted.")
        .ask(max_by(&["queue_name"], metric("pulse_queue_depth").is("service", service)), "{{queue_name}}")
}

fn age(service: &'static str) -> Panel {
    Panel::lines("Age of the oldest", Unit::Seconds, "How long the oldest of them has waited; a second is usual.")
        .ask(max_by(&["queue_name"], metric("pulse_queue_oldest_age_seconds").is("service", service)), "{{queue_name}}")
        .bad_above(10.0, 60.0)
}

fn cycles(service: &'static str) -> Panel {
    Panel::lines("Cycles, by outcome", Unit::PerSecond, "A cycle takes what is due and works it off. An idle look is a cycle, too.")
        .ask(sum_by(&["outcome"], rate(metric("pulse_processing_total").is("service", service))), "{{outcome}}")
}

fn duration(service: &'static str) -> Panel {
    let cycle = || metric("pulse_processing_duration_seconds").is("service", service);
    Panel::lines("Time a cycle takes", Unit::Seconds, "Claim, work and commit; waiting for work is not in it. A click leads to traces.")
        .ask(quantile(0.5, cycle()), "50 %")
        .ask(quantile(0.95, cycle()), "95 %")
        .ask(quantile(0.99, cycle()), "99 %")
        .traces_of(service)
}

fn rules() -> Panel {
    Panel::lines("Rules held against readings", Unit::PerSecond, "The ten tenants whose rules are most work.")
        .ask(top(10, sum_by(&["tenant_id"], rate("pulse_evaluator_rules_evaluated_total"))), "{{tenant_id}}")
}

fn lost(counter: Selector, title: &'static str) -> Panel {
    Panel::lines(
        title,
        Unit::PerSecond,
        "Claims that had passed when the work was to be committed: another replica has it. More than a few: cycles take too long.",
    )
    .ask(sum_by(&["instance"], rate(counter)), "{{instance}}")
}

fn lost_devices() -> Panel {
    lost(metric("pulse_evaluator_leases_lost_total"), "Devices lost to another evaluator")
}

fn lost_events() -> Panel {
    lost(metric("pulse_dispatcher_leases_lost_total"), "Events lost to another dispatcher")
}

fn found() -> Panel {
    Panel::lines(
        "Alerts opened and closed",
        Unit::PerSecond,
        "By evaluation. Opened far above closed: something large is wrong in the fleet.",
    )
    .ask(sum(rate("pulse_evaluator_alerts_created_total")), "opened")
    .ask(sum(rate("pulse_evaluator_alerts_closed_total")), "closed")
}

fn by_tenant() -> Panel {
    Panel::lines("Alerts opened, by tenant", Unit::PerSecond, "The ten tenants with most.")
        .ask(top(10, sum_by(&["tenant_id"], rate("pulse_evaluator_alerts_created_total"))), "{{tenant_id}}")
}

fn errors() -> Panel {
    Panel::lines(
        "Rules that cannot be judged",
        Unit::PerSecond,
        "Failures that a tenant's own rules caused; other tenants are not held up. The rule itself says what is wrong with it.",
    )
    .ask(top(10, sum_by(&["tenant_id"], rate("pulse_evaluator_evaluation_errors_total"))), "{{tenant_id}}")
}

fn events() -> Panel {
    Panel::lines(
        "Events taken, jobs made",
        Unit::PerSecond,
        "Alert events by whether a route wanted them, and the deliveries that came of them.",
    )
    .ask(sum_by(&["result"], rate("pulse_dispatcher_events_total")), "{{result}}")
    .ask(sum(rate("pulse_dispatcher_jobs_created_total")), "jobs made")
    .more_on(delivery::UID)
}

fn escalated() -> Panel {
    Panel::lines("Alerts escalated", Unit::PerSecond, "Raised to a further level because nobody had acknowledged them in time.")
        .ask(sum(rate("pulse_ops_alerts_escalated_total")), "escalated")
}

fn system() -> Panel {
    Panel::lines("SYSTEM_HEALTH alerts", Unit::PerSecond, "Alerts about Pulse's own services, opened and closed by the ops worker.")
        .ask(sum_by(&["change"], rate("pulse_ops_system_alerts_total")), "{{change}}")
        .more_on(super::internals::UID)
}
