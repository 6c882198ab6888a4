//! How much at a time: of memory, requests, descriptors and blocks.

pub mod budget;
pub mod commons;
pub(crate) mod control;
pub mod descriptors;
pub mod join;
pub(crate) mod patience;
pub(crate) mod rate;
pub(crate) mod source_pace;
