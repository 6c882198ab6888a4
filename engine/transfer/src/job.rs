//! A job: what is to be done, checked; and its run.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use azuring_job::again::Again;
use azuring_job::choices::Overwrite;
use azuring_job::durable::{Before, Durable};
use azuring_job::entry::Entry;
use azuring_job::failure::Failure;
use azuring_job::messages;
use azuring_job::options::JobOptions;
use azuring_job::outcome::{Event, Report};
use azuring_job::progress::Progress;
use azuring_job::verdict::{StopHandle, Verdict};
use azuring_lane::ask::{Ask, Asker};
use azuring_lane::budget::LaneShare;
use azuring_lane::end::End;
use azuring_lane::ends::{Ends, RemoteEnd};
use azuring_lane::lines::Lines;
use azuring_lane::queue::WorkQueue;
use azuring_lane::request::new_histogram;
use azuring_lane::session::Session;
use azuring_lane::settle;
use azuring_lane::shared::{Earlier, Shared};
use azuring_lane::staging::Staging;
use azuring_lane::task::upload::{Origin, Upload};
use azuring_lane::task::verb::Task;
use azuring_ring::IoPath;
use tracing::info_span;

use crate::collector::{self, Hands};
use crate::engine::{Engine, Lease};
use crate::frame;
use crate::read_back;
use crate::source::Finder;
use crate::threads::{self, Lanes};

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// Local files become blobs.
    Upload,
    /// Blobs become local files.
    Download,
    /// Objects of one store become objects of another.
    Copy,
    /// Blobs are removed.
    Remove,
    /// Blobs get another tier, metadata or tags.
    SetProperties,
}

impl Verb {
    /// The command line's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Copy => "copy",
            Self::Remove => "remove",
            Self::SetProperties => "set-properties",
        }
    }
}

/// What a job is about to do, for a person to read before it begins.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JobPlan {
    /// The job's id, a UUID.
    pub id: String,
    /// Upload, download, removal or change.
    pub verb: Verb,
    /// The source: a path as it was given, or a URL without its SAS.
    pub source: String,
    /// Whether the source is a pattern, which may match nothing.
    pub is_pattern: bool,
    /// The destination: a path, or a URL without its SAS; empty when there is none.
    pub destination: String,
    /// What authorizes the requests; never a secret.
    pub credential: String,
    /// Threads that transfer, from 1 to 16.
    pub lanes: usize,
    /// Requests in flight at most.
    pub concurrency: usize,
    /// Memory budget in bytes.
    pub memory_bytes: u64,
    /// How files are read and written.
    pub io: IoPath,
    /// A sentence for a person, if the limit of open files allows fewer requests in flight than requested.
    pub scarce: Option<String>,
    /// Whether it keeps a journal, so that it can be resumed.
    pub journal: bool,
    /// Whether it resumes what an earlier run began.
    pub resumed: bool,
}

/// What stays when a job has run, for another of the same end and options.
#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) lanes: Option<Lanes>,
    /// The last one, whose clients the lanes have.
    pub(crate) session: Option<Session>,
    pub(crate) asker: Option<Asker>,
    /// What the lanes have of their engine, and their shares of it. Given back when everything else is.
    pub(crate) lease: Option<(Lease, Vec<LaneShare>)>,
}

impl Standing {
    /// The shares of a job in its engine: those of the job before, or what `begin` gets. A job that was stopped before
    /// its turn leaves nothing: the next one waits for its own.
    pub(crate) fn leased(&mut self, begin: impl FnOnce() -> (Lease, Vec<LaneShare>)) -> Vec<LaneShare> {
        let (lease, shares) = self.lease.take().unwrap_or_else(begin);
        let given = shares.clone();
        self.lease = lease.is_given().then_some((lease, shares));
        given
    }
}

/// What is left when a job has run.
pub(crate) struct Gone {
    pub(crate) report: Report,
    /// Lines of a list that are no blobs, and that nobody has expanded.
    pub(crate) missing: Vec<Entry>,
    /// Why what a job without a journal has written may be damaged.
    pub(crate) not_kept: Option<Failure>,
}

