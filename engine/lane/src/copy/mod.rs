//! Objects go from one store to another: the destination reads them by itself, or they pass through this host's memory
//! and never its disk. Which way that is can change in the middle of an object.

mod append;
mod archive;
mod content;
mod direct;
pub(crate) mod large;
pub(crate) mod one;
pub(crate) mod pages;
mod relay;
mod source;
mod staged;
mod within;
