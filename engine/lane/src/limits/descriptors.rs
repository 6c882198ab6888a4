//! How the descriptors that the process may open are split over a job.
//!
//! Split before the job begins, so that nobody has to wait for a descriptor while it runs: a job that may open few has
//! fewer lanes, tasks and requests in flight. Where the limit allows all that a job can use, which is the rule, nothing
//! changes.

use azuring_job::job_error::JobError;
use azuring_link::Endpoint;
use azuring_local::KNOWN_DIRECTORIES;
use azuring_ring::{RUNTIME_DESCRIPTORS, free_descriptors};

use crate::limits::budget::{LaneShare, tasks_for};

/// What a job has beside its lanes: the journal (file, lock, and the file that takes its place at the end), two files
/// of the log, looking up a name (4), and one for what is looked at in passing.
const OWN: u64 = 10;
/// The thread that asks for tokens: its runtime and a link.
const LOGIN: u64 = RUNTIME_DESCRIPTORS + 1;
/// A local walk on one thread: the source (twice: it is also where files are opened), the directory that is read, one
/// above it where the path is long, a file to sort in.
const WALK: u64 = 5;
/// A further thread of the walk.
const WALK_THREAD: u64 = 2;
/// Most threads of a walk, and sort files of directories that lie in each other.
const WALK_MOST: u64 = 16 * WALK_THREAD + 16;
/// A lane, without its requests and objects.
const LANE: u64 = RUNTIME_DESCRIPTORS;
/// Links of HTTP/2 that a lane has beside those of HTTP/1.1, and how many requests share one.
const H2_LINKS: u64 = 8;
const H2_STREAMS: u64 = 64;
/// A lane with less than this many objects at a time is not worth its own descriptors.
const WORTH: u64 = 8;

/// Requests of the planner at a time: lines of a list that are asked about.
pub const LINES_AT_ONCE: usize = 64;

/// What is opened for each object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// The file that is read.
    Source,
    /// The file that is written, and the directory it is in.
    Target,
    /// Nothing: blobs are changed, or go to a pipe.
    Nothing,
}

/// What decides how many descriptors a job needs.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// What is opened for each object.
    pub opens: Opens,
    /// Links of HTTP/2 may be made.
    pub tls: bool,
    /// Somebody asks for tokens.
    pub login: bool,
}

/// What a job is given.
#[derive(Debug)]
pub struct Split {
    /// What each lane may use.
    pub shares: Vec<LaneShare>,
    /// Threads that read directories ahead of the walk, where they are fewer than usual.
    pub walk_threads: Option<usize>,
    /// Directories of the target that are held open.
    pub directories: usize,
    /// Requests of the planner at a time.
    pub lines: usize,
    /// What a person should know of it.
    pub notice: Option<String>,
}

impl Needs {
    /// Descriptors of an object beside its request's.
    fn per_task(self) -> u64 {
        match self.opens {
            Opens::Source => 1,
            Opens::Target => 2,
            Opens::Nothing => 0,
        }
    }

    /// What is always needed beside the lanes.
    fn fixed(self) -> u64 {
        let login = if self.login { LOGIN } else { 0 };
        let planner = match self.opens {
            Opens::Source => WALK,
            // A runtime and a link; the target itself (twice: its file system is watched), and a directory in it.
            Opens::Target => RUNTIME_DESCRIPTORS + 4,
            Opens::Nothing => RUNTIME_DESCRIPTORS + 1,
        };
        OWN + login + planner
    }

    /// What a lane of this share may open.
    fn lane(self, share: LaneShare) -> u64 {
        let h2 = if self.tls { H2_LINKS } else { 0 };
        LANE + h2 + share.in_flight as u64 + share.tasks as u64 * self.per_task()
    }

    /// All that a job of these shares can make use of.
    fn all(self, shares: &[LaneShare]) -> u64 {
        let planner = match self.opens {
            Opens::Source => WALK_MOST,
            Opens::Target => (LINES_AT_ONCE + KNOWN_DIRECTORIES) as u64,
            Opens::Nothing => LINES_AT_ONCE as u64,
        };
        self.fixed() + planner + shares.iter().map(|share| self.lane(*share)).sum::<u64>()
    }

    /// The least a job can do with.
    fn least(self) -> u64 {
        self.fixed() + LANE + u64::from(self.tls) + 1 + self.per_task()
    }

    /// Raises the process's limit to what the job can make use of, and gives it what there is.
    ///
    /// # Errors
    /// [`JobError::Descriptors`]: it is less than the least.
    pub fn split(self, shares: Vec<LaneShare>) -> Result<Split, JobError> {
        let free = free_descriptors(self.all(&shares));
        self.split_of(shares, free)
    }

    /// The same for a process that can open `free`.
    fn split_of(self, shares: Vec<LaneShare>, free: u64) -> Result<Split, JobError> {
        if free >= self.all(&shares) {
            let (directories, lines) = (KNOWN_DIRECTORIES, LINES_AT_ONCE);
            return Ok(Split { shares, walk_threads: None, directories, lines, notice: None });
        }
        let needed = self.least();
        if free < needed {
            return Err(JobError::Descriptors { needed, free });
        }
        // A part of what is left goes to whoever finds the objects.
        let spare = free - needed;
        let (mut walk_threads, mut directories, mut lines) = (None, 1, 1);
        let mut left = free - self.fixed();
        match self.opens {
            Opens::Source => {
                let threads = (spare / 32).min(8);
                walk_threads = Some(threads as usize);
                left -= threads * WALK_THREAD;
            }
            Opens::Target => {
                let (held, asked) = (spare / 8, (spare / 16).min(LINES_AT_ONCE as u64 - 1));
                let held = held.min(KNOWN_DIRECTORIES as u64 - 1);
                (directories, lines) = (1 + held as usize, 1 + asked as usize);
                left -= held + asked;
            }
            Opens::Nothing => {
                let asked = (spare / 8).min(LINES_AT_ONCE as u64 - 1);
                lines = 1 + asked as usize;
                left -= asked;
            }
        }
        let asked: usize = shares.iter().map(|share| share.in_flight).sum();
        let shares = self.lanes(&shares, left);
        let given: usize = shares.iter().map(|share| share.in_flight).sum();
        let notice = (given < asked).then(|| {
            let n = if given == 1 { "1 request".to_owned() } else { format!("{given} requests") };
            format!(
                "the limit of open files leaves room for {n} in flight instead of {asked}: raise it (ulimit -n) for more"
            )
        });
        Ok(Split { shares, walk_threads, directories, lines, notice })
    }

