//! What is done with the objects of a job, as data.

pub mod change;
pub mod copy;
pub(crate) mod directories;
pub mod download;
pub mod in_place;
pub mod leftovers;
pub mod names;
pub mod upload;
pub mod verb;
