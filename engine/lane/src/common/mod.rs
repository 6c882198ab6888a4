//! What all threads of a job share.

pub mod lines;
pub mod queue;
pub mod settle;
pub mod shared;
