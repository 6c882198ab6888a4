//! A crash at every single thing that is asked of the file system, in creating, committing, resuming and shrinking.

use azuring_journal::{Jobs, JournalError, State};
use fastrand::Rng;

use crate::machine::{Leaves, Machine};
use crate::model::{DESCRIPTION, ID, Model};

/// How far a job came before the crash.
#[derive(Default)]
struct Reached {
    /// What the job was told is durable.
    durable: Option<Model>,
    /// What it was about to make durable.
    begun: Option<Model>,
    is_resumed: bool,
    /// How many requests there were before it was to be shrunk.
    shrinking: Option<usize>,
    is_shrunk: bool,
}

/// A job from its creation to its shrinking, with a pause in it.
fn run(machine: &Machine, jobs: &Jobs, reached: &mut Reached) -> Result<(), JournalError> {
    let mut random = Rng::with_seed(40);
    let mut model = Model::default();
    reached.begun = Some(model.clone());
    let mut journal = jobs.create(ID, DESCRIPTION)?;
    for round in 0..6 {
        reached.durable = Some(model.clone());
        if round == 3 {
            drop(journal);
            machine.leave_torn(&jobs.directory(ID).join("journal"), &[7; 50]);
            journal = jobs.resume(ID)?.1;
            reached.is_resumed = true;
        }
        (0..4).for_each(|_| model.say(&journal, &mut random, 6));
        if round == 5 {
            let mut entry = journal.write()?;
            for number in 0..model.transfers.len() as u64 {
                if model.transfers[number as usize].state == State::Pending {
                    model.end(&mut entry, number, State::Done, b"");
                }
            }
            entry.scanned();
            model.scanned = true;
            entry.summary(b"ended")?;
            model.summary = Some(b"ended".to_vec());
        }
        reached.begun = Some(model.clone());
        journal.commit()?;
    }
    drop(journal);
    reached.durable = Some(model.clone());
    reached.shrinking = Some(machine.requests());
    jobs.shrink(ID)?;
    reached.is_shrunk = true;
    Ok(())
}

/// What is left of a model whose job was shrunk.
fn shrunk(mut model: Model) -> Model {
    let mut kept = Vec::new();
    let mut large = std::collections::BTreeMap::new();
    for (number, transfer) in model.transfers.into_iter().enumerate() {
        if matches!(transfer.state, State::Failed(_)) {
            if let Some(known) = model.large.remove(&(number as u64)) {
                large.insert(kept.len() as u64, known);
            }
            kept.push(transfer);
        }
    }
    (model.transfers, model.large, model.cursor) = (kept, large, None);
    model
}

/// Runs a job on a machine that stops; says whether all that was durable is there, and nothing else. `None`: it does
/// not stop.
fn survives(after: usize, leaves: Leaves, ignores: Option<usize>) -> Option<Result<(), &'static str>> {
    let machine = Machine::new(after, leaves, ignores);
    let mut reached = Reached::default();
    if run(&machine, &machine.jobs(), &mut reached).is_ok() {
        if machine.requests() + 1 < after {
            return None;
        }
        machine.stop();
    }
    machine.restart();
    Some(stands(&machine.jobs_after_it(), &reached, leaves))
}

/// Whether a job stands as it may after it reached so much.
fn stands(jobs: &Jobs, reached: &Reached, leaves: Leaves) -> Result<(), &'static str> {
    let (recovered, journal) = match jobs.resume(ID) {
        Ok(resumed) => resumed,
        Err(JournalError::NoSuchJob(_)) if reached.durable.is_none() => return Ok(()),
        Err(JournalError::NoSuchJob(_)) => return Err("the job is gone"),
        Err(_) => return Err("the job is damaged"),
    };
    // The job goes on.
    let listed = journal.write().unwrap().transfer(b"after the crash", b"").unwrap();
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.read(ID).unwrap().parts(), 1);
    let counts = recovered.counts();
    if counts.found > listed {
        // It is shrunk; counts are those of all transfers.
        let Some(model) = reached.durable.clone().filter(|_| reached.shrinking.is_some()) else {
            return Err("shrunk too early");
        };
        let found = model.transfers.len() as u64;
        let kept = shrunk(model);
        let is_right = counts.found == found
            && counts.failed == kept.transfers.len() as u64
            && recovered.summary() == kept.summary.as_deref();
        return is_right.then_some(()).ok_or("shrunk too much");
    }
    if reached.is_shrunk {
        return Err("it is no longer shrunk");
    }
    if leaves == Leaves::Nothing && reached.is_resumed && recovered.cut_off() > 0 {
        return Err("what was cut off came back");
    }
    let found = Some(Model::of(&recovered));
    let is_right = found == reached.durable || found == reached.begun;
    is_right.then_some(()).ok_or("what was durable is not there")
}

#[test]
fn after_a_crash_anywhere_the_job_stands_as_after_a_commit() {
    for leaves in [Leaves::Everything, Leaves::Names, Leaves::Nothing] {
        let mut points = 0;
        while let Some(result) = survives(points + 1, leaves, None) {
            points += 1;
            assert_eq!(result, Ok(()), "request {points}, {leaves:?}");
        }
        println!("{points} crash points, {leaves:?} left");
        assert!(points > 25, "{points}");
    }
}

