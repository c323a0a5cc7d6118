//! The REST API under `/api/v1`: what a tenant owns, under the tenant; what spans tenants, for operators.

mod alerts;
mod check;
mod destination;
mod devices;
mod integrations;
mod jobs;
mod policies;
mod query;
mod readings;
mod routes;
mod rules;
mod tenants;
mod tokens;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use pulse_domain::alert::Cause;
use pulse_runtime::Clock;
use pulse_runtime::spans::current_trace;
use pulse_store::SharedStore;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as paths;

use crate::auth;
use crate::ingest::Ingest;
use crate::metrics::Metrics;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) ingest: Arc<Ingest>,
    pub(crate) body_max_bytes: usize,
}

/// Every route, each behind the guard of its group.
pub(crate) fn router(api: &Arc<Api>) -> OpenApiRouter<Arc<Api>> {
    let of_operators = OpenApiRouter::new()
        .routes(paths!(tenants::create, tenants::list))
        .routes(paths!(tokens::create_operator, tokens::list_operators))
        .routes(paths!(tokens::delete_operator))
        .route_layer(from_fn_with_state(Arc::clone(api), auth::guard_operator));
    let of_tenant = OpenApiRouter::new()
        .routes(paths!(tenants::get))
        .routes(paths!(devices::create, devices::list))
        .routes(paths!(devices::create_bulk))
        .routes(paths!(devices::get, devices::update))
        .routes(paths!(devices::rotate_token))
        .routes(paths!(readings::list))
        .routes(paths!(rules::create, rules::list))
        .routes(paths!(rules::get, rules::replace, rules::delete))
        .routes(paths!(alerts::list))
        .routes(paths!(alerts::get))
        .routes(paths!(alerts::events))
        .routes(paths!(alerts::acknowledge))
        .routes(paths!(alerts::close))
        .routes(paths!(alerts::silence))
        .routes(paths!(integrations::create, integrations::list))
        .routes(paths!(integrations::get, integrations::replace, integrations::delete))
        .routes(paths!(routes::create, routes::list))
        .routes(paths!(routes::get, routes::replace, routes::delete))
        .routes(paths!(jobs::list))
        .routes(paths!(jobs::get))
        .routes(paths!(jobs::replay))
        .routes(paths!(policies::create, policies::list))
        .routes(paths!(policies::delete))
        .routes(paths!(tokens::create, tokens::list))
        .routes(paths!(tokens::delete))
        .route_layer(from_fn_with_state(Arc::clone(api), auth::guard_tenant));
    OpenApiRouter::new().nest("/api/v1", of_operators).nest("/api/v1/tenants/{tenant_id}", of_tenant)
}

/// What the request that is being served brings about, in its trace.
fn cause() -> Cause {
    Cause { origin_at: None, trace: current_trace() }
}
