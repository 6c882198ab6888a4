//! What the journal's names, facts, reasons, texts and positions mean. Written once, read by every later version:
//! nothing that stands here changes its meaning.

use std::os::unix::ffi::OsStrExt;

use azuring_azure::{BlobEntry, BlobFacts};
use azuring_local::RelPath;

use crate::entry::{BlobItem, Found, Known};
use crate::failure::{Failure, FailureKind};
use crate::outcome::{Entity, JobStatus, SkippedKind};

use super::causes;

/// First byte of the facts of a transfer; no facts at all: a local file.
const LINK: u8 = 1;
const DIRECTORY: u8 = 2;
const SPECIAL: u8 = 3;
/// Something that was asked for by name and cannot be transferred.
const REFUSED: u8 = 4;
/// A blob; the bits below say more of it.
const BLOB: u8 = 0x80;
const IS_FOLDER: u8 = 1;
const IS_LINK: u8 = 2;
/// A line of a list: it may be a directory.
const IS_NAMED: u8 = 4;
/// A snapshot or version of it is meant.
const IS_STATE: u8 = 8;
/// It was found below a line of a list.
const IS_BELOW: u8 = 16;

/// Failed for having been written when the machine was restarted. The codes of other reasons lie below.
pub(super) const LOST: u8 = 63;
/// No failure: which way the bytes of the job go.
pub(super) const WAY: u8 = 62;
/// Not skipped: written, and not known to be on the disk.
pub(super) const WRITTEN: u8 = 62;
/// Skipped for being a directory whose blobs are transfers of their own. The codes of other reasons lie below.
pub(super) const EXPANDED: u8 = 63;

/// The name a transfer has in the journal; its facts are appended to `facts`.
pub(crate) fn describe<'a>(found: &'a Found, below: bool, facts: &mut Vec<u8>) -> &'a [u8] {
    match found {
        Found::File(path) => path.as_path().as_os_str().as_bytes(),
        Found::Link(path) => local(path, LINK, facts),
        Found::Directory(path) => local(path, DIRECTORY, facts),
        Found::Special(path) => local(path, SPECIAL, facts),
        Found::Blob(blob) => {
            let entity = found.entity();
            let state = blob.known == Known::Version;
            let bits = [
                (entity == Entity::Folder, IS_FOLDER),
                (entity == Entity::Symlink, IS_LINK),
                (blob.known == Known::Named, IS_NAMED),
                (state, IS_STATE),
                (below, IS_BELOW),
            ];
            facts.push(bits.iter().filter(|(is, _)| *is).fold(BLOB, |all, (_, bit)| all | bit));
            number(blob.relative_at as u64, facts);
            number(blob.entry.facts.len, facts);
            if state {
                string(blob.entry.snapshot.as_deref().unwrap_or_default().as_bytes(), facts);
                string(blob.entry.facts.version_id.as_deref().unwrap_or_default().as_bytes(), facts);
            }
            blob.entry.name.as_bytes()
        }
        Found::Stream => unreachable!("a stream is read once: its job keeps no journal"),
    }
}

fn local<'a>(path: &'a RelPath, kind: u8, facts: &mut Vec<u8>) -> &'a [u8] {
    facts.push(kind);
    path.as_bytes()
}

/// The transfer that has this name and these facts; `None` of one that cannot be transferred.
///
/// # Errors
/// What a later version wrote.
pub(crate) fn restore(name: &[u8], facts: &[u8]) -> Result<Option<Found>, String> {
    let unknown =
        || format!("the journal has facts of {} that this version does not know", name.escape_ascii());
    let Some(&kind) = facts.first() else { return Ok(Some(Found::File(RelPath::new(name)))) };
    Ok(Some(match kind {
        LINK => Found::Link(RelPath::new(name)),
        DIRECTORY => Found::Directory(RelPath::new(name)),
        SPECIAL => Found::Special(RelPath::new(name)),
        REFUSED => return Ok(None),
        kind if kind & BLOB != 0 => blob(name, kind, &facts[1..]).ok_or_else(unknown)?,
        _ => return Err(unknown()),
    }))
}

/// Whether these facts are a blob's: then the name is a blob's, and no path.
pub(crate) fn is_blob(facts: &[u8]) -> bool {
    facts.first().is_some_and(|bits| bits & BLOB != 0)
}

fn blob(name: &[u8], bits: u8, facts: &[u8]) -> Option<Found> {
    let mut facts = Reader(facts);
    let relative_at = usize::try_from(facts.number()?).ok()?;
    let name = String::from_utf8(name.to_vec()).ok()?;
    name.get(relative_at..)?;
    let mut entry = BlobEntry::new(name, BlobFacts::of_len(facts.number()?));
    entry.is_directory = bits & IS_FOLDER != 0;
    if bits & IS_LINK != 0 {
        entry.facts.metadata.push(("is_symlink".to_owned(), "true".to_owned()));
    }
    let known = match bits {
        bits if bits & IS_STATE != 0 => {
            let text = |bytes: &[u8]| -> Option<Option<Box<str>>> {
                let text = std::str::from_utf8(bytes).ok()?;
                Some((!text.is_empty()).then(|| text.into()))
            };
            entry.snapshot = text(facts.string()?)?;
            entry.facts.version_id = text(facts.string()?)?;
            Known::Version
        }
        bits if bits & IS_NAMED != 0 => Known::Named,
        _ => Known::Before,
    };
    Some(Found::Blob(Box::new(BlobItem { entry: Box::new(entry), relative_at, known })))
}

