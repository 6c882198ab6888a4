//! Lanes that stay between the parts of a job.

use std::collections::HashMap;
use std::sync::Arc;

use azuring_azure::{BlobProperties, BlobUrl, Credential};
use azuring_job::choices::{Overwrite, PropertyChange, Symlinks};
use azuring_job::failure::{FailureKind, Side};
use azuring_job::job_error::JobError;
use azuring_job::options::{ContentTypePolicy, JobOptions};
use azuring_job::outcome::{Done, Event, Outcome, Report, TransferId};
use azuring_job::part::{Part, PartEnd, PartOutcome, PartOutcomes};
use azuring_job::progress::Progress;
use azuring_job::spec::{Spec, SpecWork};
use azuring_job::verdict::StopHandle;
use azuring_lane::ask::Asker;
use azuring_lane::budget;
use azuring_lane::descriptors::{Needs, Opens, Split};
use azuring_lane::end::End;
use azuring_lane::ends::{Ends, RemoteEnd};
use azuring_lane::shared::Earlier;
use azuring_lane::task::change::{Remove, SetProperties};
use azuring_lane::task::upload::{Origin, Tree};
use azuring_lane::task::verb::Task;
use azuring_link::TlsSetup;
use azuring_local::{Destination, LocalError};
use azuring_plan::destination::NamingOptions;
use azuring_ring::{IoPath, SourceDir, probe};

use crate::collector::Hands;
use crate::engine::Engine;
use crate::frame;
use crate::job::{Gone, Job, JobPlan, Standing, Verb};
use crate::source::Finder;

/// How a part was run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartRun {
    /// How each transfer of the part ended.
    pub outcomes: PartOutcomes,
    /// What was counted, and why the run was stopped if it was.
    pub report: Report,
}

/// Runs parts of one job, one after the other. Threads, connections and buffers stay from the first part to the last,
/// so that a worker which is given thousands of parts does not make them anew for each.
///
/// It holds what it has until it is dropped: its threads sleep between parts, and the service may close connections
/// that nobody uses for long, which are then made again. Dropping it waits for its threads, which have nothing to do
/// then.
pub struct Crew {
    spec: Spec,
    work: SpecWork,
    options: JobOptions,
    end: End,
    tls: Option<TlsSetup>,
    split: Split,
    io: IoPath,
    engine: Option<Engine>,
    standing: Standing,
}

impl Crew {
    /// A crew that runs parts of the job that this is the spec of. The process needs to know nothing else of the job;
    /// `credential` is its own, and of `here` counts what is the process's: limits, repeats, the way to the service, an
    /// encryption key ([`Spec::options`]).
    ///
    /// Starts nothing and asks nothing yet.
    ///
    /// # Errors
    /// [`JobError`]: parts of this job cannot be run here.
    pub fn open(spec: &Spec, credential: Credential, here: JobOptions) -> Result<Self, JobError> {
        Self::within(spec, credential, here, None)
    }

    /// The same within the budgets of an engine, of which `here` has what it wants of them at most. From its first part
    /// until it is dropped the crew counts as one of the engine's jobs; the first part waits for its turn.
    ///
    /// # Errors
    /// The same.
    pub fn in_engine(
        spec: &Spec,
        credential: Credential,
        here: JobOptions,
        engine: &Engine,
    ) -> Result<Self, JobError> {
        Self::within(spec, credential, here, Some(engine.clone()))
    }

