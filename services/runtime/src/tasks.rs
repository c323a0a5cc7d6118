//! The tasks of a service as one: none dies unseen, and all end together.

use std::future::Future;
use std::time::Duration;

use pulse_telemetry::Telemetry;
use tokio::task::JoinSet;

use crate::{Error, Shutdown};

/// A service's tasks. The first that fails, panics or ends before shutdown ends the service.
#[derive(Debug)]
pub struct Tasks {
    set: JoinSet<(&'static str, Result<(), Error>)>,
    shutdown: Shutdown,
    /// The telemetry of the service whose tasks they are; none for tasks of the process.
    telemetry: Option<Telemetry>,
}

impl Tasks {
    /// An empty set of the process. `shutdown` is triggered for all when one of them fails.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { set: JoinSet::new(), shutdown, telemetry: None }
    }

    /// An empty set of one service, to which what the tasks log belongs.
    pub fn of(telemetry: &Telemetry, shutdown: Shutdown) -> Self {
        Self { telemetry: Some(telemetry.clone()), ..Self::new(shutdown) }
    }

    /// Starts a task that can fail.
    pub fn spawn<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let named = async move { (name, task.await) };
        match &self.telemetry {
            Some(telemetry) => self.set.spawn(telemetry.scope(named)),
            None => self.set.spawn(named),
        };
    }

    /// Starts a task that only ends at shutdown.
    pub fn spawn_loop<F>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, async move {
            task.await;
            Ok(())
        });
    }

    /// Waits until all have ended. After shutdown they have `drain` to do so, then they are cut, which is an error.
    ///
    /// # Errors
    /// The first failure.
    pub async fn join(mut self, drain: Duration) -> Result<(), Error> {
        let mut first = Ok(());
        let deadline = self.shutdown.overdue(drain);
        tokio::pin!(deadline);
        loop {
            let ended = tokio::select! {
                ended = self.set.join_next() => ended,
                () = &mut deadline => {
                    self.set.shutdown().await;
                    return first.and(Err(Error::Cut { drain }));
                }
            };
            let failure = match ended {
                None => return first,
                Some(Ok((_, Ok(())))) if self.shutdown.is_triggered() => continue,
                Some(Ok((what, Ok(())))) => Error::Ended { what },
                Some(Ok((_, Err(error)))) => error,
                Some(Err(join)) => Error::Task { what: "a task", source: Box::new(join) },
            };
            self.shutdown.trigger();
            first = first.and(Err(failure));
        }
    }
}
