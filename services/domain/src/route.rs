//! Routes: who hears of which event.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::alert::{AlertEvent, AlertType, EventKind};
use crate::ids::{IntegrationId, RouteId, SiteId, TenantId};
use crate::rule::Severity;

/// What a tenant writes. Every empty list means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    pub name: String,
    pub integration_id: IntegrationId,
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Routes are tried in ascending priority, then by age.
    #[serde(default = "default_priority")]
    pub priority: i32,
    #[serde(default)]
    pub deliver_on: Vec<EventKind>,
    /// Matches severities from this one up; 5 is the most severe.
    #[serde(default = "lowest")]
    pub min_severity: Severity,
    #[serde(default)]
    pub alert_types: Vec<AlertType>,
    #[serde(default)]
    pub site_ids: Vec<SiteId>,
    #[serde(default)]
    pub device_prefixes: Vec<String>,
    /// No later route is tried once this one matched.
    #[serde(default)]
    pub stop_after_match: bool,
}

fn yes() -> bool {
    true
}
fn default_priority() -> i32 {
    100
}
fn lowest() -> Severity {
    Severity::MIN
}

/// A route as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    pub tenant_id: TenantId,
    pub route_id: RouteId,
    #[serde(flatten)]
    pub spec: RouteSpec,
    pub created_at: Timestamp,
}

impl RouteSpec {
    /// Whether this route wants the event.
    pub fn matches(&self, event: &AlertEvent) -> bool {
        let alert = &event.alert;
        self.enabled
            && alert.severity >= self.min_severity
            && (self.deliver_on.is_empty() || self.deliver_on.contains(&event.kind))
            && (self.alert_types.is_empty() || self.alert_types.contains(&alert.alert_type))
            && (self.site_ids.is_empty() || self.site_ids.contains(&alert.site_id))
            && (self.device_prefixes.is_empty() || self.device_prefixes.iter().any(|p| alert.device_id.as_str().starts_with(p.as_str())))
    }
}

/// The routes an event goes out on: those of its tenant that match, by priority then age, up to and including the first that stops.
///
/// `routes` need not be sorted and may hold other tenants' routes, which never match.
pub fn select<'a>(event: &AlertEvent, routes: impl IntoIterator<Item = &'a Route>) -> Vec<&'a Route> {
    let mut matching: Vec<&Route> =
        routes.into_iter().filter(|route| route.tenant_id == event.alert.tenant_id && route.spec.matches(event)).collect();
    matching.sort_by_key(|route| (route.spec.priority, route.created_at, route.route_id));
    if let Some(last) = matching.iter().position(|route| route.spec.stop_after_match) {
        matching.truncate(last + 1);
    }
    matching
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::alert::tests::event;

    fn route(mut body: Value) -> Route {
        let fields = body.as_object_mut().unwrap();
        fields.entry("name").or_insert("r".into());
        fields.insert("integration_id".to_owned(), IntegrationId::generate().to_string().into());
        let spec = serde_json::from_value(body).unwrap();
        Route { tenant_id: TenantId::parse("t1").unwrap(), route_id: RouteId::generate(), spec, created_at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_route_wants_what_it_names_and_empty_means_all() {
        for (body, wanted) in [
            (json!({}), true),
            (json!({"enabled": false}), false),
            (json!({"deliver_on": ["OPEN", "CLOSED"]}), true),
            (json!({"deliver_on": ["ESCALATED"]}), false),
            (json!({"min_severity": 3}), true),
            (json!({"min_severity": 4}), false),
            (json!({"alert_types": ["THRESHOLD"]}), true),
            (json!({"alert_types": ["NO_HEARTBEAT", "SYSTEM_HEALTH"]}), false),
            (json!({"site_ids": ["s2", "s1"]}), true),
            (json!({"site_ids": ["s2"]}), false),
            (json!({"device_prefixes": ["x", "d"]}), true),
            (json!({"device_prefixes": ["d1-"]}), false),
            (json!({"deliver_on": ["OPEN"], "site_ids": ["s1"], "min_severity": 5}), false),
        ] {
            assert_eq!(route(body.clone()).spec.matches(&event(EventKind::Open)), wanted, "{body}");
        }
    }

    #[test]
    fn an_escalation_reaches_routes_for_the_severe() {
        let severe = route(json!({"min_severity": 4}));
        let mut escalated = event(EventKind::Escalated);
        assert!(!severe.spec.matches(&escalated));
        escalated.alert.severity = escalated.alert.severity.raised();
        assert!(severe.spec.matches(&escalated));
    }

    #[test]
    fn routes_go_by_priority_then_age_until_one_stops() {
        let mut routes = vec![
            route(json!({"name": "late", "priority": 200})),
            route(json!({"name": "young", "priority": 5})),
            route(json!({"name": "old", "priority": 5})),
            route(json!({"name": "first", "priority": -1})),
            route(json!({"name": "not this", "priority": -2, "min_severity": 5, "stop_after_match": true})),
        ];
        routes[1].created_at += chrono::TimeDelta::seconds(1);
        let names =
            |routes: &[Route]| select(&event(EventKind::Open), routes).iter().map(|route| route.spec.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&routes), ["first", "old", "young", "late"]);
        routes[2].spec.stop_after_match = true;
        assert_eq!(names(&routes), ["first", "old"]);
        for route in &mut routes {
            route.tenant_id = TenantId::parse("t2").unwrap();
        }
        assert!(names(&routes).is_empty(), "another tenant's routes never match");
    }

    proptest! {
        #[test]
        fn what_is_selected_is_the_matching_in_order_up_to_a_stop(
            bodies in prop::collection::vec((-3..3, 1..=5_u8, any::<bool>(), prop::bool::weighted(0.2)), 0..8)
        ) {
            let routes: Vec<Route> = bodies.iter().map(|(priority, min_severity, enabled, stop)| {
                route(json!({"priority": priority, "min_severity": min_severity, "enabled": enabled, "stop_after_match": stop}))
            }).collect();
            let event = event(EventKind::Open);
            let selected = select(&event, &routes);
            prop_assert!(selected.iter().all(|route| route.spec.matches(&event)));
            prop_assert!(selected.is_sorted_by_key(|route| (route.spec.priority, route.created_at, route.route_id)));
            let stops = selected.iter().position(|route| route.spec.stop_after_match);
            let matching = routes.iter().filter(|route| route.spec.matches(&event)).count();
            prop_assert_eq!(selected.len(), stops.map_or(matching, |index| index + 1));
        }
    }
}
