//! The planner: pulls the objects of a source, records them and hands them to the lanes in batches.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use azuring_job::durable::{Before, FoundAgain, Key, LocalPosition, Notes, RemotePosition, Resumed, With};
use azuring_job::entry::Entry;
use azuring_job::entry::Found;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::messages::Message;
use azuring_job::outcome::{Entity, Event, Outcome, SkippedKind, Transfer, TransferId};
use azuring_job::progress::add;
use azuring_lane::lines::Lines;
use azuring_lane::queue::BATCH_FILES;
use azuring_lane::shared::Shared;
use azuring_lane::task::names::plain_name;
use azuring_lane::task::verb::Task;
use crossbeam::channel::Sender;

use crate::scan::{Halt, Met, Scan, keeps};

/// Problems that wait to be recorded with the objects that follow them: with the longest names 4 MB.
const MAX_PROBLEMS: usize = 128;

/// So many positions are not recorded while something is still to be found again: what was inserted into a listing
/// meanwhile moves names from one page to the next ones. What has not come by then is not there any more.
const MAX_HELD: u32 = 64;

/// Takes what scans give.
pub(crate) struct Planner<'a> {
    pub(crate) shared: &'a Shared,
    messages: &'a Sender<Message>,
    batch_size: usize,
    batch: Vec<Found>,
    /// Where a local scan stands behind the last object of the batch.
    place: Option<Vec<u8>>,
    /// Seen before the last object of the batch, and after it.
    notes: Notes,
    after: Notes,
    /// What an earlier run has found already, and positions that were not recorded since.
    again: FoundAgain,
    held: u32,
    /// It is recorded that local names are shorter than those of their blobs.
    collapsed: bool,
    /// Not everything will be found.
    halted: bool,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(shared: &'a Shared, messages: &'a Sender<Message>) -> Self {
        let batch_size = shared.task.batch_size().unwrap_or(BATCH_FILES);
        Self {
            shared,
            messages,
            batch_size,
            batch: Vec::with_capacity(batch_size),
            place: None,
            notes: Notes::default(),
            after: Notes::default(),
            again: FoundAgain::default(),
            held: 0,
            collapsed: false,
            halted: false,
        }
    }

    fn before(&self) -> Option<&'a Before> {
        self.shared.durable.as_ref()?.before.as_ref()
    }

    /// Hands over what an earlier run has found and not done; `false`: there is nothing else to be found, or the job is
    /// stopping. Only when the task has begun.
    pub(crate) fn resume(&mut self) -> bool {
        let Some(before) = self.before() else { return true };
        match self.replay(before) {
            Ok(goes_on) => goes_on && !before.scanned(),
            Err(failure) => {
                self.shared.session.verdict.stop_for(&failure);
                false
            }
        }
    }

    fn replay(&mut self, before: &Before) -> Result<bool, Box<Failure>> {
        let session = &self.shared.session;
        let mut batch = Vec::with_capacity(self.batch_size);
        let mut goes_on = true;
        before.todo(|resumed| {
            match resumed {
                Resumed::Todo(id, found) => batch.push(Entry { id, found }),
                Resumed::Failed(id, found, failure) => self.fails(Entry { id, found }, Box::new(failure)),
                Resumed::Refused(id, failure) => self.tell_refused(id, failure),
            }
            if batch.len() >= self.batch_size {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(self.batch_size));
                goes_on = self.shared.queue.push(full, &session.verdict);
            }
            goes_on
        })?;
        if goes_on && !batch.is_empty() {
            goes_on = self.shared.queue.push(batch, &session.verdict);
        }
        if !before.scanned() {
            self.again = before.found_again()?;
        }
        Ok(goes_on)
    }

    /// Where the scan of a local source goes on, if it does.
    pub(crate) fn local_position(&self) -> Option<LocalPosition> {
        LocalPosition::decode(self.before()?.position()?)
    }

    /// The same of a remote source.
    pub(crate) fn remote_position(&self) -> Option<RemotePosition> {
        RemotePosition::decode(self.before()?.position()?)
    }

    fn is_known(&mut self, key: &Key) -> bool {
        let Some(left) = self.again.get_mut(key) else { return false };
        *left -= 1;
        if *left == 0 {
            self.again.remove(key);
        }
        true
    }

    /// Whether an earlier run has found the object behind the position from which the scan goes on.
    fn finds_again(&mut self, found: &Found) -> bool {
        !self.again.is_empty() && self.is_known(&Key::of(found))
    }

    /// Lets the blobs of an earlier run have their local names again.
    fn claim_again(&self) -> Result<(), Box<Failure>> {
        let (Some(before), Task::Download(task)) = (self.before(), &self.shared.task) else { return Ok(()) };
        if !before.collapsed() {
            return Ok(());
        }
        // Those whose local names are shorter than their own come first, so that it is known which names are at stake;
        // then who of each was found first.
        let mut shorter = HashMap::new();
        before.blobs(|blob| {
            if let Some(plain) = plain_name(blob) {
                shorter.entry(plain).or_insert_with(|| blob.clone());
            }
        })?;
        before.blobs(|blob| {
            if let Some(other) = shorter.get(&blob.entry.name) {
                task.leaves_to(other, blob.entry.name.clone());
            }
            task.claims(blob);
        })
    }

    /// There are blobs whose local names are shorter than their own: recorded before them, so that the job knows it
    /// whenever it goes on. `false`: the job is stopping.
    pub(crate) fn has_collapsed(&mut self) -> bool {
        if std::mem::replace(&mut self.collapsed, true) {
            return true;
        }
        let notes = Notes { collapsed: true, ..Notes::default() };
        let noted = self.shared.durable.as_ref().map_or(Ok(()), |durable| durable.note(&notes));
        if let Err(failure) = &noted {
            self.shared.session.verdict.stop_for(failure);
        }
        noted.is_ok()
    }

    /// Takes all that a scan gives, until the job stops. `between` comes whenever a scan whose places are few stands at
    /// one.
    pub(crate) async fn pull<S: Scan>(
        &mut self,
        scan: &mut S,
        mut between: impl AsyncFnMut(&mut Self) -> Result<(), Halt>,
    ) {
        let mut met = Vec::with_capacity(self.batch_size);
        loop {
            let room = self.batch_size - self.batch.len();
            let more = scan.next(room, &mut met).await;
            debug_assert!(keeps(scan.order(), &met), "{:?} {met:?}", scan.order());
            let mut place = None;
            if !S::STANDS_EVERYWHERE {
                place = scan.position();
            } else if self.shared.durable.is_some() {
                self.place = scan.position();
            }
            // All of it, also when the job stops: the scan stands behind it.
            let mut goes_on = true;
            for met in met.drain(..) {
                goes_on &= self.take(met);
            }
            match more {
                Err(Halt::Failed(failure)) => return self.halt(*failure),
                Err(Halt::Stopping) => return,
                Ok(_) if !goes_on => return,
                Ok(_) => {}
            }
            if let Some(place) = place
                && (!self.stands(&place) || between(self).await.is_err())
            {
                return;
            }
            if let Ok(false) = more {
                return;
            }
        }
    }

    /// Takes what a scan has met; `false`: the job is stopping.
    fn take(&mut self, met: Met) -> bool {
        match met {
            Met::Object(found) => self.finds_again(&found) || self.push(found),
            Met::Refused(failure) => self.refuse(*failure),
            Met::Unfit(unfit) => self.finds_again(&unfit.0) || self.refuse(unfit.1),
            Met::Collapsed => self.has_collapsed(),
            Met::Begins => match self.claim_again() {
                Ok(()) => self.resume(),
                Err(failure) => {
                    self.halt(*failure);
                    false
                }
            },
            Met::Problem(failure) => self.fail(*failure),
            Met::Skipped(found, kind) => {
                self.skip(self.shared.task.transfer(&self.shared.session, &found), kind)
            }
            Met::Notice(text) => self.notice(text),
        }
    }

    /// Hands over an object; `false`: the job is stopping.
    fn push(&mut self, found: Found) -> bool {
        if !self.after.is_empty() {
            self.notes.add(std::mem::take(&mut self.after));
        }
        self.batch.push(found);
        self.batch.len() < self.batch_size || self.flush()
    }

    /// Everything of a remote source before `position` was handed over; `false`: the job is stopping.
    fn stands(&mut self, position: &[u8]) -> bool {
        if self.shared.durable.is_none() {
            return true;
        }
        // A list has to be the same.
        let is_list = || RemotePosition::decode(position).is_some_and(|position| position.lines > 0);
        if !self.again.is_empty() && (self.held < MAX_HELD || is_list()) {
            self.held += 1;
            return self.flush();
        }
        self.again.clear();
        self.notes.add(std::mem::take(&mut self.after));
        let found = std::mem::replace(&mut self.batch, Vec::with_capacity(self.batch_size));
        self.hand_over(found, Some(position))
    }

    /// Tells of an object that was asked for by name and cannot be transferred; `false`: the job is stopping.
    fn refuse(&mut self, failure: Failure) -> bool {
        if !self.again.is_empty() && self.is_known(&Key::of_refused(failure.object.as_bytes())) {
            return true;
        }
        if self.shared.durable.is_some() {
            // In their order.
            self.flush();
        }
        match self.shared.number_refused(&failure) {
            Ok(id) => {
                self.shared.session.progress.found.fetch_add(1, Ordering::SeqCst);
                self.tell_refused(id, failure);
            }
            Err(broken) => self.shared.session.verdict.stop_for(&broken),
        }
        !self.shared.session.verdict.stopping()
    }

    fn tell_refused(&self, id: TransferId, failure: Failure) {
        let result = Err(Box::new(failure));
        let outcome = Outcome::new(id, Entity::File, result);
        let _ = self.messages.send(Message::Outcomes(vec![outcome]));
    }

    /// Tells of something that cannot be read; `false`: the job is stopping.
    fn fail(&mut self, failure: Failure) -> bool {
        if self.shared.durable.is_some() {
            self.after.problems.push(failure.clone());
        }
        let goes_on = self.tell(Event::Failed(failure));
        let waiting = self.notes.problems.len() + self.after.problems.len();
        goes_on && (waiting < MAX_PROBLEMS || self.record_notes())
    }

    /// Records what was seen, whether or not objects follow.
    fn record_notes(&mut self) -> bool {
        self.notes.add(std::mem::take(&mut self.after));
        let notes = std::mem::take(&mut self.notes);
        match self.shared.durable.as_ref().map_or(Ok(()), |durable| durable.note(&notes)) {
            Ok(()) => true,
            Err(failure) => {
                self.shared.session.verdict.stop_for(&failure);
                false
            }
        }
    }

    /// Tells of something that is left out; `false`: the job is stopping.
    fn skip(&mut self, transfer: Transfer, kind: SkippedKind) -> bool {
        match kind {
            SkippedKind::Symlink => self.after.symlinks += 1,
            _ => self.after.specials += 1,
        }
        self.tell(Event::Skipped { transfer: Box::new(transfer), bytes: 0, kind })
    }

    /// Tells of something that a person should know; `false`: the job is stopping.
    fn notice(&mut self, text: String) -> bool {
        self.tell(Event::Notice(text))
    }

    /// The source cannot be read any further.
    pub(crate) fn halt(&mut self, failure: Failure) {
        self.halted = true;
        if failure.kind == FailureKind::Interrupted && self.shared.session.verdict.stopping() {
            // Whatever stopped the job is told, and not that it was stopped.
            return;
        }
        if self.shared.nothing_found() {
            self.shared.session.verdict.stop_for(&failure);
        } else {
            self.tell(Event::Failed(failure));
        }
    }

    fn tell(&mut self, event: Event) -> bool {
        // The collector goes away only after the planner.
        let _ = self.messages.send(Message::Event(event));
        !self.shared.session.verdict.stopping()
    }

    fn flush(&mut self) -> bool {
        let found = std::mem::replace(&mut self.batch, Vec::with_capacity(self.batch_size));
        let place = if found.is_empty() { None } else { self.place.take() };
        self.hand_over(found, place.as_deref())
    }

    /// Counts objects before they are handed over, so that nobody sees more done than found.
    pub(crate) fn count<'f>(&self, found: impl Iterator<Item = &'f Found> + Clone) {
        let progress = &self.shared.session.progress;
        let of = |kind| found.clone().filter(|found| found.entity() == kind).count() as u64;
        progress.found_folders.fetch_add(of(Entity::Folder), Ordering::SeqCst);
        progress.found_links.fetch_add(of(Entity::Symlink), Ordering::SeqCst);
        progress.found.fetch_add(found.count() as u64, Ordering::SeqCst);
    }

    /// Counts lines that are known to be no blobs: whoever expands them takes them back.
    pub(crate) fn count_lines(&self) {
        let lines = self.shared.lines.as_ref().map_or(0, Lines::count);
        self.shared.session.progress.found.fetch_add(lines as u64, Ordering::SeqCst);
    }

    /// Gives the objects their numbers and hands them to the lanes.
    fn hand_over(&mut self, found: Vec<Found>, stands: Option<&[u8]>) -> bool {
        if found.is_empty() && stands.is_none() {
            return true;
        }
        let session = &self.shared.session;
        self.count(found.iter());
        if session.options.dry_run {
            let planned = found.into_iter().map(|found| self.shared.task.planned(session, found)).collect();
            return self.tell(Event::Planned(planned));
        }
        let with = match stands {
            Some(position) => With::Position(position, &self.notes),
            None => With::Nothing,
        };
        let numbered = self.shared.number(found, &with);
        if stands.is_some() {
            self.notes = Notes::default();
        }
        let numbered = numbered.and_then(|batch| {
            // What is removed is not found again: whoever goes on has to know of it.
            match (&self.shared.task, &self.shared.durable) {
                (Task::Remove(_), Some(durable)) => durable.commit().map(|()| batch),
                _ => Ok(batch),
            }
        });
        self.hand_on(numbered)
    }

    /// Hands what has its numbers to the lanes.
    pub(crate) fn hand_on(&self, numbered: Result<Vec<Entry>, Box<Failure>>) -> bool {
        let verdict = &self.shared.session.verdict;
        let mut numbered = match numbered {
            Ok(numbered) => numbered.into_iter().peekable(),
            Err(failure) => {
                verdict.stop_for(&failure);
                return false;
            }
        };
        while numbered.peek().is_some() {
            let batch = numbered.by_ref().take(self.batch_size).collect();
            if !self.shared.queue.push(batch, verdict) {
                return false;
            }
        }
        !verdict.stopping()
    }

    /// Hands over what lies below a line of a list; `false`: the job is stopping.
    pub(crate) fn push_below(&mut self, found: Vec<Found>, with: &With<'_>) -> bool {
        self.shared.session.progress.found.fetch_add(found.len() as u64, Ordering::SeqCst);
        self.hand_on(self.shared.number(found, with))
    }

    /// A line of a list is a directory, all of which was handed over: it is no transfer itself.
    pub(crate) fn expanded(&mut self, line: TransferId) -> bool {
        let session = &self.shared.session;
        if let Some(durable) = &self.shared.durable
            && let Err(failure) = durable.expanded(line)
        {
            session.verdict.stop_for(&failure);
            return false;
        }
        session.progress.found.fetch_sub(1, Ordering::SeqCst);
        !session.verdict.stopping()
    }

    /// A transfer has failed before a lane could do it.
    pub(crate) fn not_done(&self, entry: Entry, failure: Box<Failure>) {
        if let Some(outcome) = self.shared.not_done(entry, failure) {
            self.failed(outcome);
        }
    }

    /// It has, and is not tried again.
    fn fails(&self, entry: Entry, failure: Box<Failure>) {
        self.failed(self.shared.failed(entry, failure));
    }

    fn failed(&self, outcome: Outcome) {
        add(&self.shared.session.progress.planner().failed, 1);
        self.report(std::iter::once(outcome));
    }

    /// Everything was found, or the job is stopping.
    pub(crate) fn end(&mut self) {
        self.flush();
        let session = &self.shared.session;
        session.progress.scanned.store(true, Ordering::SeqCst);
        let Some(durable) = &self.shared.durable else { return };
        if !self.halted && !session.verdict.stopping() {
            self.notes.add(std::mem::take(&mut self.after));
            if let Err(failure) = durable.scanned(&self.notes) {
                session.verdict.stop_for(&failure);
            }
        }
    }

    /// Waits until everything that was handed over is done; `false`: the job is stopping.
    pub(crate) fn wait_until_done(&self) -> bool {
        self.shared.queue.wait_until_done(&self.shared.session.verdict)
    }

    /// Tries again what failed, when everything else is done; `false`: there is nothing, or the job is stopping.
    pub(crate) fn next_pass(&mut self) -> bool {
        // Nothing waits, and nobody will be asked for more than there is.
        if self.shared.session.options.retry_failed == 0 || !self.wait_until_done() {
            return false;
        }
        let Some(failed) = self.shared.again.next_pass() else { return false };
        let (n, s) = (failed.len(), if failed.len() == 1 { "" } else { "s" });
        self.tell(Event::Notice(format!("{n} transfer{s} failed: trying again")));
        // What is dropped because the job stops counts as not started.
        self.hand_on(Ok(failed))
    }

    /// What still waits has failed for good.
    pub(crate) fn give_up_the_rest(&mut self) {
        let shared = self.shared;
        let failed = shared.again.close();
        if !failed.is_empty() {
            add(&shared.session.progress.planner().failed, failed.len() as u64);
            self.report(failed.into_iter().map(|(entry, failure)| shared.failed(entry, failure)));
        }
    }

    /// Gives downloaded directories their properties, when nothing is made in them any more.
    pub(crate) fn finish_directories(&self) {
        let (shared, session) = (self.shared, &self.shared.session);
        let Task::Download(task) = &shared.task else { return };
        if session.options.preserve_posix.is_none() || !shared.queue.wait_until_done(&session.verdict) {
            return;
        }
        let outcomes = task.finish_directories();
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count() as u64;
        let counters = session.progress.planner();
        add(&counters.failed, failed);
        add(&counters.done, outcomes.len() as u64 - failed);
        self.report(outcomes.into_iter());
    }

    /// Reports outcomes, as many at a time as a lane does.
    fn report(&self, outcomes: impl Iterator<Item = Outcome>) {
        let mut outcomes = outcomes.peekable();
        while outcomes.peek().is_some() {
            let some = outcomes.by_ref().take(BATCH_FILES).collect();
            let _ = self.messages.send(Message::Outcomes(some));
        }
    }
}
