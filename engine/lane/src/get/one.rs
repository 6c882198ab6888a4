//! One blob: what it is, whether it is wanted, and its first range.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use azuring_azure::BlobFacts;
use azuring_job::choices::{Overwrite, Symlinks};
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::{SkippedKind, TransferId};
use azuring_local::LocalError;
use azuring_plan::name::encode_path;
use azuring_ring::FileRing;
use rustix::fs::{AtFlags, FileType, Stat, statat};

use crate::lane::context::{Ended, Lane};
use crate::lane::driver::drive;
use crate::lane::verify;
use crate::object::blob::LargeBlob;
use crate::object::large::Large;
use crate::object::target::Target;
use crate::requests::request::{Begin, pause_for, request};
use crate::requests::session::Session;
use crate::task::download::{Download, patient};

use super::{file, large, receive, resume};

/// What is asked of a blob of which nothing is known: most that somebody lists by name are small, and memory for a
/// whole range costs eight times what the file costs.
const FIRST_BYTES: u64 = azuring_ring::SMALL_SLOT_BYTES as u64;

/// Downloads one blob.
pub(crate) async fn blob<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    id: TransferId,
    item: &BlobItem,
) -> Result<Ended, Box<Failure>> {
    let result = anew(lane, task, id, item, 0).await;
    let is_over = match &result {
        Ok(Ended::Skipped(_)) => true,
        Err(failure) => failure.is_missing(),
        Ok(_) => false,
    };
    if is_over {
        resume::forget(lane, task, id, item).await;
    }
    result
}

/// Downloads a blob as it is now, having found it changed so many times.
async fn anew<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    id: TransferId,
    item: &BlobItem,
    changes: u32,
) -> Result<Ended, Box<Failure>> {
    let object = item.object();
    let local = task.local_name(item).map_err(|error| Failure::name(&object, &error))?;
    let asked;
    // Of what an earlier run has listed no more is known than that.
    let is_link = item.known == Known::Before && item.entry.facts.is_symlink();
    let item = if item.known == Known::Listed || !(is_link || needs_facts(lane.session())) {
        item
    } else {
        asked = ask(lane, item).await?;
        if leaves_out_link(lane.session(), task, &asked.entry.facts) {
            return Ok(Ended::Skipped(SkippedKind::Symlink));
        }
        &asked
    };
    if let Some(failure) = task.refuses(item) {
        return Err(failure);
    }
    let is_listed = matches!(item.known, Known::Listed | Known::Before);
    let is_empty = item.entry.facts.len == 0 && !item.entry.facts.len_is_unknown;
    let is_stub = local.is_directory() && is_listed && is_empty;
    if item.entry.is_folder() || is_stub {
        let mut made = task.make_directory(lane.links(), &local).await;
        if made.is_err() && task.gives_way(local.as_bytes()) {
            made = task.make_directory(lane.links(), &local).await;
        }
        if !made.map_err(|error| Failure::target(&object, &error))? {
            return Ok(Ended::Done { bytes: 0 });
        }
        if lane.session().options.preserve_posix.is_none() || item.entry.facts.metadata.is_empty() {
            return Ok(Ended::Done { bytes: 0 });
        }
        return file::directory(lane, task, id, item, local).map(|()| Ended::Elsewhere);
    }
    if local.is_directory() {
        let text = "its name ends in a slash and it is not empty: no file can have this name";
        return Err(Box::new(Failure::new(FailureKind::Name, &object, text)));
    }
    if file::is_special(lane.session(), &item.entry.facts) {
        return Ok(Ended::Skipped(SkippedKind::Special));
    }
    let local = file::unpacked_name(lane.session(), item, local);
    let mut target = Target { id, local, names: None, replace: true };
    if task.begun().keeps && !lane.shared.is_lost(id) {
        let kept = patient(lane.links(), async || kept(lane, task, item, &mut target)).await;
        let kept = match kept.map_err(|error| Failure::target(&object, &error))? {
            Kept::Not => None,
            Kept::Stays(kind) => Some(kind),
            Kept::Asks(path) => {
                (!lane.session().replaces(path, &object).await?).then_some(SkippedKind::Exists)
            }
        };
        if let Some(kind) = kept {
            if is_made_before(lane, task, item, &mut target).await {
                return Ok(Ended::Done { bytes: item.entry.facts.len });
            }
            return Ok(Ended::Skipped(kind));
        }
    }
    let facts = &item.entry.facts;
    if item.known == Known::Listed {
        task.open(lane.links(), &mut target, &object).await?;
        if file::is_link(lane.session(), facts) {
            return file::link(lane, task, item, &target).await;
        }
    }
    get(lane, task, item, target, changes).await
}

/// Reads ranges of `large`; completes it if this lane reports the last one.
pub(crate) async fn help<R: FileRing>(lane: &Rc<Lane<R>>, task: &Download, large: Arc<LargeBlob>) {
    if drive(lane, &large).await {
        complete(lane, task, &large).await;
    }
}

