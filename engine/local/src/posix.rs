//! POSIX properties of files: read, and set on what was made.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use azuring_plan::posix::{PosixProperties, PosixType};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, RawMode, StatxFlags, Timespec, Timestamps, UTIME_OMIT, Uid, makedev,
};
use rustix::io::Errno;

const NS_PER_SECOND: i128 = 1_000_000_000;

/// Everything that the file system says of an open file (`O_PATH` will do).
///
/// # Errors
///
/// The kernel's answer to `statx(2)`.
pub fn read_posix(file: impl AsFd) -> io::Result<PosixProperties> {
    let asked = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, asked)?;
    let answered = StatxFlags::from_bits_retain(stat.stx_mask);
    let has = |flag| answered.contains(flag);
    let time =
        |at: rustix::fs::StatxTimestamp| i128::from(at.tv_sec) * NS_PER_SECOND + i128::from(at.tv_nsec);
    let kind = kind_of(FileType::from_raw_mode(RawMode::from(stat.stx_mode)));
    let is_device = matches!(kind, Some(PosixType::BlockDevice | PosixType::CharDevice));
    Ok(PosixProperties {
        mode: has(StatxFlags::MODE).then_some(u32::from(stat.stx_mode)),
        kind,
        uid: has(StatxFlags::UID).then_some(stat.stx_uid),
        gid: has(StatxFlags::GID).then_some(stat.stx_gid),
        mtime_ns: has(StatxFlags::MTIME).then(|| time(stat.stx_mtime)),
        atime_ns: has(StatxFlags::ATIME).then(|| time(stat.stx_atime)),
        ctime_ns: has(StatxFlags::CTIME).then(|| time(stat.stx_ctime)),
        btime_ns: has(StatxFlags::BTIME).then(|| time(stat.stx_btime)),
        nlink: has(StatxFlags::NLINK).then_some(u64::from(stat.stx_nlink)),
        ino: has(StatxFlags::INO).then_some(stat.stx_ino),
        dev: Some(makedev(stat.stx_dev_major, stat.stx_dev_minor)),
        rdev: is_device.then(|| makedev(stat.stx_rdev_major, stat.stx_rdev_minor)),
        statx_mask: Some(stat.stx_mask),
        attributes: Some(stat.stx_attributes.bits()),
        attributes_mask: Some(stat.stx_attributes_mask.bits()),
    })
}

fn kind_of(file_type: FileType) -> Option<PosixType> {
    Some(match file_type {
        FileType::RegularFile => PosixType::File,
        FileType::Directory => PosixType::Directory,
        FileType::Symlink => PosixType::Symlink,
        FileType::Socket => PosixType::Socket,
        FileType::Fifo => PosixType::Fifo,
        FileType::BlockDevice => PosixType::BlockDevice,
        FileType::CharacterDevice => PosixType::CharDevice,
        FileType::Unknown => return None,
    })
}

/// Sets the times of access and modification of an open file, ns since 1970; `None` leaves one as it is.
///
/// # Errors
///
/// The kernel's.
pub fn set_times(file: impl AsFd, atime_ns: Option<i128>, mtime_ns: Option<i128>) -> io::Result<()> {
    match timestamps(atime_ns, mtime_ns) {
        Some(times) => Ok(rustix::fs::futimens(file, &times)?),
        None => Ok(()),
    }
}

/// Gives an open file or directory (not `O_PATH`) the owner, the permissions and the times that are known, in this
/// order: a change of owner takes set-user and set-group away.
///
/// # Errors
///
/// The kernel's: EPERM for an owner that only root can give.
pub fn set_posix(file: impl AsFd, properties: &PosixProperties) -> io::Result<()> {
    let file = file.as_fd();
    let (uid, gid) = owner(properties);
    if uid.is_some() || gid.is_some() {
        rustix::fs::fchown(file, uid, gid)?;
    }
    if let Some(permissions) = properties.permissions() {
        rustix::fs::fchmod(file, Mode::from_raw_mode(permissions))?;
    }
    set_times(file, properties.atime_ns, properties.mtime_ns)
}

/// Gives the symbolic link `name` in `directory` the owner and times that are known; a link has no permissions.
pub(crate) fn set_posix_of_link(
    directory: BorrowedFd<'_>,
    name: &[u8],
    properties: &PosixProperties,
) -> Result<(), Errno> {
    let (uid, gid) = owner(properties);
    if uid.is_some() || gid.is_some() {
        rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    match timestamps(properties.atime_ns, properties.mtime_ns) {
        Some(times) => rustix::fs::utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW),
        None => Ok(()),
    }
}

