//! How fast a backlog of events becomes jobs, on SQLite with commits that are on the disk.
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![allow(dead_code, reason = "the fixture is the tests', which use the rest of it")]

#[path = "../tests/it/fixture.rs"]
mod fixture;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pulse_dispatcher::Settings;
use tokio::runtime::Runtime;

use crate::fixture::World;

const EVENTS: usize = 10_000;

/// From the dispatcher's start until the queue is empty.
async fn drain(routes: usize) -> Duration {
    let world = World::new().await;
    let tenant = world.tenant("t1").await;
    let webhook = world.webhook(&tenant).await;
    for _ in 0..routes {
        world.route(&tenant, webhook, |_| {}).await;
    }
    world.open_many(&tenant, EVENTS).await;
    let started = Instant::now();
    let dispatcher = world.dispatcher_with(Settings::default()).await;
    world.drained().await;
    let took = started.elapsed();
    dispatcher.stop().await;
    took
}

fn dispatch(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("dispatch");
    group.sample_size(10).throughput(Throughput::Elements(EVENTS as u64));
    for routes in [0, 1, 5] {
        group.bench_function(BenchmarkId::new("routes", routes), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(drain(routes))).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
