//! The version of the protocol that is spoken.

/// The REST version that every request names and every SAS that is made here is signed for. The one AzCopy 10.32 uses;
/// Azurite 3.37 knows it too.
pub const SERVICE_VERSION: &str = "2025-07-05";

/// The version that copies from another place name: the first one with which the service tells what the source answered
/// ("Put Blob From URL", error responses). A server that does not know it is sent [`SERVICE_VERSION`].
pub(crate) const COPY_VERSION: &str = "2025-11-05";

/// The version that copies name whose source is encrypted with a customer's key: the first one in which the service can
/// be given that key. Without it the service cannot read such a source.
pub(crate) const KEY_COPY_VERSION: &str = "2026-04-06";
