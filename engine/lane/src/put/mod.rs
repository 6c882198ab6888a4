//! Local files and streams become blobs.

mod append;
mod begin;
mod blocks;
pub(crate) mod large;
mod marks;
pub(crate) mod object;
mod own;
mod pages;
mod place;
mod resume;
mod stream;
mod sums;
mod visible;
mod whole;
