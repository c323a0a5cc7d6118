//! Ports for servers that must keep theirs over a restart.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to outgoing connections, which start at 32,768, and apart from those of Pulse's own processes in
/// tests, which start at 20,000.
const FIRST: u16 = 10_000;
const COUNT: u16 = 10_000;
/// Ports between the places where two test processes begin to look.
const STEP: u16 = 20;

/// A port that nobody listens on; each call in this process looks further on.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % u32::from(COUNT / STEP)).unwrap() * STEP;
    for _ in 0..COUNT {
        let port = FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}
