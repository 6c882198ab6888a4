//! POSIX properties as blob metadata, in the keys and forms of AzCopy's `--preserve-posix-properties`
//! (`common/unixStatAdapter.go`), so that either program restores what the other stored.
//!
//! | property | key | `standard` | `amlfs` (Azure Managed Lustre) |
//! |---|---|---|---|
//! | mode | `permissions` | decimal, with the file type's bits | octal, four digits, permissions alone |
//! | user, group | `posix_owner`, `posix_group` | decimal | decimal, as `owner`, `group` |
//! | times | `modtime`, `posix_atime`, `posix_ctime`, `linux_btime` | ns since 1970 | `modtime` as `2006-01-02 15:04:05 -0700`, the others the same |
//! | links, inode, devices | `posix_nlink`, `posix_ino`, `posix_dev`, `posix_rdev` | decimal | the same |
//! | statx | `linux_statx_mask`, `linux_attribute`, `linux_attribute_mask` | decimal | the same |
//! | type | `hdi_isfolder`, `is_symlink`, `is_fifo`, `is_socket`, `is_block_dev`, `is_char_dev` | `true` | the same |
//!
//! AzCopy tests the type's bits one by one, so that it marks a symbolic link also as a character device and a socket
//! also as a folder. Only the true type is written here; where several are read, the one that cannot come from that
//! fault counts.

use crate::date::{Bound, date_and_time, parse as parse_date, split_seconds};
use crate::name::escape;

/// The bits of a mode that are the file's type (`S_IFMT`).
const TYPE_BITS: u32 = 0o170_000;
/// The permissions, with set-user, set-group and sticky.
const PERMISSION_BITS: u32 = 0o7_777;

/// How properties are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PosixStyle {
    /// AzCopy's own.
    #[default]
    Standard,
    /// What Azure Managed Lustre reads: no time finer than a second, no more than the nine permission bits.
    Amlfs,
}

/// The type of a file, as its mode or a blob's metadata say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PosixType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
}

impl PosixType {
    /// All types, their bits in a mode and their keys; in the order in which keys count.
    const ALL: [(Self, u32, &'static str); 7] = [
        (Self::Socket, 0o140_000, "is_socket"),
        (Self::Symlink, 0o120_000, "is_symlink"),
        (Self::BlockDevice, 0o060_000, "is_block_dev"),
        (Self::Directory, 0o040_000, "hdi_isfolder"),
        (Self::CharDevice, 0o020_000, "is_char_dev"),
        (Self::Fifo, 0o010_000, "is_fifo"),
        (Self::File, 0o100_000, ""),
    ];

    /// Whether metadata of this name, in whatever case, say what a file is, or whose and since when: the rest of a
    /// blob's metadata decides nothing of its file.
    #[must_use]
    pub fn is_told_by(key: &str) -> bool {
        const OTHERS: [&str; 4] = ["permissions", "owner", "group", "modtime"];
        let is = |known: &str| key.eq_ignore_ascii_case(known);
        let begins = |start: &str| key.get(..start.len()).is_some_and(|key| key.eq_ignore_ascii_case(start));
        Self::ALL.iter().any(|(_, _, known)| is(known) && !known.is_empty())
            || OTHERS.into_iter().any(is)
            || begins("posix_")
            || begins("linux_")
    }

    fn from_mode(mode: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|&(_, bits, _)| mode & TYPE_BITS == bits).map(|(kind, ..)| kind)
    }
}