/// Completes a blob whose ranges are all reported, and reports its outcome.
async fn complete<R: FileRing>(lane: &Rc<Lane<R>>, task: &Download, large: &LargeBlob) {
    let result = large::complete(lane, task, large).await;
    let is_changed = large.is_changed.load(Ordering::SeqCst);
    let item = BlobItem {
        entry: large.item.entry.clone(),
        relative_at: large.item.relative_at,
        // Whoever tries it again asks what it is now.
        known: if is_changed { Known::Before } else { large.item.known },
    };
    let id = large.target.id;
    let mut ended = result.map(|()| Ended::Done { bytes: large.facts.len });
    // Nothing of it had come: what it is now counts, as of a small blob.
    if is_changed && large.pipe.is_none() && !large.ranges.is_begun() {
        let changes = large.changes + 1;
        if waits_for_peace(lane, changes).await {
            ended = Box::pin(anew(lane, task, id, &item, changes)).await;
        }
    }
    lane.finish(id, Found::Blob(Box::new(item)), ended);
}

/// Waits before a blob that has changed `changes` times while it was asked for is asked for again: not before the first
/// time, and within the policy for repeats. `false`: that was the last time, or the job stops.
pub(crate) async fn waits_for_peace<R: FileRing>(lane: &Lane<R>, changes: u32) -> bool {
    let session = lane.session();
    let policy = &session.options.retry;
    if changes <= 1 {
        return !session.verdict.stopping();
    }
    let pause = policy.first_pause.saturating_mul(1 << (changes - 2).min(16)).min(policy.max_pause);
    changes < policy.max_tries && pause_for(pause, || session.verdict.stopping()).await
}

