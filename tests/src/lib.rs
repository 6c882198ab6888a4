//! The test kit: other people's programs, and what is needed to hold azuring against them.
//!
//! ```text
//!   behaviour test
//!      |-- Fixture   temp dir + azsim + Azuring::run      the everyday case
//!      |-- Azurite   Microsoft's emulator (npm)           is what we send right?
//!      |-- AzCopy    the tool we replace (npm)            would it have done the same?
//!      |-- differential  cases for AzCopy and azuring     the same command line, the same result
//!      |-- hostile   answers that no service gives       what is a success, and what never ends?
//!      `-- BlobClient @azure/storage-blob (npm)           a reader that shares no code with us
//!             `-- Peers installs all of them, pinned, once, under target/peers
//! ```
//!
//! Invariants: a peer is never skipped, a missing one fails the test with one line that says what to install; every
//! process started here dies with the test, also when the test is killed; every process has a deadline; nothing is
//! written outside `target/` and the temp dir.
//!
//! Deliberately unknown here: anything of the engine. The program under test is a process with arguments, an
//! environment, an exit code and two streams.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "the whole crate is test code: a panic with its place is what a test needs"
)]

mod azcopy;
mod azuring;
mod azurite;
mod certificate;
mod closed;
mod damage;
pub mod differential;
pub mod entra;
mod faulty;
mod fixture;
pub mod hostile;
#[cfg(test)]
mod hostile_tests;
mod inspect;
mod namespace;
mod node;
mod peers;
mod process;
mod proxy;
mod rounds;
mod signed;
mod tree;
mod wait;

pub use azcopy::AzCopy;
pub use azuring::Azuring;
pub use azurite::{Azurite, AzuriteOptions};
pub use certificate::Certificate;
pub use closed::ClosedPort;
pub use damage::{DamagingProxy, Wire};
pub use faulty::{Call, FaultyFs};
pub use fixture::{CONTAINER, Fixture};
pub use inspect::{BlobClient, RemoteBlob, SasSpec};
pub use namespace::Namespace;
pub use peers::{Peers, PeersError, Pypi, target_dir};
pub use process::{Outcome, Running, Stdin, run, spawn};
pub use proxy::ConnectProxy;
pub use rounds::Rounds;
pub use signed::{SignedOverrides, SignedRequest, SignedSas, signed};
pub use tree::{local_sha256, sha256_hex};
pub use wait::wait_until;

/// The account Azurite and azsim know without being told.
pub const DEVSTORE_ACCOUNT: &str = "devstoreaccount1";

/// Azurite's published key of [`DEVSTORE_ACCOUNT`]; not a secret.
pub const DEVSTORE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
