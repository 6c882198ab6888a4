//! What the user's source argument is on the file system.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::{LocalError, SpecialKind};

/// What a path given by the user is, after following symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A regular file.
    File {
        /// Its size in bytes at this moment.
        size: u64,
    },
    /// A directory, or a link to one.
    Directory,
    /// Nothing there (a dangling symbolic link included). The caller may still take the argument as a pattern.
    Missing,
    /// Something that cannot be copied.
    Other(SpecialKind),
}

impl SourceKind {
    /// The same, with what cannot be a source as an error.
    ///
    /// # Errors
    ///
    /// [`LocalError::Missing`] and [`LocalError::Special`], with `path`.
    pub fn usable(self, path: &Path) -> Result<Self, LocalError> {
        match self {
            Self::File { .. } | Self::Directory => Ok(self),
            Self::Missing => Err(LocalError::Missing { path: path.to_owned() }),
            Self::Other(kind) => Err(LocalError::Special { path: path.to_owned(), kind }),
        }
    }
}

/// Looks a source argument up.
///
/// # Errors
///
/// What keeps the file system from answering: [`LocalError::PermissionDenied`] on a directory above,
/// [`LocalError::NotADirectory`] where a file is used as one, [`LocalError::Io`].
pub fn stat_source(path: &Path) -> Result<SourceKind, LocalError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(SourceKind::Missing),
        Err(error) => return Err(LocalError::from_io(path.to_owned(), "stat", &error)),
    };
    let kind = metadata.file_type();
    Ok(match SpecialKind::of(kind) {
        Some(special) => SourceKind::Other(special),
        None if kind.is_dir() => SourceKind::Directory,
        // No link: they were followed.
        None => SourceKind::File { size: metadata.len() },
    })
}

/// The name a source has at its destination: its last component as the user wrote it (a symbolic link keeps its
/// own name), or for a path that ends in `.` or `..` the name of the directory it leads to. `None` for `/`.
///
/// # Errors
///
/// Where a `.` or `..` cannot be resolved.
pub fn base_name(path: &Path) -> Result<Option<OsString>, LocalError> {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
    let last = bytes[..end].rsplit(|&b| b == b'/').next().unwrap_or_default();
    match last {
        b"" if bytes.first() == Some(&b'/') => Ok(None),
        b"" | b"." | b".." => {
            let path = if bytes.is_empty() { Path::new(".") } else { path };
            let real = std::fs::canonicalize(path)
                .map_err(|error| LocalError::from_io(path.to_owned(), "resolving the path", &error))?;
            Ok(real.file_name().map(OsStr::to_owned))
        }
        name => Ok(Some(OsStr::from_bytes(name).to_owned())),
    }
}

/// Largest system table that is read, 16 MiB: the usual ones have less than 100 KiB.
const MAX_TABLE_BYTES: u64 = 16 << 20;

/// The text of the first of `paths` that can be read; bytes that are not UTF-8 are replaced.
#[must_use]
pub fn read_first_existing(paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| read_table(path))
}

/// The texts of all of `paths` that can be read, one after the other, each ending in a line feed.
#[must_use]
pub fn read_all_existing(paths: &[&str]) -> String {
    paths.iter().filter_map(|path| read_table(path)).fold(String::new(), |all, text| all + &text + "\n")
}

fn read_table(path: &str) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    // A pipe would block, a device never end.
    if !metadata.is_file() || metadata.len() > MAX_TABLE_BYTES {
        return None;
    }
    std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The process's umask: permission bits that new files do not get. 0o022 where the kernel does not tell it.
#[must_use]
pub fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok()).unwrap_or(0o022)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn kinds() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), b"12345").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("nothing", at("dangling")).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        assert_eq!(stat_source(&at("file")), Ok(SourceKind::File { size: 5 }));
        assert_eq!(stat_source(&at("link")), Ok(SourceKind::File { size: 5 }));
        assert_eq!(stat_source(dir.path()), Ok(SourceKind::Directory));
        assert_eq!(stat_source(&at("dangling")), Ok(SourceKind::Missing));
        assert_eq!(stat_source(&at("socket")), Ok(SourceKind::Other(SpecialKind::Socket)));
        assert_eq!(stat_source(Path::new("/dev/null")), Ok(SourceKind::Other(SpecialKind::CharDevice)));
        let below_file = at("file/x");
        assert_eq!(stat_source(&below_file), Err(LocalError::NotADirectory { path: below_file.clone() }));
        let path = at("nothing");
        assert_eq!(
            stat_source(&path).unwrap().usable(&path),
            Err(LocalError::Missing { path: path.clone() })
        );
        let path = at("socket");
        assert_eq!(
            stat_source(&path).unwrap().usable(&path),
            Err(LocalError::Special { path: path.clone(), kind: SpecialKind::Socket })
        );
        let long = at(&"x".repeat(300));
        assert!(matches!(stat_source(&long), Err(LocalError::Io { operation: "stat", .. })));
    }

    #[test]
    fn base_names() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir_all(real.join("sub")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        let name = |path: &Path| base_name(path).unwrap().map(|n| n.into_string().unwrap());
        for (path, expected) in [
            ("", "real"),
            ("/", "real"),
            ("//", "real"),
            ("/.", "real"),
            ("/sub/..", "real"),
            ("/sub/../", "real"),
        ] {
            let path = format!("{}{path}", real.display());
            assert_eq!(name(Path::new(&path)).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(name(&dir.path().join("link")).as_deref(), Some("link"));
        assert_eq!(name(&dir.path().join("link/.")).as_deref(), Some("real"));
        assert_eq!(name(Path::new("a b%.txt")).as_deref(), Some("a b%.txt"));
        assert_eq!(name(Path::new("/")), None);
        assert_eq!(name(Path::new("//")), None);
        assert_eq!(name(Path::new("/..")), None);
        let cwd = std::env::current_dir().unwrap();
        let here = cwd.file_name().map(|n| n.to_str().unwrap().to_owned());
        assert_eq!(name(Path::new(".")), here);
        let gone = dir.path().join("gone/..");
        assert_eq!(base_name(&gone), Err(LocalError::Missing { path: gone.clone() }));
    }

    #[test]
    fn tables() {
        let dir = tempfile::tempdir().unwrap();
        let one = dir.path().join("one");
        std::fs::write(&one, b"a\xffb").unwrap();
        let one = one.to_str().unwrap();
        assert_eq!(read_first_existing(&["/nonexistent", "/dev/zero", one]).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(read_first_existing(&["/nonexistent"]), None);
        assert_eq!(read_all_existing(&[one, "/nonexistent", one]), "a\u{fffd}b\na\u{fffd}b\n");
    }
}
