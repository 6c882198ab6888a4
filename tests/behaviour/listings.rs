//! What the service lists, and what is selected of it: exactly what was asked for, each once, in any order of names,
//! and never for ever.
#![allow(clippy::unwrap_used, reason = "test code")]

use azsim::Seed;
use azuring_tests::{CONTAINER, DEVSTORE_ACCOUNT, Fixture};

#[path = "listings/course.rs"]
mod course;
#[path = "listings/exact.rs"]
mod exact;
#[path = "listings/folders.rs"]
mod folders;
#[path = "listings/lister.rs"]
mod lister;
#[path = "listings/memory.rs"]
mod memory;
#[path = "listings/reasons.rs"]
mod reasons;

/// Blobs with these contents.
fn plant<'n>(fixture: &Fixture, blobs: impl IntoIterator<Item = (&'n str, &'n str)>) {
    let seed = |(name, content): (&str, &str)| {
        let content = if content.is_empty() { Vec::new() } else { vec![content.to_owned().into()] };
        Seed { name: name.to_owned(), content, ..Seed::default() }
    };
    fixture.server().plant(DEVSTORE_ACCOUNT, CONTAINER, blobs.into_iter().map(seed));
}
