//! The command with an authority beside its server.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use common::{Client, trusting};
use serde_json::Value;

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_command_issues_tokens_and_takes_them() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let child = Command::new(env!("CARGO_BIN_EXE_azsim"))
        .args([
            "--listen=127.0.0.1:0",
            "--threads=1",
            "--tls=self",
            "--container=con",
            "--authority=127.0.0.1:0",
            "--container-deletion=30",
        ])
        .args(["--application=app:reader:secret", "--identity=machine:contributor", "--tenant=my-tenant"])
        .arg("--ca-out")
        .arg(&ca)
        .stdout(Stdio::piped())
        .spawn();
    let mut running = Running(child.unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let words: Vec<String> = lines.next().unwrap().split([' ', ',']).map(str::to_owned).collect();
    assert_eq!(words[..6], ["azsim", "issues", "tokens", "of", "the", "tenant"]);
    let addr = |url: &str| url.split_once("://").unwrap().1.parse().unwrap();
    let urls: Vec<&String> = words.iter().filter(|w| w.contains("://")).collect();
    let (login, machine) = (addr(urls[0]), addr(urls[1]));
    let ready = lines.next().unwrap();
    let server = addr(ready.strip_prefix("azsim listening on ").unwrap());

    let pem = std::fs::read_to_string(&ca).unwrap();
    let (server_ca, login_ca) = pem.split_at(pem.rfind("-----BEGIN").unwrap());
    let mut storage = Client::dial(server, Some(trusting(server_ca, &[b"http/1.1"])));
    let mut list = |token: &Value, method: &str| {
        let authorization = format!("Bearer {}", token["access_token"].as_str().unwrap());
        let headers = [("Authorization", authorization.as_str()), ("x-ms-version", "2025-11-05")];
        storage.send(method, "/con?restype=container", &headers, b"").status
    };
    let mut entra = Client::dial(login, Some(trusting(login_ca, &[b"http/1.1"])));
    let form = "client_id=app&client_secret=secret&grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default";
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let reply = entra.raw("POST", "/my-tenant/oauth2/v2.0/token", &[kind], form.as_bytes()).unwrap();
    let reader: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((list(&reader, "GET"), list(&reader, "DELETE")), (200, 403));
    let target =
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F";
    let reply = Client::dial(machine, None).raw("GET", target, &[("Metadata", "true")], b"").unwrap();
    let contributor: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(list(&contributor, "DELETE"), 202);
    // 409 `ContainerBeingDeleted`.
    assert_eq!(list(&contributor, "PUT"), 409);
}
