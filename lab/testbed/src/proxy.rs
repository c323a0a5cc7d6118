//! A network between a client and a server that can be cut, halted and slowed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// What arrives goes on after this time.
    Open(Duration),
    /// Nothing goes on; connections stay.
    Stalled,
    /// There are no connections.
    Cut,
}

/// A TCP proxy on 127.0.0.1. It runs on a thread of its own, so that a test that blocks its runtime does not hold up the network.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    wanted: Option<watch::Sender<Network>>,
    /// What the thread has seen to.
    applied: watch::Receiver<Network>,
    /// Counts how often the connections of the time were lost.
    losses: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of a port of 127.0.0.1.
    pub async fn start(target: u16) -> Self {
        let port = crate::free_port();
        let (wanted, orders) = watch::channel(Network::Open(Duration::ZERO));
        let (done, applied) = watch::channel(Network::Cut);
        let losses = Arc::new(AtomicU64::new(0));
        let route = Route { target, losses: Arc::clone(&losses) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(port, route, orders, done));
        });
        let mut proxy = Self { port, wanted: Some(wanted), applied, losses, thread: Some(thread) };
        proxy.heal().await;
        proxy
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections are reset and new ones refused, as when the other machine is gone.
    pub async fn cut(&mut self) {
        self.set(Network::Cut).await;
    }

    /// Nothing that is sent arrives, and nobody is told: connections stay open, new ones open and hear nothing.
    pub async fn stall(&mut self) {
        self.set(Network::Stalled).await;
    }

    /// The connections that there are stay open and carry nothing any more, as when the other machine was replaced by another one. New ones
    /// go through.
    pub fn lose_connections(&mut self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// All goes through again, also what was sent meanwhile.
    pub async fn heal(&mut self) {
        self.delay(Duration::ZERO).await;
    }

    /// All goes through, this much later in each direction.
    pub async fn delay(&mut self, delay: Duration) {
        self.set(Network::Open(delay)).await;
    }

    /// Returns when it is so.
    async fn set(&mut self, network: Network) {
        self.wanted.as_ref().unwrap().send_replace(network);
        self.applied.wait_for(|applied| *applied == network).await.expect("the proxy can listen on its port");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.wanted.take());
        // When the thread has panicked, the test has already failed by it.
        self.thread.take().map(JoinHandle::join).transpose().map(drop).unwrap_or_default();
    }
}

/// Where connections go.
#[derive(Debug, Clone)]
struct Route {
    target: u16,
    losses: Arc<AtomicU64>,
}

impl Route {
    fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }
}

/// Until the handle is dropped; with it all connections end.
async fn serve(port: u16, route: Route, mut orders: watch::Receiver<Network>, done: watch::Sender<Network>) {
    loop {
        let network = *orders.borrow_and_update();
        if network == Network::Cut {
            done.send_replace(network);
            if orders.changed().await.is_err() {
                return;
            }
        } else if !listen(port, &route, &mut orders, &done).await {
            return;
        }
    }
}

/// Until the network is cut, or false when the handle was dropped.
async fn listen(port: u16, route: &Route, orders: &mut watch::Receiver<Network>, done: &watch::Sender<Network>) -> bool {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let mut connections = JoinSet::new();
    loop {
        let network = *orders.borrow_and_update();
        if network == Network::Cut {
            drop(listener);
            while connections.join_next().await.is_some() {}
            return true;
        }
        done.send_replace(network);
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return false },
            accepted = listener.accept() => { connections.spawn(carry(accepted.unwrap().0, route.clone(), orders.clone())); }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// Carries a connection until both sides have ended it or the network is cut.
async fn carry(client: TcpStream, route: Route, mut orders: watch::Receiver<Network>) {
    let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], route.target))).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let ((from_client, mut to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
    let (there, back) = (Direction::new(&route, &orders), Direction::new(&route, &orders));
    let cut = tokio::select! {
        _ended = async { tokio::join!(pump(from_client, &mut to_server, there), pump(from_server, &mut to_client, back)) } => false,
        cut = orders.wait_for(|network| *network == Network::Cut) => cut.is_ok(),
    };
    if cut {
        // Closed like this, a socket says "reset" and not "the end".
        for half in [to_client, to_server] {
            half.as_ref().set_zero_linger().unwrap_or_default();
            half.forget();
        }
    }
}

/// One direction of a connection.
struct Direction {
    orders: watch::Receiver<Network>,
    route: Route,
    /// How many losses there had been when it began.
    began: u64,
}

impl Direction {
    fn new(route: &Route, orders: &watch::Receiver<Network>) -> Self {
        Self { orders: orders.clone(), route: route.clone(), began: route.losses() }
    }

    /// Waits until something may go on, and how much later; none when the proxy ends.
    async fn open(&mut self) -> Option<Duration> {
        let open = self.orders.wait_for(|network| matches!(network, Network::Open(_))).await.map(|network| *network);
        if self.route.losses() != self.began {
            std::future::pending::<()>().await;
        }
        match open {
            Ok(Network::Open(delay)) => Some(delay),
            _ => None,
        }
    }
}

/// Carries one direction to its end, and says so on the other side.
async fn pump(mut from: OwnedReadHalf, to: &mut OwnedWriteHalf, mut direction: Direction) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let Some(delay) = direction.open().await else { return };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    to.shutdown().await.unwrap_or_default();
}