/// The highest id means "leave it" to the kernel; as an owner it cannot be.
fn owner(properties: &PosixProperties) -> (Option<Uid>, Option<Gid>) {
    let usable = |id: &u32| *id != u32::MAX;
    (properties.uid.filter(usable).map(Uid::from_raw), properties.gid.filter(usable).map(Gid::from_raw))
}

fn timestamps(atime_ns: Option<i128>, mtime_ns: Option<i128>) -> Option<Timestamps> {
    (atime_ns.is_some() || mtime_ns.is_some())
        .then(|| Timestamps { last_access: timespec(atime_ns), last_modification: timespec(mtime_ns) })
}

fn timespec(ns: Option<i128>) -> Timespec {
    let Some(ns) = ns else { return Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT } };
    let seconds = ns.div_euclid(NS_PER_SECOND).clamp(i64::MIN.into(), i64::MAX.into());
    Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or_default(),
        tv_nsec: i64::try_from(ns.rem_euclid(NS_PER_SECOND)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::File;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    #[test]
    fn what_is_read_is_what_stat_says() {
        let file = tempfile::tempfile().unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o640)).unwrap();
        let (read, stat) = (read_posix(&file).unwrap(), file.metadata().unwrap());
        let ns = |seconds: i64, ns: i64| Some(i128::from(seconds) * NS_PER_SECOND + i128::from(ns));
        assert_eq!(
            (read.mode, read.permissions(), read.kind),
            (Some(stat.mode()), Some(0o640), Some(PosixType::File))
        );
        assert_eq!((read.uid, read.gid), (Some(stat.uid()), Some(stat.gid())));
        assert_eq!(
            (read.dev, read.ino, read.nlink),
            (Some(stat.dev()), Some(stat.ino()), Some(stat.nlink()))
        );
        assert_eq!(read.mtime_ns, ns(stat.mtime(), stat.mtime_nsec()));
        assert_eq!(read.atime_ns, ns(stat.atime(), stat.atime_nsec()));
        assert_eq!(read.ctime_ns, ns(stat.ctime(), stat.ctime_nsec()));
        assert_eq!(read.rdev, None);
        let null = File::open("/dev/null").unwrap();
        let read = read_posix(&null).unwrap();
        assert_eq!(
            (read.kind, read.rdev),
            (Some(PosixType::CharDevice), Some(null.metadata().unwrap().rdev()))
        );
    }

    #[test]
    fn what_was_read_can_be_set() {
        let (one, two) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        one.set_permissions(std::fs::Permissions::from_mode(0o2_751)).unwrap();
        set_times(&one, Some(-1), Some(1_500_000_000_123_456_789)).unwrap();
        let wanted = read_posix(&one).unwrap();
        set_posix(&two, &wanted).unwrap();
        let got = read_posix(&two).unwrap();
        assert_eq!((got.mode, got.uid, got.gid), (wanted.mode, wanted.uid, wanted.gid));
        assert_eq!((got.atime_ns, got.mtime_ns), (Some(-1), Some(1_500_000_000_123_456_789)));
        // One of the two, and nothing at all.
        set_times(&two, None, Some(7)).unwrap();
        set_posix(&two, &PosixProperties::default()).unwrap();
        let after = read_posix(&two).unwrap();
        assert_eq!((after.atime_ns, after.mtime_ns, after.mode), (Some(-1), Some(7), got.mode));
    }

    #[test]
    fn an_id_that_means_nothing_is_left_out() {
        let file = tempfile::tempfile().unwrap();
        let before = read_posix(&file).unwrap();
        let all = PosixProperties { uid: Some(u32::MAX), gid: Some(u32::MAX), ..PosixProperties::default() };
        set_posix(&file, &all).unwrap();
        let after = read_posix(&file).unwrap();
        assert_eq!((after.uid, after.gid), (before.uid, before.gid));
    }

    #[test]
    fn a_link_gets_them_itself() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let before = std::fs::metadata(dir.path().join("file")).unwrap().mtime();
        let directory = File::open(dir.path()).unwrap();
        let mtime_ns = Some(1_000_000_000_000_000_007);
        let wanted =
            PosixProperties { uid: Some(owner_of(&directory)), mtime_ns, ..PosixProperties::default() };
        set_posix_of_link(directory.as_fd(), b"link", &wanted).unwrap();
        let link = std::fs::symlink_metadata(dir.path().join("link")).unwrap();
        assert_eq!((link.mtime(), link.mtime_nsec()), (1_000_000_000, 7));
        assert_eq!(std::fs::metadata(dir.path().join("file")).unwrap().mtime(), before);
    }

    /// Who made the directory: always allowed as an owner.
    fn owner_of(directory: &File) -> u32 {
        directory.metadata().unwrap().uid()
    }
}
