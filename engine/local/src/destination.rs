//! What the user's destination argument leads to.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::{LocalError, SpecialKind};

/// What the destination of a download is, looked at through symbolic links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `/dev/null`, by whatever name.
    Null,
    /// A file, a directory, or a name that is free. Where the argument is a symbolic link to a file, the file: the link
    /// stays.
    Path(PathBuf),
}

/// Links that follow one another at most, as in the kernel (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// The null device on Linux (`null(4)`): major number 1, minor 3.
const NULL_DEVICE: u64 = 0x103;

impl Destination {
    /// Looks a destination argument up. What cannot be reached is left to whoever writes there.
    ///
    /// # Errors
    ///
    /// [`LocalError::NotAPlace`]: a pipe, socket or device, or a descriptor of this process (`/dev/stdout`,
    /// `/dev/fd/3`), which would be replaced by a file.
    pub fn resolve(path: &Path) -> Result<Self, LocalError> {
        let given = || Ok(Self::Path(path.to_owned()));
        // What ends in a slash is a directory, or will be one.
        if path.as_os_str().as_bytes().ends_with(b"/") || path.is_dir() {
            return given();
        }
        let refused = |kind| Err(LocalError::NotAPlace { path: path.to_owned(), kind });
        let mut at = path.to_owned();
        for _ in 0..MAX_LINKS {
            let Ok(there) = std::fs::symlink_metadata(&at) else { return Ok(Self::Path(at)) };
            let kind = there.file_type();
            if !kind.is_symlink() {
                return match SpecialKind::of(kind) {
                    None => Ok(Self::Path(at)),
                    Some(SpecialKind::CharDevice) if there.rdev() == NULL_DEVICE => Ok(Self::Null),
                    Some(kind) => refused(kind),
                };
            }
            let parent = match at.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            if is_of_descriptors(parent) {
                // These lead to what is open, whatever the link's text says.
                return match std::fs::metadata(&at) {
                    Ok(open) if open.file_type().is_char_device() && open.rdev() == NULL_DEVICE => {
                        Ok(Self::Null)
                    }
                    Ok(open) => refused(SpecialKind::of(open.file_type()).unwrap_or(SpecialKind::Descriptor)),
                    Err(_) => refused(SpecialKind::Descriptor),
                };
            }
            let Ok(leads_to) = std::fs::read_link(&at) else { return given() };
            at = parent.join(leads_to);
        }
        // Links in a circle: whoever opens it says so.
        given()
    }
}

/// Whether the links in this directory are a process's descriptors: `/proc/PID/fd`, and `/dev/fd`, which leads there.
fn is_of_descriptors(directory: &Path) -> bool {
    std::fs::canonicalize(directory).is_ok_and(|real| real.starts_with("/proc") && real.ends_with("fd"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_destination_is_what_its_links_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("dir")).unwrap();
        std::fs::write(at("dir/file"), b"").unwrap();
        for (text, link) in [
            ("dir/file", "to file"),
            ("to file", "to link"),
            ("dir/new", "dangling"),
            ("dir", "to dir"),
            ("circle", "circle"),
            ("/dev/null", "null"),
            ("/dev/full", "full"),
        ] {
            symlink(text, at(link)).unwrap();
        }
        let path = |name: &str| Ok(Destination::Path(at(name)));
        for (name, leads_to) in [
            ("dir/file", "dir/file"),
            ("to file", "dir/file"),
            ("to link", "dir/file"),
            ("dangling", "dir/new"),
            ("nothing", "nothing"),
            ("to dir", "to dir"),
            ("circle", "circle"),
        ] {
            assert_eq!(Destination::resolve(&at(name)), path(leads_to), "{name}");
        }
        for null in [at("null"), PathBuf::from("/dev/null")] {
            assert_eq!(Destination::resolve(&null), Ok(Destination::Null));
        }
        let refused = |path: &Path| match Destination::resolve(path) {
            Err(LocalError::NotAPlace { kind, .. }) => kind,
            other => panic!("{}: {other:?}", path.display()),
        };
        assert_eq!(refused(&at("full")), SpecialKind::CharDevice);
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let cwd = rustix::fs::CWD;
        rustix::fs::mknodat(cwd, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(refused(&at("pipe")), SpecialKind::Fifo);
        let file = std::fs::File::open(at("dir/file")).unwrap();
        for directory in ["/dev/fd", "/proc/self/fd"] {
            let descriptor = Path::new(directory).join(file.as_raw_fd().to_string());
            assert_eq!(refused(&descriptor), SpecialKind::Descriptor);
        }
        let null = std::fs::File::open("/dev/null").unwrap();
        let descriptor = Path::new("/dev/fd").join(null.as_raw_fd().to_string());
        assert_eq!(Destination::resolve(&descriptor), Ok(Destination::Null));
    }
}
