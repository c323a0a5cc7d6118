//! Where a service of `pulse up` is reached.

use std::net::SocketAddr;

use crate::service::Service;

/// Where a service is reached, and where its admin routes are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) service: Service,
    pub(crate) public: SocketAddr,
    /// Where the admin routes are; none: on `public`.
    pub(crate) admin: Option<SocketAddr>,
}

impl Endpoint {
    /// The address of one of the admin routes.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin.unwrap_or(self.public))
    }
}
