//! Blobs that come from no file: `from_memory URL` makes a report of a thousand lines while it is sent, and an object that
//! lies in memory.

use std::error::Error;
use std::io::{Cursor, Read};

use azuring_transfer::{BlobUrl, BlockRules, Credential, JobOptions, Report, StopHandle, upload_from};

/// A source of the program's own: lines that are made when they are asked for, and never all of them in memory.
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

/// Uploads what `source` gives as the blob at `url`, however long it is: in blocks, two of which are in memory.
pub(crate) fn send(source: impl Read + Send + 'static, url: &str) -> Result<Report, Box<dyn Error>> {
    let url = BlobUrl::parse(url)?;
    let credential = Credential::find(&url, |name| std::env::var(name).ok())?;
    let blocks = BlockRules { block_size: Some(1 << 20), ..BlockRules::default() };
    let options = JobOptions { blocks, ..JobOptions::default() };
    Ok(upload_from(source, &url, &credential, &options, &StopHandle::new())?)
}

#[allow(dead_code, reason = "the tests call what it calls")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [container] = &args[..] else { return Err("usage: from_memory CONTAINER_URL".into()) };
    let (base, sas) = container.split_once('?').unwrap_or((container, ""));
    let lines = send(Lines::new(1000), &format!("{base}/lines.txt?{sas}"))?;
    let object = send(Cursor::new(b"an object of this program".to_vec()), &format!("{base}/object?{sas}"))?;
    println!("{} and {} bytes", lines.counts.bytes, object.counts.bytes);
    Ok(())
}
