//! Blobs become local files.

mod below;
mod file;
mod holes;
mod large;
pub(crate) mod one;
mod receive;
mod resume;
mod unpack;
