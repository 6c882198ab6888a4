//! One request until it is answered for good, and what all requests of a job have in common.

pub mod ask;
pub mod client;
pub mod end;
pub mod ends;
pub(crate) mod look;
pub mod request;
pub mod route;
pub mod session;
pub mod staging;
