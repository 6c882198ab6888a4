//! From received bytes to a file with its own name.

use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;

use azuring_azure::{BlobFacts, Which};
use azuring_job::choices::{CheckMd5, Symlinks};
use azuring_job::entry::BlobItem;
use azuring_job::failure::{Failure, FailureKind};
use azuring_job::outcome::{Transfer, TransferId};
use azuring_plan::download::LocalName;
use azuring_plan::posix::{PosixProperties, PosixType};
use azuring_ring::{FileRing, Finish, Lease, Names, Permissions};
use rustix::fs::{AtFlags, statat};

use crate::lane::context::{Ended, Lane};
use crate::lane::verify;
use crate::limits::patience::patiently;
use crate::object::blob::LargeBlob;
use crate::object::in_order::md5_of_parts;
use crate::object::target::Target;
use crate::requests::request::Begin;
use crate::requests::session::Session;
use crate::task::directories::Made;
use crate::task::download::Download;

use super::below::has_below;
use super::unpack::{Packing, unpack};
use super::{receive, resume};

/// Set-user and set-group: whoever starts the file becomes its owner, or of its group.
const RUNS_AS_OWNER: u32 = 0o6000;

/// The longest path a symbolic link can hold.
const MAX_LINK_BYTES: u64 = 4095;

/// The name of a packed file that is unpacked, without the suffix that says so.
pub(super) fn unpacked_name(session: &Session, item: &BlobItem, local: LocalName) -> LocalName {
    if packing(session, &item.entry.facts).is_none() {
        return local;
    }
    let whole = local.as_bytes();
    let (name, above) = (local.file_name(), whole.len() - local.file_name().len());
    let ends = |suffix: &&[u8]| {
        name.len() > suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
    };
    let suffix = [&b".gz"[..], b".gzip", b".zz"].into_iter().find(ends).unwrap_or_default();
    // What is left of a local name is one, unless it is `.` or `..`.
    LocalName::new(&whole[..above + name.len() - suffix.len()]).unwrap_or(local)
}

/// How the blob is packed, where it is to be unpacked.
fn packing(session: &Session, facts: &BlobFacts) -> Option<Packing> {
    let encoding = facts.content.as_ref()?.encoding.as_deref()?;
    if session.options.decompress { Packing::of_encoding(encoding) } else { None }
}

/// Whether the blob stands for a pipe, a socket or a device, which are not made.
pub(super) fn is_special(session: &Session, facts: &BlobFacts) -> bool {
    if session.options.preserve_posix.is_none() || facts.metadata.is_empty() {
        return false;
    }
    let pairs = facts.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let (posix, _) = PosixProperties::from_metadata(pairs);
    posix
        .kind
        .is_some_and(|kind| !matches!(kind, PosixType::File | PosixType::Directory | PosixType::Symlink))
}

/// Whether the blob becomes a symbolic link.
pub(super) fn is_link(session: &Session, facts: &BlobFacts) -> bool {
    session.options.symlinks == Symlinks::Preserve && facts.is_symlink()
}

/// Whether the blob's MD5 has to be computed.
///
/// # Errors
/// When it has none and should.
pub(super) fn md5_wanted(
    session: &Session,
    facts: &BlobFacts,
    object: &str,
    notice: impl Fn(&str),
) -> Result<bool, Box<Failure>> {
    match (session.options.check_md5, facts.content_md5) {
        (CheckMd5::NoCheck, _) => Ok(false),
        (check, None) if facts.md5_is_none => {
            let text = "what is stored as its MD5 is none (16 bytes in base64), so nothing can be compared";
            if check == CheckMd5::LogOnly {
                notice(&format!("{object}: {text}"));
                return Ok(false);
            }
            let advice = "compare with the original; --check-md5=LogOnly takes the blob as it is";
            Err(Box::new(Failure::new(FailureKind::Integrity, object, text).advise(advice)))
        }
        (CheckMd5::FailIfDifferentOrMissing, None) => {
            let text = "the service has no MD5 of this blob to compare with";
            let advice = "use --check-md5=FailIfDifferent to take blobs without one";
            Err(Box::new(Failure::new(FailureKind::Integrity, object, text).advise(advice)))
        }
        (_, md5) => Ok(md5.is_some()),
    }
}

/// Compares the MD5 of what came with the stored one.
fn check_md5(
    session: &Session,
    facts: &BlobFacts,
    object: &str,
    got: [u8; 16],
    notice: impl Fn(&str),
) -> Result<(), Box<Failure>> {
    if facts.content_md5 == Some(got) {
        return Ok(());
    }
    // AzCopy's words.
    let text = "the MD5 hash of the data, as we received it, did not match the expected value, as found in the Blob/File \
                Service. This means that either there is a data integrity error OR another tool has failed to keep the \
                stored hash up to date";
    if session.options.check_md5 == CheckMd5::LogOnly {
        notice(&format!("{object}: {text}"));
        return Ok(());
    }
    let advice = "compare with the original; --check-md5=LogOnly takes the blob as it is";
    Err(Box::new(Failure::new(FailureKind::Integrity, object, text).advise(advice)))
}

