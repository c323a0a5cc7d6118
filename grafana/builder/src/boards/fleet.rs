//! The fleet: its devices and the alerts that are open about them.

use crate::panel::Panel;
use crate::promql::{max_by, sum_by};
use crate::unit::Unit;

pub(super) fn devices() -> Panel {
    Panel::stack("Devices", Unit::Count, "Devices in service, by the status that their messages give them.")
        .ask(sum_by(&["status"], max_by(&["tenant_id", "status"], "pulse_fleet_devices_by_status")), "{{status}}")
}

pub(super) fn alerts_open() -> Panel {
    Panel::stack("Alerts open", Unit::Count, "Open and acknowledged alerts of each tenant.")
        .ask(max_by(&["tenant_id"], "pulse_fleet_active_alerts"), "{{tenant_id}}")
}