/// A job that can be run.
pub struct Job {
    pub(crate) plan: JobPlan,
    pub(crate) id: [u8; 16],
    pub(crate) task: Task,
    pub(crate) finder: Finder,
    pub(crate) ends: Ends<RemoteEnd>,
    pub(crate) staging: Option<Staging>,
    pub(crate) shares: Vec<LaneShare>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) options: JobOptions,
    pub(crate) durable: Option<Durable>,
    /// Of a part: what is known of its earlier runs.
    pub(crate) earlier: Earlier,
    pub(crate) ask: Option<Ask>,
    pub(crate) engine: Option<Engine>,
}

impl Job {
    /// What the job is going to do, for a person to read before it begins.
    pub fn plan(&self) -> &JobPlan {
        &self.plan
    }

    /// Counters of the job, which any thread may read while it runs.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Answers the questions of [`Overwrite::Ask`]. `ask` gets the full path or URL of the existing object, and says
    /// whether to replace it. It is called on its own thread, with one question at a time. It may take any time: only
    /// the object in question waits. A job that stops does not wait for an answer.
    ///
    /// [`Overwrite::Ask`]: azuring_job::choices::Overwrite::Ask
    pub fn asking(mut self, ask: impl FnMut(&str) -> bool + Send + 'static) -> Self {
        self.ask = Some(Box::new(ask));
        self
    }

    /// Runs the job on threads of its own and returns when it has ended. `tell` is called on this thread for
    /// every event; a slow `tell` slows the job.
    pub fn run(self, stop: &StopHandle, mut tell: impl FnMut(Event)) -> Report {
        self.go(stop, &mut Standing::default(), Hands::Lanes(&mut |_| {}), &mut tell).report
    }

