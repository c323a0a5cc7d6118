//! The process that the service runs in, as Linux tells of it in `/proc/self`, read at each collection. On other systems there are no such
//! series. Services that share a process all show the same.

use procfs::process::{LimitValue, Process, Stat};
use procfs::{ProcResult, WithCurrentSystemInfo as _};

use crate::metrics::builtin::{PROCESS_CPU, PROCESS_FDS, PROCESS_FDS_MAX, PROCESS_MEMORY, PROCESS_START, PROCESS_THREADS};
use crate::metrics::definition::Definition;
use crate::metrics::instruments::Instruments;
use crate::metrics::observed::number;

/// Shows what can be read; a value that cannot is absent.
pub(crate) fn show(instruments: &Instruments) {
    if let Some(cpu) = instruments.observed_counter(&PROCESS_CPU) {
        cpu.add_series(&[], || cpu_seconds().ok());
    }
    let gauge = |definition: &'static Definition, read: fn() -> ProcResult<f64>| {
        if let Some(gauge) = instruments.observed(definition) {
            gauge.add_series(&[], move || read().ok());
        }
    };
    gauge(&PROCESS_MEMORY, || Ok(number(stat()?.rss_bytes().get())));
    gauge(&PROCESS_THREADS, || Ok(stat()?.num_threads as f64));
    gauge(&PROCESS_FDS, || Ok(number(Process::myself()?.fd_count()? as u64)));
    gauge(&PROCESS_FDS_MAX, fds_max);
    if let (Some(start), Ok(seconds)) = (instruments.observed(&PROCESS_START), start_seconds()) {
        start.add_series(&[], move || Some(seconds));
    }
}

fn stat() -> ProcResult<Stat> {
    Process::myself()?.stat()
}

fn cpu_seconds() -> ProcResult<f64> {
    let stat = stat()?;
    Ok(number(stat.utime + stat.stime) / number(procfs::ticks_per_second()))
}

fn start_seconds() -> ProcResult<f64> {
    Ok(number(procfs::boot_time_secs()?) + number(stat()?.starttime) / number(procfs::ticks_per_second()))
}

fn fds_max() -> ProcResult<f64> {
    Ok(match Process::myself()?.limits()?.max_open_files.soft_limit {
        LimitValue::Value(max) => number(max),
        LimitValue::Unlimited => f64::MAX,
    })
}
