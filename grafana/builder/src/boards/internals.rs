//! Service internals: what runs, do its loops make progress, has it enough resources, and does its telemetry work?

mod telemetry;

use super::uid;
use crate::board::{Board, Folder};
use crate::panel::Panel;
use crate::promql::{Expr, max_by, metric, min_by, quantile_by, rate, since, sum_by};
use crate::subject::Subject;
use crate::unit::Unit;

pub fn board() -> Board {
    Board::new(
        uid::INTERNALS,
        "Service internals",
        Folder::Internals,
        Subject::Services(".+"),
        "What runs, do its loops make progress, has it enough resources, and does its telemetry work?",
    )
    .tagged(&["runtime", "telemetry"])
    .row("What runs, and does it answer?", [versions(), targets(), uptime(), answers(), checks()])
    .row("Do the loops make progress?", [since_success(), failures(), operations(), durations()])
    .row("Has the process enough resources?", [cpu(), memory(), files(), threads()])
    .row("Is the runtime busy?", [busy(), tasks(), queue(), parks()])
    .row("Can the metrics be trusted?", telemetry::metrics())
    .row("Does what is pushed arrive?", telemetry::pushed())
}

fn versions() -> Panel {
    const LABELS: &[(&str, &str)] = &[("service", "Service"), ("version", "Version")];
    Panel::table(
        "Versions",
        Unit::Count,
        LABELS,
        "Instances",
        "Which version each instance runs. Two versions of one service mean that a rollout is under way or has stopped halfway.",
    )
    .ask(sum_by(&["service", "version"], "pulse_build_info"), "{{service}} {{version}}")
}

fn targets() -> Panel {
    const LABELS: &[(&str, &str)] = &[("job", "Job"), ("instance", "Instance")];
    Panel::table(
        "Scrape targets",
        Unit::YesNo,
        LABELS,
        "Answers",
        "What this Prometheus scrapes and whether it answers, whichever transport is chosen.",
    )
    .ask(max_by(&["job", "instance"], "up"), "{{job}} {{instance}}")
}

fn uptime() -> Panel {
    Panel::lines("Since the start", Unit::Seconds, "How long ago each instance started. A line that falls is a restart.")
        .ask(since(max_by(&["service", "instance"], "pulse_process_start_time_seconds")), "{{service}} {{instance}}")
}

fn answers() -> Panel {
    Panel::lines("Answers its health check", Unit::YesNo, "Whether a service answered the ops worker's last health check with success.")
        .ask(min_by(&["target"], "pulse_ops_service_up"), "{{target}}")
        .up_to(1.0)
}

fn checks() -> Panel {
    Panel::lines("Health checks, by outcome", Unit::PerSecond, "The ops worker's health checks of /health, by how they ended.")
        .ask(sum_by(&["outcome"], rate("pulse_ops_health_checks_total")), "{{outcome}}")
}

fn since_success() -> Panel {
    let success = Expr::from(metric("pulse_processing_last_success_timestamp_seconds")).above(0.0);
    Panel::lines(
        "Since the last success",
        Unit::Seconds,
        "Loops run every second or every ten seconds, retention every ten minutes; writes and deliveries only when there is work. A line that only rises is a loop that is stuck.",
    )
    .ask(since(max_by(&["service", "operation"], success)), "{{service}}: {{operation}}")
}

fn failures() -> Panel {
    Panel::lines(
        "Operations that did not succeed",
        Unit::PerSecond,
        "Operations that ended in an error, and operations cancelled before their end.",
    )
    .ask(
        sum_by(&["service", "operation", "outcome"], rate(metric("pulse_processing_total").is_not("outcome", "success"))),
        "{{service}}: {{operation}} {{outcome}}",
    )
}

fn operations() -> Panel {
    Panel::lines("Operations", Unit::PerSecond, "Operations that ended, whatever their outcome.")
        .ask(sum_by(&["service", "operation"], rate("pulse_processing_total")), "{{service}}: {{operation}}")
}

fn durations() -> Panel {
    Panel::lines(
        "Time an operation takes, 95 %",
        Unit::Seconds,
        "95 of 100 operations took no longer; waiting for work is not included. A click leads to traces.",
    )
    .ask(quantile_by(&["service", "operation"], 0.95, "pulse_processing_duration_seconds"), "{{service}}: {{operation}}")
    .traces_of_the_series()
    .more_on(uid::DATABASE)
}

fn cpu() -> Panel {
    Panel::lines("Processor", Unit::Of("cores"), "Processor time of the whole process; services that share a process show the same value.")
        .ask(sum_by(&["service", "instance"], rate("pulse_process_cpu_seconds_total")), "{{service}} {{instance}}")
}

fn memory() -> Panel {
    Panel::lines("Resident memory", Unit::Bytes, "Memory of the whole process; services that share a process show the same value.")
        .ask(max_by(&["service", "instance"], "pulse_process_resident_memory_bytes"), "{{service}} {{instance}}")
}

fn files() -> Panel {
    let per = &["service", "instance"];
    Panel::lines("Files and sockets open", Unit::Ratio, "The share of the file descriptors that the process may open.")
        .ask(max_by(per, "pulse_process_open_fds") / max_by(per, "pulse_process_max_fds"), "{{service}} {{instance}}")
        .bad_above(0.8, 0.95)
}

fn threads() -> Panel {
    Panel::lines(
        "Threads",
        Unit::Count,
        "Threads of the whole process. Blocking work adds threads; hundreds mean that blocking work piles up.",
    )
    .ask(max_by(&["service", "instance"], "pulse_process_threads"), "{{service}} {{instance}}")
}

fn busy() -> Panel {
    let per = &["service", "instance"];
    Panel::lines(
        "Runtime's workers busy",
        Unit::Ratio,
        "The share of their time that tokio's worker threads are busy. Near 100 % everything waits for a thread.",
    )
    .ask(sum_by(per, rate("pulse_runtime_busy_seconds_total")) / sum_by(per, "pulse_runtime_workers"), "{{service}} {{instance}}")
    .bad_above(0.8, 0.95)
}

fn tasks() -> Panel {
    Panel::lines("Tasks alive", Unit::Count, "Tasks of the tokio runtime. A line that only rises is a leak.")
        .ask(max_by(&["service", "instance"], "pulse_runtime_tasks"), "{{service}} {{instance}}")
}

fn queue() -> Panel {
    Panel::lines(
        "Tasks that wait for a worker",
        Unit::Count,
        "Tasks in the runtime's global queue. A value that stays above 0 means too little processor, or code that blocks.",
    )
    .ask(max_by(&["service", "instance"], "pulse_runtime_queue_depth"), "{{service}} {{instance}}")
}

fn parks() -> Panel {
    Panel::lines(
        "Workers that went to sleep",
        Unit::PerSecond,
        "How often worker threads sleep because there is no work. It falls to 0 when the runtime is never idle.",
    )
    .ask(sum_by(&["service", "instance"], rate("pulse_runtime_parks_total")), "{{service}} {{instance}}")
}
