//! Waiting while the process is out of descriptors: other files will be closed.
//!
//! A job fits into what it may open when it begins (`descriptors.rs`). This is for what others open meanwhile: the rest
//! of the process, or of the machine.

use std::io;

use azuring_azure::RequestError;
use azuring_job::end_error::EndError;
use azuring_link::{LinkError, Links};
use azuring_ring::is_out_of_descriptors;

use crate::limits::rate::PAUSE_STEP;

/// Attempts, a tenth of a second apart.
pub(crate) const TRIES: u32 = 300;

/// Repeats what fails for want of a descriptor. Links that nobody uses are let go for it.
pub(crate) async fn patiently<'a, T>(
    links: impl Iterator<Item = &'a Links> + Clone,
    mut attempt: impl AsyncFnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut tries = 0;
    loop {
        match attempt().await {
            Err(error) if is_out_of_descriptors(&error) && tries < TRIES => tries += 1,
            done => return done,
        }
        links.clone().for_each(Links::let_go);
        tokio::time::sleep(PAUSE_STEP).await;
    }
}

/// Whether a request did not leave for want of a descriptor.
pub(crate) fn wants_descriptor(error: &EndError) -> bool {
    matches!(error.blob(),
        Some(RequestError::Link(LinkError::Connect { source, .. } | LinkError::Resolve { source, .. }))
            if is_out_of_descriptors(source))
}
