//! Libraries AzCopy is linked with, from Debian's packages, without root.
//!
//! AzCopy for Linux is linked with libsecret (the desktop's key ring) and does not start without it, although it is
//! not used here. Servers and containers rarely have it. The loader itself says what is missing (`ldd`); the packages
//! are fetched with `apt-get download`, which needs no root, and unpacked beside the other peers. Some libraries need
//! others, so this goes round until `ldd` is content.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{PeersError, at, last_lines};

/// Each round fetches everything `ldd` misses; the longest chain (libsecret, GLib, libmount, libblkid) takes four.
const MAX_ROUNDS: usize = 8;

/// Library file -> the packages that hold it, newest release first (`t64` since Debian 13 and Ubuntu 24.04).
const PACKAGES: &[(&str, &[&str])] = &[
    ("libsecret-1.so.0", &["libsecret-1-0"]),
    ("libglib-2.0.so.0", &["libglib2.0-0t64", "libglib2.0-0"]),
    ("libgio-2.0.so.0", &["libglib2.0-0t64", "libglib2.0-0"]),
    ("libgobject-2.0.so.0", &["libglib2.0-0t64", "libglib2.0-0"]),
    ("libgmodule-2.0.so.0", &["libglib2.0-0t64", "libglib2.0-0"]),
    ("libgcrypt.so.20", &["libgcrypt20"]),
    ("libgpg-error.so.0", &["libgpg-error0"]),
    ("libpcre2-8.so.0", &["libpcre2-8-0"]),
    ("libpcre.so.3", &["libpcre3"]),
    ("libffi.so.8", &["libffi8"]),
    ("libffi.so.7", &["libffi7"]),
    ("libz.so.1", &["zlib1g"]),
    ("libmount.so.1", &["libmount1"]),
    ("libblkid.so.1", &["libblkid1"]),
    ("libselinux.so.1", &["libselinux1"]),
    ("libatomic.so.1", &["libatomic1"]),
];

/// Makes sure that `binary` finds its libraries; returns what `LD_LIBRARY_PATH` has to be for it, if anything.
pub(super) fn provide(binary: &Path, dir: &Path) -> Result<Option<OsString>, PeersError> {
    if missing(binary, None)?.is_empty() {
        return Ok(None);
    }
    let unpacked = dir.join("root");
    let library_path = library_path(&unpacked);
    let mut apt = Apt { dir: dir.to_owned(), private_lists: false };
    for _ in 0..MAX_ROUNDS {
        let missing = missing(binary, Some(&library_path))?;
        if missing.is_empty() {
            return Ok(Some(library_path));
        }
        for library in &missing {
            // One package brings several of them.
            if !holds(&unpacked, library) {
                apt.unpack(library, &unpacked)?;
            }
        }
    }
    Err(failed(&missing(binary, Some(&library_path))?.join(", "), "still missing after all rounds"))
}

/// The libraries the loader does not find for `binary`.
fn missing(binary: &Path, library_path: Option<&OsString>) -> Result<Vec<String>, PeersError> {
    let mut command = Command::new("ldd");
    command.arg(binary).env("LC_ALL", "C");
    if let Some(path) = library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    let output = command.output().map_err(at(Path::new("ldd")))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.trim().strip_suffix(" => not found").map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Where Debian's amd64 packages keep libraries; old ones use `/lib`.
fn library_dirs(unpacked: &Path) -> [PathBuf; 2] {
    ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| unpacked.join(dir))
}

fn library_path(unpacked: &Path) -> OsString {
    let [usr, old] = library_dirs(unpacked);
    let mut path = usr.into_os_string();
    path.push(":");
    path.push(old);
    path
}

fn holds(unpacked: &Path, library: &str) -> bool {
    library_dirs(unpacked).iter().any(|dir| dir.join(library).exists())
}

fn failed(missing: &str, reason: &str) -> PeersError {
    PeersError::Library { missing: missing.to_owned(), reason: reason.to_owned() }
}

/// `apt-get`, with package lists of its own where the system has none.
struct Apt {
    dir: PathBuf,
    private_lists: bool,
}

impl Apt {
    /// Fetches the package with `library` and unpacks it.
    fn unpack(&mut self, library: &str, unpacked: &Path) -> Result<(), PeersError> {
        let packages = PACKAGES.iter().find(|(name, _)| *name == library).map(|(_, packages)| *packages);
        let packages = packages.ok_or_else(|| failed(library, "not known which Debian package holds it"))?;
        let archive = match self.download(packages) {
            Ok(archive) => archive,
            Err(_) if !self.private_lists => {
                self.update().map_err(|reason| failed(library, &reason))?;
                self.download(packages).map_err(|reason| failed(library, &reason))?
            }
            Err(reason) => return Err(failed(library, &reason)),
        };
        fs::create_dir_all(unpacked).map_err(at(unpacked))?;
        let output = Command::new("dpkg-deb").arg("-x").arg(&archive).arg(unpacked).output();
        checked("dpkg-deb", output).map_err(|reason| failed(library, &reason))
    }

    /// The first of `packages` that this release has.
    fn download(&self, packages: &[&str]) -> Result<PathBuf, String> {
        let mut reason = String::new();
        for package in packages {
            let into = self.dir.join("archives").join(package);
            fs::create_dir_all(&into).map_err(|error| error.to_string())?;
            let output =
                self.apt().arg("download").arg(format!("{package}:amd64")).current_dir(&into).output();
            match checked("apt-get download", output) {
                Ok(()) => {
                    let archive = fs::read_dir(&into)
                        .ok()
                        .and_then(|mut entries| entries.find_map(|entry| Some(entry.ok()?.path())));
                    return archive.ok_or_else(|| format!("apt-get download {package} left no file"));
                }
                Err(error) => reason = error,
            }
        }
        Err(reason)
    }

    /// Fetches package lists into our own directory: the system's are missing or old.
    fn update(&mut self) -> Result<(), String> {
        self.private_lists = true;
        for dir in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.dir.join(dir)).map_err(|error| error.to_string())?;
        }
        checked("apt-get update", self.apt().arg("update").output())
    }

    fn apt(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"]);
        if self.private_lists {
            for (option, dir) in [("Dir::State", "state"), ("Dir::Cache", "cache")] {
                command.arg("-o").arg(format!("{option}={}", self.dir.join(dir).display()));
            }
        }
        command
    }
}

fn checked(program: &str, output: io::Result<Output>) -> Result<(), String> {
    match output {
        Err(error) => Err(format!("{program}: {error}")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", last_lines(&output.stderr))),
    }
}
