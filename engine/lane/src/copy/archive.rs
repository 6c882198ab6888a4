//! Copies out of the archive. Nothing can read there but Copy Blob, which takes hours and is charged, so a job has to
//! ask for it by naming a tier.

use std::sync::atomic::Ordering;

use azuring_azure::CopyStatus;
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_job::outcome::SkippedKind;
use azuring_ring::FileRing;

use crate::lane::context::{Ended, Lane};
use crate::put::place::Place;
use crate::put::whole::{self, Verdict};
use crate::task::copy::Copying;

use super::source::NotCopied;
use super::within::{
    Asked, Copy, Current, Found, Only, Taken, another, is_leaving_archive, is_one_account, obstacle,
};

/// Has the service copy a blob of the archive to the tier that the job names.
pub(super) async fn object<R: FileRing>(
    lane: &Lane<R>,
    task: &Copying,
    item: &BlobItem,
    place: &Place<'_>,
) -> Result<Ended, NotCopied> {
    let (session, object) = (lane.session(), item.object());
    let refused = |text: &str, advice: &str| {
        let mut failure = Failure::new(FailureKind::Source, &object, text);
        failure.side = Some(Side::Source);
        NotCopied::Failed(Box::new(failure.advise_anew(advice)))
    };
    let wanted = session.options.properties.tier.as_deref().filter(|tier| *tier != "Archive");
    let Some(tier) = wanted else {
        return Err(refused(
            "the source is in the archive, where nobody can read it",
            "with --block-blob-tier=Hot, Cool or Cold the service copies it to that tier, which takes hours and costs \
             what reading the archive costs; or set its tier and wait some hours",
        ));
    };
    if let Some(obstacle) = obstacle(session) {
        let text = format!("the source is in the archive, and only Copy Blob can copy it: {obstacle}");
        return Err(refused(&text, "change that, or set the source's tier and wait some hours"));
    }
    let copy = Copy::new(lane, item, place)?;
    let mtime_ns = i128::from(item.entry.facts.last_modified) * 1_000_000_000;
    // Asked before anything is done; what an earlier run of the job has made is done.
    let verdict = whole::verdict(lane, place, mtime_ns, u64::MAX).await.map_err(NotCopied::Failed)?;
    let kept = |kind| Ok(Ended::Skipped(kind));
    let (mut only, only_new) = (Only::New, matches!(verdict, Verdict::Write { only_new: true }));
    if let Verdict::Keep { kind, .. } = verdict {
        return match copy.found(false, &only).await? {
            Found::Copy(current) => made(&copy, task, current, tier).await,
            _ => kept(kind),
        };
    }
    loop {
        let current = match copy.ask(only.clone()).await? {
            Asked::Begun(begun) => copy.record(begun).await?,
            Asked::NoWay(gave_up) => {
                let mut failure = copy.refused(gave_up);
                if !is_one_account(session) {
                    failure.advice = Some(
                        "between accounts the service copies out of the archive only inside one region, if at all: \
                         copy the blob inside its account first, or set its tier and wait some hours"
                            .to_owned(),
                    );
                }
                return Err(NotCopied::Failed(failure));
            }
            Asked::Exists { maybe_ours } => match (copy.found(maybe_ours, &only).await?, &only) {
                (Found::Copy(current), _) => current,
                (Found::Maybe(_), _) => return Err(NotCopied::Failed(another(&object))),
                (Found::Stale(_) | Found::Other(_), _) if only_new => return kept(SkippedKind::Exists),
                (Found::Stale(Current { etag: Some(etag), .. }) | Found::Other(Some(etag)), Only::New) => {
                    only = Only::Tag(etag);
                    continue;
                }
                (Found::Other(None), Only::New) => {
                    only = Only::Any;
                    continue;
                }
                _ => return Err(NotCopied::Failed(another(&object))),
            },
        };
        return made(&copy, task, current, tier).await;
    }
}

/// Waits for a copy out of the archive: it is made when the service has promised it, and can be read hours later.
async fn made<R: FileRing>(
    copy: &Copy<'_, R>,
    task: &Copying,
    mut current: Current,
    tier: &str,
) -> Result<Ended, NotCopied> {
    if current.status == CopyStatus::Pending && current.state.is_none() {
        let state = copy.look().await.map_err(|gave_up| NotCopied::Failed(copy.refused(gave_up)))?;
        if state.id.as_deref() == Some(&*current.id) {
            current.status = state.status.unwrap_or(current.status);
            current.state = Some(state);
        }
    }
    let current = copy.wait(current).await?;
    let is_made = current.status == CopyStatus::Success || is_leaving_archive(&current);
    if !is_made {
        let mut failure = copy.not_made(&current);
        if let Taken::Left(left) = copy.take_back(&current).await {
            left.tell(&mut failure);
        }
        return Err(NotCopied::Failed(failure));
    }
    if current.status == CopyStatus::Success {
        copy.check(current).await.map_err(NotCopied::Failed)?;
    }
    if !task.told_of_archive.swap(true, Ordering::SeqCst) {
        copy.lane.notice(&format!(
            "blobs of the archive were copied to {tier}: it takes some hours until the copies can be read \
             (azuring list --properties=ArchiveStatus tells), and the sources have to stay until then"
        ));
    }
    Ok(copy.done())
}
