//! From events to jobs: what one commit will hold. Pure.

use std::collections::{HashMap, HashSet};

use pulse_domain::Timestamp;
use pulse_domain::alert::AlertEvent;
use pulse_domain::ids::{EventId, JobId, RouteId, TenantId};
use pulse_domain::integration::Queue;
use pulse_domain::job::NewJob;
use pulse_domain::message;
use pulse_domain::route::{self, Route};
use pulse_domain::trace::TraceParent;

/// A batch's routes by tenant, so that an event is matched only with its own tenant's.
#[derive(Debug)]
pub(crate) struct RoutesByTenant<'a>(HashMap<&'a TenantId, TenantRoutes<'a>>);

#[derive(Debug, Default)]
struct TenantRoutes<'a> {
    routes: Vec<&'a Route>,
    queues: HashMap<RouteId, Queue>,
}

impl<'a> RoutesByTenant<'a> {
    pub(crate) fn new(routes: &'a [(Route, Queue)]) -> Self {
        let mut tenants: HashMap<&TenantId, TenantRoutes<'_>> = HashMap::new();
        for (route, queue) in routes {
            let tenant = tenants.entry(&route.tenant_id).or_default();
            tenant.routes.push(route);
            tenant.queues.insert(route.route_id, *queue);
        }
        Self(tenants)
    }

    /// The routes that the event goes out on, each with the queue of its integration.
    fn of(&self, event: &AlertEvent) -> Vec<(&'a Route, Queue)> {
        let Some(tenant) = self.0.get(&event.alert.tenant_id) else { return Vec::new() };
        let selected = route::select(event, tenant.routes.iter().copied());
        selected.into_iter().filter_map(|route| Some((route, *tenant.queues.get(&route.route_id)?))).collect()
    }
}

/// Events that leave the queue together, and their jobs.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    pub(crate) events: Vec<(TenantId, EventId)>,
    pub(crate) jobs: Vec<NewJob>,
    /// The events that no route wants.
    pub(crate) unrouted: HashSet<EventId>,
}

impl Commit {
    /// Decides who hears of the event. Silence is not asked here: while an alert is silenced the store opens none of its kind and escalates
    /// none, and that one was acknowledged or closed is told all the same, so that receivers that heard of it can clear it. The jobs go on in
    /// `trace`. Says how many there are.
    pub(crate) fn add(&mut self, event: &AlertEvent, trace: Option<&TraceParent>, routes: &RoutesByTenant<'_>, now: Timestamp) -> usize {
        self.events.push((event.alert.tenant_id.clone(), event.event_id));
        let selected = routes.of(event);
        if selected.is_empty() {
            self.unrouted.insert(event.event_id);
            return 0;
        }
        let count = selected.len();
        let payload = message::of(event);
        self.jobs.extend(selected.into_iter().map(|(route, queue)| NewJob {
            tenant_id: event.alert.tenant_id.clone(),
            job_id: JobId::generate(),
            event_id: event.event_id,
            route_id: route.route_id,
            integration_id: route.spec.integration_id,
            queue,
            payload: payload.clone(),
            run_at: now,
            origin_at: event.origin_at,
            trace: trace.cloned(),
        }));
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use pulse_domain::alert::{Alert, AlertStatus, AlertType, EventKind, Fingerprint};
    use pulse_domain::ids::{AlertId, DeviceId, IntegrationId, SiteId};
    use pulse_domain::route::RouteSpec;
    use pulse_domain::rule::Severity;

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn trace() -> TraceParent {
        TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap()
    }

    fn event(tenant_id: &str) -> AlertEvent {
        let device_id = DeviceId::parse("d1").unwrap();
        let alert = Alert {
            tenant_id: tenant(tenant_id),
            alert_id: AlertId::generate(),
            fingerprint: Fingerprint::no_heartbeat(&device_id),
            device_id,
            site_id: SiteId::parse("s1").unwrap(),
            alert_type: AlertType::NoHeartbeat,
            rule_id: None,
            severity: Severity::new(4).unwrap(),
            confidence: 0.9,
            summary: "silent".to_owned(),
            details: serde_json::json!({}),
            status: AlertStatus::Open,
            created_at: now(),
            updated_at: now(),
            acknowledged_at: None,
            acknowledged_by: None,
            closed_at: None,
            escalation_level: 0,
            silenced_until: None,
        };
        AlertEvent { event_id: EventId::generate(), kind: EventKind::Open, at: now(), origin_at: Some(now()), trace: None, alert }
    }

    fn route(tenant_id: &str, name: &str, priority: i32, stop_after_match: bool, queue: Queue) -> (Route, Queue) {
        let spec = RouteSpec {
            name: name.to_owned(),
            integration_id: IntegrationId::generate(),
            enabled: true,
            priority,
            deliver_on: Vec::new(),
            min_severity: Severity::MIN,
            alert_types: Vec::new(),
            site_ids: Vec::new(),
            device_prefixes: Vec::new(),
            stop_after_match,
        };
        (Route { tenant_id: tenant(tenant_id), route_id: RouteId::generate(), spec, created_at: now() }, queue)
    }

    fn commit(events: &[AlertEvent], routes: &[(Route, Queue)]) -> Commit {
        let routes = RoutesByTenant::new(routes);
        let mut commit = Commit::default();
        for event in events {
            commit.add(event, Some(&trace()), &routes, now());
        }
        commit
    }

    #[test]
    fn an_event_makes_a_job_for_each_of_its_tenants_routes_up_to_one_that_stops() {
        let routes = [
            route("t1", "late", 30, false, Queue::Integration),
            route("t1", "stops", 20, true, Queue::Notification),
            route("t1", "first", 10, false, Queue::Integration),
            route("t2", "others", 1, true, Queue::Integration),
        ];
        let event = event("t1");
        let commit = commit(std::slice::from_ref(&event), &routes);
        let made: Vec<_> = commit.jobs.iter().map(|job| (job.route_id, job.queue)).collect();
        assert_eq!(made, [(routes[2].0.route_id, Queue::Integration), (routes[1].0.route_id, Queue::Notification)]);
        for job in &commit.jobs {
            assert_eq!((job.event_id, job.run_at, job.origin_at), (event.event_id, now(), event.origin_at));
            assert_eq!((&job.payload, job.trace.as_ref()), (&message::of(&event), Some(&trace())));
        }
        assert_eq!((commit.events.len(), commit.unrouted.len()), (1, 0));
    }

    #[test]
    fn an_event_that_nobody_wants_leaves_the_queue_all_the_same() {
        let event = event("t1");
        let commit = commit(std::slice::from_ref(&event), &[route("t2", "others", 1, false, Queue::Integration)]);
        assert_eq!((commit.events.len(), commit.jobs.len()), (1, 0));
        assert_eq!(commit.unrouted, HashSet::from([event.event_id]));
    }
}
