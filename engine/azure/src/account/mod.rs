//! Who asks, and where: URLs, and what authorizes the requests to them.

pub(crate) mod bearer;
pub(crate) mod clock;
pub(crate) mod credential;
pub(crate) mod emulator;
pub(crate) mod error;
pub(crate) mod sas;
pub(crate) mod secret;
pub(crate) mod shared_key;
pub(crate) mod url;
pub(crate) mod version;
pub(crate) mod which;
