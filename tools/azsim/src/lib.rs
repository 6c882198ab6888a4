//! A native Azure Blob server for tests, the demo and benchmarks.
//!
//! # Purpose
//! Emulators written for convenience top out near a thousand requests a second, accept what the real service refuses,
//! and never fail. This server is fast enough to stand behind a benchmark, strict enough to judge a client (signatures,
//! checksums, conditions, limits), and fails on demand.
//!
//! # Picture
//! ```text
//!   thread 0..N, each: SO_REUSEPORT listener -> tokio current_thread -> [TLS] -> hyper HTTP/1.1 or HTTP/2
//!        conn      bytes of one connection: spelling of metadata names in, cut-off answers out
//!        service   target -> route -> fault? -> version -> auth -> operation -> answer
//!        block_blob / append_blob / page_blob / change / delete / read_blob / list / tags / lease / container / acl /
//!        delegation_key
//!                  the operations
//!        from_url  the same with a source in place of a body     copy_source, fetch   what it says, how it is read
//!        copy      Copy Blob, which may stay pending             firewall   who reaches an account
//!        batch     many of them in one request
//!        auth      keys, signatures, tokens: who asks, and may they?
//!        entra     an authority of its own, which issues tokens as Entra ID and the machines of Azure do
//!        body      streaming CRC64 and MD5        content   memory | files | nothing
//!        store     account -> container -> 32 shards of ordered maps
//! ```
//!
//! # Invariants
//! - A body is read to its end before it is answered (except by a stall), and checked before it is visible. One that
//!   breaks off leaves nothing.
//! - A commit replaces a blob under one lock: readers get the old bytes or the new ones, with the matching ETag.
//! - ETags are unique within a server and grow.
//! - Signatures are verified from the documentation's rules, with no code shared with a client of this project.
//! - No lock is held across an `await`.
//! - The source of a copy is read through its account's own authorisation, by a task of the worker: a thread that waits
//!   for a source goes on serving, also that source.
//!
//! # Limits
//! Those of the service: 50,000 blocks a blob, 100,000 uncommitted, blocks of 4,000 MiB, Put Blob of 5,000 MiB, Append
//! Block of 100 MiB, Put Page of 4 MiB, 256 requests and 4 MiB a batch, names of 1,024 characters in
//! 254 segments, 5,000 entries a page, 8 KiB of metadata, 15 minutes of clock skew. State lives in memory: about
//! 125 bytes a blob beside its content (measured, names of 14 characters).
//!
//! # What it does not do
//! Incremental copies, differences of page ranges, directories of a hierarchical namespace, signatures bound to another
//! user: 501, 400 or 403 with the service's XML. Of Entra ID there is what a program asks for by itself or by device
//! code: no authorization codes, no on-behalf-of, no keys to verify tokens elsewhere. Nothing is encrypted: customer
//! keys are checked, not used. Nothing survives a restart, the files of [`Store::Disk`] neither.
//!
//! # Example
//! ```
//! let server = azsim::Server::builder().store(azsim::Store::Discard).threads(1).start()?;
//! server.create_container("devstoreaccount1", "data");
//! let sas = server.account_sas("devstoreaccount1", "rwl", std::time::Duration::from_secs(60));
//! let url = format!("{}/data/name?{sas}", server.url("devstoreaccount1"));
//! assert!(url.starts_with("http://127.0.0.1:"));
//! assert_eq!(server.stats().requests, 0);
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

mod acl;
mod answer;
mod append_blob;
mod auth;
mod batch;
mod block_blob;
mod body;
mod builder;
mod cert;
mod change;
mod conditions;
mod conn;
mod container;
mod content;
mod copied;
mod copy;
mod copy_source;
mod delegation_key;
mod delete;
mod encryption;
mod entra;
mod error;
mod faults;
mod fetch;
mod firewall;
mod from_url;
mod headers;
mod inspect;
mod known;
mod lease;
mod list;
mod list_xml;
mod names;
mod page_blob;
mod page_map;
mod past;
mod plant;
mod properties;
mod read_blob;
mod route;
mod server;
mod service;
mod service_log;
mod stats;
mod store;
mod tags;
mod target;
mod time;
mod xml;

use std::path::PathBuf;

pub use auth::PublicAccess;
pub use builder::ServerBuilder;
pub use entra::{
    Application, Authority, AuthorityBuilder, Behaviour, Endpoint, ManagedIdentity, Role, SignIn,
    TokenRequest, Trouble,
};
pub use faults::{AccountRule, Fault, Faults, NameMatch, Rate, Rule, Sender};
pub use firewall::Network;
pub use inspect::{BlobInfo, BlockInfo, DeletedInfo};
pub use plant::Seed;
pub use route::Operation;
pub use server::Server;
pub use service_log::ServiceRequest;
pub use stats::Stats;

/// The published key of `devstoreaccount1`, which every emulator of the service accepts. It protects nothing.
pub const DEVSTORE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Where the content of blobs is kept. Names, properties and checksums are in memory in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Store {
    /// In memory.
    #[default]
    Memory,
    /// In files under this directory, one for each Put Blob or Put Block, removed with the blob. What an earlier server
    /// left there is not read.
    Disk(PathBuf),
    /// Nowhere: length, CRC64 and properties are kept, and reading a blob of more than 0 bytes answers
    /// `409 BlobContentDiscarded`.
    Discard,
}

/// Transport security of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Plain HTTP: HTTP/1.1, or HTTP/2 for a client that begins with its preface.
    #[default]
    Off,
    /// A certificate made at the start for `127.0.0.1`, `::1`, `localhost`, `*.blob.core.windows.net` and
    /// `*.blob.localhost`, signed by an authority made with it; see [`Server::ca_pem`].
    SelfSigned,
    /// Files in PEM.
    Pem {
        /// The certificate and its chain.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Protocols that a server offers to TLS clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpn {
    /// `h2,http/1.1`
    #[default]
    H2AndHttp11,
    /// `http/1.1`
    Http11,
    /// `h2`
    H2,
}
