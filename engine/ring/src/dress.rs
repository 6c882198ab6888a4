//! How a written file looks: its owner, permissions and times; and whether its bytes have arrived.
//!
//! Network file systems, FUSE and quotas tell some errors only when a file is closed, so nothing gets its name before
//! [`check_close`] has said that it may.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{
    Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fdatasync, fgetxattr,
    fremovexattr, fsetxattr, fstat, futimens, getxattr, lgetxattr,
};
use rustix::io::Errno;

use crate::dir::Names;

/// The attribute that holds a file's access ACL (`acl(5)`).
const ACCESS_ACL: &str = "system.posix_acl_access";
/// The attribute that holds the ACL that what is made in a directory gets.
const DEFAULT_ACL: &str = "system.posix_acl_default";
/// Room for an ACL of 500 entries; of a longer one the permission bits are kept alone.
const ACL_BYTES: usize = 4096;

/// Which permissions a file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// As any program that writes it: those of the file that it takes the place of; of a new one what the default ACL
    /// of its directory says, or else the bits that the umask leaves, which are given here.
    Usual(u32),
    /// These bits.
    Exact(u32),
}

impl Default for Permissions {
    /// A new file is its owner's alone.
    fn default() -> Self {
        Self::Usual(0o600)
    }
}

/// How a complete file looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finish {
    /// The permission bits that it gets, and whether somebody asked for them.
    pub permissions: Permissions,
    /// User and group.
    pub owner: Option<(u32, u32)>,
    /// Times of access and modification, nanoseconds since 1970.
    pub times_ns: Option<(i128, i128)>,
    /// Whether it takes the place of a file or symbolic link of the same name; anything else there is
    /// [`InTheWay`](crate::InTheWay). Otherwise there being one is `AlreadyExists`.
    pub replace: bool,
}

