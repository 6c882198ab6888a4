//! # azuring-job: what a job is
//!
//! **Purpose.** The words that everybody who works on a job shares: what it is told (options), what it finds (entries),
//! what comes of it (outcomes, failures, counts), whether it goes on (verdict), and what is kept of it (the journal).
//!
//! ```text
//!   options, choices ── what is wanted         entry ── one object            messages ── lanes and planner to the caller
//!   verdict, retry, again ── does it go on?    outcome, failure ── its end    durable ── all of it, on the disk
//!   spec, part ── the same as bytes, for a process that runs a part of the job
//! ```
//!
//! **Invariants.**
//! - A transfer has one number for the whole life of its job.
//! - What is recorded as done is done. What is not recorded is done again, which changes nothing.
//! - A failure holds no secret: its words are searched for them when it is made.
//!
//! **Limits.** Those of the options; 10,000 transfers wait for another attempt; messages wait for the caller in bounded
//! queues.
//!
//! **Does not know** threads, requests or files. Not for embedders: they use `azuring-transfer`, which has what they
//! need.
#![forbid(unsafe_code)]

pub mod again;
pub mod choices;
pub mod durable;
pub mod end_error;
pub mod entry;
pub mod failure;
pub mod job_error;
pub mod machine;
pub mod messages;
pub mod options;
pub mod outcome;
pub mod part;
pub mod progress;
pub mod retry;
pub mod spec;
pub mod verdict;
pub mod way;