/// How the file will look.
fn look<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    target: &Target,
    facts: &BlobFacts,
    object: &str,
) -> Finish {
    let options = &lane.session().options;
    let mut finish = Finish {
        permissions: Permissions::Usual(task.mode),
        owner: None,
        times_ns: None,
        replace: target.replace,
    };
    if options.preserve_last_modified_time {
        let modified_ns = i128::from(facts.last_modified) * 1_000_000_000;
        finish.times_ns = Some((modified_ns, modified_ns));
    }
    if options.preserve_posix.is_some() {
        let posix = posix_of(lane, facts, object);
        if let Some(mode) = posix.permissions() {
            let kept = if options.preserve_setuid { mode } else { mode & !RUNS_AS_OWNER };
            if kept != mode {
                task.tell_setuid(|text: &str| lane.notice(text));
            }
            finish.permissions = Permissions::Exact(kept);
        }
        finish.owner = posix.uid.zip(posix.gid);
        if let Some(modified_ns) = posix.mtime_ns {
            finish.times_ns = Some((posix.atime_ns.unwrap_or(modified_ns), modified_ns));
        }
    }
    finish
}

/// The POSIX properties that the blob's metadata tell of, as far as they can be given to a file.
fn posix_of<R: FileRing>(lane: &Lane<R>, facts: &BlobFacts, object: &str) -> PosixProperties {
    let pairs = facts.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let (mut posix, problems) = PosixProperties::from_metadata(pairs);
    for problem in problems {
        lane.notice(&format!("{object}: {problem}"));
    }
    // Only root may give files away; others keep what they make.
    if !rustix::process::geteuid().is_root() {
        (posix.uid, posix.gid) = (None, None);
    }
    posix
}

/// A directory that was made gets its properties at the end of the job.
pub(super) fn directory<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    id: TransferId,
    item: &BlobItem,
    local: LocalName,
) -> Result<(), Box<Failure>> {
    let session = lane.session();
    let object = item.object();
    let posix = posix_of(lane, &item.entry.facts, &object);
    let transfer = session.options.report_objects.then(|| {
        let (source, destination) =
            (session.ends.from().end.url_of(&item.entry.name), task.destination_of(&item.entry.name));
        Box::new(Transfer::default().object(object.clone()).source(source).destination(destination))
    });
    match task.directories.take(Made { id, local, posix, object, transfer }) {
        Ok(()) => Ok(()),
        Err(made) => {
            let outcome = task.finish_directory(*made);
            lane.report(outcome);
            Ok(())
        }
    }
}

/// A blob that is in memory. Returns whether it is a file now: it may have become a link, or stand for a directory.
pub(super) async fn whole<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    item: &BlobItem,
    target: &Target,
    facts: &BlobFacts,
    parts: Vec<Lease>,
) -> Result<bool, Box<Failure>> {
    let (session, object) = (lane.session(), item.object());
    if md5_wanted(session, facts, &object, |text: &str| lane.notice(text))? {
        let got = md5_of_parts(parts.iter().map(|part| &part[..]));
        check_md5(session, facts, &object, got, |text: &str| lane.notice(text))?;
    }
    if let Some(mut pipe) = task.pipe() {
        let write =
            move || parts.iter().try_for_each(|part| pipe.write_all(part)).and_then(|()| pipe.flush());
        let written = tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(error.into()));
        return written.map(|()| false).map_err(|error| Failure::write(&object, &error).into());
    }
    let Some(names) = &target.names else { return Ok(false) };
    if is_link(session, facts) {
        return make_link(lane, task, &parts, target, facts, &object).map(|()| false);
    }
    let finish = look(lane, task, target, facts, &object);
    if facts.len == 0 && lane.shared.lines.is_some() {
        task.may_be_directory(&target.local);
    }
    session.boundary("file");
    let written = match packing(session, facts) {
        Some(packing) => unpack(packing, parts, names.clone(), finish).await,
        None => {
            let parts = Arc::new(parts);
            patiently(lane.links(), async || lane.ring.store(names.clone(), Arc::clone(&parts), finish).await)
                .await
        }
    };
    session.boundary("name");
    match written {
        // A directory of this name is what it stands for, where other blobs are below it.
        Err(error)
            if facts.len == 0
                && error.kind() == std::io::ErrorKind::IsADirectory
                && has_below(lane, item).await =>
        {
            Ok(false)
        }
        Err(error) => Err(Failure::write(&object, &error).into()),
        Ok(()) => {
            look_at_time(lane, task, names, &finish, &object);
            Ok(true)
        }
    }
}

