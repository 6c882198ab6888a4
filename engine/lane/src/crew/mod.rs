//! The threads that are the lanes: each takes from the queue and hands it to a mover.

pub mod gather;
mod items;
pub(crate) mod thread;
