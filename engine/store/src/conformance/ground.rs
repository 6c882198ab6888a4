//! What all checks are made of.

use std::fmt::Debug;

use azuring_link::Payload;
use bytes::Bytes;

use crate::checksum::Crc64;
use crate::course::Course;
use crate::error::{ErrorKind, StoreError};
use crate::facts::{Facts, Wanted};
use crate::listing::{Include, Item, List};
use crate::store::{Body, Put, Read, Removal, Store, Written};
use crate::which::Which;

use super::report::{Check, Report, Verdict};

/// What came of a check or of a step of it: why it failed.
pub(super) type Held = Result<(), String>;

/// More pages than any check has.
const MANY_PAGES: usize = 1_000;

/// The checks under way.
pub(super) struct Suite<'s, S> {
    store: &'s S,
    prefix: String,
    report: Report,
}

impl<'s, S: Store> Suite<'s, S> {
    pub(super) fn new(store: &'s S, prefix: &str) -> Self {
        Self { store, prefix: prefix.to_owned(), report: Report::default() }
    }

    pub(super) fn finish(self) -> Report {
        self.report
    }

    pub(super) fn store(&self) -> &'s S {
        self.store
    }

    /// A directory with nothing in it.
    pub(super) fn ground(&self) -> Ground<'s, S> {
        Ground { store: self.store, dir: format!("{}{}/", self.prefix, self.report.checks.len()) }
    }

    /// One check that every store has to pass.
    pub(super) async fn holds(
        &mut self,
        name: impl Into<String>,
        check: impl AsyncFnOnce(Ground<'s, S>) -> Held,
    ) -> bool {
        self.takes(name, true, check).await
    }

    /// The store has to do this if it `can`, or else refuse it as [`Ground`] tells.
    pub(super) async fn takes(
        &mut self,
        name: impl Into<String>,
        can: bool,
        check: impl AsyncFnOnce(Ground<'s, S>) -> Held,
    ) -> bool {
        let verdict = match check(self.ground()).await {
            Ok(()) if can => Verdict::Held,
            Ok(()) => Verdict::RefusedAsTold,
            Err(why) => Verdict::Failed(why),
        };
        let held = !matches!(verdict, Verdict::Failed(_));
        self.report.checks.push(Check { name: name.into(), verdict });
        held
    }
}

/// A directory of one check, and the usual steps.
pub(super) struct Ground<'s, S> {
    pub(super) store: &'s S,
    pub(super) dir: String,
}

