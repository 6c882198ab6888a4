//! Azurite, Microsoft's emulator, one process for each [`Azurite`] value.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::{BlobClient, Certificate, DEVSTORE_ACCOUNT, DEVSTORE_KEY, Peers, target_dir};

/// Node needs 2-4 s to load Azurite on an idle machine; a busy one with cold disks takes several times that.
const START_DEADLINE: Duration = Duration::from_secs(180);

/// The line Azurite writes when it accepts connections; the rest of it is its address.
const READY: &str = "successfully listens on ";

/// Runs a script until standard input ends. The other end of that pipe is ours, so Azurite ends with the test even when
/// the test is killed.
const UNTIL_STDIN_ENDS: &str =
    "process.stdin.on('end', () => process.exit(0)).resume(); require(process.argv[1])";

/// How to start Azurite.
#[derive(Clone, Debug)]
pub struct AzuriteOptions {
    /// Name and key of each account.
    pub accounts: Vec<(String, String)>,
    /// HTTPS with this certificate instead of HTTP.
    pub certificate: Option<Certificate>,
    /// Take bearer tokens, of which it checks times, audience and issuer, and neither signature nor roles. Needs HTTPS.
    pub oauth: bool,
}

impl Default for AzuriteOptions {
    /// HTTP, and the well-known account.
    fn default() -> Self {
        Self {
            accounts: vec![(DEVSTORE_ACCOUNT.to_owned(), DEVSTORE_KEY.to_owned())],
            certificate: None,
            oauth: false,
        }
    }
}

/// A running Azurite blob service on a free loopback port, in memory. Dropping it ends it.
#[derive(Debug)]
pub struct Azurite {
    child: Child,
    origin: String,
    options: AzuriteOptions,
    log: PathBuf,
}

impl Azurite {
    /// Starts Azurite and waits until it answers.
    ///
    /// # Panics
    /// With its log when it does not start within 90 s.
    #[must_use]
    pub fn start(options: AzuriteOptions) -> Self {
        let log = log_file().unwrap();
        let peers = Peers::get();
        let mut command = Command::new(peers.node());
        command.arg("-e").arg(UNTIL_STDIN_ENDS).arg(peers.azurite_blob());
        // The current @azure/storage-blob speaks a newer API version than Azurite knows.
        command.args([
            "--blobPort",
            "0",
            "--inMemoryPersistence",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]);
        if let Some(certificate) = &options.certificate {
            command.arg("--cert").arg(&certificate.cert).arg("--key").arg(&certificate.key);
        }
        if options.oauth {
            command.args(["--oauth", "basic"]);
        }
        let accounts: Vec<String> =
            options.accounts.iter().map(|(name, key)| format!("{name}:{key}")).collect();
        command.env("AZURITE_ACCOUNTS", accounts.join(";"));
        command.current_dir(log.parent().expect("a log lies in a directory"));
        let output = File::create(&log).unwrap();
        command.stdin(Stdio::piped()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap();
        let mut azurite = Self { child, origin: String::new(), options, log };
        azurite.origin = azurite.wait_until_ready();
        azurite
    }

    /// `http://127.0.0.1:PORT/ACCOUNT`.
    #[must_use]
    pub fn url(&self, account: &str) -> String {
        format!("{}/{account}", self.origin)
    }

    /// The authority to trust when this one speaks HTTPS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.options.certificate.as_ref().map(|certificate| certificate.ca.as_path())
    }

    /// The client that is not ours, signed in with the key of `account`.
    ///
    /// # Panics
    /// When Azurite was started without this account.
    #[must_use]
    pub fn client(&self, account: &str) -> BlobClient {
        let key = self.options.accounts.iter().find(|(name, _)| name == account).map(|(_, key)| key);
        let key = key.unwrap_or_else(|| panic!("Azurite was not started with account {account}"));
        BlobClient::new(&self.url(account), account, key, self.ca_file())
    }

    /// Everything Azurite wrote, its access log included; kept under `target/` after the test.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    fn wait_until_ready(&mut self) -> String {
        let started = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if let Some((_, rest)) = log.split_once(READY)
                && let Some((origin, _)) = rest.split_once('\n')
            {
                return origin.trim().to_owned();
            }
            let ended = self.child.try_wait().unwrap();
            let late = started.elapsed() > START_DEADLINE;
            assert!(ended.is_none() && !late, "Azurite did not start ({ended:?}):\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_file() -> io::Result<PathBuf> {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let dir = target_dir().join("peers/logs");
    fs::create_dir_all(&dir)?;
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    Ok(dir.join(format!("azurite-{}-{number}.log", std::process::id())))
}
