//! Queue gauges: zero at first, true afterwards, absent when nobody knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use pulse_telemetry::{QueueProbe, QueueSample, Telemetry};

use crate::receiver::Receiver;
use crate::series::pushed;
use crate::{telemetry, telemetry_with};

const EVERY: Duration = Duration::from_millis(2);
const QUEUE: &[(&str, &str)] = &[("queue_name", "pending_jobs")];
const DEPTH: &str = "pulse_queue_depth";

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const PANICS: u8 = 2;
const HANGS: u8 = 3;

/// A queue whose depth and mood a test sets.
#[derive(Clone, Default)]
struct Queue {
    mood: Arc<AtomicU8>,
    depth: Arc<AtomicU64>,
}

impl Queue {
    async fn sample(self) -> Result<QueueSample, &'static str> {
        match self.mood.load(Ordering::Relaxed) {
            WORKS => {
                let depth = self.depth.load(Ordering::Relaxed);
                Ok(QueueSample { depth, oldest_age: Duration::from_millis(500 * depth) })
            }
            FAILS => Err("the database is away"),
            PANICS => panic!("a bug"),
            _ => std::future::pending().await,
        }
    }

    fn probe(&self, telemetry: &Telemetry) -> QueueProbe {
        let queue = self.clone();
        telemetry.queue("pending_jobs", EVERY, move || queue.clone().sample())
    }
}

fn failures(telemetry: &Telemetry) -> f64 {
    telemetry.value("pulse_queue_probe_failures_total", QUEUE).unwrap()
}

async fn until(what: &str, met: impl Fn() -> bool) {
    let wait = async {
        while !met() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn a_queue_shows_zero_at_first_then_its_true_depth_and_age() {
    let telemetry = telemetry("delivery_worker");
    let queue = Queue::default();
    queue.depth.store(1_000, Ordering::Relaxed);
    let _probe = queue.probe(&telemetry);
    // The probe's task has not run: this test has not yielded since.
    assert_eq!((telemetry.value(DEPTH, QUEUE), failures(&telemetry)), (Some(0.0), 0.0));
    assert_eq!(telemetry.value("pulse_queue_oldest_age_seconds", QUEUE), Some(0.0));
    until("the true depth", || telemetry.value(DEPTH, QUEUE) == Some(1_000.0)).await;
    assert_eq!(telemetry.value("pulse_queue_oldest_age_seconds", QUEUE), Some(500.0));
    queue.depth.store(0, Ordering::Relaxed);
    until("an emptied queue says 0", || telemetry.value(DEPTH, QUEUE) == Some(0.0)).await;
    assert_eq!(telemetry.value("pulse_queue_oldest_age_seconds", QUEUE), Some(0.0));
}

#[tokio::test]
async fn a_failing_probe_makes_the_gauges_absent_until_one_succeeds() {
    let telemetry = telemetry("delivery_worker");
    let queue = Queue::default();
    queue.depth.store(7, Ordering::Relaxed);
    let _probe = queue.probe(&telemetry);
    for mood in [FAILS, PANICS, HANGS] {
        queue.mood.store(WORKS, Ordering::Relaxed);
        until("it is there", || telemetry.value(DEPTH, QUEUE) == Some(7.0)).await;
        let before = failures(&telemetry);
        queue.mood.store(mood, Ordering::Relaxed);
        until("it is absent", || telemetry.value(DEPTH, QUEUE).is_none()).await;
        assert_eq!(telemetry.value("pulse_queue_oldest_age_seconds", QUEUE), None);
        assert!(failures(&telemetry) > before, "mood {mood}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absence_holds_over_otlp_too() {
    const WITHIN: Duration = Duration::from_secs(10);
    const SERIES: &str = r#"pulse_queue_depth{queue_name="pending_jobs",service="delivery_worker"}"#;
    let receiver = Receiver::grpc().await;
    let telemetry = telemetry_with("delivery_worker", receiver.env());
    let queue = Queue::default();
    queue.depth.store(7, Ordering::Relaxed);
    let probe = queue.probe(&telemetry);
    until("it is there", || telemetry.value(DEPTH, QUEUE) == Some(7.0)).await;
    telemetry.flush(WITHIN).await.unwrap();
    assert_eq!(pushed(receiver.pushes().last().unwrap()).get(SERIES), Some(&7.0));
    // Seen by the other reader last, which is what would linger.
    telemetry.render().unwrap();
    queue.mood.store(FAILS, Ordering::Relaxed);
    until("it is absent", || telemetry.value(DEPTH, QUEUE).is_none()).await;
    telemetry.flush(WITHIN).await.unwrap();
    assert_eq!(pushed(receiver.pushes().last().unwrap()).get(SERIES), None);
    queue.mood.store(WORKS, Ordering::Relaxed);
    until("it is there again", || telemetry.value(DEPTH, QUEUE) == Some(7.0)).await;
    drop(probe);
    telemetry.flush(WITHIN).await.unwrap();
    assert_eq!(pushed(receiver.pushes().last().unwrap()).get(SERIES), None);
}

#[tokio::test]
async fn a_dropped_probe_stops_and_its_series_go() {
    let telemetry = telemetry("delivery_worker");
    let queue = Queue::default();
    let probe = queue.probe(&telemetry);
    queue.depth.store(7, Ordering::Relaxed);
    until("its task runs", || telemetry.value(DEPTH, QUEUE) == Some(7.0)).await;
    drop(probe);
    assert_eq!(telemetry.value(DEPTH, QUEUE), None);
    until("its task has stopped", || Arc::strong_count(&queue.mood) == 1).await;
    let again = queue.probe(&telemetry);
    assert_eq!(telemetry.value(DEPTH, QUEUE), Some(0.0), "and may be started again");
    drop(again);
}

#[tokio::test]
async fn queues_are_told_apart_by_name() {
    let telemetry = telemetry("delivery_worker");
    let sample = |depth| move || async move { Ok::<_, String>(QueueSample { depth, oldest_age: Duration::ZERO }) };
    let _jobs = telemetry.queue("pending_jobs", EVERY, sample(3));
    let _notifications = telemetry.queue("pending_notification_jobs", EVERY, sample(4));
    until("both are there", || {
        let depth = |queue| telemetry.value(DEPTH, &[("queue_name", queue)]);
        (depth("pending_jobs"), depth("pending_notification_jobs")) == (Some(3.0), Some(4.0))
    })
    .await;
}

#[test]
fn outside_a_runtime_it_is_absent_and_said() {
    let telemetry = telemetry("delivery_worker");
    let _probe = telemetry.queue("pending_jobs", EVERY, || async { Ok::<_, String>(QueueSample::default()) });
    assert_eq!(telemetry.value(DEPTH, QUEUE), None);
    assert!(telemetry.complaints()[0].contains("outside a tokio runtime"), "{:?}", telemetry.complaints());
}
