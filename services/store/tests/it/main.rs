//! The contract that every store keeps, run against each, and what is one's own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, also in what tests share")]

mod alerts;
mod columns;
mod delivery;
mod dispatch;
mod evaluation;
mod fixture;
mod ingest;
mod leases;
mod ops;
mod postgres;
mod registry;
mod sqlite;
mod tenants;

/// A promise that holds for every store: a test for each of them.
#[macro_export]
macro_rules! contract {
    ($name:ident, |$db:ident| $body:block) => {
        mod $name {
            use super::*;

            async fn check($db: $crate::fixture::Db) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                check($crate::fixture::Db::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL: run tools/test"]
            async fn on_postgres() {
                check($crate::fixture::Db::postgres().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL and PgBouncer: run tools/test"]
            async fn behind_a_pooler() {
                check($crate::fixture::Db::pooled().await).await;
            }
        }
    };
}
