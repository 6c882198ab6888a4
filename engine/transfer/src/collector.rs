//! Brings what the lanes report to the caller, and counts.

use azuring_job::failure::FailureKind;
use azuring_job::messages::Message;
use azuring_job::outcome::{Counts, Done, Entity, Event, Outcome, SkippedKind};
use azuring_job::part::Part;
use azuring_lane::shared::Shared;
use crossbeam::channel::Receiver;

/// Who does what is found.
pub(crate) enum Hands<'a> {
    /// The lanes.
    Lanes(Listen<'a>),
    /// Others, who are handed parts.
    Parts {
        /// Transfers of a part at most.
        most: usize,
        /// The number of the first one.
        first: u32,
        take: &'a mut dyn FnMut(&Shared, Part),
        listen: Listen<'a>,
    },
}

/// Hears how each transfer ended, before it is told.
pub(crate) type Listen<'a> = &'a mut dyn FnMut(&[Outcome]);

/// Reads messages until every sender is gone; hands outcomes and parts to `hands`, calls `tell` for each event; returns
/// the exact counts, those of earlier runs included, and how many failures are final; `kinds` are those of failures
/// that are counted there. What it reads is in the journal before it is told.
pub(crate) fn collect(
    messages: &Receiver<Message>,
    shared: &Shared,
    (before, mut kinds): (Counts, Vec<FailureKind>),
    hands: &mut Hands<'_>,
    mut tell: impl FnMut(Event),
) -> (Counts, u64, Vec<FailureKind>) {
    let progress = &shared.session.progress;
    let (mut counts, mut finals) = (before, 0);
    let mut seen = |kind| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    for message in messages {
        match message {
            Message::Outcomes(outcomes) => {
                if let Some(durable) = &shared.durable
                    && let Err(failure) = durable.ended(&outcomes)
                {
                    // Whoever goes on with the job does them again.
                    shared.session.verdict.stop_for(&failure);
                }
                match hands {
                    Hands::Lanes(listen) | Hands::Parts { listen, .. } => listen(&outcomes),
                }
                for outcome in outcomes {
                    let is_folder = outcome.entity == Entity::Folder;
                    counts.bytes_found += outcome.length;
                    match outcome.result {
                        Ok(Done::Whole) => {
                            *(if is_folder { &mut counts.folders_done } else { &mut counts.done }) += 1;
                            counts.bytes += outcome.bytes;
                            tell(Event::Done(outcome));
                        }
                        Ok(Done::Skipped(kind)) => {
                            counts.skipped_existing += 1;
                            let (transfer, bytes) = (outcome.object.unwrap_or_default(), outcome.length);
                            tell(Event::Skipped { transfer, bytes, kind });
                        }
                        Err(failure) => {
                            *(if is_folder { &mut counts.folders_failed } else { &mut counts.failed }) += 1;
                            finals += u64::from(failure.is_final);
                            seen(failure.kind);
                            tell(Event::Failed(*failure));
                        }
                    }
                }
            }
            Message::Part(part) => {
                if let Hands::Parts { take, .. } = hands {
                    take(shared, *part);
                }
            }
            Message::Event(event) => {
                match &event {
                    Event::Failed(failure) => {
                        counts.problems += 1;
                        seen(failure.kind);
                    }
                    Event::Skipped { kind: SkippedKind::Symlink, .. } => counts.skipped_symlinks += 1,
                    Event::Skipped { .. } => counts.skipped_special += 1,
                    _ => {}
                }
                tell(event);
            }
        }
    }
    progress.count(&mut counts);
    (counts, finals, kinds)
}
