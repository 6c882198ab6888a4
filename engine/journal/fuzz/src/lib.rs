//! The fuzz targets of the journal, which its tests have too.
#![forbid(unsafe_code)]

#[path = "../../tests/fuzz/targets.rs"]
mod targets;

/// The input is a journal.
pub fn read(bytes: &[u8]) {
    targets::read(bytes);
}

/// The input is what a job says, and what happens to its file.
pub fn torn(bytes: &[u8]) {
    targets::torn(bytes);
}
