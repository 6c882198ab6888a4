//! A file system that fails on demand, mounted for one test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// The operations of [`FaultyFs`] that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `close(2)` of a descriptor.
    Close,
    /// A write, when the file system gets it.
    Write,
    /// Making a file under a name.
    Create,
    /// Making a directory.
    MakeDirectory,
    /// Room for a file.
    Allocate,
    /// A second name.
    Link,
    /// Another name.
    Rename,
    /// Owner, mode, times, length.
    SetAttributes,
    /// `fsync(2)` and `fdatasync(2)`.
    Sync,
}

impl Call {
    /// Its name in the file system's commands.
    fn name(self) -> &'static str {
        match self {
            Self::Close => "flush",
            Self::Write => "write",
            Self::Create => "create",
            Self::MakeDirectory => "mkdir",
            Self::Allocate => "fallocate",
            Self::Link => "link",
            Self::Rename => "rename",
            Self::SetAttributes => "setattr",
            Self::Sync => "fsync",
        }
    }
}

/// A FUSE file system in memory (`src/bin/faulty_fs`), as long as this lives. It needs `/dev/fuse`, and root or
/// `unshare --user --map-root-user --mount`.
#[derive(Debug)]
pub struct FaultyFs {
    server: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    path: PathBuf,
}

/// The [`FaultyFs`] whose server cargo built for this test. Works in integration tests of this crate only.
#[macro_export]
macro_rules! faulty_fs {
    ($directory:expr, $options:expr) => {
        $crate::FaultyFs::mount(env!("CARGO_BIN_EXE_azuring-faulty-fs"), $directory, $options)
    };
}

impl FaultyFs {
    /// Mounts it over `directory`; see [`faulty_fs!`](crate::faulty_fs). Options: `tmpfile`, `writeback`,
    /// `times32`, `noumask`.
    ///
    /// # Panics
    /// When it cannot be mounted: the message says what is missing.
    #[must_use]
    pub fn mount(program: &str, directory: &Path, options: &[&str]) -> Self {
        let own = ["--user", "--map-root-user", "--mount"];
        // In a container whose users have no namespaces of their own, root may have one.
        let how = [&own[..], &own[2..]].into_iter().find(|how| {
            Command::new("unshare").args(*how).arg("true").output().is_ok_and(|it| it.status.success())
        });
        let how = how.expect("allow `unshare --user --map-root-user --mount`, or run this test as root");
        let mut server = Command::new("unshare")
            .args(how)
            .arg(program)
            .arg(directory)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, mut stdout) =
            (server.stdin.take().unwrap(), BufReader::new(server.stdout.take().unwrap()));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "this test mounts a FUSE file system: it needs /dev/fuse (see stderr)");
        // Its root, seen from outside of its namespace.
        let path = PathBuf::from(format!("/proc/{}/root{}", server.id(), directory.display()));
        Self { server, talk: Mutex::new((stdin, stdout)), path }
    }

    /// Its root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on one in `one_in` of these calls fails; which ones depends on `seed`.
    pub fn fail(&self, call: Call, errno: i32, one_in: u32, seed: u64) {
        assert_eq!(self.say(&format!("fail {} {errno} {one_in} {seed}", call.name())), "ok");
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        assert_eq!(self.say("heal"), "ok");
    }

    /// From now on changes of the file of this name in the root wait for [`FaultyFs::refuse`], and with them whoever
    /// waits for the whole file system.
    pub fn hold(&self, name: &str) {
        assert_eq!(self.say(&format!("hold {name}")), "ok");
    }

    /// How many changes wait.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.say("held").parse().unwrap()
    }

    /// Those fail, and no more are held.
    pub fn refuse(&self, errno: i32) {
        assert_eq!(self.say(&format!("refuse {errno}")), "ok");
    }

    /// How many of these calls there were, and how many of them failed.
    #[must_use]
    pub fn counts(&self, call: Call) -> (u64, u64) {
        let all = self.say("counts");
        let own = all.split(' ').find_map(|word| word.strip_prefix(call.name())?.strip_prefix('='));
        own.map_or((0, 0), |own| {
            let (calls, failed) = own.split_once('/').unwrap();
            (calls.parse().unwrap(), failed.parse().unwrap())
        })
    }

    fn say(&self, line: &str) -> String {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.0, "{line}").unwrap();
        let mut answer = String::new();
        talk.1.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }
}

impl Drop for FaultyFs {
    fn drop(&mut self) {
        // Its namespace, and the mount with it, ends with it.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