/// Asks the file system whether all that was written to `file` has been taken, as closing it does: `close(2)` of any
/// descriptor of an open file tells it, so a second one is closed. 0.2 us where the file system has nothing to tell.
///
/// # Errors
/// What `close(2)` answers: EIO, ENOSPC and EDQUOT of NFS, CIFS, FUSE and others.
pub fn check_close(file: impl AsFd) -> io::Result<()> {
    loop {
        let second = match file.as_fd().try_clone_to_owned() {
            Ok(second) => second,
            // No descriptor is left: the slow way says the same.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                return match fdatasync(&file) {
                    // A pipe, and the like, have nothing to sync.
                    Err(Errno::INVAL | Errno::ROFS) => Ok(()),
                    synced => Ok(synced?),
                };
            }
            Err(error) => return Err(error),
        };
        // SAFETY: the descriptor was made above and belongs to nobody else.
        if unsafe { libc::close(second.into_raw_fd()) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // The descriptor is gone whatever was answered; what it was asked has to be asked again after a signal.
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Gives a file its owner, permissions and times. `replaced`: the file that it takes the place of. `is_private`: it was
/// made with mode 0600, because it has a name already; otherwise with what the directory gives to new files.
pub(crate) fn dress(
    fd: BorrowedFd<'_>,
    names: &Names,
    finish: &Finish,
    replaced: Option<&Stat>,
    is_private: bool,
) -> io::Result<()> {
    if let Some((uid, gid)) = finish.owner {
        fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    } else if let Some(there) = replaced {
        // Where even root may not give files away, the file is root's. Others may give one to a group of theirs.
        let owner = rustix::process::geteuid().is_root().then(|| Uid::from_raw(there.st_uid));
        let _ = fchown(fd, owner, Some(Gid::from_raw(there.st_gid)));
    }
    match (finish.permissions, replaced) {
        (Permissions::Exact(mode), _) => fchmod(fd, Mode::from_raw_mode(mode))?,
        (Permissions::Usual(_), Some(there)) => keep_permissions(fd, names, there)?,
        (Permissions::Usual(usual), None) if is_private => {
            let mode = default_acl_bits(names).map_or(usual, |bits| bits & 0o666);
            fchmod(fd, Mode::from_raw_mode(mode))?;
        }
        // Kernels before 6.0 forget the umask of files that have no name yet, where there are no ACLs; where there are,
        // the directory may give more than the umask leaves.
        (Permissions::Usual(usual), None) => {
            let exceeds = fstat(fd)?.st_mode & 0o777 & !usual != 0;
            if exceeds && default_acl_bits(names).is_none() {
                fchmod(fd, Mode::from_raw_mode(usual))?;
            }
        }
    }
    if let Some((accessed, modified)) = finish.times_ns {
        futimens(fd, &Timestamps { last_access: timespec(accessed), last_modification: timespec(modified) })?;
    }
    Ok(())
}

/// Gives a file the permissions of the one that it takes the place of. Set-user and set-group are not among them: they
/// were given to other content, and writing to a file takes them away.
fn keep_permissions(fd: BorrowedFd<'_>, names: &Names, there: &Stat) -> io::Result<()> {
    let mut mode = there.st_mode & 0o777;
    if fstat(fd)?.st_gid != there.st_gid {
        // Another group gets no more than everybody.
        mode &= 0o707 | (mode & 0o007) << 3;
        return Ok(fchmod(fd, Mode::from_raw_mode(mode))?);
    }
    let mut acl = [0; ACL_BYTES];
    let mut path = format!("/proc/self/fd/{}/", names.dir.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(names.name.to_bytes());
    match lgetxattr(std::ffi::OsStr::from_bytes(&path), ACCESS_ACL, &mut acl[..]) {
        // The permission bits are part of it.
        Ok(len) if fsetxattr(fd, ACCESS_ACL, &acl[..len], XattrFlags::empty()).is_ok() => return Ok(()),
        // What the directory has given to the new file, the old one had not.
        Err(Errno::NODATA) if fgetxattr(fd, ACCESS_ACL, &mut acl[..]).is_ok() => {
            fremovexattr(fd, ACCESS_ACL)?;
        }
        _ => {}
    }
    Ok(fchmod(fd, Mode::from_raw_mode(mode))?)
}

/// The permission bits that the directory's default ACL allows; `None` where it has none, and the umask decides.
fn default_acl_bits(names: &Names) -> Option<u32> {
    let mut acl = [0; ACL_BYTES];
    let path = format!("/proc/self/fd/{}", names.dir.as_fd().as_raw_fd());
    let len = getxattr(path.as_str(), DEFAULT_ACL, &mut acl[..]).ok()?;
    bits_of_acl(&acl[..len])
}

/// The permission bits of an ACL in the kernel's form (`linux/posix_acl_xattr.h`): a version, then entries of tag,
/// permissions and id.
fn bits_of_acl(acl: &[u8]) -> Option<u32> {
    const VERSION: [u8; 4] = 2u32.to_le_bytes();
    let entries = acl.strip_prefix(&VERSION)?;
    let of = |wanted: u16| {
        entries.chunks_exact(8).find_map(|entry| {
            let (tag, permissions) = ([entry[0], entry[1]], [entry[2], entry[3]]);
            (u16::from_le_bytes(tag) == wanted).then(|| u32::from(u16::from_le_bytes(permissions)) & 0o7)
        })
    };
    let (owner, group, mask, other) = (of(0x01)?, of(0x04)?, of(0x10), of(0x20)?);
    Some(owner << 6 | mask.unwrap_or(group) << 3 | other)
}

fn timespec(ns: i128) -> Timespec {
    let (seconds, nanoseconds) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    Timespec { tv_sec: seconds.clamp(i64::MIN.into(), i64::MAX.into()) as i64, tv_nsec: nanoseconds as _ }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_is_read_as_the_kernel_writes_it() {
        let entry = |tag: u16, permissions: u16| {
            let mut entry = [tag.to_le_bytes(), permissions.to_le_bytes()].concat();
            entry.extend(u32::MAX.to_le_bytes());
            entry
        };
        let acl = |entries: &[(u16, u16)]| {
            let mut acl = 2u32.to_le_bytes().to_vec();
            entries.iter().for_each(|&(tag, permissions)| acl.extend(entry(tag, permissions)));
            acl
        };
        assert_eq!(bits_of_acl(&acl(&[(1, 7), (4, 5), (0x20, 0)])), Some(0o750));
        assert_eq!(bits_of_acl(&acl(&[(1, 7), (2, 7), (4, 5), (0x10, 6), (0x20, 4)])), Some(0o764));
        assert_eq!(bits_of_acl(&acl(&[(1, 7), (4, 5)])), None);
        assert_eq!(bits_of_acl(b""), None);
        assert_eq!(bits_of_acl(&[3, 0, 0, 0]), None);
    }
}
