//! A disk that is soon full: a file system of its own in a file, mounted for as long as the handle lives.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Written at once to fill it, then less and less.
const CHUNKS: [usize; 3] = [1 << 20, 4 << 10, 1];

/// A mounted disk; unmounted and removed when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Makes and mounts one. Needs root.
    pub fn mount(megabytes: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = folder.path().join("disk.img");
        File::create(&image)?.set_len(megabytes << 20)?;
        let disk = Self { folder };
        std::fs::create_dir(disk.path())?;
        // No blocks are kept back for root, who the test may be.
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.path())).context("mounting a disk needs root")?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.ballast())?;
        for chunk in CHUNKS {
            let zeros = vec![0; chunk];
            loop {
                match ballast.write_all(&zeros).and_then(|()| ballast.sync_data()) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Gives that room back.
    pub fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.ballast())?)
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, as what writes to it may end a moment later. Not mounted is what is wanted.
        drop(run(Command::new("umount").arg("--lazy").arg(self.path())));
    }
}

fn run(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| format!("{name} cannot be run"))?;
    ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
