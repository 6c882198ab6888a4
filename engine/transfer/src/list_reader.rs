//! Lists of files, read as they come.

use std::io::Read;
use std::time::Duration;

use azuring_job::choices::ListOfFiles;
use azuring_job::failure::{Failure, FailureKind};
use azuring_plan::PlanError;
use azuring_plan::list_of_files::{ListEntry, ListOfFiles as Lines};
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};

/// Bytes read at a time.
const PIECE_BYTES: usize = 16 << 10;
/// Pieces that may wait.
const WAITING: usize = 4;
/// A stop is noticed this soon, though nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads a list of files piece by piece. A thread does the reading: a pipe may give nothing for hours, and the job can
/// be stopped meanwhile.
pub(crate) struct ListReader {
    pieces: Receiver<std::io::Result<Vec<u8>>>,
    name: String,
    /// `None` once the list has ended.
    lines: Option<Lines>,
    /// Something that a person should know, until it was told.
    notice: Option<String>,
    noticed: bool,
}

impl ListReader {
    /// Opens a list of local paths.
    pub(crate) fn open(list: &ListOfFiles) -> Result<Self, Box<Failure>> {
        Self::read(list, Lines::new())
    }

    /// Opens a list of names of blobs.
    pub(crate) fn of_blobs(list: &ListOfFiles) -> Result<Self, Box<Failure>> {
        Self::read(list, Lines::of_blobs())
    }

    fn read(list: &ListOfFiles, lines: Lines) -> Result<Self, Box<Failure>> {
        let (name, mut input): (_, Box<dyn Read + Send>) = match list {
            ListOfFiles::Stdin => ("standard input".to_owned(), Box::new(std::io::stdin())),
            ListOfFiles::File(path) => {
                let name = path.display().to_string();
                let file = std::fs::File::open(path).map_err(|error| unreadable(&name, &error))?;
                (name, Box::new(file))
            }
        };
        let (send, pieces) = bounded(WAITING);
        let read = move || loop {
            let mut piece = vec![0; PIECE_BYTES];
            let got = input.read(&mut piece).map(|got| {
                piece.truncate(got);
                piece
            });
            let ends = !matches!(&got, Ok(piece) if !piece.is_empty());
            // Nobody listens any more when the job has stopped.
            if send.send(got).is_err() || ends {
                return;
            }
        };
        let started = std::thread::Builder::new().name("list".to_owned()).spawn(read);
        started.map_err(|error| unreadable(&name, &error))?;
        Ok(Self { pieces, name, lines: Some(lines), notice: None, noticed: false })
    }

    /// Appends the next entries; `false` at the end, and when `stopping` says so.
    pub(crate) fn next(
        &mut self,
        out: &mut Vec<ListEntry>,
        stopping: &dyn Fn() -> bool,
    ) -> Result<bool, Box<Failure>> {
        let Some(lines) = &mut self.lines else { return Ok(false) };
        let told = |error: PlanError| Box::new(Failure::new(FailureKind::Usage, "", error.to_string()));
        let piece = loop {
            if stopping() {
                return Ok(false);
            }
            match self.pieces.recv_timeout(LOOK_EVERY) {
                Ok(piece) => break piece.map_err(|error| unreadable(&self.name, &error))?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break Vec::new(),
            }
        };
        if piece.is_empty() {
            self.note();
            let lines = self.lines.take().expect("it was just seen");
            lines.finish(out).map_err(told)?;
        } else {
            lines.feed(&piece, out).map_err(told)?;
            self.note();
        }
        Ok(true)
    }

    /// What a person should know of the lines so far; once.
    pub(crate) fn notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    fn note(&mut self) {
        let Some(line) = self.lines.as_ref().and_then(Lines::quoted_line).filter(|_| !self.noticed) else {
            return;
        };
        self.noticed = true;
        self.notice = Some(format!(
            "line {line} of the list of files stands in quotes, which are taken for a part of the name: leave them out if they \
             are not"
        ));
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Box<Failure> {
    let text = format!("the list of files {name} cannot be read: {error}");
    Box::new(Failure::new(FailureKind::Missing, "", text))
}
