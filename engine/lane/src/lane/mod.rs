//! What the tasks of one lane share, and what several movers need.

pub(crate) mod context;
pub(crate) mod driver;
pub(crate) mod load;
pub(crate) mod read;
pub(crate) mod verify;
