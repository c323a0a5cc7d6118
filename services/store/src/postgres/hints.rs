//! Wake-ups between processes by LISTEN and NOTIFY: hints, as polling is the truth.
//!
//! A notice goes out after the commit and apart from it, many signals in one: notices inside transactions would make all commits of the
//! database wait for each other. One that is lost with its process costs a poll's wait.

use std::fmt;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection::{ANSWER_MAX, pool_options};
use crate::{Topic, Wake};

/// The channel; a notice's payload is its topic.
const CHANNEL: &str = "pulse";
/// At most one notice of a topic goes out in this time.
const COALESCE: Duration = Duration::from_millis(20);
/// After a failure, how long until the next try.
const RETRY_WAIT: Duration = Duration::from_secs(2);
/// How long connecting, or sending a notice, may take.
const CALL_MAX: Duration = Duration::from_secs(5);
/// After this long without a notice the connection is asked whether it still lives: one to a server gone without a word would go on for ever.
const SILENCE_MAX: Duration = Duration::from_secs(30);

const TOPICS: [Topic; 3] = [Topic::Readings, Topic::Events, Topic::Jobs];

fn name(topic: Topic) -> &'static str {
    match topic {
        Topic::Readings => "readings",
        Topic::Events => "events",
        Topic::Jobs => "jobs",
    }
}

/// What is waiting to be told and who listens, shared by a process's pools.
#[derive(Debug, Clone)]
pub(super) struct Hints(Arc<Shared>);

struct Shared {
    options: PgConnectOptions,
    /// Whether a connection stays one's own after a transaction; behind a pooler it does not, and nobody can listen on it.
    listens: bool,
    board: Arc<Board>,
    /// The tasks, from the first call that needs them on.
    tasks: OnceLock<(Task, Option<Task>)>,
}

/// Without the options, which hold the password.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("board", &self.board).finish_non_exhaustive()
    }
}

/// A task that ends with its handle.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Signals: counted for those who wait in this process, noted for the others.
#[derive(Debug)]
struct Board {
    topics: [(watch::Sender<u64>, AtomicBool); 3],
    untold: Notify,
}

impl Board {
    fn topic(&self, topic: Topic) -> &(watch::Sender<u64>, AtomicBool) {
        match topic {
            Topic::Readings => &self.topics[0],
            Topic::Events => &self.topics[1],
            Topic::Jobs => &self.topics[2],
        }
    }

    fn count(&self, topic: Topic) {
        self.topic(topic).0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The topics that were signalled since they were last asked for.
    fn take_untold(&self) -> Vec<&'static str> {
        TOPICS.into_iter().filter(|topic| self.topic(*topic).1.swap(false, Ordering::Relaxed)).map(name).collect()
    }
}

impl Hints {
    pub(super) fn new(options: PgConnectOptions, listens: bool) -> Self {
        let board =
            Arc::new(Board { topics: std::array::from_fn(|_| (watch::Sender::new(0), AtomicBool::new(false))), untold: Notify::new() });
        Self(Arc::new(Shared { options, listens, board, tasks: OnceLock::new() }))
    }

    /// Says that there is work on a topic; to be called after the commit.
    pub(super) fn signal(&self, topic: Topic) {
        let board = &self.0.board;
        board.count(topic);
        board.topic(topic).1.store(true, Ordering::Relaxed);
        self.ensure_running();
        board.untold.notify_one();
    }

    /// Hears of signals, this process's own and the others'.
    pub(super) fn wake(&self, topic: Topic) -> Wake {
        self.ensure_running();
        Wake::new(self.0.board.topic(topic).0.subscribe())
    }

    /// Each has a connection of its own, so that neither takes one from a service's pool or waits for it.
    fn ensure_running(&self) {
        self.0.tasks.get_or_init(|| {
            let options = self.0.options.clone().application_name("pulse hints");
            let board = || Arc::clone(&self.0.board);
            let tell = tell(board(), pool_options(1, CALL_MAX).connect_lazy_with(options.clone()));
            let listen = self.0.listens.then(|| Task(tokio::spawn(listen(board(), options))));
            (Task(tokio::spawn(tell)), listen)
        });
    }
}

/// Sends what is untold, at most once in [`COALESCE`].
async fn tell(board: Arc<Board>, pool: PgPool) {
    loop {
        board.untold.notified().await;
        let notices: String = board.take_untold().iter().map(|topic| format!("NOTIFY {CHANNEL}, '{topic}';")).collect();
        if notices.is_empty() {
            continue;
        }
        // The channel and the topics are constants of this file.
        let told = timeout(CALL_MAX, sqlx::raw_sql(AssertSqlSafe(notices)).execute(&pool)).await;
        // Without the database nobody could do the work either, and whoever comes back polls.
        tokio::time::sleep(if matches!(told, Ok(Ok(_))) { COALESCE } else { RETRY_WAIT }).await;
    }
}

/// Counts what other processes tell. Whatever was told while nobody listened is made up for by one signal on every topic.
async fn listen(board: Arc<Board>, options: PgConnectOptions) {
    loop {
        // An error is the database's being away: polling goes on.
        let _away = hear(&board, &options).await;
        tokio::time::sleep(RETRY_WAIT).await;
    }
}

async fn hear(board: &Board, options: &PgConnectOptions) -> sqlx::Result<()> {
    // A pool for each time: a connection that does not answer would keep its place.
    let pool = pool_options(1, CALL_MAX).connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    TOPICS.into_iter().for_each(|topic| board.count(topic));
    loop {
        match timeout(SILENCE_MAX, listener.try_recv()).await {
            Ok(Ok(Some(notice))) => {
                TOPICS.into_iter().filter(|topic| name(*topic) == notice.payload()).for_each(|topic| board.count(topic));
            }
            // The connection was lost and is made anew by the next look; what was told meanwhile is not.
            Ok(Ok(None)) => TOPICS.into_iter().for_each(|topic| board.count(topic)),
            Ok(Err(error)) => return Err(error),
            Err(_silence) => {
                let answer = timeout(ANSWER_MAX, sqlx::raw_sql("SELECT").execute(&mut listener)).await;
                answer.map_err(|_silent| sqlx::Error::Io(ErrorKind::TimedOut.into()))??;
            }
        }
    }
}