    /// Lanes that open no more than `left`.
    fn lanes(self, shares: &[LaneShare], left: u64) -> Vec<LaneShare> {
        let (asked, memory) = shares
            .iter()
            .fold((0, 0), |(asked, memory), share| (asked + share.in_flight, memory + share.pool_bytes));
        let worth = LANE + WORTH * (1 + self.per_task());
        let lanes = (left / worth).clamp(1, shares.len() as u64);
        let own = left / lanes - LANE;
        let h2 = if self.tls { (1 + own / H2_STREAMS).min(H2_LINKS) } else { 0 };
        let own = own - h2;
        (0..lanes as usize)
            .map(|lane| {
                let wanted = asked / lanes as usize + usize::from(lane < asked % lanes as usize);
                let in_flight = wanted.min((own / (1 + self.per_task())) as usize).max(1);
                let room = (own - in_flight as u64).checked_div(self.per_task()).unwrap_or(u64::MAX);
                let tasks = tasks_for(in_flight).min(usize::try_from(room).unwrap_or(usize::MAX)).max(1);
                LaneShare { pool_bytes: memory / lanes as usize, in_flight, tasks }
            })
            .collect()
    }
}

/// Requests that a command without files may have in flight at a time, `wanted` at most.
///
/// # Errors
/// [`JobError::Descriptors`]: not one.
pub fn at_once(wanted: usize, endpoint: &Endpoint) -> Result<usize, JobError> {
    let fixed = RUNTIME_DESCRIPTORS + 5 + u64::from(endpoint.tls);
    let free = free_descriptors(fixed + wanted as u64);
    if free <= fixed {
        return Err(JobError::Descriptors { needed: fixed + 1, free });
    }
    Ok(wanted.min(usize::try_from(free - fixed).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(lanes: usize, in_flight: usize) -> Vec<LaneShare> {
        vec![LaneShare { pool_bytes: 32 << 20, in_flight, tasks: tasks_for(in_flight) }; lanes]
    }

    fn all_needs() -> impl Iterator<Item = Needs> {
        let kinds = [Opens::Source, Opens::Target, Opens::Nothing];
        let bits = [(false, false), (false, true), (true, false), (true, true)];
        kinds.into_iter().flat_map(move |opens| bits.map(|(tls, login)| Needs { opens, tls, login }))
    }

    #[test]
    fn whatever_there_is_it_is_never_more_than_may_be_opened() {
        for needs in all_needs() {
            for (lanes, in_flight) in [(1, 1), (2, 32), (2, 450), (16, 256)] {
                let wanted = shares(lanes, in_flight);
                let mut before = 0;
                for free in (0..400).chain((400..9000).step_by(97)) {
                    let split = match needs.split_of(wanted.clone(), free) {
                        Ok(split) => split,
                        Err(error) => {
                            assert!(free < needs.least(), "{needs:?} {free}: {error}");
                            continue;
                        }
                    };
                    assert!(free >= needs.least());
                    let what = format!("{needs:?} {lanes}x{in_flight} of {free}: {split:?}");
                    let given: usize = split.shares.iter().map(|share| share.in_flight).sum();
                    assert!(
                        split.shares.iter().all(|share| share.in_flight > 0 && share.tasks > 0),
                        "{what}"
                    );
                    let memory = split.shares.iter().map(|share| share.pool_bytes).sum::<usize>();
                    assert!(memory <= lanes * (32 << 20) && memory > (lanes * (32 << 20)) - lanes, "{what}");
                    assert_eq!(split.notice.is_some(), given < lanes * in_flight, "{what}");
                    if free >= needs.all(&wanted) {
                        assert_eq!((given, split.directories, split.lines), (lanes * in_flight, 1024, 64));
                        continue;
                    }
                    // What is not shared out is what `lane` counts for HTTP/2 at most.
                    let lane = |share: &LaneShare| {
                        let h2 = if needs.tls { 1 + share.in_flight as u64 / H2_STREAMS } else { 0 };
                        LANE + h2 + share.in_flight as u64 + share.tasks as u64 * needs.per_task()
                    };
                    let opened = needs.fixed()
                        + split.walk_threads.unwrap_or_default() as u64 * WALK_THREAD
                        + (split.directories - 1 + split.lines - 1) as u64
                        + split.shares.iter().map(lane).sum::<u64>();
                    assert!(opened <= free, "{opened} opened, {what}");
                    // More of them never means a great deal less.
                    assert!(given * 2 >= before, "{before} before, {what}");
                    before = given;
                }
            }
        }
    }

    #[test]
    fn a_limit_of_a_thousand_is_used() {
        let needs = Needs { opens: Opens::Source, tls: false, login: false };
        let split = needs.split_of(shares(2, 450), 1016).unwrap();
        let given: usize = split.shares.iter().map(|share| share.in_flight).sum();
        assert!((440..500).contains(&given), "{split:?}");
        assert!(split.notice.unwrap().contains("instead of 900"));
    }
}