    fn within(
        spec: &Spec,
        credential: Credential,
        here: JobOptions,
        engine: Option<Engine>,
    ) -> Result<Self, JobError> {
        let mut options = spec.options(here)?;
        budget::check(&options.limits)?;
        if let Some(engine) = &engine {
            engine.bound(&mut options.limits);
        }
        if let ContentTypePolicy::Fixed(fixed) = &options.content_type {
            BlobProperties::check_content_type(fixed)?;
        }
        let (url, work) = (BlobUrl::parse(spec.url())?, spec.work()?);
        let opens = match &work {
            SpecWork::Upload { .. } => Opens::Source,
            SpecWork::Download { .. } => Opens::Target,
            SpecWork::Remove | SpecWork::SetProperties(_) => Opens::Nothing,
        };
        let needs = Needs { opens, tls: url.endpoint().tls, login: false };
        let split = needs.split(budget::shares(&options, false)?)?;
        let (target, tls) = frame::target(url, || Ok(credential), &options, change_of(&work))?;
        let (end, io) = (End::Blob(Box::new(target)), probe(options.io));
        Ok(Self {
            spec: spec.clone(),
            work,
            options,
            end,
            tls,
            split,
            io,
            engine,
            standing: Standing::default(),
        })
    }

    /// Answers the questions of [`Overwrite::Ask`], as [`Job::asking`]. Without it, what is there stays.
    pub fn asking(mut self, ask: impl FnMut(&str) -> bool + Send + 'static) -> Self {
        let asks = self.options.overwrite == Overwrite::Ask;
        self.standing.asker = asks.then(|| Asker::start(Box::new(ask)));
        self
    }

    /// What its parts are parts of.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Does the transfers of a part, and says how each of them ended.
    ///
    /// One process at a time runs a part. One that may have been run before, and whose outcomes nobody has, is run as
    /// [`Part::again`]: then every transfer ends as it would have ended without the interruption, and what is there
    /// already is not sent again.
    ///
    /// `tell` hears events as of a job, on this thread; they are not final: a disk that fails at the end takes back
    /// what was done. The outcomes are.
    ///
    /// What stops one part (`stop`, a login that has expired, a full disk) does not stop the crew: the next part is
    /// tried.
    ///
    /// # Errors
    /// [`JobError`]: the part is not one of this job, or cannot be run here. Nothing was done.
    pub fn run(
        &mut self,
        part: Part,
        stop: &StopHandle,
        mut tell: impl FnMut(Event),
    ) -> Result<PartRun, JobError> {
        let spec = &self.spec;
        if part.job() != spec.job() {
            return Err(JobError::Part("the part is one of another job than the spec".to_owned()));
        }
        if part.actions().any(|action| action != spec.action()) {
            return Err(JobError::Part("the part has transfers of another kind than the spec".to_owned()));
        }
        let (number, ids) = (part.number(), part.ids().collect::<Vec<_>>());
        let job = self.job(part)?;
        let settles = matches!(&job.task, Task::Download(task) if !task.is_null());
        let mut ended: HashMap<TransferId, PartOutcome> = HashMap::with_capacity(ids.len());
        let mut hear = |outcomes: &[Outcome]| {
            for outcome in outcomes {
                let end = match &outcome.result {
                    Ok(Done::Whole) => PartEnd::Done,
                    Ok(Done::Skipped(kind)) => PartEnd::Skipped(*kind),
                    Err(failure) if failure.kind == FailureKind::Interrupted => PartEnd::NotDone,
                    Err(failure) => PartEnd::Failed(failure.clone()),
                };
                ended.insert(outcome.id, PartOutcome::new(outcome.id, outcome.bytes, end));
            }
        };
        let hands = Hands::Lanes(&mut hear);
        let Gone { report, missing, not_kept } = job.go(stop, &mut self.standing, hands, &mut tell);
        for line in missing {
            ended.insert(line.id, PartOutcome::new(line.id, 0, PartEnd::NoBlob));
        }
        let not_done = |id| PartOutcome::new(id, 0, PartEnd::NotDone);
        let outcome = |id| {
            let outcome = ended.remove(&id).unwrap_or_else(|| not_done(id));
            match (&outcome.end, &not_kept) {
                (PartEnd::Done, Some(failure)) => {
                    PartOutcome::new(id, 0, PartEnd::Failed(Box::new(failure.clone())))
                }
                // Nobody has waited for the disk.
                (PartEnd::Done, None) if settles && report.interrupted => not_done(id),
                _ => outcome,
            }
        };
        let outcomes = ids.into_iter().map(outcome).collect();
        Ok(PartRun { outcomes: PartOutcomes::new(self.spec.job(), number, outcomes), report })
    }

