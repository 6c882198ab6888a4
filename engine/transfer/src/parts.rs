//! A job in parts: its objects are found here, and transferred by processes that know no more than a spec and a part.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use azuring_azure::{BlobProperties, BlobUrl, Credential};
use azuring_job::choices::Symlinks;
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::job_error::JobError;
use azuring_job::options::{ContentTypePolicy, JobOptions};
use azuring_job::outcome::{Done, Event, Outcome, Report, TransferId};
use azuring_job::part::{MAX_TRANSFERS, Part, PartEnd, PartOutcome, PartOutcomes};
use azuring_job::progress::Progress;
use azuring_job::spec::{Spec, SpecWork};
use azuring_job::verdict::StopHandle;
use azuring_lane::budget;
use azuring_lane::descriptors::{Needs, Opens};
use azuring_lane::end::End;
use azuring_lane::ends::{Ends, RemoteEnd};
use azuring_lane::shared::{Earlier, Shared};
use azuring_lane::task::change::{Remove, SetProperties};
use azuring_lane::task::upload::{Origin, Tree};
use azuring_lane::task::verb::Task;
use azuring_local::{Destination, LocalError};
use azuring_plan::destination::NamingOptions;
use azuring_ring::{SourceDir, probe};

use crate::collector::Crew;
use crate::frame;
use crate::job::{Gone, Job, JobPlan, Verb};
use crate::source::Finder;

/// What [`run_part`] returns: one outcome for each transfer, and the counters of the run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartRun {
    /// How each transfer of the part ended.
    pub outcomes: PartOutcomes,
    /// What was counted, and why the run was stopped if it was.
    pub report: Report,
}

impl Job {
    /// Finds the objects of the job and hands them to `write`, in parts of at most `most` transfers (from 1 to
    /// 10,000), instead of transferring them. Parts come while the source is still being read; the spec is the same
    /// for all of them. Whoever has a spec and a part runs it with [`run_part`], in any order; parts that are
    /// [`Part::is_last`] after the others.
    ///
    /// `write` and `tell` are called on this thread. An error of `write` stops the job. The report says what was
    /// found, and what cannot be transferred at all; where it has a [`Report::fatal`], or was interrupted, there may
    /// be more than the parts tell.
    ///
    /// # Errors
    /// [`JobError::Part`]: a job with a journal, a dry run, or one that reads or writes a stream has no parts.
    /// [`JobError::Spec`]: a secret stands where it would become a part of the spec.
    pub fn parts(
        mut self,
        most: usize,
        stop: &StopHandle,
        mut write: impl FnMut(&Spec, Part) -> io::Result<()>,
        mut tell: impl FnMut(Event),
    ) -> Result<Report, JobError> {
        let refused = |why: &str| Err(JobError::Part(why.to_owned()));
        if !(1..=MAX_TRANSFERS).contains(&most) {
            return refused("a part has from 1 to 10,000 transfers");
        }
        if self.durable.is_some() || self.options.dry_run {
            return refused("a job with a journal, and a dry run, have no parts");
        }
        if self.task.is_of_stream() {
            return refused("a stream has no parts: it is read, or written, by one process");
        }
        // One thread makes the parts, and needs none of an engine's budgets.
        self.shares.truncate(1);
        self.plan.lanes = 1;
        self.engine = None;
        let credential = self.plan.credential.clone();
        let lines = self.finder.directories_among_lines() == Some(true);
        let mut spec: Option<Spec> = None;
        let mut failed = None;
        let mut take = |shared: &Shared, part| {
            let stops = |text: String| {
                shared.session.verdict.stop_for(&Failure::new(FailureKind::Destination, "", text));
            };
            if failed.is_some() {
                return;
            }
            if spec.is_none() {
                match spec_of(shared, &credential, lines) {
                    Ok(made) => spec = Some(made),
                    Err(error) => {
                        stops(error.to_string());
                        failed = Some(error);
                        return;
                    }
                }
            }
            if let Some(spec) = &spec
                && let Err(error) = write(spec, part)
            {
                stops(format!("a part could not be handed over: {error}"));
            }
        };
        let Gone { report, .. } = self.go(stop, Crew::Parts(most, &mut take), &mut tell);
        failed.map_or(Ok(report), Err)
    }
}

/// The spec of a job whose names are decided.
fn spec_of(shared: &Shared, credential: &str, lines: bool) -> Result<Spec, JobError> {
    let session = &shared.session;
    let End::Blob(target) = &session.ends.from().end else {
        return Err(JobError::Part("only jobs of Blob storage are cut into parts".to_owned()));
    };
    let url = target.url();
    let url = match url.raw_path() {
        "" => url.container_url(),
        path => format!("{}/{path}", url.container_url()),
    };
    let work = shared.task.work().map_err(|error| JobError::Part(error.to_string()))?;
    Ok(Spec::new(shared.id, &work, url, credential.to_owned(), lines, &session.options)?)
}