#[test]
fn each_sync_is_needed_and_is_missed_when_it_is_left_out() {
    let machine = Machine::new(usize::MAX, Leaves::Nothing, None);
    let mut reached = Reached::default();
    run(&machine, &machine.jobs(), &mut reached).unwrap();
    let (syncs, shrinking) = (machine.syncs(), reached.shrinking.unwrap());
    let is_missed = |sync: usize| {
        (sync + 1..)
            .map_while(|after| survives(after, Leaves::Nothing, Some(sync)))
            .any(|result| result.is_err())
    };
    let not_missed: Vec<usize> = syncs.iter().copied().filter(|sync| !is_missed(*sync)).collect();
    // Nobody knows of a shrunk journal's records before the last one, whose sync is for all of them.
    let records: Vec<usize> = syncs.iter().copied().filter(|sync| *sync > shrinking).collect();
    assert_eq!(not_missed, records[..records.len() - 2], "{syncs:?}");
}

#[test]
fn a_shrunk_job_keeps_its_failures_counts_and_words_and_can_go_on() {
    let machine = Machine::new(usize::MAX, Leaves::Everything, None);
    let jobs = machine.jobs();
    let mut reached = Reached::default();
    run(&machine, &jobs, &mut reached).unwrap();
    let model = reached.durable.unwrap();
    let kept = shrunk(model.clone());
    let failed = kept.transfers.len() as u64;
    assert!(failed > 0 && failed < model.transfers.len() as u64);
    let (recovered, journal) = jobs.resume(ID).unwrap();
    let counts = recovered.counts();
    let of = |state: fn(&State) -> bool| model.transfers.iter().filter(|t| state(&t.state)).count() as u64;
    assert_eq!(counts.found, model.transfers.len() as u64);
    assert_eq!(counts.done, of(|state| *state == State::Done));
    assert_eq!(counts.skipped, of(|state| matches!(state, State::Skipped(_))));
    assert_eq!((counts.failed, counts.pending()), (failed, 0));
    assert_eq!(recovered.summary(), Some(&b"ended"[..]));
    assert_eq!(recovered.description(), DESCRIPTION);
    assert!(recovered.scanned());
    let mut part = recovered.part(0).unwrap();
    let mut entry = journal.write().unwrap();
    for expected in &kept.transfers {
        let transfer = part.next().unwrap().unwrap();
        assert_eq!((transfer.name, transfer.facts), (&expected.name[..], &expected.facts[..]));
        assert_eq!((transfer.state, transfer.failure), (expected.state, expected.failure.as_deref()));
        let large =
            recovered.large(transfer.number).map(|l| (l.facts.clone(), l.pieces.iter().flatten().collect()));
        assert_eq!(large, kept.large.get(&transfer.number).cloned());
        entry.done(transfer.number);
    }
    assert_eq!(part.next().unwrap(), None);
    let mut problems = Vec::new();
    recovered.problems(|reason, text| problems.push((reason, text.to_vec()))).unwrap();
    assert_eq!(problems, kept.problems);
    assert_eq!([0, 1, 2].map(|counter| recovered.counter(counter)), model.counters);
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), Err(JournalError::NotFinished(ID)), "it was opened again");
    let (recovered, journal) = jobs.resume(ID).unwrap();
    assert_eq!((recovered.counts().done, recovered.counts().failed), (counts.done + failed, 0));
    journal.write().unwrap().summary(b"ended again").unwrap();
    journal.commit().unwrap();
    drop(journal);
    jobs.shrink(ID).unwrap();
    let recovered = jobs.read(ID).unwrap();
    assert_eq!((recovered.counts().done, recovered.parts()), (counts.done + failed, 0));
    assert_eq!(recovered.summary(), Some(&b"ended again"[..]));
}

#[test]
fn a_job_that_has_not_ended_is_not_shrunk() {
    let state = tempfile::tempdir().unwrap();
    let jobs = Jobs::new(state.path());
    let not_finished = Err(JournalError::NotFinished(ID));
    let journal = jobs.create(ID, DESCRIPTION).unwrap();
    assert_eq!(jobs.shrink(ID), Err(JournalError::InUse(ID)));
    let mut entry = journal.write().unwrap();
    let number = entry.transfer(b"a", b"").unwrap();
    entry.summary(b"stopped").unwrap();
    drop(entry);
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), not_finished, "the scan has not ended");
    let journal = jobs.resume(ID).unwrap().1;
    journal.write().unwrap().scanned();
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), not_finished, "a transfer is pending");
    let journal = jobs.resume(ID).unwrap().1;
    journal.write().unwrap().done(number);
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), not_finished, "there is no summary of that");
    let journal = jobs.resume(ID).unwrap().1;
    journal.write().unwrap().summary(b"ended").unwrap();
    journal.commit().unwrap();
    drop(journal);
    assert_eq!(jobs.shrink(ID), Ok(()));
}