    /// The same by `hands`; the job takes what is `standing` and leaves what others can go on with.
    pub(crate) fn go(
        mut self,
        stop: &StopHandle,
        standing: &mut Standing,
        mut hands: Hands<'_>,
        mut tell: &mut dyn FnMut(Event),
    ) -> Gone {
        let begun = Instant::now();
        if let Some(engine) = &self.engine {
            let journal = self.durable.is_some();
            let begin = || engine.begin(&self.options, journal, &self.shares, || stop.is_stopped());
            self.shares = standing.leased(begin);
            frame::hold(&mut self.task, &self.shares);
        }
        let (lanes, io) = (self.shares.len(), self.plan.io.clone());
        let verdict = Verdict::new(stop.clone());
        let progress = Arc::clone(&self.progress);
        let again = Again::new(self.options.retry_failed);
        let mut session = Session::new(self.options, self.ends, verdict, progress);
        if let Some(staging) = self.staging {
            session.stage_by(staging);
        }
        if let Some(engine) = &self.engine {
            session.share(engine.commons());
        }
        if let Some(earlier) = &standing.session {
            session.go_on_after(earlier);
        }
        if let Some(ask) = self.ask.filter(|_| session.options.overwrite == Overwrite::Ask) {
            standing.asker = Some(Asker::start(ask));
        }
        session.asker.clone_from(&standing.asker);
        let shared = Arc::new(Shared {
            id: self.id,
            lanes,
            task: self.task,
            session,
            queue: Arc::new(WorkQueue::new(lanes)),
            lines: self.finder.take_lines(),
            durable: self.durable,
            earlier: self.earlier,
            again,
            found: AtomicU64::new(self.finder.first()),
            not_kept: OnceLock::new(),
            span: info_span!("job", id = self.plan.id, verb = self.plan.verb.name()),
        });
        let before = shared.durable.as_ref().and_then(|durable| durable.before.as_ref());
        let known = before.map(Before::kinds).unwrap_or_default();
        let before = before.map(Before::counts).unwrap_or_default();
        shared.session.progress.go_on_from(&before);
        if before.done > 0 {
            // An earlier run could write: where it might not, others are tried all the same.
            shared.session.verdict.wrote();
        }
        let known_way = shared.durable.as_ref().and_then(|durable| durable.before.as_ref()?.way());
        if let Some(way) = &known_way {
            shared.session.go_on_way(way.clone());
        }
        let way = shared.session.way();
        if let Some(durable) = &shared.durable {
            let new = way.as_ref().filter(|way| !way.known_before && known_way.as_ref() != Some(way));
            let begun = durable.go_on().and_then(|()| new.map_or(Ok(()), |way| durable.way(way)));
            if let Err(failure) = begun {
                shared.session.verdict.stop_for(&failure);
            }
        }
        if let Some(way) = way {
            tell(Event::Way(Box::new(way)));
        }
        let settler = threads::settle(&shared);
        let (messages, inbox) = messages::channel(shared.session.options.dry_run);
        let (mut gather, mut results) = (None, None);
        if let &Hands::Parts { most, first, .. } = &hands {
            gather = threads::gather(&shared, (most, first), &messages);
        } else {
            let start = || Lanes::start(&self.shares, &io, |error| threads::refused(&shared, error));
            results = Some(standing.lanes.get_or_insert_with(start).turn(&shared, &messages));
        }
        let planner = threads::plan(self.finder, &shared, messages);
        let (counts, finals, kinds) =
            collector::collect(&inbox, &shared, (before, known), &mut hands, &mut tell);
        let verdict = &shared.session.verdict;
        let mut report = Report::new(new_histogram());
        (report.counts, report.before, report.finals, report.kinds) = (counts, before, finals, kinds);
        report.elapsed = begun.elapsed();
        report.fatal = verdict.fatal_failure().cloned();
        report.interrupted = verdict.interrupted();
        report.way = shared.session.way().map(Box::new);
        let mut staying = 0;
        for result in results.iter().flatten() {
            report.latency_us.add(&result.latency_us).expect("the histograms have the same bounds");
            report.links_opened += result.links_opened;
            report.pool_bytes += result.pool_bytes;
            staying += usize::from(result.stays);
        }
        // Lanes of no lease are not what a later job is given.
        let is_leased = self.engine.is_none() || standing.lease.is_some();
        if let Some(lanes) = standing.lanes.take_if(|lanes| !is_leased || !lanes.are(staying)) {
            lanes.end();
        }
        if let Some(Err(panic)) = gather.map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        if let Some(Err(panic)) = planner.map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        if let (Some(settler), Some(durable)) = (settler, &shared.durable) {
            durable.settling.end();
            settle::wait(&shared, settler, &mut tell);
        }
        settle::at_end(&shared, &mut report, &mut tell);
        if report.fatal.is_none() {
            report.fatal = shared.session.verdict.fatal_failure().cloned();
        }
        report.elapsed = begun.elapsed();
        if let Some(durable) = &shared.durable
            && let Err(failure) = durable.end(&report)
        {
            report.fatal.get_or_insert(*failure);
        }
        let not_kept = shared.not_kept.get().cloned();
        let missing = shared.lines.as_ref().map(Lines::take).unwrap_or_default();
        // The threads are gone, but for one that waits for a disk: nobody else holds it.
        if let Some(Shared { session, durable, .. }) = Arc::into_inner(shared) {
            standing.session = Some(session);
            if let Some(durable) = durable {
                durable.close();
            }
        }
        Gone { report, missing, not_kept }
    }

    /// Reads every blob of this upload's source back and compares it with its file. See [`read_back`].
    ///
    /// # Errors
    /// When no lane could be started, or the job is no upload.
    pub fn read_back(self) -> std::io::Result<read_back::ReadBack> {
        let lanes = self.plan.lanes;
        let (Task::Upload(Upload { origin: Origin::Tree(tree), .. }), Finder::Local(finder)) =
            (self.task, self.finder)
        else {
            return Err(std::io::Error::other("only uploads of files are read back"));
        };
        let to = self.ends.to();
        let End::Blob(target) = &to.end else {
            return Err(std::io::Error::other("only uploads to Blob storage are read back"));
        };
        read_back::run(*finder, &tree, target, to.tls(), &self.options, lanes)
    }
}
