//! Unfinished files of a job that nobody goes on with.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use azuring_journal::JobId;
use azuring_local::Destination;

use crate::object::target::temporary_prefix;

/// Removes the unfinished files that the job has left where it downloaded to: all of a name that no other job gives.
/// Returns how many there were. Links are not followed; directories that may not be read are passed over.
///
/// # Errors
/// When the destination cannot be read, or a file that is the job's cannot be removed.
pub fn remove_unfinished(job: JobId, destination: &Path) -> io::Result<u64> {
    let prefix = temporary_prefix(job.as_bytes());
    let destination = match Destination::resolve(destination) {
        Ok(Destination::Path(path)) => path,
        Ok(Destination::Null) | Err(_) => return Ok(0),
    };
    // Of one blob that became a file, what is unfinished lies beside it.
    let below = destination.is_dir();
    let root = if below {
        destination
    } else {
        match destination.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    };
    let (mut removed, mut left) = (0, vec![root.clone()]);
    while let Some(directory) = left.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if directory == root => return Err(error),
            Err(_) => continue,
        };
        for entry in entries {
            let Ok(entry) = entry else { break };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && below {
                left.push(entry.path());
            } else if (kind.is_file() || kind.is_symlink())
                && entry.file_name().as_bytes().starts_with(prefix.as_bytes())
            {
                std::fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_what_the_job_has_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (own, other) = (JobId::from_bytes([7; 16]), JobId::from_bytes([8; 16]));
        let name = |job: JobId, rest: &str| format!("{}{rest}", temporary_prefix(job.as_bytes()));
        fs::create_dir_all(at("to/sub")).unwrap();
        fs::create_dir_all(at("elsewhere")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", at("to/link")).unwrap();
        let mine = [format!("to/{}", name(own, "0-1")), format!("to/sub/{}", name(own, "0-2-unpacked"))];
        let others = [
            format!("to/{}", name(other, "0-1")),
            format!("elsewhere/{}", name(own, "0-3")),
            "to/.azuring-0".to_owned(),
            "to/sub/file".to_owned(),
        ];
        for file in mine.iter().chain(&others) {
            fs::write(at(file), b"").unwrap();
        }
        // One blob, whose file was to be `to/file`.
        assert_eq!(remove_unfinished(own, &at("to/file")).unwrap(), 1);
        assert_eq!(remove_unfinished(own, &at("to")).unwrap(), 1);
        assert!(mine.iter().all(|file| !at(file).exists()) && others.iter().all(|file| at(file).exists()));
        assert_eq!(remove_unfinished(own, &at("to")).unwrap(), 0);
        remove_unfinished(own, &at("gone/file")).unwrap_err();
        assert_eq!(remove_unfinished(own, Path::new("/dev/null")).unwrap(), 0);
    }
}
