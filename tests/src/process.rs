//! Child processes with a deadline, both streams collected, and their resource usage.

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use wait4::Wait4;

use crate::wait_until;

/// How often the peak memory of a child is looked up; see [`Outcome::peak_rss_bytes`].
const MEMORY_POLL: Duration = Duration::from_millis(10);

/// What a child finds on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// End of file at once, as under cron or CI.
    Closed,
    /// A pipe that stays open and silent until the child ends, as on a terminal nobody types at. AzCopy needs it:
    /// at end of file it spins on `read` and burns a core.
    Blocking,
    /// A pipe that gives these bytes and is then at its end.
    Bytes(&'static [u8]),
}

/// How a child ended and what it cost.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended the child.
    pub code: Option<i32>,
    /// The signal that ended the child, if one did.
    pub signal: Option<i32>,
    /// True when the deadline passed and the child was killed for it.
    pub timed_out: bool,
    /// Everything written to standard output; invalid UTF-8 is replaced.
    pub stdout: String,
    /// Everything written to standard error; invalid UTF-8 is replaced.
    pub stderr: String,
    /// From the start of the process to its end.
    pub wall: Duration,
    /// CPU time in user mode, children the child waited for included.
    pub user: Duration,
    /// CPU time in the kernel, children the child waited for included.
    pub sys: Duration,
    /// Peak resident memory.
    ///
    /// `wait4` reports the larger of the child's peak and that of the process that started it (the kernel carries the
    /// mark over `exec`). Where our own peak hides the child's, this is `VmHWM`, read every 10 ms while the child ran.
    pub peak_rss_bytes: u64,
}

impl Outcome {
    /// User and kernel CPU time together.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.user + self.sys
    }

    /// The number after `label:` in a summary line of standard output: `field("Number of File Transfers Completed")`.
    #[must_use]
    pub fn field(&self, label: &str) -> Option<&str> {
        self.stdout
            .lines()
            .find_map(|line| line.trim().strip_prefix(label)?.trim_start().strip_prefix(':').map(str::trim))
    }

    /// Panics with both streams unless the exit code is `code`.
    ///
    /// # Panics
    /// When the child ended in any other way.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code (signal {:?}, timed out: {})\n--- stdout\n{}\n--- stderr\n{}",
            self.signal,
            self.timed_out,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A child that has not been waited for. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    streams: [Drained; 2],
    started: Instant,
    deadline: Duration,
}

/// Starts `command` and gives it at most `deadline` from now.
///
/// # Errors
/// When the program cannot be started.
pub fn spawn(command: &mut Command, stdin: Stdin, deadline: Duration) -> io::Result<Running> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(match stdin {
        Stdin::Closed => Stdio::null(),
        Stdin::Blocking | Stdin::Bytes(_) => Stdio::piped(),
    });
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| {
        io::Error::new(error.kind(), format!("{}: {error}", command.get_program().display()))
    })?;
    let streams = [drain(child.stdout.take()), drain(child.stderr.take())];
    let mut pipe = child.stdin.take();
    if let Stdin::Bytes(bytes) = stdin {
        let mut pipe = pipe.take().expect("it was piped");
        // A child that does not read to the end is its own test's concern.
        thread::spawn(move || drop(pipe.write_all(bytes)));
    }
    let stdin = pipe;
    Ok(Running { child: Some(child), stdin, streams, started, deadline })
}

/// Runs `command` to its end.
///
/// # Errors
/// As [`spawn`], and when the child cannot be waited for.
pub fn run(command: &mut Command, stdin: Stdin, deadline: Duration) -> io::Result<Outcome> {
    spawn(command, stdin, deadline)?.wait()
}

impl Running {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends SIGINT and waits until azuring has told that it stops.
    ///
    /// # Panics
    /// When it does not tell.
    #[track_caller]
    pub fn interrupt_and_see(&self) {
        self.interrupt();
        self.wait_for_stderr("azuring: stopping:");
    }

