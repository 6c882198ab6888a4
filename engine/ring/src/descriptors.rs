//! How many descriptors this process may still open.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that a runtime of tokio opens, with a ring or without: its reactor, its wakers, the signals of child
/// processes.
pub const RUNTIME_DESCRIPTORS: u64 = 6;

/// Open descriptors where `/proc` does not tell.
const UNKNOWN_OPEN: u64 = 64;

/// Set when nobody may raise the limit.
static KEEPS: AtomicBool = AtomicBool::new(false);

/// Leaves the process's limit of open files (`RLIMIT_NOFILE`) as it is from now on, for jobs, commands and logins. What
/// needs more descriptors than there are is cut down to them.
pub fn keep_descriptor_limit() {
    KEEPS.store(true, Ordering::SeqCst);
}

/// How many descriptors this process can open beside those it has. The soft limit is raised so that they are `wanted`,
/// as far as the hard limit allows; they may be more.
pub fn free_descriptors(wanted: u64) -> u64 {
    let open = match std::fs::read_dir("/proc/self/fd") {
        // Without the one that this reading takes.
        Ok(entries) => (entries.count() as u64).saturating_sub(1),
        Err(error) if is_out_of_descriptors(&error) => return 0,
        Err(_) => UNKNOWN_OPEN,
    };
    let needed = open.saturating_add(wanted);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) && !KEEPS.load(Ordering::SeqCst) {
        let raised = limit.maximum.map_or(needed, |most| most.min(needed));
        limit.current = limit.current.map(|current| current.max(raised));
        // Where that is refused, what was allowed before still is.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current.map_or(u64::MAX, |current| current.saturating_sub(open))
}

/// Whether this process, or the machine, has no descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|errno| [Errno::MFILE, Errno::NFILE].contains(&Errno::from_raw_os_error(errno)))
}

/// Says so where a runtime would not find the descriptors it needs: tokio panics over some of them.
///
/// # Errors
/// `EMFILE`.
pub fn room_for_a_runtime() -> io::Result<()> {
    if free_descriptors(RUNTIME_DESCRIPTORS) < RUNTIME_DESCRIPTORS {
        Err(Errno::MFILE.into())
    } else {
        Ok(())
    }
}
