//! AzCopy, unmodified, as a second opinion.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Outcome, Peers, Stdin, run};

/// AzCopy retries for a quarter of an hour before it gives up; no test of ours waits that long.
const DEADLINE: Duration = Duration::from_secs(300);

/// AzCopy with logs and job plans of its own.
#[derive(Debug)]
pub struct AzCopy {
    home: TempDir,
    env: Vec<(OsString, OsString)>,
}

impl Default for AzCopy {
    fn default() -> Self {
        Self::new()
    }
}

impl AzCopy {
    /// AzCopy with an empty home directory.
    ///
    /// # Panics
    /// When the peers cannot be installed; see [`Peers::get`].
    #[must_use]
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    /// Sets a variable of its environment, which is otherwise empty.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Trusts this certificate authority (a PEM file) and no other.
    #[must_use]
    pub fn trust(self, ca: &Path) -> Self {
        self.env("SSL_CERT_FILE", ca)
    }

    /// The command, ready to be started with [`Stdin::Blocking`].
    ///
    /// # Panics
    /// When there is no AzCopy for this processor.
    #[must_use]
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let peers = Peers::get();
        let mut command = Command::new(peers.azcopy().unwrap_or_else(|error| panic!("{error}")));
        command.args(args).env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.env("AZCOPY_LOG_LOCATION", self.home.path().join("logs"));
        command.env("AZCOPY_JOB_PLAN_LOCATION", self.home.path().join("plans"));
        command.env("AZCOPY_DISABLE_SYSLOG", "true");
        if let Some(path) = peers.library_path() {
            command.env("LD_LIBRARY_PATH", path);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs AzCopy to its end, its standard input held open.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Outcome {
        run(&mut self.command(args), Stdin::Blocking, DEADLINE).unwrap()
    }

    /// Name and length of every blob `azcopy list` finds under `url`.
    ///
    /// # Panics
    /// When AzCopy fails or prints what is not a listing.
    #[must_use]
    pub fn list(&self, url: &str) -> BTreeMap<String, u64> {
        let args = ["list", url, "--location=Blob", "--machine-readable", "--output-type=json"];
        let outcome = self.run(args);
        outcome.expect_code(0);
        outcome.stdout.lines().filter_map(listed).collect()
    }
}

/// One line of `azcopy list --output-type=json`: a message whose content is JSON text again.
fn listed(line: &str) -> Option<(String, u64)> {
    let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    if message["MessageType"] != "ListObject" {
        return None;
    }
    let content = message["MessageContent"].as_str().expect("a message has content");
    let object: Value = serde_json::from_str(content).unwrap_or_else(|error| panic!("{error}: {content}"));
    let len = object["ContentLength"].as_str().and_then(|len| len.parse().ok());
    Some((object["Path"].as_str()?.to_owned(), len.unwrap_or_else(|| panic!("no length: {content}"))))
}
