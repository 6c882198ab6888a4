//! Jobs whose process, power or journal ends at any moment, and what is left for `azuring jobs resume` to do.
//!
//! | module | what ends the job | what has to hold afterwards |
//! |---|---|---|
//! | [`matrix`] | SIGKILL, or the power, at every moment that counts for the journal, one run for each | see [`kit::Scene::judge`] |
//! | [`random`] | SIGKILL at random times, again and again, while the service fails | the same without the bound of bytes |
//! | [`planted`] | the power, with a bug | the matrix finds it |
//! | [`empty_list`] | SIGKILL at many moments of a job whose list names nothing | it ends as without the cut |
//! | [`full_disk`] | no room under the journal | the job says so and goes on when there is room |
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "test code")]

mod empty_list;
mod full_disk;
mod kit;
mod matrix;
mod planted;
mod point;
mod random;
