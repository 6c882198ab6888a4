//! The version of the protocol that is spoken.

/// The REST version that every request names and every SAS that is made here is signed for. The one AzCopy 10.32 uses;
/// Azurite 3.37 knows it too.
pub const SERVICE_VERSION: &str = "2025-07-05";
