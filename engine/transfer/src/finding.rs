//! Which scan a job's planner pulls, and what comes after it.

use azuring_job::messages::Message;
use azuring_lane::shared::Shared;
use crossbeam::channel::Sender;

use crate::planner::Planner;
use crate::remote;
use crate::scan::blocking;
use crate::scan::local::LocalScan;
use crate::source::Finder;

/// Runs to the end of the source, or until the job stops; then closes the queue.
pub(crate) fn run(finder: Finder, shared: &Shared, messages: &Sender<Message>) {
    // However this ends, the lanes must not wait for more.
    let _closing = Closing(shared);
    let mut planner = Planner::new(shared, messages);
    match finder {
        Finder::Local(finder) => {
            let known = planner.local_position();
            let mut scan = LocalScan::new(*finder, known, &shared.session.verdict);
            if planner.resume() {
                blocking(planner.pull(&mut scan, async |_| Ok(())));
            }
            planner.end();
            while planner.next_pass() {}
        }
        Finder::Remote(source) => remote::plan(&source, &mut planner, remote::From::Source),
        Finder::Below { source, .. } => {
            planner.count_lines();
            remote::plan(&source, &mut planner, remote::From::Lines);
        }
        Finder::Part { entries, .. } => {
            planner.count(entries.iter().map(|entry| &entry.found));
            planner.hand_on(Ok(entries));
            planner.end();
            while planner.next_pass() {}
        }
    }
    planner.give_up_the_rest();
    planner.finish_directories();
}

struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.session.verdict.give_up();
        }
        self.0.queue.close();
    }
}
