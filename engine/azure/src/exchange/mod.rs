//! One exchange with the service: rendered, authorized, sent, and its answer or its refusal read.

pub(crate) mod advice;
pub(crate) mod batch;
pub(crate) mod checksum;
pub(crate) mod client;
pub(crate) mod encryption;
pub(crate) mod error;
pub(crate) mod grant;
pub(crate) mod header;
mod newest;
pub(crate) mod operation;
pub(crate) mod properties;
pub(crate) mod target;
pub(crate) mod xml;
