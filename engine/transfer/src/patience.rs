//! Waiting while the process is out of descriptors: other files will be closed.

use std::io;

use crate::request::PAUSE_STEP;

/// Attempts, a tenth of a second apart.
const TRIES: u32 = 300;

/// Repeats what fails for want of a descriptor.
pub(crate) async fn patiently<T>(mut attempt: impl AsyncFnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 0;
    loop {
        match attempt().await {
            Err(error) if is_out_of_descriptors(&error) && tries < TRIES => tries += 1,
            done => return done,
        }
        tokio::time::sleep(PAUSE_STEP).await;
    }
}

/// Whether this process, or the machine, has no descriptor left.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|errno| {
        use rustix::io::Errno;
        [Errno::MFILE, Errno::NFILE].contains(&Errno::from_raw_os_error(errno))
    })
}
