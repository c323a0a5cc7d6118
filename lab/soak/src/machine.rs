//! The machine under the measurements: its load, and what processes use of it.

use anyhow::Context as _;
use procfs::process::Process;
use serde::Serialize;

/// Processes that ran or wanted to, over the last minute.
pub(crate) fn load_average() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("the load average cannot be read")?;
    text.split(' ').next().and_then(|first| first.parse().ok()).with_context(|| format!("no load average: {text:?}"))
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Usage {
    /// Of processor time, since its start.
    pub(crate) cpu_s: f64,
    /// Now, each shared page in parts among those who share it.
    pub(crate) memory_mib: f64,
}

/// Of one process.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let process = Process::new(i32::try_from(pid)?).with_context(|| format!("process {pid} is gone"))?;
    let stat = process.stat()?;
    Ok(Usage { cpu_s: seconds(stat.utime + stat.stime), memory_mib: memory_mib(&process)? })
}

/// Of a process and its children, those that have ended included.
pub(crate) fn usage_with_children(pid: u32) -> anyhow::Result<Usage> {
    let pid = i32::try_from(pid)?;
    let parent = Process::new(pid).with_context(|| format!("process {pid} is gone"))?;
    let stat = parent.stat()?;
    let ended = u64::try_from(stat.cutime + stat.cstime).unwrap_or_default();
    let mut usage = Usage { cpu_s: seconds(stat.utime + stat.stime + ended), memory_mib: memory_mib(&parent)? };
    for process in procfs::process::all_processes()?.flatten() {
        // One that ends meanwhile is counted with its parent from then on.
        let Ok(stat) = process.stat() else { continue };
        if stat.ppid == pid {
            usage.cpu_s += seconds(stat.utime + stat.stime);
            usage.memory_mib += memory_mib(&process).unwrap_or_default();
        }
    }
    Ok(usage)
}

#[expect(clippy::cast_precision_loss, reason = "ticks of one run stay far below 2^52")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
fn memory_mib(process: &Process) -> anyhow::Result<f64> {
    let rollup = process.smaps_rollup()?;
    let bytes: u64 = rollup.memory_map_rollup.iter().filter_map(|map| map.extension.map.get("Pss")).sum();
    Ok(bytes as f64 / (1024.0 * 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.memory_mib > 0.5, "{own:?}");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        // It shows once the system lists the child.
        let own_id = std::process::id();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while usage_with_children(own_id).unwrap().memory_mib <= usage(own_id).unwrap().memory_mib {
            assert!(std::time::Instant::now() < deadline, "the child's use is not seen");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(usage(child.id()).is_err());
    }
}
