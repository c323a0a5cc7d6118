//! A database a test.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{Cluster, OWNER, execute, url};

/// A database of [`OWNER`]'s; dropped with this handle, or with its cluster.
#[derive(Debug)]
pub struct Database {
    name: String,
    port: u16,
    parameters: String,
}

impl Cluster {
    /// An empty one.
    pub async fn database(&self) -> Database {
        self.create("template1").await
    }

    /// A copy of the one that `fill` makes of an empty database: the first who names `key` waits for `fill`, the others for a copy, which
    /// takes milliseconds.
    pub async fn database_from(&self, key: &str, fill: impl AsyncFnOnce(String)) -> Database {
        let template = format!("template_{key}");
        let mut templates = self.templates.lock().await;
        if !templates.contains(&template) {
            self.fill(&template, fill).await;
            templates.push(template.clone());
        }
        drop(templates);
        self.create(&template).await
    }

    async fn fill(&self, template: &str, fill: impl AsyncFnOnce(String)) {
        // A try before may have failed halfway.
        self.execute(&format!("DROP DATABASE IF EXISTS {template} WITH (FORCE)")).await;
        self.execute(&format!("CREATE DATABASE {template} OWNER {OWNER}")).await;
        fill(self.url_as(OWNER, template)).await;
        // Nothing may be connected to what is copied.
        self.execute(&format!(
            "ALTER DATABASE {template} ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{template}'"
        ))
        .await;
    }

    async fn create(&self, template: &str) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}")).await;
        Database { name, port: self.port, parameters: self.parameters.clone() }
    }
}

impl Database {
    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL for its owner.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Its URL for its owner through a proxy or a pooler on this port of 127.0.0.1.
    pub fn url_at(&self, port: u16) -> String {
        self.url_as_at(OWNER, port)
    }

    /// Its URL for a role that has [`super::PASSWORD`].
    pub fn url_as(&self, role: &str) -> String {
        self.url_as_at(role, self.port)
    }

    /// Its URL for such a role through a proxy or a pooler on this port of 127.0.0.1.
    pub fn url_as_at(&self, role: &str, port: u16) -> String {
        url(role, port, &self.name, &self.parameters)
    }

    /// Runs statements in it as the superuser.
    pub async fn execute(&self, statements: &str) {
        execute(&self.url_as(super::ADMIN), statements).await;
    }
}

impl Drop for Database {
    /// In the background, as a drop cannot wait. It fails when the server is gone, and with it the database.
    fn drop(&mut self) {
        let admin = url(super::ADMIN, self.port, "postgres", &self.parameters);
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let Ok(mut connection) = super::connect(&admin).await else { return };
                let dropped = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
                drop(dropped);
            });
        });
    }
}