/// Runs a part of a job: does its transfers, and says how each of them ended. The process needs to know nothing else
/// of the job; `credential` is its own, and of `here` counts what is the process's: limits, repeats, the way to the
/// service, an encryption key ([`Spec::options`]).
///
/// One process at a time runs a part. One that may have been run before, and whose outcomes nobody has, is run as
/// [`Part::again`]: then every transfer ends as it would have ended without the interruption, and what is there already
/// is not sent again.
///
/// `tell` hears events as of a job; they are not final: a disk that fails at the end takes back what was done. The
/// outcomes are.
///
/// # Errors
/// [`JobError`]: the part is not one of this job, or cannot be run here. Nothing was done.
pub fn run_part(
    spec: &Spec,
    part: Part,
    credential: Credential,
    here: JobOptions,
    stop: &StopHandle,
    mut tell: impl FnMut(Event),
) -> Result<PartRun, JobError> {
    if part.job() != spec.job() {
        return Err(JobError::Part("the part is one of another job than the spec".to_owned()));
    }
    if part.actions().any(|action| action != spec.action()) {
        return Err(JobError::Part("the part has transfers of another kind than the spec".to_owned()));
    }
    let (number, ids) = (part.number(), part.ids().collect::<Vec<_>>());
    let job = job_of(spec, part, credential, here)?;
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
    let Gone { report, missing, not_kept } = job.go(stop, Crew::Lanes(&mut hear), &mut tell);
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
    Ok(PartRun { outcomes: PartOutcomes::new(spec.job(), number, outcomes), report })
}

/// The job whose objects are those of the part.
fn job_of(spec: &Spec, part: Part, credential: Credential, here: JobOptions) -> Result<Job, JobError> {
    let options = spec.options(here)?;
    budget::check(&options.limits)?;
    if let ContentTypePolicy::Fixed(fixed) = &options.content_type {
        BlobProperties::check_content_type(fixed)?;
    }
    let url = BlobUrl::parse(spec.url())?;
    let work = spec.work()?;
    let opens = match &work {
        SpecWork::Upload { .. } => Opens::Source,
        SpecWork::Download { .. } => Opens::Target,
        SpecWork::Remove | SpecWork::SetProperties(_) => Opens::Nothing,
    };
    let needs = Needs { opens, tls: url.endpoint().tls, login: false };
    let mut split = needs.split(budget::shares(&options, false)?)?;
    let shares = std::mem::take(&mut split.shares);
    let (id, place) = (spec.job(), url.to_string());
    let mut change = None;
    let (verb, source, destination, task) = match work {
        SpecWork::Upload { root: root_path, naming } => {
            let not_opened = |error| LocalError::from_io(root_path.clone(), "open", &error);
            let mut root = SourceDir::open(&root_path).map_err(not_opened)?;
            if options.symlinks == Symlinks::Follow {
                root = root.following_links();
            }
            let source = root_path.to_string_lossy().into_owned();
            let task = frame::upload(Origin::Tree(Tree { root, naming, root_path }), &shares);
            (Verb::Upload, source, place, task)
        }
        SpecWork::Download { destination, root, is_null, naming } => {
            let target = if is_null { Destination::Null } else { Destination::Path(destination.clone()) };
            let (target, names) = ((&*destination, target), NamingOptions::default());
            let task = frame::download(target, names, &options, &shares, id, &split);
            task.begin_as(naming, root).map_err(|failure| JobError::Part(failure.to_string()))?;
            let destination = destination.to_string_lossy().into_owned();
            (Verb::Download, place, destination, Task::Download(Box::new(task)))
        }
        SpecWork::Remove => (Verb::Remove, place, String::new(), Task::Remove(Remove::default())),
        SpecWork::SetProperties(changed) => {
            let task = Task::SetProperties(SetProperties::new(changed.clone()));
            change = Some(changed);
            (Verb::SetProperties, place, String::new(), task)
        }
    };
    let (target, tls) = frame::target(url, || Ok(credential), &options, change.as_ref())?;
    let (credential, access) = (target.credential().describe(), frame::access(&task, Side::Source, &options));
    let remote = RemoteEnd::new(End::Blob(Box::new(target)), access, tls, options.crc64);
    let earlier = Earlier { tried: part.was_tried(), begun: Some(spec.begun()) };
    let lanes = shares.len();
    Ok(Job {
        plan: JobPlan {
            id: uuid::Uuid::from_bytes(id).to_string(),
            verb,
            source,
            is_pattern: false,
            destination,
            credential,
            lanes,
            concurrency: shares.iter().map(|share| share.in_flight).sum(),
            scarce: split.notice,
            memory_bytes: options.limits.memory_bytes,
            io: probe(options.io),
            journal: false,
            resumed: earlier.tried,
        },
        id,
        task,
        finder: Finder::Part { lines: spec.has_lines(), entries: part.into_entries() },
        ends: Ends::one(remote),
        shares,
        progress: Arc::new(Progress::new(lanes)),
        options,
        durable: None,
        earlier,
        ask: None,
        engine: None,
    })
}
