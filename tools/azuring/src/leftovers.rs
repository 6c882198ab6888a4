//! What a demo leaves behind when it is ended at once, and how that is cleared away.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// After this long the process ends with what is left.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at the directory.
const PAUSE: Duration = Duration::from_millis(20);
/// So often the directory must be found gone, as the demo may be writing into it.
const LOOKS: u32 = 3;

/// The scratch directory and the server of a demo. Clones stand for the same demo.
#[derive(Clone, Default)]
pub(crate) struct Leftovers {
    all: Arc<All>,
}

#[derive(Default)]
struct All {
    scratch: OnceLock<PathBuf>,
    server: Mutex<Option<Child>>,
    ending: AtomicBool,
    stands_still: AtomicBool,
}

impl Leftovers {
    /// Notes the directory.
    pub(crate) fn scratch(&self, path: &Path) {
        let _ = self.all.scratch.set(path.to_owned());
    }

    /// Notes the server.
    pub(crate) fn server(&self, child: Child) {
        *self.lock() = Some(child);
    }

    /// Ends the server, if it runs, and waits until it is gone.
    pub(crate) fn end_server(&self) {
        let mut server = self.lock();
        if let Some(mut child) = server.take() {
            // It has nothing to finish: its blobs go with it, or with the directory.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Clears everything away while the demo is at work. The process must end after it.
    pub(crate) fn clear(&self) {
        self.all.ending.store(true, Ordering::SeqCst);
        let Some(scratch) = self.all.scratch.get() else { return };
        let (begun, mut gone) = (Instant::now(), 0);
        while gone < LOOKS && begun.elapsed() < PATIENCE {
            // Here, as the demo may just be about to start it.
            self.end_server();
            let still = self.all.stands_still.load(Ordering::SeqCst);
            // Fails where the demo is making files; the next one catches them.
            let _ = std::fs::remove_dir_all(scratch);
            if scratch.exists() {
                gone = 0;
            } else if still {
                return;
            } else {
                gone += 1;
            }
            thread::sleep(PAUSE);
        }
    }

    /// The demo's thread has come to its end: while [`clear`](Self::clear) is at work elsewhere, the exit code is
    /// that thread's to tell, and this one waits for it.
    pub(crate) fn wait_if_ending(&self) {
        self.all.stands_still.store(true, Ordering::SeqCst);
        while self.all.ending.load(Ordering::SeqCst) {
            thread::park();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.all.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