/// Whether the file that is there is the one that an earlier run has made of this blob and could not record: it was
/// made since the job was begun, and it holds the same bytes.
async fn is_made_before<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    item: &BlobItem,
    target: &mut Target,
) -> bool {
    let (facts, id) = (&item.entry.facts, target.id);
    let options = &lane.session().options;
    if !lane.shared.may_be_resumed(id) || options.overwrite == Overwrite::Ask || options.decompress {
        return false;
    }
    let object = item.object();
    if task.open(lane.links(), target, &object).await.is_err() {
        return false;
    }
    let Some(names) = &target.names else { return false };
    let there = statat(&names.dir, &names.name, AtFlags::SYMLINK_NOFOLLOW);
    let is_recent = |there: Stat| {
        let seconds = u64::try_from(there.st_ctime).unwrap_or_default();
        u64::try_from(there.st_size) == Ok(facts.len)
            && FileType::from_raw_mode(there.st_mode) == FileType::RegularFile
            && lane.shared.is_since_begun(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    };
    there.is_ok_and(is_recent)
        && verify::named_file(
            lane,
            (&encode_path(&item.entry.name), item.which()),
            &names.dir,
            &names.name,
            &object,
        )
        .await
        .is_ok()
}

/// Whether a blob stands for a symbolic link that is not to be made. What was listed was judged there already.
fn leaves_out_link(session: &Session, task: &Download, facts: &BlobFacts) -> bool {
    facts.is_symlink() && !task.is_pipe() && session.options.symlinks != Symlinks::Preserve
}

/// Whether something has to be known of a blob before it is asked for.
fn needs_facts(session: &Session) -> bool {
    let options = &session.options;
    !matches!(options.overwrite, Overwrite::Always) || options.decompress || options.preserve_posix.is_some()
}

/// What is known of a blob that somebody named.
pub(crate) async fn ask<R: FileRing>(lane: &Lane<R>, item: &BlobItem) -> Result<BlobItem, Box<Failure>> {
    let (blob, which) = (encode_path(&item.entry.name), item.which());
    let head = async |_| lane.from().facts(&blob, which).await;
    let asked = request(&lane.reading(), 0, Begin::UnlessStopping, head).await;
    let mut facts = asked.map_err(|gave_up| gave_up.for_object(lane.session(), &item.object()))?;
    if item.known == Known::Named && facts.hdi_isfolder() {
        return Err(is_directory(item));
    }
    let version_id = item.entry.facts.version_id.clone().or(facts.version_id.take());
    let known = if item.known == Known::Version { Known::Version } else { Known::Listed };
    facts.version_id = version_id;
    let mut entry = item.entry.clone();
    entry.facts = facts;
    Ok(BlobItem { entry, relative_at: item.relative_at, known })
}

/// The name in a list is that of a directory's stub: what is below it is meant.
fn is_directory(item: &BlobItem) -> Box<Failure> {
    let mut failure = Failure::new(FailureKind::Missing, &item.object(), "it is a directory");
    failure.status = Some(404);
    Box::new(failure)
}

/// Reads the first range, which for most blobs is all of it.
async fn get<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    item: &BlobItem,
    mut target: Target,
    mut changes: u32,
) -> Result<Ended, Box<Failure>> {
    let object = item.object();
    let blob = encode_path(&item.entry.name);
    // How long one was that an earlier run, or another process, has listed tells how much to ask for at once.
    let expected = if item.known == Known::Before { item.entry.facts.len } else { 0 };
    let expected = if expected > task.range_bytes { 0 } else { expected };
    let mut first_bytes = FIRST_BYTES.max(expected).min(task.range_bytes);
    let mut told;
    // What a listing leaves out is told by the first answer: the length, and the ETag that all ranges are to have.
    let mut listed = (item.known == Known::Listed)
        .then_some(&item.entry.facts)
        .filter(|facts| !facts.len_is_unknown && (facts.etag.is_some() || facts.len <= task.range_bytes));
    loop {
        if let Some(facts) = listed
            && facts.len > task.range_bytes
        {
            let begun = large::begin(lane, task, item, target, facts.clone(), changes).await?;
            let Some(large) = begun else { return Ok(Ended::Done { bytes: facts.len }) };
            if large.ranges.is_complete() {
                complete(lane, task, &large).await;
            } else {
                let large = Arc::new(large);
                if !large.stays_in_one_lane() {
                    lane.offer(&Large::Down(Arc::clone(&large)), large.ranges.count);
                }
                help(lane, task, large).await;
            }
            return Ok(Ended::Elsewhere);
        }
        let range = receive::Range {
            blob: &blob,
            which: item.which(),
            etag: listed.and_then(|facts| facts.etag.as_deref()),
            offset: 0,
            len: listed.map_or(first_bytes, |facts| facts.len),
            whole: listed.map(|facts| facts.len),
            relays: false,
            begin: Begin::UnlessStopping,
        };
        let got = match receive::range(lane, &range).await {
            // It was changed since it was listed: what it is now counts.
            Err(receive::NotReceived::Request(gave_up))
                if gave_up.precondition_failed() && listed.is_some() =>
            {
                changes += 1;
                if !waits_for_peace(lane, changes).await {
                    return Err(large::changed(&object));
                }
                // One answer is of one state: as much as possible of a blob that grows is asked for at once.
                let grown = listed.map_or(0, |facts| facts.len.saturating_mul(2));
                first_bytes = grown.clamp(first_bytes, task.range_bytes);
                listed = None;
                continue;
            }
            got => got.map_err(|failed| failed.for_object(lane.session(), &object))?,
        };
        let receive::Received { parts, facts, .. } = got;
        let facts = match &facts {
            Some(facts) => facts,
            None => listed.expect("what is not listed is told by the answer"),
        };
        if item.known == Known::Named && facts.hdi_isfolder() {
            return Err(is_directory(item));
        }
        if item.known != Known::Listed && leaves_out_link(lane.session(), task, facts) {
            return Ok(Ended::Skipped(SkippedKind::Symlink));
        }
        if item.known != Known::Listed {
            // Not before it is known that there is something to write.
            task.open(lane.links(), &mut target, &object).await?;
        }
        let received: u64 = parts.iter().map(|part| part.len() as u64).sum();
        if received < facts.len {
            // Now it is known how long it is: the few bytes are asked for again, with the rest and of the same state.
            if facts.etag.is_none() && facts.len > task.range_bytes {
                return Err(large::without_etag(&object));
            }
            told = facts.clone();
            listed = Some(&told);
            continue;
        }
        if file::whole(lane, task, item, &target, facts, parts).await? {
            file::verified(lane, (&blob, item.which()), &target, &object).await?;
        }
        return Ok(Ended::Done { bytes: received });
    }
}

/// Whether what the target has stays as it is.
enum Kept {
    Not,
    /// It does, and why.
    Stays(SkippedKind),
    /// Whoever runs the job is asked about this path.
    Asks(String),
}

fn kept<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    item: &BlobItem,
    target: &mut Target,
) -> Result<Kept, LocalError> {
    let overwrite = &lane.session().options.overwrite;
    if matches!(overwrite, Overwrite::Always) {
        return Ok(Kept::Not);
    }
    let Some(tree) = task.tree()? else { return Ok(Kept::Not) };
    let Some(there) = tree.stat(&target.local)? else {
        // Somebody else may make it while it is downloaded.
        target.replace = false;
        return Ok(Kept::Not);
    };
    Ok(match overwrite {
        Overwrite::Always => Kept::Not,
        Overwrite::Never => Kept::Stays(SkippedKind::Exists),
        Overwrite::IfSourceNewer => {
            let modified_ns = i128::from(item.entry.facts.last_modified) * 1_000_000_000;
            if modified_ns <= there.mtime_ns { Kept::Stays(SkippedKind::NotNewer) } else { Kept::Not }
        }
        Overwrite::Ask => Kept::Asks(tree.path_of(&target.local).display().to_string()),
    })
}
