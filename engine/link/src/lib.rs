//! # azuring-link: pooled HTTP links
//!
//! **Purpose.** Carries HTTP exchanges of one lane to one endpoint, over as many kept-open links as there are
//! requests in flight, and tells precisely what went wrong when one does not arrive.
//!
//! ```text
//!   Links::send(request) ──┬─ small, peer speaks h2 ──> a stream on one of a few HTTP/2 links
//!                          └─ otherwise ─────────────> an idle HTTP/1.1 link, or a new one
//!                                       TCP (+ a proxy's tunnel) (+ TLS) ── Activity: bytes seen, watched
//! ```
//!
//! **Invariants.**
//! - A link carries one HTTP/1.1 exchange at a time and returns to the pool only after the answer was read
//!   to its end; a link in doubt is closed, never reused.
//! - An exchange on which no byte moves for [`LinkSettings::stall`] is cut, however large its body is; and so is one on
//!   which next to nothing moves (`flow`).
//! - Certificates are always verified. There is no switch.
//! - A proxy sees the requests to `http://` endpoints, and of others the host's name. Its password is shown to nobody
//!   else.
//! - Request bodies are `Bytes` and are written to the socket (or into TLS records) from where they lie.
//!
//! **Limits.** One lane, one thread: nothing here is `Send`. The number of links is bounded by the caller's
//! requests in flight.
//!
//! **Does not know** Azure, retries, files or jobs.
#![forbid(unsafe_code)]

mod body;
mod connect;
mod endpoint;
mod error;
mod flow;
mod h1;
mod links;
mod pacer;
mod pipe;
mod probe;
mod proxy;
mod reply;
mod resolve;
pub mod secrets;
mod settings;
mod stream;
mod tls;
mod tunnel;

pub use body::{FRAME_BYTES, Payload};
pub use endpoint::Endpoint;
pub use error::LinkError;
pub use h1::Spelling;
pub use links::{LinkStats, Links, Timing};
pub use pacer::Pacer;
pub use probe::{Probe, probe};
pub use proxy::{Proxies, ProxyError};
pub use reply::{Answer, Reply};
pub use settings::{HttpChoice, LinkSettings};
pub use tls::{TlsError, TlsSetup};
