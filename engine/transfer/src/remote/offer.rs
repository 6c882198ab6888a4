//! Which of the listed blobs are handed over, and as what.

use azuring_azure::{BlobEntry, Disorder};
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_lane::task::names::{Claim, plain_name};
use azuring_lane::task::verb::Task;
use azuring_plan::name::{directory_prefix, escape};
use azuring_plan::order::OrderKey;

use crate::pages::{PageOptions, Pages};
use crate::scan::{Halt, Met};

use super::names::{Fate, Names};
use super::tree::Page;
use super::{Listed, Remote, Single};

impl Remote<'_> {
    /// Tells once that the service lists in no order that is known.
    pub(super) async fn tell_disorder(&self, disorder: &Disorder) {
        if !self.told_disorder.replace(true) {
            self.out.give(Met::Notice(disorder_text(disorder))).await;
        }
    }

    /// Whether files are made: then the order tells which of the blobs can be files beside each other, and what has to
    /// wait for that is told later. What is not kept is beside nothing.
    pub(super) fn keeps(&self) -> bool {
        matches!(&self.shared.task, Task::Download(task) if !task.is_null())
    }

    /// Whether the names of other blobs begin with this one's and a slash.
    async fn has_below(&self, name: &str) -> Result<bool, Halt> {
        let (mut listing, pages) = (Pages::all(format!("{name}/")), self.pages());
        loop {
            let page = self.page(&mut listing, &PageOptions { entries: Some(1), ..pages }).await?;
            if !page.items.is_empty() || listing.is_done() {
                return Ok(!page.items.is_empty());
            }
        }
    }

    /// Hands over the blobs of a page that the filters let pass: as files that can be beside each other, where files
    /// are made and the order tells which these are.
    pub(super) async fn offer_page(
        &self,
        page: Page,
        names: &mut Names,
        disordered: bool,
    ) -> Result<(), Halt> {
        let Page { blobs, directories, is_level, is_first, goes_on, .. } = page;
        if !self.keeps() || disordered {
            for entry in names.let_go() {
                self.settle(Fate::File(entry)).await?;
            }
            for entry in blobs {
                self.offer(entry).await?;
            }
            return Ok(());
        }
        if is_first {
            names.begin();
        }
        if is_level {
            return self.offer_level(blobs, &directories, goes_on).await;
        }
        let mut fates = Vec::new();
        for entry in blobs {
            let blocked = names.next(&entry.name, &mut fates);
            for fate in fates.drain(..) {
                self.settle(fate).await?;
            }
            let Some(item) = self.chosen(entry).await else { continue };
            match blocked {
                Some(len) => self.refuse_below(item, len).await,
                None if is_folder(&item.entry) => self.take(item).await?,
                None if item.entry.facts.len == 0 => names.hold(item.entry),
                None => {
                    names.is_file();
                    self.take(item).await?;
                }
            }
        }
        if !names.holds() {
            return Ok(());
        }
        // What begins the last names may begin the next ones, too; the page is to be complete.
        for entry in names.let_go() {
            let is_directory = goes_on && self.has_below(&entry.name).await?;
            let fate = if is_directory { Fate::Directory(entry) } else { Fate::File(entry) };
            self.settle(fate).await?;
        }
        Ok(())
    }

    /// Hands over a blob that was held back: it had been chosen before.
    async fn settle(&self, fate: Fate) -> Result<(), Halt> {
        let (entry, relative_at) = (fate.entry(), self.base().len());
        self.take(BlobItem { entry, relative_at, known: Known::Listed }).await
    }

    /// The same of one level, whose directories are listed with its blobs.
    async fn offer_level(
        &self,
        blobs: Vec<Listed>,
        directories: &[String],
        goes_on: bool,
    ) -> Result<(), Halt> {
        let order = |a: &str, b: &str| OrderKey::Utf16.compare(a.as_bytes(), b.as_bytes());
        let last_blob = blobs.last().map_or(String::new(), |entry| entry.name.clone());
        let last_directory = directories.last().map_or("", String::as_str);
        let last = if order(&last_blob, last_directory).is_lt() { last_directory } else { &last_blob };
        for entry in blobs {
            let Some(mut item) = self.chosen(entry).await else { continue };
            if item.entry.facts.len == 0 && !is_folder(&item.entry) {
                let below = directory_prefix(&item.entry.name);
                // There are few of them: both names begin the last one of the page.
                let may_follow = goes_on && order(&below, last).is_gt();
                item.entry.is_directory =
                    directories.contains(&below) || (may_follow && self.has_below(&item.entry.name).await?);
            }
            self.take(item).await?;
        }
        Ok(())
    }

    /// A blob lies below one that is a file.
    async fn refuse_below(&self, item: BlobItem, len: usize) {
        let file = escape(&item.entry.name.as_bytes()[..len]);
        let text =
            format!("the blob `{file}` is a file, so that nothing can be below it on this file system");
        let failure = Failure::new(FailureKind::Name, &item.object(), text);
        self.unfit(item, failure.advise("rename one of them, or copy it to another directory")).await;
    }

    /// Hands a listed blob over if the filters let it pass.
    async fn offer(&self, entry: Listed) -> Result<(), Halt> {
        match self.chosen(entry).await {
            Some(item) => self.take(item).await,
            None => Ok(()),
        }
    }

    /// The blob, if the filters let it pass.
    async fn chosen(&self, entry: Listed) -> Option<BlobItem> {
        let source = self.source;
        if !entry.name.starts_with(self.base()) {
            return None;
        }
        let known = if source.permanent.is_some() { Known::Version } else { Known::Listed };
        let item = BlobItem { relative_at: self.base().len(), entry, known };
        if source.leaves_out_link(&item) {
            self.skip_link(item).await;
            return None;
        }
        source.wants(&item).then_some(item)
    }

    /// Hands over a blob that is wanted.
    pub(super) async fn take(&self, item: BlobItem) -> Result<(), Halt> {
        if self.source.list.is_some() {
            let claim = self.claim_in_list(&item).await?;
            self.claimed(item, claim).await;
            return Ok(());
        }
        if let Task::Download(task) = &self.shared.task
            && !task.is_null()
            && let Some(plain) = listed_before(&item)
            && self.is_wanted(&plain).await?
        {
            let failure = same_name(&item.object());
            self.unfit(item, failure).await;
            return Ok(());
        }
        let claim = match &self.shared.task {
            Task::Download(task) => task.claims(&item),
            _ => Claim::Free,
        };
        self.claimed(item, claim).await;
        Ok(())
    }

    /// Which of the blobs that a list and what is below its lines give, in no order, has a local name: the first one.
    pub(super) async fn claim_in_list(&self, item: &BlobItem) -> Result<Claim, Halt> {
        let Task::Download(task) = &self.shared.task else { return Ok(Claim::Free) };
        if !self.keeps() {
            return Ok(Claim::Free);
        }
        task.is_given(item);
        // A line may have it that is no blob.
        if let Some(owner) = task.owner(item)
            && matches!(self.single(&owner).await?, Single::None)
        {
            task.gives_back(item);
        }
        if plain_name(item).is_none() {
            return Ok(Claim::Free);
        }
        let before = self.shared.durable.as_ref().and_then(|durable| durable.before.as_ref());
        if let (Some(before), false) = (before, self.knows_given.replace(true)) {
            before.blobs(|blob| task.is_given(blob))?;
        }
        if let Some(plain) = task.given_before(item) {
            if !matches!(self.single(&plain).await?, Single::None) {
                task.leaves_to(item, plain);
            } else if item.known == Known::Named
                && matches!(self.single(&item.entry.name).await?, Single::None)
            {
                // Both may be directories.
                return Ok(Claim::Free);
            }
        }
        Ok(task.claims(item))
    }

    async fn claimed(&self, item: BlobItem, claim: Claim) {
        match claim {
            Claim::Free => self.hand_over(item).await,
            Claim::Collapsed => {
                self.out.give(Met::Collapsed).await;
                self.hand_over(item).await;
            }
            Claim::Taken => {
                let failure = same_name(&item.object());
                self.unfit(item, failure).await;
            }
        }
    }

    /// A blob cannot be transferred.
    async fn unfit(&self, item: BlobItem, failure: Failure) {
        self.out.give(Met::Unfit(Box::new((Found::Blob(Box::new(item)), failure)))).await;
    }

    /// Whether there is a blob of this name, and the job takes it.
    async fn is_wanted(&self, name: &str) -> Result<bool, Halt> {
        Ok(match self.single(name).await? {
            Single::Blob(entry) | Single::Stub(entry) => {
                let item = BlobItem { entry, relative_at: self.base().len(), known: Known::Listed };
                self.source.wants(&item)
            }
            Single::None => false,
            Single::Unknown(failure) => return Err(failure.into()),
        })
    }
}

/// The name without its empty segments, where it has some and that other name is listed before it: when this one comes,
/// the other's file may be there. (Otherwise whoever comes first claims the local name.)
fn listed_before(item: &BlobItem) -> Option<String> {
    let plain = plain_name(item)?;
    OrderKey::Utf16.compare(plain.as_bytes(), item.entry.name.as_bytes()).is_lt().then_some(plain)
}

fn same_name(object: &str) -> Failure {
    let text = "another blob has the same name on this file system, where empty segments disappear";
    Failure::new(FailureKind::Name, object, text).advise("rename one of them")
}

/// Whether the blob is a directory by itself.
fn is_folder(entry: &BlobEntry) -> bool {
    entry.is_folder() || entry.name.ends_with('/')
}

/// What is told of names that keep no known order.
fn disorder_text(disorder: &Disorder) -> String {
    let (first, second) = (escape(disorder.first.as_bytes()), escape(disorder.second.as_bytes()));
    format!(
        "the service lists names in no known order (`{second}` after `{first}`): what it lists twice counts twice, and a \
         job that is resumed lists again from the last place where names were in order"
    )
}
