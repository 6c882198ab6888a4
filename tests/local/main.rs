//! The local side of a download: file systems that fail, destinations that are no directories, and how files look.
//!
//! | module | what | what has to hold |
//! |---|---|---|
//! | [`close`] | `close(2)`, writes, names and room fail now and then: FUSE, seeds and counts | what has its name is whole, and a job that is resumed ends |
//! | [`settle`] | the file system could not write back | what was written then has failed, and is done again |
//! | [`room`] | nothing can be written any more | the job stops after a few files |
//! | [`places`] | links, devices, pipes and descriptors as the destination | nothing is replaced that the user did not name |
//! | [`own`] | azuring's own files and stdout on such a file system | what is not kept is told, and stops what depends on it |
//! | [`sums`] | a stored MD5 that is none | it is no match, and no missing one |
//! | [`holes`] | page blobs | only what was written to is read and stored |
//! | [`look`] | modes, ACLs, times | as any program's |
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "test code")]

mod close;
mod holes;
mod look;
mod own;
mod places;
mod room;
mod scene;
mod settle;
mod sums;
