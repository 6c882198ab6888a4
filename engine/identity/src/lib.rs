//! # azuring-identity: tokens of Microsoft Entra ID
//!
//! **Purpose.** Knows the ways to prove who one is to Entra ID, gets access tokens for Azure Storage, keeps them fresh
//! for as long as a job runs, and remembers logins between processes.
//!
//! ```text
//!   environment, flags, cache ──> Login ──> acquire ──┬─ azure_identity ── secret, certificate, workload, az
//!                                   │                 └─ own ─────────── device code, refresh token, VM, App Service, Azure Arc, pwsh
//!   chain: what the machine offers ─┘                        │
//!                                                          Wire ── azuring-link: the data's TLS roots and proxies
//!
//!   keep ── thread "identity" ── TokenFeed ══> Bearer (azuring-azure): the lanes' end
//!             └── Cache: one file, sealed under a key in the kernel's keyring; one process asks, the others find
//! ```
//!
//! **Invariants.**
//! - No error, description or `Debug` output holds a secret, or more of an answer than its code and first sentence.
//! - Credentials go to the authority over https, to an address of the machine itself or its private network, or to a
//!   program; never along a redirection, and never through a proxy when the address is the machine's.
//! - One attempt asks once: what is tried again, and when, is decided in `patience.rs` and `keep.rs` alone.
//! - A refresh token that was replaced is written back before the access token is used.
//!
//! **Why not all by azure_identity.** Its certificate credential links OpenSSL and reads no PEM. Its managed identities
//! read the environment once more and in another way (an empty variable counts), ask App Service for a resource id by
//! the name that only VMs know, and show an app's secret to any address: `managed.rs` decides and asks in one place.
//!
//! **Limits.** Answers of 1 MiB, an exchange of 60 s, a minute of patience for the first token, 64 tokens in the cache.
//!
//! **Does not know** blobs, jobs, or which host a token is sent to.
#![forbid(unsafe_code)]

mod acquire;
mod answer;
mod assertion;
mod cache;
mod certificate;
mod chain;
mod clock;
mod device;
mod entra;
mod environment;
mod error;
mod handed;
mod keep;
mod login;
mod managed;
mod network;
#[cfg(test)]
mod one_answer;
mod patience;
mod programs;
mod settings;
mod token;

pub use azuring_azure::Clock;
pub use cache::{Cache, CacheOptions, CacheProtection};
pub use chain::{ChainError, PassedOver, chain};
pub use device::{Cancel, DevicePrompt};
pub use environment::Environment;
pub use error::IdentityError;
pub use keep::{check, keep};
pub use login::{
    COMMON_TENANT, Login, LoginKind, ManagedIdentity, PUBLIC_AUTHORITY, PUBLIC_CLIENT, STORAGE_SCOPE,
};
pub use network::Network;
pub use programs::{HIDDEN_FROM_PROGRAMS, end_programs};
pub use settings::LOGIN_TYPES;
pub use token::AccessToken;
