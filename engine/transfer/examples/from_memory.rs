//! Blobs that come from no file: `from_memory CONTAINER_URL` sends a stream of a thousand lines, whose length nobody
//! knows, and 1,000 reports of a store of its own.

use std::error::Error;
use std::io::{Cursor, Read};

use azuring_transfer::store::{
    Body, CustomStore, Entry, ErrorKind, Facts, Item, List, Page, Read as Wish, Reading, Store, StoreError,
    Traits, Which,
};
use azuring_transfer::{
    BlobUrl, BlockRules, Credential, Job, JobOptions, Location, Report, StopHandle, upload_from,
};

/// A stream of the program's own: lines that are made when they are asked for, and never all of them in memory.
pub(crate) struct Lines {
    next: u32,
    end: u32,
    line: Cursor<Vec<u8>>,
}

impl Lines {
    /// So many lines.
    pub(crate) fn new(end: u32) -> Self {
        Self { next: 0, end, line: Cursor::default() }
    }
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let got = self.line.read(into)?;
        if got > 0 || self.next == self.end || into.is_empty() {
            return Ok(got);
        }
        self.line = Cursor::new(format!("line {}\n", self.next).into_bytes());
        self.next += 1;
        self.read(into)
    }
}

/// A store of the program's own that is only read: reports, each made when it is asked for. A database would do the
/// same.
pub(crate) struct Reports {
    count: u32,
    traits: Traits,
}

impl Reports {
    /// So many reports.
    pub(crate) fn new(count: u32) -> Self {
        Self { count, traits: Traits::new("reports", 0) }
    }

    fn report(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        let number = key.strip_prefix("report-").and_then(|number| number.parse().ok());
        let number: u32 = number
            .filter(|number| *number < self.count)
            .ok_or_else(|| StoreError::new(ErrorKind::NotFound, format!("there is no report {key}")))?;
        Ok(format!("This is report {number}.\n").repeat(100).into_bytes())
    }

    fn facts(&self, key: &str) -> Result<Facts, StoreError> {
        let len = self.report(key)?.len() as u64;
        // Whoever reads a report twice gets the same: its state is its name.
        let mut facts = Facts::of_len(len);
        facts.etag = Some(key.into());
        Ok(facts)
    }
}

/// The bytes of a report that are still to come.
pub(crate) struct Rest(Cursor<Vec<u8>>);

impl Body for Rest {
    async fn read(&mut self, out: &mut [u8]) -> Result<usize, StoreError> {
        self.0.read(out).map_err(|error| StoreError::new(ErrorKind::Other, error.to_string()))
    }
}

impl Store for Reports {
    type Body = Rest;

    fn traits(&self) -> &Traits {
        &self.traits
    }

    /// Pages of a hundred; the marker is the number of the next report.
    async fn list(&self, list: &List<'_>) -> Result<Page, StoreError> {
        let first = list.marker.and_then(|marker| marker.parse().ok()).unwrap_or(0);
        let end = self.count.min(first + 100);
        let mut page = Page::default();
        for number in first..end {
            let name = format!("report-{number:06}");
            if name.starts_with(list.prefix) {
                let facts = self.facts(&name)?;
                let entry = Entry::new(name, facts);
                page.items.push(Item::Entry(Box::new(entry)));
            }
        }
        page.next = (end < self.count).then(|| end.to_string());
        Ok(page)
    }

    async fn stat(&self, key: &str, _: Which<'_>) -> Result<Facts, StoreError> {
        self.facts(key)
    }

    async fn read(&self, key: &str, read: &Wish<'_>) -> Result<Reading<Rest>, StoreError> {
        let mut bytes = self.report(key)?;
        if read.tag.is_some_and(|tag| tag != key) || read.len.is_some_and(|len| len != bytes.len() as u64) {
            return Err(StoreError::new(ErrorKind::Changed, "it is another report"));
        }
        if let Some((first, last)) = read.range {
            bytes.truncate(bytes.len().min(last as usize + 1));
            bytes.drain(..bytes.len().min(first as usize));
        }
        let facts = if read.wanted.is_some() { Some(self.facts(key)?) } else { None };
        let mut reading = Reading::new(Rest(Cursor::new(bytes)));
        reading.facts = facts;
        Ok(reading)
    }
}

fn target(url: &str) -> Result<(BlobUrl, Credential), Box<dyn Error>> {
    let url = BlobUrl::parse(url)?;
    let credential = Credential::find(&url, |name| std::env::var(name).ok())?;
    Ok((url, credential))
}

/// Uploads what `source` gives as the blob at `url`, however long it is: in blocks, two of which are in memory.
pub(crate) fn send(source: impl Read + Send + 'static, url: &str) -> Result<Report, Box<dyn Error>> {
    let (url, credential) = target(url)?;
    let blocks = BlockRules::default().block_size(Some(1 << 20));
    let options = JobOptions::default().blocks(blocks);
    Ok(upload_from(source, &url, &credential, &options, &StopHandle::new())?)
}

/// Copies all of `reports` below `url`. With `.journal(..)` it could be resumed as any other job.
pub(crate) fn copy(reports: Reports, url: &str) -> Result<Report, Box<dyn Error>> {
    let (url, credential) = target(url)?;
    let source = Location::store(CustomStore::shared("reports", reports), "");
    let job = Job::relay(source, Location::blob(url, credential)).recursive(true).build()?;
    Ok(job.run(&StopHandle::new(), |_| {}))
}

#[allow(dead_code, reason = "the tests call what it calls")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [container] = &args[..] else { return Err("usage: from_memory CONTAINER_URL".into()) };
    let (base, sas) = container.split_once('?').unwrap_or((container, ""));
    let lines = send(Lines::new(1000), &format!("{base}/lines.txt?{sas}"))?;
    let reports = copy(Reports::new(1000), &format!("{base}/reports/?{sas}"))?;
    println!("{} bytes, {} reports", lines.counts.bytes, reports.counts.done);
    Ok(())
}
