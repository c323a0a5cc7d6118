//! A clock that can be stepped under a running process: libfaketime, which reads its offset from a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where Debian's package `faketime` puts the library for programs with threads, below a folder named by the machine's kind.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The offset of one process or of several.
#[derive(Debug, Clone)]
pub struct FakedClock {
    library: PathBuf,
    file: PathBuf,
}

impl FakedClock {
    /// A clock that is right until it is stepped; its offset lies in this file.
    pub fn new(file: &Path) -> Result<Self> {
        let folders = std::fs::read_dir("/usr/lib")?.filter_map(|entry| Some(entry.ok()?.path().join(LIBRARY)));
        let library = folders.into_iter().find(|library| library.is_file());
        let library = library.context("libfaketime is not installed: run tools/setup, or install the package faketime")?;
        let clock = Self { library, file: file.to_owned() };
        clock.set(0)?;
        Ok(clock)
    }

    /// What a process is started with so that it follows this clock. Only the time of day is faked: what measures durations stays true, as it
    /// does when an administrator or NTP sets a clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        let own = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Sets it so many seconds ahead of the true time, or behind it.
    pub fn set(&self, seconds: i64) -> Result<()> {
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n"))?;
        Ok(std::fs::rename(&next, &self.file)?)
    }
}