/// What `stat` or `statx` says of a file, as far as it is known. Times are ns since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PosixProperties {
    /// Permissions and type, as in `st_mode`. Read from `amlfs` it has no type bits.
    pub mode: Option<u32>,
    /// The type, where the mode or a key tells it.
    pub kind: Option<PosixType>,
    /// User id of the owner.
    pub uid: Option<u32>,
    /// Group id.
    pub gid: Option<u32>,
    /// Last change of the content, ns since 1970.
    pub mtime_ns: Option<i128>,
    /// Last access, ns since 1970.
    pub atime_ns: Option<i128>,
    /// Last change of the inode, ns since 1970.
    pub ctime_ns: Option<i128>,
    /// Time of creation, ns since 1970.
    pub btime_ns: Option<i128>,
    /// Number of hard links.
    pub nlink: Option<u64>,
    /// Number of the inode.
    pub ino: Option<u64>,
    /// The device that holds the file, as `makedev(3)` packs it.
    pub dev: Option<u64>,
    /// The device that the file is; for block and character devices.
    pub rdev: Option<u64>,
    /// What `statx` said it answered.
    pub statx_mask: Option<u32>,
    /// `stx_attributes`.
    pub attributes: Option<u64>,
    /// Which bits of the attributes the file system knows.
    pub attributes_mask: Option<u64>,
}

/// A value that cannot be read; its property stays unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("metadata {key}: {value} is not {expected}")]
pub struct BadProperty {
    /// The name of the metadata entry, such as `posix_owner`.
    pub key: &'static str,
    /// The value, escaped for display; of a long one the first 64 bytes.
    pub value: String,
    /// What it should be.
    pub expected: &'static str,
}

impl PosixProperties {
    /// The permissions to set: the mode without its type.
    #[must_use]
    pub fn permissions(&self) -> Option<u32> {
        self.mode.map(|mode| mode & PERMISSION_BITS)
    }

    /// Writes what is known as metadata.
    #[must_use]
    pub fn to_metadata(&self, style: PosixStyle) -> Vec<(String, String)> {
        let mut out = Vec::with_capacity(18);
        let mut put = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                out.push((key.to_owned(), value));
            }
        };
        let decimal = |value: Option<u64>| value.map(|value| value.to_string());
        let ns = |value: Option<i128>| value.map(|value| value.to_string());
        let (owner, group) = owner_keys(style);
        put("linux_statx_mask", decimal(self.statx_mask.map(u64::from)));
        let known = self.attributes_mask.unwrap_or(u64::MAX);
        put("linux_attribute", decimal(self.attributes.map(|attributes| attributes & known)));
        put("linux_attribute_mask", decimal(self.attributes_mask));
        put("linux_btime", ns(self.btime_ns));
        put("posix_nlink", decimal(self.nlink));
        put(owner, decimal(self.uid.map(u64::from)));
        put(group, decimal(self.gid.map(u64::from)));
        put(
            "permissions",
            self.mode.map(|mode| match style {
                PosixStyle::Standard => mode.to_string(),
                PosixStyle::Amlfs => format!("{:04o}", mode & 0o777),
            }),
        );
        let kind = self.kind.or(self.mode.and_then(PosixType::from_mode));
        for (known, _, key) in PosixType::ALL {
            put(key, (kind == Some(known) && known != PosixType::File).then(|| "true".to_owned()));
        }
        put("posix_ino", decimal(self.ino));
        put("posix_dev", decimal(self.dev));
        let is_device = matches!(kind, Some(PosixType::BlockDevice | PosixType::CharDevice));
        put("posix_rdev", decimal(self.rdev.filter(|_| is_device)));
        put("posix_atime", ns(self.atime_ns));
        put(
            "modtime",
            self.mtime_ns.map(|time| match style {
                PosixStyle::Standard => time.to_string(),
                PosixStyle::Amlfs => {
                    let (date, time) = date_and_time(split_seconds(time).0);
                    format!("{date} {time} +0000")
                }
            }),
        );
        put("posix_ctime", ns(self.ctime_ns));
        out
    }

    /// Reads either style; keys in any case, since HTTP changes it. What cannot be read is told, and the rest is used.
    #[must_use]
    pub fn from_metadata<'a>(
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (Self, Vec<BadProperty>) {
        let mut reader = Reader::default();
        let mut mode: Option<&str> = None;
        let mut is_amlfs = false;
        let mut kinds = [false; PosixType::ALL.len()];
        let mut all = Self::default();
        for (key, value) in metadata {
            let key = key.to_ascii_lowercase();
            match key.as_str() {
                "permissions" => mode = Some(value),
                "posix_owner" => all.uid = reader.integer("posix_owner", value),
                "posix_group" => all.gid = reader.integer("posix_group", value),
                "owner" => (all.uid, is_amlfs) = (reader.integer("owner", value), true),
                "group" => (all.gid, is_amlfs) = (reader.integer("group", value), true),
                "modtime" => all.mtime_ns = reader.mtime(value),
                "posix_atime" => all.atime_ns = reader.time("posix_atime", value),
                "posix_ctime" => all.ctime_ns = reader.time("posix_ctime", value),
                "linux_btime" => all.btime_ns = reader.time("linux_btime", value),
                "posix_nlink" => all.nlink = reader.integer("posix_nlink", value),
                "posix_ino" => all.ino = reader.integer("posix_ino", value),
                "posix_dev" => all.dev = reader.integer("posix_dev", value),
                "posix_rdev" => all.rdev = reader.integer("posix_rdev", value),
                "linux_statx_mask" => all.statx_mask = reader.integer("linux_statx_mask", value),
                "linux_attribute" => all.attributes = reader.integer("linux_attribute", value),
                "linux_attribute_mask" => all.attributes_mask = reader.integer("linux_attribute_mask", value),
                key => {
                    let at = PosixType::ALL.iter().position(|(_, _, known)| *known == key && !key.is_empty());
                    if let Some(at) = at {
                        kinds[at] = value.eq_ignore_ascii_case("true");
                    }
                }
            }
        }
        all.mode = mode.and_then(|text| reader.mode(text, is_amlfs));
        let by_key = kinds.iter().position(|&is_set| is_set).map(|at| PosixType::ALL[at].0);
        all.kind = all.mode.and_then(PosixType::from_mode).or(by_key);
        (all, reader.problems)
    }
}

