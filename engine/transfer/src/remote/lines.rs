//! Blobs that a list names.

use azuring_azure::{BlobEntry, BlobFacts};
use azuring_job::choices::ListOfFiles;
use azuring_job::entry::{BlobItem, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_lane::descriptors::LINES_AT_ONCE;
use azuring_lane::join::join_all;
use azuring_lane::task::verb::Task;
use azuring_plan::download::{RemotePath, RemoteShape};
use azuring_plan::list_of_files::ListEntry;
use azuring_plan::name::{check, escape};

use crate::list_reader::ListReader;
use crate::scan::{Halt, Met};

use super::names::Names;
use super::{Remote, Single};

/// A line of a list that may be a blob: which line, and the blob's name.
type Line = (u64, String);

impl Remote<'_> {
    /// The blobs named in a list. None of them is asked for: whoever transfers one finds out whether it is there.
    pub(super) async fn listed(&self, shape: RemoteShape<'_>) -> Result<(), Halt> {
        let mut lines = ListReader::of_blobs(self.source.list.as_ref().expect("there is a list"))?;
        let (mut entries, mut names, mut line) = (Vec::new(), Vec::new(), 0);
        let mut more = self.first_lines(&mut lines, &mut entries)?;
        if self.resumed.is_none() {
            self.begin(shape).await?;
        }
        while std::mem::replace(&mut more, false) || self.next_lines(&mut lines, &mut entries)? {
            if let Some(text) = lines.notice() {
                self.out.give(Met::Notice(text)).await;
            }
            self.lines(&mut names).await?;
            self.done(line).await;
            for entry in entries.drain(..) {
                line += 1;
                if self.is_done(line - 1) {
                    continue;
                }
                let path = match entry {
                    Ok(path) => path,
                    Err(error) => {
                        let failure = Failure::new(FailureKind::Name, &error.text, error.to_string());
                        self.refuse(failure).await;
                        continue;
                    }
                };
                let bad_name =
                    || Failure::new(FailureKind::Name, &escape(&path), "no blob can have this name");
                let name = str::from_utf8(&path).map(|path| self.base().to_owned() + path);
                match name {
                    Ok(name) if check(&name).is_ok() => {
                        if self.is_left_out(&name) {
                            continue;
                        }
                        if let Some(stored) = self.shared.session.ends.from().end.takes_for(&name) {
                            let failure = Failure::other_name(&escape(&path), &stored);
                            self.refuse(failure).await;
                            continue;
                        }
                        if name.ends_with('/') {
                            // In their order, so that the scan stands somewhere.
                            self.lines(&mut names).await?;
                            let missing = "there is no such directory";
                            let missing = Failure::new(FailureKind::Missing, &escape(&path), missing);
                            self.listed_directory((line - 1, name), missing).await?;
                            continue;
                        }
                        if self.source.permanent.is_some() {
                            self.states_of(&name, self.base().len()).await?;
                            continue;
                        }
                        names.push((line - 1, name));
                    }
                    _ => self.refuse(bad_name()).await,
                }
            }
        }
        self.lines(&mut names).await?;
        self.ended(line)
    }

    /// Reads on in the list; `false`: it has ended, or the job is stopping.
    fn next_lines(&self, lines: &mut ListReader, entries: &mut Vec<ListEntry>) -> Result<bool, Halt> {
        Ok(lines.next(entries, &|| self.shared.session.verdict.stopping())?)
    }

    /// The same until there is something. Whether the list names nothing is kept from the beginning: when the job goes
    /// on, an empty list may as well be one that was not given again.
    fn first_lines(&self, lines: &mut ListReader, entries: &mut Vec<ListEntry>) -> Result<bool, Halt> {
        while self.next_lines(lines, entries)? {
            if !entries.is_empty() {
                return Ok(true);
            }
        }
        self.place.borrow_mut().is_empty = !self.shared.session.verdict.stopping();
        Ok(false)
    }

    /// Whether filters leave out what a line names, whatever it is. One that only says which names files may have does
    /// not concern a directory, but what is in it.
    fn is_left_out(&self, name: &str) -> bool {
        let filter = &self.source.filter;
        let relative = &name[self.base().len()..];
        let relative = relative.strip_suffix('/').unwrap_or(relative).as_bytes();
        filter.prunes(relative) || (!self.source.recursive && !filter.passes_name(relative))
    }

    /// Whether a line is known to be no blob that takes part: what is left is a directory.
    fn may_only_be_directory(&self, name: &str) -> bool {
        !self.source.filter.passes_name(&name.as_bytes()[self.base().len()..])
    }

    /// Whether an earlier run has done a line.
    fn is_done(&self, line: u64) -> bool {
        self.resumed.as_ref().is_some_and(|resumed| line < resumed.lines)
    }

    /// Says that all lines before this one were handed over.
    async fn done(&self, line: u64) {
        let is_behind = self.resumed.as_ref().is_some_and(|resumed| line <= resumed.lines);
        if is_behind {
            return;
        }
        self.stands(|place| {
            place.lines = line;
            place.listings.clear();
        })
        .await;
    }

    /// The list has ended after so many lines.
    fn ended(&self, lines: u64) -> Result<(), Halt> {
        let Some(resumed) = &self.resumed else { return Ok(()) };
        if self.shared.session.verdict.stopping()
            || ((lines > 0 || resumed.is_empty) && lines >= resumed.lines)
        {
            return Ok(());
        }
        Err(Failure::other_list(lines).into())
    }

    /// Whether it has to be known what a line is before it is handed over: its time or type decides, a dry run is to
    /// tell the truth, or what is below a directory's stub is to be removed with it.
    fn asks_about_lines(&self) -> bool {
        let changes = matches!(self.shared.task, Task::Remove(_) | Task::SetProperties(_));
        self.source.filter.needs_facts()
            || self.shared.session.options.dry_run
            || (changes && self.source.recursive)
    }

    /// Lines that may be blobs; asked about, many at a time, only when that decides something.
    async fn lines(&self, names: &mut Vec<Line>) -> Result<(), Halt> {
        let asks = self.asks_about_lines();
        if !asks && !names.iter().any(|(_, name)| self.may_only_be_directory(name)) {
            // The usual case costs no more than the names.
            for (_, name) in names.drain(..) {
                self.named(name).await?;
            }
            return Ok(());
        }
        while !names.is_empty() {
            let some: Vec<Line> = names.drain(..names.len().min(LINES_AT_ONCE)).collect();
            let looking = some.iter().map(|(_, name)| self.looked_up(name, asks)).collect();
            let found = join_all(looking).await;
            for (line, single) in some.into_iter().zip(found) {
                match single? {
                    Some(single) => self.line(line, single).await?,
                    None => self.named(line.1).await?,
                }
            }
        }
        Ok(())
    }

    /// A line of which nothing is asked.
    async fn named(&self, name: String) -> Result<(), Halt> {
        let entry = Box::new(BlobEntry::new(name, BlobFacts::default()));
        self.take(BlobItem { entry, relative_at: self.base().len(), known: Known::Named }).await
    }

    /// What stands at the name of a line; `None` where that does not matter.
    async fn looked_up(&self, name: &str, asks: bool) -> Result<Option<Single>, Halt> {
        if asks || self.may_only_be_directory(name) {
            return self.single(name).await.map(Some);
        }
        Ok(None)
    }

    /// A line of which it is known what it is.
    async fn line(&self, (line, name): Line, single: Single) -> Result<(), Halt> {
        let item = |entry| BlobItem { entry, relative_at: self.base().len(), known: Known::Listed };
        let object = escape(&name.as_bytes()[self.base().len()..]);
        match single {
            Single::Blob(entry) if self.source.wants(&item(entry.clone())) => {
                self.take(item(entry)).await?;
            }
            Single::Blob(entry) if self.source.leaves_out_link(&item(entry.clone())) => {
                self.skip_link(item(entry)).await;
            }
            Single::Blob(_) => {}
            Single::Unknown(failure) => self.refuse(failure.object(object)).await,
            Single::None if !self.source.recursive => self.refuse(*Failure::not_there(&object)).await,
            Single::None => {
                self.listed_directory((line, name + "/"), *Failure::not_there(&object)).await?;
            }
            Single::Stub(entry) => {
                let missing = *Failure::not_there(&object);
                self.listed_directory((line, name + "/"), missing).await?;
                let item = item(entry);
                let takes = matches!(self.shared.task, Task::Remove(_)) && self.source.wants(&item);
                if takes {
                    self.hand_over(item).await;
                }
            }
        }
        Ok(())
    }

    /// A line that is a directory, if it is anything; otherwise `missing` is told, by the name that the line has.
    async fn listed_directory(&self, (line, name): Line, missing: Failure) -> Result<(), Halt> {
        if !self.source.recursive {
            // A blob may have this very name.
            if let Single::Blob(entry) = self.single(&name).await? {
                let relative_at = self.base().len();
                self.take(BlobItem { entry, relative_at, known: Known::Listed }).await?;
                return Ok(());
            }
            let text = "a directory in a list of files needs --recursive";
            self.refuse(Failure::new(FailureKind::Usage, &missing.object, text)).await;
            return Ok(());
        }
        let mut tree = self.tree(name, None);
        let mut names = Names::default();
        while let Some(page) = tree.next_page(self).await? {
            self.offer_page(page, &mut names, tree.is_disordered()).await?;
            if !tree.is_done() && tree.may_stand() {
                self.stands(|place| {
                    place.lines = line;
                    place.listings = tree.listings();
                })
                .await;
            }
        }
        if !tree.seen {
            self.refuse(missing).await;
        }
        Ok(())
    }

    /// Versions of one blob, by their ids.
    pub(super) async fn versions(&self) -> Result<(), Halt> {
        let RemotePath::Object { name } = &self.source.path else {
            let text = "versions are listed for one blob: the URL names a container or a directory";
            return Err(Box::new(Failure::new(FailureKind::Usage, "", text)).into());
        };
        let list = ListOfFiles::File(self.source.versions.clone().expect("there is a list"));
        let mut lines = ListReader::open(&list)?;
        match &self.shared.task {
            Task::Download(task) => task.begin_versions()?,
            Task::Copy(task) => task.begin_versions()?,
            _ => {}
        }
        self.make_first().await?;
        let (mut entries, mut line) = (Vec::new(), 0);
        let mut more = self.first_lines(&mut lines, &mut entries)?;
        self.begun(true, true).await;
        while std::mem::replace(&mut more, false) || self.next_lines(&mut lines, &mut entries)? {
            self.done(line).await;
            for entry in entries.drain(..) {
                line += 1;
                if self.is_done(line - 1) {
                    continue;
                }
                match entry.map(|line| String::from_utf8_lossy(&line).trim().to_owned()) {
                    Ok(id) => {
                        let mut entry = BlobEntry::new(name.clone(), BlobFacts::default());
                        entry.is_current_version = false;
                        entry.facts.version_id = Some(id.into());
                        let relative_at = name.rfind('/').map_or(0, |slash| slash + 1);
                        let (entry, known) = (Box::new(entry), Known::Version);
                        self.hand_over(BlobItem { entry, relative_at, known }).await;
                    }
                    Err(error) => {
                        let failure = Failure::new(FailureKind::Name, &error.text, error.to_string());
                        self.refuse(failure).await;
                    }
                }
            }
        }
        self.ended(line)
    }
}
