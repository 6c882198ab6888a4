//! What is shown while a job runs: a live block on a terminal, a line each half minute elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use azuring_transfer::{Progress, ProgressView};
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{for_stderr, tell};

/// Between two looks on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two lines elsewhere.
const LINE: Duration = Duration::from_secs(30);
/// Fewer files per second tell nothing about the time left: the average fades away while one large file is sent.
const SLOWEST_FILES: f64 = 0.01;
/// The same for bytes per second.
const SLOWEST_BYTES: f64 = 1.0;

/// Shows progress on stderr until it is finished or dropped.
pub(crate) struct Display {
    bar: ProgressBar,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Without `shown` there is no progress, only what is printed.
    pub(crate) fn start(progress: Arc<Progress>, begun: Instant, shown: bool) -> Self {
        let live = shown && std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is valid"));
        let (end, ended) = channel();
        let block = bar.clone();
        let show = move || {
            let mut rate = Rate::new(begun);
            let pause = if live { REDRAW } else { LINE };
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
                let view = progress.view();
                let text = rate.describe(&view, begun.elapsed());
                if live {
                    block.set_message(text);
                } else {
                    tell!("{}", text.replace('\n', "; "));
                }
            }
        };
        // Without the thread nothing is shown, and the job runs as well.
        let spawn = || std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        let thread = if shown { spawn() } else { None };
        Self { bar, end: Some(end), thread }
    }

    /// Prints a line above the live block.
    pub(crate) fn print(&self, line: &str) {
        if self.bar.is_hidden() {
            tell!("{line}");
        } else {
            self.bar.println(for_stderr(line));
        }
    }

    /// Takes the live block away.
    pub(crate) fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.end();
    }
}

/// The rates of the last seconds.
struct Rate {
    at: Instant,
    files: u64,
    bytes: u64,
    files_per_s: f64,
    bytes_per_s: f64,
}

impl Rate {
    fn new(begun: Instant) -> Self {
        Self { at: begun, files: 0, bytes: 0, files_per_s: 0.0, bytes_per_s: 0.0 }
    }

    fn describe(&mut self, view: &ProgressView, elapsed: Duration) -> String {
        let passed = self.at.elapsed().as_secs_f64();
        if passed >= 1.0 {
            let ended = ended(view);
            // Smoothed over about five looks.
            let blend = |old: f64, new: f64| if old == 0.0 { new } else { old * 0.8 + new * 0.2 };
            self.files_per_s = blend(self.files_per_s, ended.saturating_sub(self.files) as f64 / passed);
            self.bytes_per_s = blend(self.bytes_per_s, view.bytes.saturating_sub(self.bytes) as f64 / passed);
            (self.at, self.files, self.bytes) = (Instant::now(), ended, view.bytes);
        }
        let eta = match self.left(view) {
            _ if !view.scanned => "scanning".to_owned(),
            Some(left) => format!("{} left", HumanDuration(left)),
            None => "finishing".to_owned(),
        };
        format!(
            "{} of {} files, {} failed, {} skipped, {}\n{:.0} files/s, {}/s ({:.0} Mb/s), {} in flight, {} retries, {}, {eta}",
            HumanCount(view.done),
            HumanCount(view.found),
            HumanCount(view.failed),
            HumanCount(view.skipped),
            HumanBytes(view.bytes),
            self.files_per_s,
            HumanBytes(self.bytes_per_s as u64),
            self.bytes_per_s * 8.0 / 1e6,
            view.in_flight,
            view.retries,
            HumanDuration(elapsed),
        )
    }

    /// The time left: that of the files by their number, or that of the large ones that are under way by their bytes.
    fn left(&self, view: &ProgressView) -> Option<Duration> {
        let files = view.found.saturating_sub(ended(view));
        let time =
            |left: u64, rate: f64, slowest: f64| (left > 0 && rate >= slowest).then(|| left as f64 / rate);
        let by_files = time(files, self.files_per_s, SLOWEST_FILES);
        let by_bytes = time(view.large_left_bytes, self.bytes_per_s, SLOWEST_BYTES);
        let seconds = by_files.into_iter().chain(by_bytes).reduce(f64::max)?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Files that nothing more is done with.
fn ended(view: &ProgressView) -> u64 {
    view.done + view.failed + view.skipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(files_per_s: f64, bytes_per_s: f64, found: u64, large_left_bytes: u64) -> Option<u64> {
        let rate = Rate { files_per_s, bytes_per_s, ..Rate::new(Instant::now()) };
        let mut view = ProgressView::default();
        (view.found, view.done, view.large_left_bytes, view.scanned) = (found, 10, large_left_bytes, true);
        rate.left(&view).map(|left| left.as_secs())
    }

    #[test]
    fn the_time_left_counts_the_bytes_of_large_files() {
        assert_eq!(left(10.0, 100.0, 110, 0), Some(10));
        assert_eq!(left(10.0, 100.0, 110, 500), Some(10), "the files take longer");
        assert_eq!(left(10.0, 100.0, 110, 5000), Some(50), "the large one takes longer");
        assert_eq!(left(0.0, 100.0, 11, 5000), Some(50));
        assert_eq!(left(1e-30, 100.0, 11, 5000), Some(50), "a rate that has faded away");
        assert_eq!(left(0.0, 100.0, 11, 0), None);
        assert_eq!(left(0.0, 0.0, 11, 5000), None);
        assert_eq!(left(1e-30, 1e-30, u64::MAX, u64::MAX), None);
        assert_eq!(left(10.0, 100.0, 10, 0), None);
    }

    #[test]
    fn what_is_skipped_is_shown_and_not_waited_for() {
        let mut rate = Rate { files_per_s: 10.0, ..Rate::new(Instant::now()) };
        let mut view = ProgressView::default();
        (view.found, view.done, view.skipped, view.scanned) = (60, 10, 50, true);
        let text = rate.describe(&view, Duration::from_secs(1));
        assert!(text.starts_with("10 of 60 files, 0 failed, 50 skipped, 0 B\n"), "{text}");
        assert!(text.ends_with("finishing"), "{text}");
    }
}
