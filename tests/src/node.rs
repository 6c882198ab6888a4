//! Microsoft's libraries, in a process of Node for each question.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Peers;

/// Runs a script of `peers/` with a request on its standard input; each line of its answer is a value. It trusts `ca`
/// besides the usual authorities.
///
/// # Panics
/// With what it says when it fails.
pub(crate) fn ask<T: DeserializeOwned>(script: &str, request: &Value, ca: Option<&Path>) -> Vec<T> {
    let peers = Peers::get();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
    let mut command = Command::new(peers.node());
    command.arg(script).arg(peers.package_json());
    if let Some(ca) = ca {
        command.env("NODE_EXTRA_CA_CERTS", ca);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().expect("it was piped");
    let request = request.to_string();
    // On its own thread: a long request must not wait for answers nobody reads.
    let writer = thread::spawn(move || stdin.write_all(request.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "@azure/storage-blob: {stderr}");
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
