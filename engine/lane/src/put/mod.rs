//! Local files and streams become blobs.

pub(crate) mod append;
pub(crate) mod assembly;
mod begin;
pub(crate) mod large;
mod marks;
pub(crate) mod object;
pub(crate) mod pages;
pub(crate) mod place;
pub(crate) mod resume;
pub(crate) mod shape;
pub(crate) mod state;
mod stream;
mod sums;
pub(crate) mod visible;
pub(crate) mod whole;
