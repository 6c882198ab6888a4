//! The program under test: a process with arguments, an environment, and what it leaves behind.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Outcome, Running, Stdin, run, spawn};

/// A run that takes longer than this hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// The [`Azuring`] that cargo built for this test. Works in integration tests of this crate only.
#[macro_export]
macro_rules! azuring {
    () => {
        $crate::Azuring::new(env!("CARGO_BIN_EXE_azuring-under-test"))
    };
}

/// azuring with an empty home and an environment that holds nothing but what the test puts in.
#[derive(Debug)]
pub struct Azuring {
    program: PathBuf,
    home: TempDir,
    dir: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
    deadline: Duration,
    stdin: Stdin,
    files: Option<u64>,
}

impl Azuring {
    /// The program at `program`; see [`azuring!`](crate::azuring).
    ///
    /// # Panics
    /// When no temporary directory can be made.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            home: tempfile::tempdir().unwrap(),
            dir: None,
            env: Vec::new(),
            deadline: DEADLINE,
            stdin: Stdin::Closed,
            files: None,
        }
    }

    /// Lets it have at most so many files open: the hard limit, which it cannot raise.
    #[must_use]
    pub fn limit_files(mut self, files: u64) -> Self {
        self.files = Some(files);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Trusts this certificate authority (a PEM file) and no other, through `SSL_CERT_FILE`.
    #[must_use]
    pub fn trust(self, ca: &Path) -> Self {
        self.env("SSL_CERT_FILE", ca)
    }

    /// Sets the working directory; otherwise it is the empty home.
    #[must_use]
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    /// Allows more or less than 180 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets what standard input is; otherwise it is at its end.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started, or does not end in time: no run may hang.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        let outcome = run(&mut self.command(args), self.stdin, self.deadline).unwrap();
        assert!(
            !outcome.timed_out,
            "azuring hangs\n--- stdout\n{}\n--- stderr\n{}",
            outcome.stdout, outcome.stderr
        );
        outcome
    }

    /// Starts it: for signals, and for changing files under its hands.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        spawn(&mut self.command(args), self.stdin, self.deadline).unwrap()
    }

    /// The home, empty at first.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = match self.files {
            Some(files) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(&self.program);
                shell
            }
            None => Command::new(&self.program),
        };
        command.args(args).env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.dir.as_deref().unwrap_or_else(|| self.home.path()));
        command
    }
}