/// Tells once of a time that the file system has changed: some know none before 1970, others end in 2038 or 2446, and
/// none of them says so.
fn look_at_time<R: FileRing>(lane: &Lane<R>, task: &Download, names: &Names, finish: &Finish, object: &str) {
    let Some((_, modified_ns)) = finish.times_ns else { return };
    let seconds = modified_ns.div_euclid(1_000_000_000);
    // What every file system knows.
    if (0..=i128::from(i32::MAX)).contains(&seconds) {
        return;
    }
    let there = statat(&names.dir, &names.name, AtFlags::SYMLINK_NOFOLLOW);
    if there.is_ok_and(|there| i128::from(there.st_mtime) != seconds) {
        task.tell_time(object, |text: &str| lane.notice(text));
    }
}

/// A blob all of whose ranges were written, or given up.
pub(super) async fn large<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    large: &LargeBlob,
) -> Result<(), Box<Failure>> {
    let done = received(lane, large).await;
    let (Some(file), Some(names)) = (&large.file, &large.target.names) else { return done };
    if let Err(failure) = done {
        // Whoever goes on with the job takes it up; also where a request of it was not repeated since the job stops.
        let is_cut = match failure.kind {
            FailureKind::Interrupted => true,
            FailureKind::Network | FailureKind::Throttled => lane.session().verdict.stopping(),
            _ => false,
        };
        if !is_cut || lane.shared.durable.is_none() {
            lane.ring.discard(names.clone()).await;
        }
        return Err(failure);
    }
    let finish = look(lane, task, &large.target, &large.facts, &large.object);
    lane.session().boundary("file");
    let written = match packing(lane.session(), &large.facts) {
        Some(packing) => {
            let mut out = names.clone();
            let mut temporary = out.temporary.into_bytes();
            temporary.extend_from_slice(b"-unpacked");
            out.temporary = std::ffi::CString::new(temporary).expect("there is no NUL in it");
            let unpacked = unpack(packing, file.clone(), out, finish).await;
            lane.ring.discard(names.clone()).await;
            unpacked
        }
        None => {
            resume::complete(lane, large.target.id, &large.ranges, &large.object).await?;
            lane.ring.complete(file, names.clone(), finish).await
        }
    };
    lane.session().boundary("name");
    written.map_err(|error| Failure::write(&large.object, &error))?;
    look_at_time(lane, task, names, &finish, &large.object);
    Ok(())
}

/// Whether all of it came, and as it is stored.
async fn received<R: FileRing>(lane: &Lane<R>, large: &LargeBlob) -> Result<(), Box<Failure>> {
    let piped = large.piped().await;
    piped.map_err(|error| Failure::write(&large.object, &error))?;
    if let Some(failure) = large.ranges.take_failure() {
        return Err(Box::new(failure));
    }
    let md5 = large.md5().await.map_err(|error| Failure::write(&large.object, &error))?;
    match md5 {
        Some(got) => {
            check_md5(lane.session(), &large.facts, &large.object, got, |text: &str| lane.notice(text))
        }
        None => Ok(()),
    }
}

/// A blob that becomes a symbolic link: its content is read first.
pub(super) async fn link<R: FileRing>(
    lane: &Rc<Lane<R>>,
    task: &Download,
    item: &BlobItem,
    target: &Target,
) -> Result<Ended, Box<Failure>> {
    let object = item.object();
    let facts = &item.entry.facts;
    if facts.len == 0 || facts.len > MAX_LINK_BYTES {
        let text = format!("a symbolic link of {} bytes cannot be made", facts.len);
        return Err(Box::new(Failure::new(FailureKind::Name, &object, text)));
    }
    let blob = azuring_plan::name::encode_path(&item.entry.name);
    let range = receive::Range {
        blob: &blob,
        which: item.which(),
        etag: facts.etag.as_deref(),
        offset: 0,
        len: facts.len,
        whole: Some(facts.len),
        relays: false,
        begin: Begin::UnlessStopping,
    };
    let received = receive::range(lane, &range).await;
    let received = received.map_err(|failed| failed.for_object(lane.session(), &object))?;
    make_link(lane, task, &received.parts, target, facts, &object)?;
    Ok(Ended::Done { bytes: facts.len })
}

fn make_link<R: FileRing>(
    lane: &Lane<R>,
    task: &Download,
    parts: &[Lease],
    target: &Target,
    facts: &BlobFacts,
    object: &str,
) -> Result<(), Box<Failure>> {
    let tree = task.tree().map_err(|error| Failure::target(object, &error))?;
    let (Some(names), Some(tree)) = (&target.names, tree) else { return Ok(()) };
    let leads_to: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
    let posix = posix_of(lane, facts, object);
    tree.make_symlink(&target.local, &leads_to, &posix, target.replace, &names.temporary)
        .map_err(|error| Failure::target(object, &error).into())
}

/// Compares the file with the blob, if that is wanted.
pub(super) async fn verified<R: FileRing>(
    lane: &Lane<R>,
    blob: (&str, Which<'_>),
    target: &Target,
    object: &str,
) -> Result<(), Box<Failure>> {
    match &target.names {
        Some(names) if lane.session().options.verify => {
            verify::named_file(lane, blob, &names.dir, &names.name, object).await
        }
        _ => Ok(()),
    }
}