impl<S: Store> Ground<'_, S> {
    /// The key of a name in the directory.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.dir)
    }

    pub(super) async fn put_with(
        &self,
        key: &str,
        bytes: &Bytes,
        put: &Put<'_>,
    ) -> Result<Written, StoreError> {
        self.store.put(key, Payload::from(bytes.clone()), put).await
    }

    pub(super) async fn put(&self, key: &str, bytes: &Bytes) -> Result<Written, String> {
        self.put_with(key, bytes, &Put::default()).await.map_err(|error| told("put", &error))
    }

    pub(super) async fn stat(&self, key: &str) -> Result<Facts, String> {
        self.store.stat(key, Which::default()).await.map_err(|error| told("stat", &error))
    }

    /// The state an object is in.
    pub(super) async fn tag(&self, key: &str) -> Result<Box<str>, String> {
        self.stat(key).await?.etag.ok_or_else(|| "stat tells no tag".to_owned())
    }

    pub(super) async fn read(&self, key: &str, read: &Read<'_>) -> Result<Got, StoreError> {
        // An odd size: pieces of the body end anywhere.
        self.read_by(key, read, 4_099).await
    }

    pub(super) async fn read_by(&self, key: &str, read: &Read<'_>, step: usize) -> Result<Got, StoreError> {
        let mut reading = self.store.read(key, read).await?;
        let (mut bytes, mut out) = (Vec::new(), vec![0; step]);
        loop {
            let got = reading.body.read(&mut out).await?;
            if got == 0 {
                break;
            }
            bytes.extend_from_slice(&out[..got]);
        }
        let after = reading.body.read(&mut out).await?;
        Ok(Got { facts: reading.facts, crc64: reading.crc64, bytes: Bytes::from(bytes), after })
    }

    /// The object has these bytes, and stat says so.
    pub(super) async fn is(&self, key: &str, want: &Bytes) -> Held {
        let got = self.read(key, &Read::default()).await.map_err(|error| told("read", &error))?;
        same_bytes(&got.bytes, want)?;
        same("what a body gives after its end", &got.after, &0)?;
        let facts = self.stat(key).await?;
        same("the length by stat", &(facts.len, facts.len_is_unknown), &(want.len() as u64, false))
    }

    /// There is no such object, and no listing shows it.
    pub(super) async fn is_missing(&self, key: &str) -> Held {
        refused(
            "stat of what is not there",
            self.store.stat(key, Which::default()).await,
            ErrorKind::NotFound,
        )?;
        let items = self.list(&List { prefix: key, ..List::default() }).await?;
        let shown = items.iter().any(|item| item.name() == key);
        if shown { Err(format!("a listing shows `{}`", key.escape_debug())) } else { Ok(()) }
    }

    /// All that a listing gives, page after page.
    pub(super) async fn list(&self, list: &List<'_>) -> Result<Vec<Item>, String> {
        let (mut course, mut items) = (Course::default(), Vec::new());
        let mut marker: Option<String> = None;
        for _ in 0..MANY_PAGES {
            let list = List { marker: marker.as_deref(), ..*list };
            let mut page = self.store.list(&list).await.map_err(|error| told("list", &error))?;
            let given: Vec<Item> = page.items.clone();
            course.take(&list, &mut page)?;
            same("what a course leaves of a page", &names(&page.items), &names(&given))?;
            if list.max_results.is_some_and(|max| page.items.len() > max as usize) {
                return Err(format!("a page has {} entries", page.items.len()));
            }
            items.append(&mut page.items);
            if page.next.is_none() {
                return Ok(items);
            }
            marker = page.next;
        }
        Err(format!("a listing has more than {MANY_PAGES} pages"))
    }

    /// The keys that begin with `prefix`.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
        let items = self.list(&List { prefix, ..List::default() }).await?;
        Ok(items.iter().map(|item| item.name().to_owned()).collect())
    }

    /// What a listing says of one object.
    pub(super) async fn listed(&self, key: &str) -> Result<Facts, String> {
        let include = Include { metadata: true, ..Include::default() };
        let items = self.list(&List { prefix: key, include, wanted: Wanted::ALL, ..List::default() }).await?;
        let found = items.into_iter().find_map(|item| match item {
            Item::Entry(entry) if entry.name == key => Some(entry.facts),
            _ => None,
        });
        found.ok_or_else(|| format!("no listing shows `{}`", key.escape_debug()))
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let mut answers = self.store.remove(&[Removal { key, ..Removal::default() }]).await?;
        answers.pop().unwrap_or_else(|| Err(StoreError::new(ErrorKind::Other, "there is no answer")))
    }
}

/// What was read.
pub(super) struct Got {
    pub(super) facts: Option<Facts>,
    pub(super) crc64: Option<Crc64>,
    pub(super) bytes: Bytes,
    /// What reading after the end gave.
    pub(super) after: usize,
}

pub(super) fn names(items: &[Item]) -> Vec<&str> {
    items.iter().map(Item::name).collect()
}

/// Bytes that look like none of another number.
pub(super) fn data(len: usize, number: u32) -> Bytes {
    let mut state = number;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect::<Vec<u8>>().into()
}

pub(super) fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// An error as a report tells it.
pub(super) fn told(step: &str, error: &StoreError) -> String {
    format!("{step}: {:?}: {error}", error.kind())
}

pub(super) fn same<T: PartialEq + Debug + ?Sized>(what: &str, got: &T, want: &T) -> Held {
    if got == want { Ok(()) } else { Err(format!("{what}: {got:?} instead of {want:?}")) }
}

pub(super) fn same_bytes(got: &[u8], want: &[u8]) -> Held {
    same("bytes", &got.len(), &want.len())?;
    match got.iter().zip(want).position(|(got, want)| got != want) {
        Some(at) => Err(format!("byte {at} is {} instead of {}", got[at], want[at])),
        None => Ok(()),
    }
}

/// The store has refused this, and the error says everything that its kind promises.
pub(super) fn refused<T>(step: &str, result: Result<T, StoreError>, kind: ErrorKind) -> Held {
    refused_as(step, result, &[kind]).map(drop)
}

/// [`refused`], with one of several kinds.
pub(super) fn refused_as<T>(
    step: &str,
    result: Result<T, StoreError>,
    kinds: &[ErrorKind],
) -> Result<StoreError, String> {
    let Err(error) = result else { return Err(format!("{step}: is done instead of refused")) };
    if !kinds.contains(&error.kind()) {
        return Err(format!("{} instead of {kinds:?}", told(step, &error)));
    }
    same(&format!("{step}: the error's class"), &error.class(), &error.kind().class())?;
    same(&format!("{step}: whether it may be done"), &error.maybe_done(), &false)?;
    let reason = error.to_string();
    let readable = !reason.trim().is_empty() && !reason.contains('\n');
    if readable { Ok(error) } else { Err(format!("{step}: its reason is no line: {reason:?}")) }
}
