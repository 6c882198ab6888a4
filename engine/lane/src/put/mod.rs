//! Local files and streams become blobs.

mod append;
pub(crate) mod assembly;
mod begin;
pub(crate) mod large;
mod marks;
pub(crate) mod object;
mod pages;
pub(crate) mod place;
mod resume;
pub(crate) mod shape;
pub(crate) mod state;
mod stream;
mod sums;
mod visible;
pub(crate) mod whole;
