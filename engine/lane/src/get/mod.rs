//! Blobs become local files.

mod below;
mod file;
mod holes;
pub(crate) mod large;
pub(crate) mod one;
pub(crate) mod receive;
mod resume;
mod unpack;