    /// The job whose objects are those of the part.
    fn job(&self, part: Part) -> Result<Job, JobError> {
        let (spec, options, shares) = (&self.spec, &self.options, &self.split.shares);
        let (id, place) = (spec.job(), self.end.to_string());
        let (verb, source, destination, task) = match &self.work {
            SpecWork::Upload { root: root_path, naming } => {
                let not_opened = |error| LocalError::from_io(root_path.clone(), "open", &error);
                let mut root = SourceDir::open(root_path).map_err(not_opened)?;
                if options.symlinks == Symlinks::Follow {
                    root = root.following_links();
                }
                let source = root_path.to_string_lossy().into_owned();
                let tree = Tree { root, naming: naming.clone(), root_path: root_path.clone() };
                (Verb::Upload, source, place, frame::upload(Origin::Tree(tree), shares))
            }
            SpecWork::Download { destination, root, is_null, naming } => {
                let target =
                    if *is_null { Destination::Null } else { Destination::Path(destination.clone()) };
                let (target, names) = ((&**destination, target), NamingOptions::default());
                let task = frame::download(target, names, options, shares, id, &self.split);
                task.begin_as(naming.clone(), root.clone())
                    .map_err(|failure| JobError::Part(failure.to_string()))?;
                let destination = destination.to_string_lossy().into_owned();
                (Verb::Download, place, destination, Task::Download(Box::new(task)))
            }
            SpecWork::Remove => (Verb::Remove, place, String::new(), Task::Remove(Remove::default())),
            SpecWork::SetProperties(changed) => {
                let task = Task::SetProperties(SetProperties::new(changed.clone()));
                (Verb::SetProperties, place, String::new(), task)
            }
        };
        let earlier = Earlier { tried: part.was_tried(), begun: Some(spec.begun()) };
        let lanes = shares.len();
        let access = frame::access(&task, Side::Source, options);
        let remote = RemoteEnd::new(self.end.clone(), access, self.tls.clone(), options.crc64);
        Ok(Job {
            plan: JobPlan {
                id: uuid::Uuid::from_bytes(id).to_string(),
                verb,
                source,
                is_pattern: false,
                destination,
                credential: self.end.credential().describe(),
                lanes,
                concurrency: shares.iter().map(|share| share.in_flight).sum(),
                scarce: self.split.notice.clone(),
                memory_bytes: options.limits.memory_bytes,
                io: self.io.clone(),
                journal: false,
                resumed: earlier.tried,
            },
            id,
            task,
            finder: Finder::Part { lines: spec.has_lines(), entries: part.into_entries() },
            ends: Ends::one(remote),
            staging: None,
            shares: shares.clone(),
            progress: Arc::new(Progress::new(lanes)),
            options: options.clone(),
            durable: None,
            earlier,
            ask: None,
            engine: self.engine.clone(),
        })
    }
}

/// Runs one part of a job, as [`Crew::run`] does: the process needs to know nothing else of the job. Who runs several
/// keeps a crew instead.
///
/// # Errors
/// [`JobError`]: the part is not one of this job, or cannot be run here. Nothing was done.
pub fn run_part(
    spec: &Spec,
    part: Part,
    credential: Credential,
    here: JobOptions,
    stop: &StopHandle,
    tell: impl FnMut(Event),
) -> Result<PartRun, JobError> {
    Crew::open(spec, credential, here)?.run(part, stop, tell)
}

/// What the job changes of its blobs.
fn change_of(work: &SpecWork) -> Option<&PropertyChange> {
    if let SpecWork::SetProperties(change) = work { Some(change) } else { None }
}