/// Name and facts of something that was refused.
pub(super) fn refused_facts(failure: &Failure) -> (&[u8], [u8; 1]) {
    (failure.object.as_bytes(), [REFUSED])
}

/// What tells an object from others when it is found again: its name, and which state of a blob is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(Box<[u8]>);

impl Key {
    /// The key of an object.
    pub fn of(found: &Found) -> Self {
        let mut key = found.place().into_owned();
        if let Found::Blob(blob) = found
            && blob.known == Known::Version
        {
            for state in [&blob.entry.snapshot, &blob.entry.facts.version_id] {
                // No name of a blob has it.
                key.push(0);
                key.extend_from_slice(state.as_deref().unwrap_or_default().as_bytes());
            }
        }
        Self(key.into())
    }

    /// The key of what was refused by this name.
    pub fn of_refused(object: &[u8]) -> Self {
        Self([b"\0\0", object].concat().into())
    }
}

/// Whether the scan itself found the transfer, and not a lane that looked below a line of a list.
pub(super) fn is_scanned(facts: &[u8]) -> bool {
    facts.first().is_none_or(|bits| bits & BLOB == 0 || bits & IS_BELOW == 0)
}

/// Appends a LEB128 number.
pub fn number(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Appends the length of `bytes` and these.
pub fn string(bytes: &[u8], out: &mut Vec<u8>) {
    number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Reads what [`number`] and [`string`] have written; everything is `None` where there is no more.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next byte; `None` at the end.
    pub fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next number; `None` where there is none.
    pub fn number(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next string, which its length precedes.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }
}

/// Kinds of failure in the order of their codes, from 1.
const KINDS: [FailureKind; 12] = [
    FailureKind::Source,
    FailureKind::Missing,
    FailureKind::Usage,
    FailureKind::Name,
    FailureKind::Destination,
    FailureKind::Service,
    FailureKind::Authentication,
    FailureKind::Throttled,
    FailureKind::Network,
    FailureKind::Integrity,
    FailureKind::Limit,
    FailureKind::Interrupted,
];

pub(crate) fn kind_code(kind: FailureKind) -> u8 {
    KINDS.iter().position(|known| *known == kind).map_or(0, |n| n as u8 + 1)
}

pub(super) fn kind_of(code: u8) -> FailureKind {
    match code {
        LOST => FailureKind::Destination,
        code => KINDS.get(usize::from(code).wrapping_sub(1)).copied().unwrap_or(FailureKind::Service),
    }
}

/// Reasons for skipping in the order of their codes, from 1.
const SKIPPED: [SkippedKind; 5] = [
    SkippedKind::Symlink,
    SkippedKind::Special,
    SkippedKind::Exists,
    SkippedKind::NotNewer,
    SkippedKind::HasSnapshots,
];

pub(crate) fn skipped_code(kind: SkippedKind) -> u8 {
    SKIPPED.iter().position(|known| *known == kind).map_or(0, |n| n as u8 + 1)
}

pub(crate) fn skipped_of(code: u8) -> SkippedKind {
    SKIPPED.get(usize::from(code).wrapping_sub(1)).copied().unwrap_or(SkippedKind::Exists)
}

/// Bytes of one text of a failure at most: some ten of them have to fit into a journal's string.
pub(super) const TEXT_MAX: usize = 4 << 10;

/// Where a text that is too long ends.
fn cut(text: &str) -> usize {
    let most = text.len().min(TEXT_MAX);
    (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// What a failure says in words: object, source, destination, reason, advice, code, request id. Its numbers, which a
/// journal keeps as well, are named here: whoever adds something to failures is asked about it.
pub(super) fn texts(failure: &Failure) -> [&str; 7] {
    let Failure {
        object,
        source,
        destination,
        bytes: _,
        kind: _,
        reason,
        advice,
        status: _,
        code,
        request_id,
        tries: _,
        // They matter while the job runs; the reason names the side.
        blocked: _,
        side: _,
        // The same; of what a job tells again, the kind says it.
        is_final: _,
    } = failure;

    let [advice, code, id] =
        [advice.as_deref(), code.as_deref(), request_id.as_deref()].map(Option::unwrap_or_default);
    [object, source, destination, reason, advice, code, id]
}

/// A failure as the journal keeps it.
pub(crate) fn failure_text(failure: &Failure) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts(failure) {
        string(&text.as_bytes()[..cut(text)], &mut out);
    }
    number(failure.bytes, &mut out);
    number(failure.status.unwrap_or_default().into(), &mut out);
    number(failure.tries.into(), &mut out);
    out
}

/// The failure of a transfer, whichever way it was kept; as far as it can be read.
pub(super) fn failure_told(kind: u8, cause: Option<&[u8]>, text: Option<&[u8]>) -> Failure {
    let text = text.unwrap_or_default();
    cause.and_then(|cause| causes::join(kind, cause, text)).unwrap_or_else(|| failure_of(kind, text))
}

/// The failure of this text; as far as it can be read.
pub(crate) fn failure_of(kind: u8, text: &[u8]) -> Failure {
    let mut reader = Reader(text);
    let mut failure = Failure::new(kind_of(kind), "", "");
    let mut next = || reader.text().unwrap_or_default().to_owned();
    failure.object = next();
    failure.source = next();
    failure.destination = next();
    failure.reason = next();
    let some = |text: String| (!text.is_empty()).then_some(text);
    failure.advice = some(next());
    failure.code = some(next());
    failure.request_id = some(next());
    failure.bytes = reader.number().unwrap_or_default();
    failure.status =
        reader.number().and_then(|status| u16::try_from(status).ok()).filter(|status| *status > 0);
    failure.tries = reader.number().and_then(|tries| u32::try_from(tries).ok()).unwrap_or_default();
    failure
}

/// States of a job in the order of their codes, from 1.
const STATES: [JobStatus; 6] = [
    JobStatus::Completed,
    JobStatus::CompletedWithSkipped,
    JobStatus::CompletedWithErrors,
    JobStatus::CompletedWithErrorsAndSkipped,
    JobStatus::Failed,
    JobStatus::Cancelled,
];

/// How a job ended.
pub(super) fn summary(status: JobStatus) -> Vec<u8> {
    vec![STATES.iter().position(|known| *known == status).map_or(0, |n| n as u8 + 1)]
}

pub(super) fn status_of(summary: &[u8]) -> Option<JobStatus> {
    STATES.get(usize::from(*summary.first()?).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_restored() {
        let path = || RelPath::new(&b"a/\xff b"[..]);
        let item = |known, len, snapshot: Option<&str>, version: Option<&str>| {
            let mut entry = BlobEntry::new("top/d\u{e4}/x".to_owned(), BlobFacts::default());
            entry.facts.len = len;
            entry.snapshot = snapshot.map(Into::into);
            entry.facts.version_id = version.map(Into::into);
            Found::Blob(Box::new(BlobItem { entry: Box::new(entry), relative_at: 4, known }))
        };
        for found in [
            Found::File(path()),
            Found::Link(path()),
            Found::Directory(path()),
            Found::Special(path()),
            item(Known::Listed, 1 << 40, None, None),
            item(Known::Named, 0, None, None),
            item(Known::Version, 7, Some("2024"), None),
            item(Known::Version, 7, None, Some("v")),
        ] {
            let mut facts = Vec::new();
            let name = describe(&found, false, &mut facts).to_vec();
            assert!(is_scanned(&facts));
            let back = restore(&name, &facts).unwrap().unwrap();
            match (&found, &back) {
                (Found::Blob(one), Found::Blob(other)) => {
                    let known = if one.known == Known::Listed { Known::Before } else { one.known };
                    assert_eq!(other.known, known);
                    assert_eq!((one.relative(), one.which()), (other.relative(), other.which()));
                    assert_eq!(one.entry.facts.len, other.entry.facts.len);
                }
                _ => assert_eq!(format!("{found:?}"), format!("{back:?}")),
            }
            for cut in 1..facts.len() {
                let _ = restore(&name, &facts[..cut]);
            }
        }
        let mut facts = Vec::new();
        describe(&item(Known::Listed, 1, None, None), true, &mut facts);
        assert!(!is_scanned(&facts));
        assert!(restore(b"x", &[REFUSED]).unwrap().is_none());
        assert!(restore(b"x", &[60]).is_err());
    }

    #[test]
    fn failures_and_states_come_back() {
        let mut failure = Failure::new(FailureKind::Throttled, "a", "busy").advise("wait");
        (failure.status, failure.code) = (Some(503), Some("ServerBusy".to_owned()));
        (failure.tries, failure.bytes) = (20, 1 << 33);
        assert_eq!(failure_of(kind_code(failure.kind), &failure_text(&failure)), failure);
        failure.reason = "\u{e4}".repeat(5000);
        let back = failure_of(kind_code(failure.kind), &failure_text(&failure));
        assert_eq!((back.reason.len(), back.tries), (TEXT_MAX, 20));
        for kind in SKIPPED {
            assert_eq!(skipped_of(skipped_code(kind)), kind);
            assert!(skipped_code(kind) < WRITTEN);
        }
        for state in STATES {
            assert_eq!(status_of(&summary(state)), Some(state));
        }
        assert_eq!(status_of(&[]), None);
    }
}
