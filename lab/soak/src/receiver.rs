//! Where alerts go: each tenant's webhook leads to a sink.

use pulse_domain::ids::{IntegrationId, RouteId};
use pulse_domain::integration::{Destination, Integration};
use pulse_domain::route::Route;
use pulse_simulator::sink::Sink;
use pulse_store::RegistryStore;
use serde_json::json;

use crate::population::Population;

/// An integration and a route for every event, for each tenant.
pub(crate) async fn connect(store: &impl RegistryStore, population: &Population, sink: &Sink) -> anyhow::Result<()> {
    for tenant_id in &population.tenants {
        let created_at = chrono::Utc::now();
        let integration_id = IntegrationId::generate();
        let destination = Destination::Webhook {
            url: sink.webhook_url(),
            headers: [].into(),
            signing_secret: Some(sink.signing_secret().reveal().to_owned()),
        };
        let integration =
            Integration { tenant_id: tenant_id.clone(), integration_id, name: "sink".to_owned(), enabled: true, destination, created_at };
        store.insert_integration(&integration).await?;
        let spec = serde_json::from_value(json!({"name": "everything", "integration_id": integration_id}))?;
        store.insert_route(&Route { tenant_id: tenant_id.clone(), route_id: RouteId::generate(), spec, created_at }).await?;
    }
    Ok(())
}
