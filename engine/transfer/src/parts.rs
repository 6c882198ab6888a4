//! A job in parts: its objects are found here, and transferred by crews that know no more than a spec and a part.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use azuring_job::failure::{Failure, FailureKind};
use azuring_job::job_error::JobError;
use azuring_job::outcome::{Event, Outcome, Report, TransferId};
use azuring_job::part::{MAX_TRANSFERS, Part, PartEnd, PartOutcome, PartOutcomes};
use azuring_job::spec::{Spec, SpecWork};
use azuring_job::verdict::StopHandle;
use azuring_lane::end::End;
use azuring_lane::shared::Shared;
use azuring_lane::task::verb::Task;

use crate::collector::Hands;
use crate::job::{Gone, Job, Standing};
use crate::source::Finder;

impl Job {
    /// Finds the objects of the job and hands them to `write`, in parts of at most `most` transfers (from 1 to 10,000),
    /// instead of transferring them. Parts come while the source is still being read; the spec is the same for all of
    /// them. Whoever has a spec and parts runs them with a [`Crew`](crate::Crew), in any order; parts that are
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
        self.makes_parts(most)?;
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
                stops(not_handed_over(&error));
            }
        };
        let hands = Hands::Parts { most, first: 0, take: &mut take, listen: &mut |_| {} };
        let Gone { report, .. } = self.go(stop, &mut Standing::default(), hands, &mut tell);
        failed.map_or(Ok(report), Err)
    }

    /// Finds what is below the names that are no blobs ([`PartEnd::NoBlob`]), and hands it to `write` in further parts
    /// of the job. The job is built as the one whose parts were made: with the same list, filter and options.
    ///
    /// `parts` are all that were made before, with their outcomes: new ones have the numbers after theirs. Those that
    /// come here are handed out when this has returned, since a call that is repeated makes the same numbers again.
    /// What is found here are blobs: it needs no third call.
    ///
    /// # Errors
    /// As [`Job::parts`]; also where `spec` is one of another job, or this one has no list.
    pub fn parts_below(
        mut self,
        spec: &Spec,
        parts: impl IntoIterator<Item = (Part, PartOutcomes)>,
        most: usize,
        stop: &StopHandle,
        mut write: impl FnMut(Part) -> io::Result<()>,
        mut tell: impl FnMut(Event),
    ) -> Result<PartsBelow, JobError> {
        let refused = |why: &str| Err(JobError::Part(why.to_owned()));
        self.makes_parts(most)?;
        let Finder::Remote(source) = &self.finder else { return refused("only blobs have names below them") };
        if self.directories() != Some(true) || url_of(&self.ends.from().end)? != spec.url() {
            return refused("the spec is one of another job, or the job has no list with directories");
        }
        let (source, mut lines, mut next, mut first) = (Arc::clone(source), Vec::new(), 0, 0);
        for (part, PartOutcomes { job, part: number, outcomes, .. }) in parts {
            if [part.job(), job] != [spec.job(); 2] || number != part.number() {
                return refused("a part, or its outcomes, are of another job or part");
            }
            first = first.max(number + 1);
            next = part.ids().map(|id| id.number() + 1).fold(next, u64::max);
            let no_blob = |end: &PartOutcome| (end.end == PartEnd::NoBlob).then_some(end.id);
            let none: HashSet<TransferId> = outcomes.iter().filter_map(no_blob).collect();
            lines.extend(part.into_entries().into_iter().filter(|entry| none.contains(&entry.id)));
        }
        if let (Task::Download(task), SpecWork::Download { root, naming, .. }) = (&self.task, spec.work()?) {
            task.begin_as(naming, root).map_err(|failure| JobError::Part(failure.to_string()))?;
        }
        self.id = spec.job();
        let ids: Vec<TransferId> = lines.iter().map(|line| line.id).collect();
        self.finder = Finder::Below { source, lines, first: next };
        let mut failed = HashMap::new();
        let mut take = |shared: &Shared, part| {
            if let Err(error) = write(part) {
                let failure = Failure::new(FailureKind::Destination, "", not_handed_over(&error));
                shared.session.verdict.stop_for(&failure);
            }
        };
        let mut listen = |outcomes: &[Outcome]| {
            let failure = |outcome: &Outcome| Some((outcome.id, outcome.result.clone().err()?));
            failed.extend(outcomes.iter().filter_map(failure));
        };
        let hands = Hands::Parts { most, first, take: &mut take, listen: &mut listen };
        let Gone { report, .. } = self.go(stop, &mut Standing::default(), hands, &mut tell);
        let is_whole = report.fatal.is_none() && !report.interrupted;
        let mut end = |id| match failed.remove(&id) {
            Some(failure) => PartEnd::Failed(failure),
            None if is_whole => PartEnd::Done,
            None => PartEnd::NoBlob,
        };
        let lines = ids.into_iter().map(|id| PartOutcome::new(id, 0, end(id))).collect();
        Ok(PartsBelow { lines, report })
    }

    /// Whether its list may name directories.
    fn directories(&self) -> Option<bool> {
        self.finder.directories_among_lines()
    }

    /// Lets one thread make parts, which needs none of an engine's budgets.
    fn makes_parts(&mut self, most: usize) -> Result<(), JobError> {
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
        self.shares.truncate(1);
        self.plan.lanes = 1;
        self.engine = None;
        Ok(())
    }
}

/// What [`Job::parts_below`] comes to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartsBelow {
    /// For each name that was no blob, what takes the place of its outcome: done, since it is a directory all of which
    /// is in parts now, or failed, since there is nothing.
    pub lines: Vec<PartOutcome>,
    /// What was found. Where it has a [`Report::fatal`], or was interrupted, there may be more than the parts tell:
    /// then the names stay what they were, and this is done again.
    pub report: Report,
}

fn not_handed_over(error: &io::Error) -> String {
    format!("a part could not be handed over: {error}")
}

/// Where a job of Blob storage goes, as a spec has it.
fn url_of(end: &End) -> Result<String, JobError> {
    let End::Blob(target) = end else {
        return Err(JobError::Part("only jobs of Blob storage are cut into parts".to_owned()));
    };
    let url = target.url();
    Ok(match url.raw_path() {
        "" => url.container_url(),
        path => format!("{}/{path}", url.container_url()),
    })
}

/// The spec of a job whose names are decided.
fn spec_of(shared: &Shared, credential: &str, lines: bool) -> Result<Spec, JobError> {
    let session = &shared.session;
    let url = url_of(&session.ends.from().end)?;
    let work = shared.task.work().map_err(|error| JobError::Part(error.to_string()))?;
    Ok(Spec::new(shared.id, &work, url, credential.to_owned(), lines, &session.options)?)
}
