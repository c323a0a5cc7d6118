//! How fast a backlog drains to a receiver on this machine: claims, deliveries and records on the real store, in jobs a second.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_debug_implementations, reason = "a measurement that cannot go on has failed")]

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/it/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pulse_domain::integration::Queue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::world::World;

const JOBS: usize = 4000;

/// A receiver that costs next to nothing, as it shares the machine with what is measured: it answers each request without a look at it.
#[derive(Debug, Default)]
struct Sink {
    requests: AtomicUsize,
    all: Notify,
}

impl Sink {
    async fn open(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let sink = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&sink).serve(stream));
            }
        });
        url
    }

    /// One request at a time on a connection, each with a body that its content-length tells.
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut buffer = Vec::with_capacity(4096);
        while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
            let Some(head) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
            let length: usize = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap().parse().unwrap();
            if buffer.len() < head + 4 + length {
                continue;
            }
            buffer.clear();
            if self.requests.fetch_add(1, Ordering::Relaxed) + 1 == JOBS {
                self.all.notify_one();
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    }
}

/// Makes a backlog to so many integrations, then times a worker until the last job is recorded.
async fn drain(destinations: usize) -> Duration {
    let world = World::new().await;
    let sink = Arc::new(Sink::default());
    let url = sink.open().await;
    for _ in 0..destinations {
        let target = world.webhook(&url).await;
        world.jobs(&target, JOBS / destinations).await;
    }
    let started = Instant::now();
    let worker = world.start(World::settings()).await;
    sink.all.notified().await;
    while world.store.job_backlog(Queue::Integration, world.now()).await.unwrap().depth > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = started.elapsed();
    worker.stop().await;
    took
}

fn deliver(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut group = criterion.benchmark_group("deliver");
    group.throughput(Throughput::Elements(u64::try_from(JOBS).unwrap())).sample_size(10);
    for destinations in [1, 20] {
        group.bench_function(format!("{JOBS} jobs to {destinations} destinations"), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(drain(destinations))).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, deliver);
criterion_main!(benches);