fn owner_keys(style: PosixStyle) -> (&'static str, &'static str) {
    match style {
        PosixStyle::Standard => ("posix_owner", "posix_group"),
        PosixStyle::Amlfs => ("owner", "group"),
    }
}

/// Reads values, and remembers what could not be read.
#[derive(Default)]
struct Reader {
    problems: Vec<BadProperty>,
}

impl Reader {
    fn keep<T>(
        &mut self,
        key: &'static str,
        text: &str,
        value: Option<T>,
        expected: &'static str,
    ) -> Option<T> {
        if value.is_none() {
            let value = escape(&text.as_bytes()[..text.len().min(64)]);
            self.problems.push(BadProperty { key, value, expected });
        }
        value
    }

    fn integer<T: std::str::FromStr>(&mut self, key: &'static str, text: &str) -> Option<T> {
        self.keep(key, text, digits(text).and_then(|text| text.parse().ok()), "a number in its range")
    }

    fn time(&mut self, key: &'static str, text: &str) -> Option<i128> {
        self.keep(key, text, nanoseconds(text), "a time in ns since 1970")
    }

    fn mtime(&mut self, text: &str) -> Option<i128> {
        let time = nanoseconds(text).or_else(|| amlfs_time(text));
        self.keep("modtime", text, time, "a time in ns since 1970, or like 2006-01-02 15:04:05 -0700")
    }

    /// A mode is octal if anything says `amlfs`: its owner keys, or a zero at the start.
    fn mode(&mut self, text: &str, is_amlfs: bool) -> Option<u32> {
        let radix = if is_amlfs || (text.len() > 1 && text.starts_with('0')) { 8 } else { 10 };
        let mode = digits(text)
            .and_then(|text| u32::from_str_radix(text, radix).ok())
            .filter(|mode| mode & !(TYPE_BITS | PERMISSION_BITS) == 0);
        self.keep("permissions", text, mode, "a file mode")
    }
}

/// Rust's parsers take a sign.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// A signed count of ns. 64 bits of them, which AzCopy takes, end in 2262; file systems go on (ext4 to 2446, XFS to
/// 2486, tmpfs and btrfs for longer than the sun): as many seconds as the kernel takes.
fn nanoseconds(text: &str) -> Option<i128> {
    const LIMIT_NS: i128 = i64::MAX as i128 * 1_000_000_000;
    digits(text.strip_prefix('-').unwrap_or(text))?;
    text.parse().ok().filter(|ns: &i128| (-LIMIT_NS..=LIMIT_NS).contains(ns))
}

