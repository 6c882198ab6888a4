//! What of the machine this process may use.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

/// What is assumed where nothing can be read.
const UNKNOWN_BYTES: u64 = 4 << 30;

/// Files of a cgroup that limit its memory, of version 2 and of version 1. `memory.high` is no wall, but whoever goes
/// beyond it is slowed down until it stands still.
const LIMITS: [&str; 3] = ["memory.max", "memory.high", "memory.limit_in_bytes"];

/// Memory in bytes: the machine's, or the least limit of the cgroups that this process is in. systemd puts its limits
/// (`MemoryMax=` of a slice, a user, a service) on groups far above the process's own.
///
/// `root` is `/`; tests have trees of their own.
pub(crate) fn memory_bytes(root: &Path) -> u64 {
    let installed = installed(root).unwrap_or(UNKNOWN_BYTES);
    let groups = groups(root);
    let limits = groups.iter().flat_map(|group| LIMITS.iter().filter_map(|file| number(&group.join(file))));
    limits.fold(installed, u64::min)
}

fn installed(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// A limit; `None` for `max`, and where there is no such file.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The directories of all cgroups that the process is in and that can limit memory (`cgroups(7)`).
fn groups(root: &Path) -> Vec<PathBuf> {
    let read = |name| fs::read(root.join("proc/self").join(name)).unwrap_or_default();
    let (membership, mounts) = (read("cgroup"), read("mountinfo"));
    let mut groups = Vec::new();
    for mount in mounts.split(|&byte| byte == b'\n').filter_map(Mount::of) {
        let mounted = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
        let own = membership.split(|&byte| byte == b'\n').find_map(|line| mount.own(line));
        // What lies outside of what is mounted (another namespace's) cannot be looked at.
        let below =
            own.as_deref().and_then(|own| own.strip_prefix(&mount.root).ok()).unwrap_or(Path::new(""));
        let is_inside = below.components().all(|part| matches!(part, Component::Normal(_)));
        let below = if is_inside { below } else { Path::new("") };
        // The last of them is the empty path: the mount itself.
        groups.extend(below.ancestors().map(|group| mounted.join(group)));
    }
    if groups.is_empty() {
        // Where /proc is hidden, the usual places.
        groups.extend(["sys/fs/cgroup", "sys/fs/cgroup/memory"].map(|group| root.join(group)));
    }
    groups
}

/// A mounted hierarchy of cgroups.
struct Mount {
    /// The group that is mounted.
    root: PathBuf,
    point: PathBuf,
    is_v1: bool,
}

impl Mount {
    /// Reads a line of `mountinfo`, if it is of a hierarchy that can limit memory.
    fn of(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        // Optional fields, then `-`, the type, the source, the options of the file system.
        let mut rest = fields.skip_while(|field| field != b"-").skip(1);
        let (kind, options) = (rest.next()?, rest.nth(1).unwrap_or_default());
        let is_v1 =
            kind == b"cgroup" && options.split(|&byte| byte == b',').any(|option| option == b"memory");
        (is_v1 || kind == b"cgroup2").then(|| Self { root: unescaped(root), point: unescaped(point), is_v1 })
    }

    /// The process's own group in this hierarchy, if this line of `/proc/self/cgroup` tells it.
    fn own(&self, line: &[u8]) -> Option<PathBuf> {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let is_this = match self.is_v1 {
            true => controllers.split(|&byte| byte == b',').any(|name| name == b"memory"),
            false => controllers.is_empty(),
        };
        is_this.then(|| PathBuf::from(OsString::from_vec(path.to_vec())))
    }
}

/// A path as `mountinfo` has it: blanks, tabs, line feeds and backslashes are three octal digits (`proc(5)`).
fn unescaped(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\') {
            Some(code) => {
                path.push(code);
                rest = &after[3..];
            }
            None => {
                path.push(byte);
                rest = after;
            }
        }
    }
    Path::new(std::ffi::OsStr::from_bytes(&path)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A machine of 1,000 MiB with these files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in
            [("proc/meminfo", "MemTotal:        1024000 kB\nMemFree: 1 kB\n")].iter().chain(files)
        {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[track_caller]
    fn sees(mib: u64, files: &[(&str, &str)]) {
        assert_eq!(memory_bytes(machine(files).path()) / MIB, mib);
    }

    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "22 1 0:20 / / rw - ext4 /dev/vda rw\n30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
    );

    #[test]
    fn the_limit_of_every_group_above_counts() {
        let own = ("proc/self/cgroup", "0::/work.slice/work-bulk.slice/copy.service\n");
        sees(1000, &[V2, own]);
        let group = "sys/fs/cgroup/work.slice/work-bulk.slice/copy.service/memory.max";
        sees(300, &[V2, own, (group, "314572800\n")]);
        sees(200, &[V2, own, (group, "max\n"), ("sys/fs/cgroup/work.slice/memory.max", "209715200\n")]);
        let high = "sys/fs/cgroup/work.slice/work-bulk.slice/memory.high";
        sees(100, &[V2, own, (group, "314572800\n"), (high, "104857600\n")]);
        // Of the groups beside it nothing is asked, nor may the limit be more than there is.
        sees(
            1000,
            &[V2, own, ("sys/fs/cgroup/other.slice/memory.max", "1048576\n"), (group, "99999999999\n")],
        );
    }

    #[test]
    fn containers_see_their_own_group_as_the_root_or_the_machines_path() {
        let limit = ("sys/fs/cgroup/memory.max", "104857600\n");
        sees(100, &[V2, ("proc/self/cgroup", "0::/\n"), limit]);
        // A namespace that was entered from outside; one that sees the path of the machine and mounts its own group.
        sees(100, &[V2, ("proc/self/cgroup", "0::/../other\n"), limit]);
        let mounted =
            ("proc/self/mountinfo", "30 22 0:26 /docker/5f /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
        sees(100, &[mounted, ("proc/self/cgroup", "0::/docker/5f\n"), limit]);
        let inner = ("sys/fs/cgroup/inner/memory.max", "52428800\n");
        sees(50, &[mounted, ("proc/self/cgroup", "0::/docker/5f/inner\n"), limit, inner]);
    }

    #[test]
    fn version_1_and_both_at_once_are_read() {
        let mounts = (
            "proc/self/mountinfo",
            "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
             41 31 0:38 / /sys/fs/cgroup/a\\040b rw - cgroup2 cgroup2 rw\n",
        );
        let own = ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/user/1000\n0::/new\n");
        let v1 = ("sys/fs/cgroup/memory/user/memory.limit_in_bytes", "209715200\n");
        let none = ("sys/fs/cgroup/memory/user/1000/memory.limit_in_bytes", "9223372036854771712\n");
        sees(200, &[mounts, own, v1, none]);
        sees(150, &[mounts, own, v1, none, ("sys/fs/cgroup/a b/new/memory.max", "157286400\n")]);
        sees(200, &[mounts, own, v1, none, ("sys/fs/cgroup/cpu/x/memory.max", "1048576\n")]);
    }

    #[test]
    fn without_proc_the_usual_places_are_looked_at() {
        sees(100, &[("sys/fs/cgroup/memory.max", "104857600\n")]);
        sees(100, &[("sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n")]);
        assert_eq!(memory_bytes(Path::new("/nonexistent")), UNKNOWN_BYTES);
    }
}
