//! The sink: azsim in a process of its own, so that its CPU time is not the client's.
//!
//! The child is this program again (`serve`). It writes one JSON line when it accepts connections, answers each line
//! on standard input with a tally, and ends when standard input does, so it never outlives the measurement.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use azuring_tests::{DEVSTORE_ACCOUNT, DEVSTORE_KEY};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::machine::cpu_s;
use crate::options::Serve;
use crate::planted::Planted;
use crate::report::Transport;
use crate::workload::Tally;

/// Where every client uploads to. Each run has a sink, and so a container, of its own.
const CONTAINER: &str = "perf";

/// The account that blobs are copied to.
const TARGET: &str = "target";

/// Longer than any run.
const SAS_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The first line of the child.
#[derive(Serialize, Deserialize)]
struct Ready {
    url: String,
    sas: String,
    /// URL of the account that blobs are copied to, and its SAS.
    target: (String, String),
}

/// The child's answer to a line.
#[derive(Serialize, Deserialize)]
pub(crate) struct Holds {
    /// What is in the container.
    pub(crate) tally: Tally,
    /// Requests since the start.
    pub(crate) requests: u64,
}

/// The child's side: serves until standard input ends.
pub(crate) fn serve(options: &Serve) -> Result<(), Error> {
    let (tls, alpn) = match options.transport {
        Transport::Http => (azsim::Tls::Off, azsim::Alpn::Http11),
        Transport::Https => (azsim::Tls::SelfSigned, azsim::Alpn::Http11),
        Transport::H2 => (azsim::Tls::SelfSigned, azsim::Alpn::H2AndHttp11),
    };
    let store = if options.planted.readable { azsim::Store::Memory } else { azsim::Store::Discard };
    let server = azsim::Server::builder().store(store).tls(tls).alpn(alpn);
    let server = server.account(DEVSTORE_ACCOUNT, DEVSTORE_KEY).account(TARGET, DEVSTORE_KEY).start()?;
    for account in [DEVSTORE_ACCOUNT, TARGET] {
        server.create_container(account, CONTAINER);
    }
    server.plant(DEVSTORE_ACCOUNT, CONTAINER, options.planted.seeds());
    if let Some(pem) = server.ca_pem() {
        fs::write(&options.ca_out, pem)?;
    }
    let sas = server.account_sas(DEVSTORE_ACCOUNT, "rwdlac", SAS_LIFETIME);
    let target = (server.url(TARGET), server.account_sas(TARGET, "rwdlac", SAS_LIFETIME));
    let ready = Ready { url: server.url(DEVSTORE_ACCOUNT), sas, target };
    let held = if options.copies { TARGET } else { DEVSTORE_ACCOUNT };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&ready)?)?;
    for line in io::stdin().lock().lines() {
        line?;
        let blobs = server.blobs(held, CONTAINER);
        let tally = Tally::of(blobs.iter().map(|blob| (blob.name.as_str(), blob.len, blob.crc64)));
        // Those that the service itself has sent are nobody's cost here.
        let stats = server.stats();
        let answer = Holds { tally, requests: stats.requests - stats.of_services.values().sum::<u64>() };
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

/// A running sink with one container.
pub(crate) struct Sink {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    ready: Ready,
    ca: Option<PathBuf>,
}

impl Sink {
    /// `copies`: what is told of is the account that blobs are copied to.
    pub(crate) fn start(
        transport: Transport,
        planted: Planted,
        copies: bool,
        scratch: &Path,
    ) -> Result<Self, Error> {
        let ca = scratch.join("sink-ca.pem");
        let transport_name = match transport {
            Transport::Http => "http",
            Transport::Https => "https",
            Transport::H2 => "h2",
        };
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--transport", transport_name, "--ca-out"])
            .arg(&ca)
            .args(["--plant-files", &planted.files.to_string()])
            .args(["--plant-dirs", &planted.dirs.to_string()])
            .args(["--plant-bytes", &planted.file_bytes.to_string()])
            .args(planted.readable.then_some("--plant-readable"))
            .args(copies.then_some("--copies"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("the sink has no standard input")?;
        let stdout = BufReader::new(child.stdout.take().ok_or("the sink has no standard output")?);
        let ready = Ready { url: String::new(), sas: String::new(), target: Default::default() };
        let mut sink = Self { child, stdin, stdout, ready, ca: (transport != Transport::Http).then_some(ca) };
        sink.ready = sink.read_line()?;
        Ok(sink)
    }

    /// URL of a name in the container with a SAS; an empty name is the container itself.
    pub(crate) fn url(&self, name: &str) -> String {
        let slash = if name.is_empty() { "" } else { "/" };
        format!("{}/{CONTAINER}{slash}{name}?{}", self.ready.url, self.ready.sas)
    }

    /// The same in the account that blobs are copied to.
    pub(crate) fn target_url(&self, name: &str) -> String {
        let slash = if name.is_empty() { "" } else { "/" };
        let (url, sas) = &self.ready.target;
        format!("{url}/{CONTAINER}{slash}{name}?{sas}")
    }

    /// URL of the account with a SAS, and the container's name: what rclone wants.
    pub(crate) fn account_and_container(&self) -> (String, &'static str) {
        (format!("{}?{}", self.ready.url, self.ready.sas), CONTAINER)
    }

    /// The authority to trust; `None` without TLS.
    pub(crate) fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// CPU time of the sink so far.
    pub(crate) fn cpu_s(&self) -> f64 {
        cpu_s(self.child.id())
    }

    /// What the container holds now, and the requests until now.
    pub(crate) fn holds(&mut self) -> Result<Holds, Error> {
        self.stdin.write_all(b"tally\n")?;
        self.read_line()
    }

    fn read_line<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line)
            .map_err(|error| format!("the sink ended or said {line:?}: {error}").into())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