/// `2006-01-02 15:04:05 -0700`.
fn amlfs_time(text: &str) -> Option<i128> {
    let mut words = text.split(' ');
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    let (hours, minutes) = zone.split_at_checked(3)?;
    if words.next().is_some() || time.len() != 8 {
        return None;
    }
    // The zone is in the text, so none is asked for.
    parse_date(&format!("{date}T{time}{hours}:{minutes}"), Bound::After, &|_| 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metadata: &[(String, String)]) -> (PosixProperties, Vec<BadProperty>) {
        PosixProperties::from_metadata(metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())))
    }

    fn full() -> PosixProperties {
        PosixProperties {
            mode: Some(33_188),
            kind: Some(PosixType::File),
            uid: Some(0),
            gid: Some(u32::MAX),
            mtime_ns: Some(1_795_314_331_053_792_795),
            atime_ns: Some(-1),
            ctime_ns: Some(i64::MAX.into()),
            btime_ns: Some(i64::MIN.into()),
            nlink: Some(1),
            ino: Some(u64::MAX),
            dev: Some(65_024),
            rdev: None,
            statx_mask: Some(8_191),
            attributes: Some(0x20),
            attributes_mask: Some(0x30),
        }
    }

    #[test]
    fn standard_is_what_azcopy_writes() {
        let metadata = full().to_metadata(PosixStyle::Standard);
        let expected = [
            ("linux_statx_mask", "8191"),
            ("linux_attribute", "32"),
            ("linux_attribute_mask", "48"),
            ("linux_btime", "-9223372036854775808"),
            ("posix_nlink", "1"),
            ("posix_owner", "0"),
            ("posix_group", "4294967295"),
            ("permissions", "33188"),
            ("posix_ino", "18446744073709551615"),
            ("posix_dev", "65024"),
            ("posix_atime", "-1"),
            ("modtime", "1795314331053792795"),
            ("posix_ctime", "9223372036854775807"),
        ];
        let expected: Vec<_> = expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(metadata, expected);
        assert_eq!(read(&metadata), (full(), vec![]));
        assert_eq!(full().permissions(), Some(0o644));
        assert_eq!(PosixProperties::default().to_metadata(PosixStyle::Standard), []);
        assert_eq!(read(&[]), (PosixProperties::default(), vec![]));
    }

    #[test]
    fn amlfs_is_what_lustre_reads() {
        let metadata = full().to_metadata(PosixStyle::Amlfs);
        let value =
            |key: &str| metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
        assert_eq!(value("permissions"), Some("0644"));
        assert_eq!(value("modtime"), Some("2026-11-22 02:25:31 +0000"));
        assert_eq!((value("owner"), value("posix_owner")), (Some("0"), None));
        assert_eq!((value("group"), value("posix_group")), (Some("4294967295"), None));
        let (back, problems) = read(&metadata);
        assert!(problems.is_empty());
        // A regular file has no key of its own, and the fraction is not stored.
        let mtime_ns = Some(1_795_314_331_000_000_000);
        assert_eq!(back, PosixProperties { mode: Some(0o644), kind: None, mtime_ns, ..full() });
        let zoned = [("modtime".to_owned(), "2026-01-01 15:04:05 -0730".to_owned())];
        assert_eq!(read(&zoned).0.mtime_ns, Some(1_767_306_845_000_000_000));
    }

    #[test]
    fn types_there_and_back() {
        for (kind, bits, key) in PosixType::ALL {
            let mode = Some(bits | 0o1_755);
            let properties =
                PosixProperties { mode, kind: Some(kind), rdev: Some(259), ..PosixProperties::default() };
            for style in [PosixStyle::Standard, PosixStyle::Amlfs] {
                let metadata = properties.to_metadata(style);
                let keys: Vec<_> =
                    metadata.iter().filter(|(_, value)| value == "true").map(|(key, _)| key).collect();
                assert_eq!(keys.len(), usize::from(kind != PosixType::File));
                assert!(keys.iter().all(|found| *found == key));
                let is_device = matches!(kind, PosixType::BlockDevice | PosixType::CharDevice);
                assert_eq!(metadata.iter().any(|(key, _)| key == "posix_rdev"), is_device);
                let (back, problems) = read(&metadata);
                assert!(problems.is_empty());
                if style == PosixStyle::Standard {
                    assert_eq!((back.mode, back.kind), (mode, Some(kind)));
                } else {
                    assert_eq!(back.mode, Some(0o755));
                    assert_eq!(back.kind, Some(kind).filter(|&kind| kind != PosixType::File));
                }
            }
        }
    }

    #[test]
    fn marks_that_azcopy_makes_too_many() {
        for (keys, expected) in [
            (&["is_symlink", "is_char_dev"][..], Some(PosixType::Symlink)),
            (&["hdi_isfolder", "is_socket"], Some(PosixType::Socket)),
            (&["is_block_dev", "hdi_isfolder", "is_char_dev"], Some(PosixType::BlockDevice)),
            (&["Hdi_isfolder"], Some(PosixType::Directory)),
            (&[""], None),
        ] {
            let metadata: Vec<_> = keys.iter().map(|key| ((*key).to_owned(), "True".to_owned())).collect();
            assert_eq!(read(&metadata).0.kind, expected, "{keys:?}");
        }
        assert_eq!(PosixProperties::from_metadata([("is_fifo", "false")]).0.kind, None);
        // The mode knows better than the marks.
        let (read, _) = PosixProperties::from_metadata([("permissions", "33188"), ("is_fifo", "true")]);
        assert_eq!(read.kind, Some(PosixType::File));
    }

    #[test]
    fn a_mode_is_octal_where_anything_says_amlfs() {
        for (metadata, expected) in [
            (&[("permissions", "420")][..], 420),
            (&[("permissions", "0644")], 0o644),
            (&[("permissions", "644"), ("group", "5")], 0o644),
            (&[("owner", "1"), ("permissions", "0755")], 0o755),
            (&[("permissions", "0")], 0),
            (&[("Permissions", "33188"), ("posix_owner", "1")], 33_188),
        ] {
            let (read, problems) = PosixProperties::from_metadata(metadata.iter().copied());
            assert_eq!((read.mode, problems), (Some(expected), vec![]), "{metadata:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_names_its_key_and_spares_the_rest() {
        for (key, value) in [
            ("permissions", "rwx"),
            ("permissions", "0999"),
            ("permissions", "99999999"),
            ("posix_owner", "-1"),
            ("posix_group", "4294967296"),
            ("owner", ""),
            ("group", "+5"),
            ("modtime", "yesterday"),
            ("modtime", "2026-01-01 15:04:05"),
            ("modtime", "2026-13-01 15:04:05 +0000"),
            ("modtime", "2026-01-01 15:04 +0000"),
            ("modtime", "2026-01-01 15:04:05 +00€"),
            ("modtime", "9223372036854775808000000000"),
            ("posix_atime", "1.5"),
            ("posix_ctime", "--1"),
            ("linux_btime", "\n"),
            ("posix_nlink", "x"),
            ("posix_ino", "18446744073709551616"),
            ("posix_dev", " 1"),
            ("posix_rdev", "0x1"),
            ("linux_statx_mask", "4294967296"),
            ("linux_attribute", "a"),
            ("linux_attribute_mask", "b"),
        ] {
            let other = if key == "posix_ino" { ("posix_nlink", "7") } else { ("posix_ino", "7") };
            let (read, problems) = PosixProperties::from_metadata([(key, value), other]);
            assert_eq!(problems.len(), 1, "{key}={value}");
            assert_eq!((problems[0].key, &problems[0].value), (key, &escape(value.as_bytes())));
            let rest = PosixProperties { ino: read.ino, nlink: read.nlink, ..PosixProperties::default() };
            assert_eq!((read, read.ino.or(read.nlink)), (rest, Some(7)));
        }
    }
}
