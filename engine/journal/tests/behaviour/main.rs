//! What a journal promises, tried out.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod corpus;
mod crash;
mod full_disk;
mod jobs;
mod machine;
mod model;
mod names;
mod processes;
mod random;
mod recovery;
mod size;
mod threads;
