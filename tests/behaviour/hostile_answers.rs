//! Answers that the service does not give: of something in its place, of lengths that are not so, and that never end.
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "hostile_answers/endless.rs"]
mod endless;
#[path = "hostile_answers/lengths.rs"]
mod lengths;
#[path = "hostile_answers/strangers.rs"]
mod strangers;