    /// Waits until the child has written this to standard error.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        wait_until(text, || self.streams[1].text().contains(text));
    }

    fn signal(&self, signal: Signal) {
        // The child has not been reaped (only `wait` does that, and it consumes self), so the id is still its own.
        if let Some(child) = &self.child {
            let _ = kill_process(pid_of(child), signal);
        }
    }

    /// Waits for the end, at most until the deadline, after which the child is killed.
    ///
    /// # Errors
    /// When the child cannot be waited for.
    pub fn wait(mut self) -> io::Result<Outcome> {
        let child = self.child.take().expect("wait consumes self, so it runs once");
        let pid = pid_of(&child);
        let (done, ended) = mpsc::channel::<()>();
        let watch = Watch::start(pid, self.started + self.deadline, ended);
        // Without reaping: until `wait4` below, the id cannot become that of another process.
        // If it fails, so does `wait4`, and that one's error is returned.
        let _ = rustix::io::retry_on_intr(|| {
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        });
        let wall = self.started.elapsed();
        drop(done);
        let (mut timed_out, seen_peak) = watch.join();
        let used = child.wait4()?;
        drop(self.stdin.take());
        let [stdout, stderr] = [0, 1].map(|n| {
            let stream: &mut Drained = &mut self.streams[n];
            timed_out |= !stream.ends_within(STREAMS_END);
            stream.text()
        });
        let peak = used.rusage.maxrss;
        Ok(Outcome {
            code: used.status.code(),
            signal: std::os::unix::process::ExitStatusExt::signal(&used.status),
            timed_out,
            stdout,
            stderr,
            wall,
            user: used.rusage.utime,
            sys: used.rusage.stime,
            peak_rss_bytes: if peak > peak_rss_bytes("self").unwrap_or(0) { peak } else { seen_peak },
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The thread that keeps the deadline and notes the peak memory.
struct Watch {
    thread: JoinHandle<()>,
    timed_out: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
}

impl Watch {
    fn start(pid: Pid, deadline: Instant, ended: mpsc::Receiver<()>) -> Self {
        let id = pid.as_raw_nonzero().to_string();
        // Once before any wait: on a busy machine a short life is over before the next look.
        let peak = Arc::new(AtomicU64::new(peak_rss_bytes(&id).unwrap_or(0)));
        let timed_out = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (timed_out, peak) = (Arc::clone(&timed_out), Arc::clone(&peak));
            move || {
                while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(MEMORY_POLL) {
                    if let Some(bytes) = peak_rss_bytes(&id) {
                        peak.store(bytes, Ordering::Relaxed);
                    }
                    if Instant::now() >= deadline && !timed_out.swap(true, Ordering::Relaxed) {
                        let _ = kill_process(pid, Signal::KILL);
                    }
                }
            }
        });
        Self { thread, timed_out, peak }
    }

    fn join(self) -> (bool, u64) {
        let _ = self.thread.join();
        (self.timed_out.load(Ordering::Relaxed), self.peak.load(Ordering::Relaxed))
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// `VmHWM` of a process: the peak of its present image, whatever started it.
fn peak_rss_bytes(id: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// What the child has written is there when it ends; the thread that reads it only has to be let run.
const STREAMS_END: Duration = Duration::from_secs(180);

/// A stream of a child, read to its end by a thread.
#[derive(Debug)]
struct Drained {
    read: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drained {
    /// Whether it comes to its end in this time after the child's own; a process that the child has left may hold it
    /// open.
    fn ends_within(&mut self, limit: Duration) -> bool {
        let Some(thread) = self.thread.take() else { return true };
        let begun = Instant::now();
        while !thread.is_finished() {
            if begun.elapsed() > limit {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = thread.join();
        true
    }

    /// What was read so far; invalid UTF-8 is replaced.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.read.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

fn drain(stream: Option<impl Read + Send + 'static>) -> Drained {
    let read = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&read);
    let thread = thread::spawn(move || {
        let (Some(mut stream), mut piece) = (stream, [0; 16 << 10]) else { return };
        while let Ok(len @ 1..) = stream.read(&mut piece) {
            all.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..len]);
        }
    });
    Drained { read, thread: Some(thread) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_blocking_stdin_stays_open_and_a_closed_one_is_at_its_end() {
        let read = "read line; echo ended";
        let closed = run(&mut sh(read), Stdin::Closed, Duration::from_secs(180)).unwrap();
        assert_eq!(closed.stdout, "ended\n");
        let open = run(&mut sh(read), Stdin::Blocking, Duration::from_millis(300)).unwrap();
        assert!(open.timed_out);
        assert_eq!((open.signal, open.code, open.stdout.as_str()), (Some(9), None, ""));
        let given =
            run(&mut sh("cat; echo ended"), Stdin::Bytes(b"text "), Duration::from_secs(180)).unwrap();
        assert_eq!(given.stdout, "text ended\n");
    }

    #[test]
    fn output_that_somebody_holds_open_is_not_waited_for_for_ever() {
        let mut running =
            spawn(&mut sh("sleep 600 & echo $!"), Stdin::Closed, Duration::from_secs(180)).unwrap();
        crate::wait_until("the child tells of what it leaves", || running.streams[0].text().ends_with('\n'));
        assert!(!running.streams[0].ends_within(Duration::from_millis(1)));
        let left = running.streams[0].text().trim().parse().unwrap();
        kill_process(Pid::from_raw(left).unwrap(), Signal::KILL).unwrap();
        assert!(running.streams[1].ends_within(STREAMS_END));
    }

    #[test]
    fn peak_memory_is_the_childs_and_not_ours() {
        let ours = vec![1_u8; 200 << 20];
        let outcome = run(&mut sh("sleep 0.3"), Stdin::Closed, Duration::from_secs(180)).unwrap();
        assert_eq!(ours.iter().step_by(4096).map(|&byte| u64::from(byte)).sum::<u64>(), 51_200);
        assert!((1..50 << 20).contains(&outcome.peak_rss_bytes), "{}", outcome.peak_rss_bytes);
    }

    #[test]
    fn summary_fields_are_found_by_their_label() {
        let script =
            "echo 'Number of File Transfers: 3'; echo 'Number of File Transfers Completed: 2'; exit 1";
        let outcome = run(&mut sh(script), Stdin::Closed, Duration::from_secs(180)).unwrap();
        assert_eq!(outcome.field("Number of File Transfers Completed"), Some("2"));
        assert_eq!(outcome.field("Number of File Transfers"), Some("3"));
        assert_eq!(outcome.field("Number of File"), None);
        outcome.expect_code(1);
    }
}
