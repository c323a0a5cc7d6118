//! A server's processes, as the kernel knows them.

use procfs::process::{Process, Stat, all_processes};
use rustix::process::{Pid, Signal, kill_process};

/// A process, told from a later one with the same id by when it started.
#[derive(Debug)]
pub(super) struct Known {
    id: i32,
    started: u64,
}

impl Known {
    pub(super) fn is_alive(&self) -> bool {
        stat(self.id).is_some_and(|stat| stat.starttime == self.started && stat.state != 'Z')
    }
}

fn stat(id: i32) -> Option<Stat> {
    Process::new(id).and_then(|process| process.stat()).ok()
}

fn id(process: u32) -> i32 {
    i32::try_from(process).unwrap()
}

fn children(parent: u32) -> Vec<Stat> {
    let parent = id(parent);
    let stats = all_processes().unwrap().filter_map(|process| process.ok()?.stat().ok());
    stats.filter(|stat| stat.ppid == parent).collect()
}

/// Sends a signal; nothing happens when the process is gone.
pub(super) fn signal(process: u32, signal: Signal) {
    Pid::from_raw(id(process)).map(|pid| kill_process(pid, signal)).transpose().map(drop).unwrap_or_default();
}

/// kill -9 of a postmaster and its children; the children, which may take a moment to go. It is halted first, so that it starts no more.
pub(super) fn kill(postmaster: u32) -> Vec<Known> {
    signal(postmaster, Signal::STOP);
    while stat(id(postmaster)).is_some_and(|stat| !['T', 'Z', 'X'].contains(&stat.state)) {
        std::thread::yield_now();
    }
    let children = children(postmaster);
    signal(postmaster, Signal::KILL);
    for child in &children {
        signal(u32::try_from(child.pid).unwrap(), Signal::KILL);
    }
    children.into_iter().map(|stat| Known { id: stat.pid, started: stat.starttime }).collect()
}

/// Of a postmaster, of its children, and of those that it has seen end.
#[allow(clippy::cast_precision_loss, reason = "ticks of a test's duration are few")]
pub(super) fn cpu_seconds(postmaster: u32) -> f64 {
    let own = || stat(id(postmaster)).expect("the server runs");
    let ended = |stat: &Stat| u64::try_from(stat.cutime + stat.cstime).unwrap();
    loop {
        let before = own();
        let living: u64 = children(postmaster).iter().map(|stat| stat.utime + stat.stime).sum();
        let after = own();
        // A child that ended in between would be counted twice or not at all.
        if ended(&before) == ended(&after) {
            return (after.utime + after.stime + ended(&after) + living) as f64 / procfs::ticks_per_second() as f64;
        }
    }
}
