//! Objects go from one store to another, through this host's memory and never its disk.

pub(crate) mod large;
pub(crate) mod one;
mod read;
