//! Which of the listed blobs are handed over, and as what.

use azuring_azure::{BlobEntry, Course, Disorder};
use azuring_job::entry::{BlobItem, Found, Known};
use azuring_job::failure::{Failure, FailureKind};
use azuring_lane::task::names::Claim;
use azuring_lane::task::verb::Task;
use azuring_plan::name::{directory_prefix, escape};
use azuring_plan::order::OrderKey;

use crate::planner::Planner;

use super::names::{Fate, Names};
use super::tree::Page;
use super::{Halt, Listed, Remote, Single, going};

impl Remote<'_> {
    /// Tells once that the service lists in no order that is known.
    pub(super) fn tell_disorder(&self, planner: &mut Planner<'_>, disorder: &Disorder) -> Result<(), Halt> {
        if self.told_disorder.replace(true) {
            return Ok(());
        }
        going(planner.notice(disorder_text(disorder)))
    }

    /// Whether the names of other blobs begin with this one's and a slash.
    async fn has_below(&self, planner: &Planner<'_>, name: &str) -> Result<bool, Halt> {
        let (prefix, mut marker, mut course) = (format!("{name}/"), None, Course::default());
        loop {
            let ask = (&*prefix, false, marker.as_deref(), Some(1));
            let page = self.page(planner, ask, &mut course).await?;
            marker = page.next;
            if !page.items.is_empty() || marker.is_none() {
                return Ok(!page.items.is_empty());
            }
        }
    }

    /// Hands over the blobs of a page that the filters let pass: as files that can be beside each other, where files are made
    /// and the order tells which these are.
    pub(super) async fn offer_page(
        &self,
        planner: &mut Planner<'_>,
        page: Page,
        names: &mut Names,
        disordered: bool,
    ) -> Result<(), Halt> {
        let Page { blobs, directories, is_level, is_first, goes_on } = page;
        // What is not kept is beside nothing.
        let keeps = matches!(&planner.shared.task, Task::Download(task) if !task.is_null());
        if !keeps || disordered {
            for entry in names.let_go() {
                self.settle(planner, Fate::File(entry)).await?;
            }
            for entry in blobs {
                self.offer(planner, entry).await?;
            }
            return Ok(());
        }
        if is_first {
            names.begin();
        }
        if is_level {
            return self.offer_level(planner, blobs, &directories, goes_on).await;
        }
        let mut fates = Vec::new();
        for entry in blobs {
            let blocked = names.next(&entry.name, &mut fates);
            for fate in fates.drain(..) {
                self.settle(planner, fate).await?;
            }
            let Some(item) = self.chosen(planner, entry)? else { continue };
            match blocked {
                Some(len) => self.refuse_below(planner, item, len)?,
                None if is_folder(&item.entry) => self.take(planner, item).await?,
                None if item.entry.facts.len == 0 => names.hold(item.entry),
                None => {
                    names.is_file();
                    self.take(planner, item).await?;
                }
            }
        }
        if !names.holds() {
            return Ok(());
        }
        // What begins the last names may begin the next ones, too; the page is to be complete.
        for entry in names.let_go() {
            let is_directory = goes_on && self.has_below(planner, &entry.name).await?;
            let fate = if is_directory { Fate::Directory(entry) } else { Fate::File(entry) };
            self.settle(planner, fate).await?;
        }
        Ok(())
    }

    /// Hands over a blob that was held back: it had been chosen before.
    async fn settle(&self, planner: &mut Planner<'_>, fate: Fate) -> Result<(), Halt> {
        let (entry, relative_at) = (fate.entry(), self.base.len());
        self.take(planner, BlobItem { entry, relative_at, known: Known::Listed }).await
    }

    /// The same of one level, whose directories are listed with its blobs.
    async fn offer_level(
        &self,
        planner: &mut Planner<'_>,
        blobs: Vec<Listed>,
        directories: &[String],
        goes_on: bool,
    ) -> Result<(), Halt> {
        let order = |a: &str, b: &str| OrderKey::Utf16.compare(a.as_bytes(), b.as_bytes());
        let last_blob = blobs.last().map_or(String::new(), |entry| entry.name.clone());
        let last_directory = directories.last().map_or("", String::as_str);
        let last = if order(&last_blob, last_directory).is_lt() { last_directory } else { &last_blob };
        for entry in blobs {
            let Some(mut item) = self.chosen(planner, entry)? else { continue };
            if item.entry.facts.len == 0 && !is_folder(&item.entry) {
                let below = directory_prefix(&item.entry.name);
                // There are few of them: both names begin the last one of the page.
                let may_follow = goes_on && order(&below, last).is_gt();
                item.entry.is_directory = directories.contains(&below)
                    || (may_follow && self.has_below(planner, &item.entry.name).await?);
            }
            self.take(planner, item).await?;
        }
        Ok(())
    }

    /// A blob lies below one that is a file.
    fn refuse_below(&self, planner: &mut Planner<'_>, item: BlobItem, len: usize) -> Result<(), Halt> {
        let file = escape(&item.entry.name.as_bytes()[..len]);
        let object = item.object();
        if planner.finds_again(&Found::Blob(Box::new(item))) {
            return Ok(());
        }
        let text =
            format!("the blob `{file}` is a file, so that nothing can be below it on this file system");
        let failure = Failure::new(FailureKind::Name, &object, text);
        going(planner.refuse(failure.advise("rename one of them, or copy it to another directory")))
    }

    /// Hands a listed blob over if the filters let it pass.
    async fn offer(&self, planner: &mut Planner<'_>, entry: Listed) -> Result<(), Halt> {
        match self.chosen(planner, entry)? {
            Some(item) => self.take(planner, item).await,
            None => Ok(()),
        }
    }

    /// The blob, if the filters let it pass.
    fn chosen(&self, planner: &mut Planner<'_>, entry: Listed) -> Result<Option<BlobItem>, Halt> {
        let source = self.source;
        if !entry.name.starts_with(&self.base) {
            return Ok(None);
        }
        let known = if source.permanent.is_some() { Known::Version } else { Known::Listed };
        let item = BlobItem { relative_at: self.base.len(), entry, known };
        if source.leaves_out_link(&item) {
            self.skip_link(planner, item)?;
            return Ok(None);
        }
        Ok(source.wants(&item).then_some(item))
    }

    /// Hands over a blob that is wanted.
    async fn take(&self, planner: &mut Planner<'_>, item: BlobItem) -> Result<(), Halt> {
        if let Task::Download(task) = &planner.shared.task
            && !task.is_null()
            && let Some(plain) = plain_name(&item)
            && self.is_wanted(planner, &plain).await?
        {
            return self.refuse_same(planner, item);
        }
        let claim = match &planner.shared.task {
            Task::Download(task) => task.claims(&item),
            _ => Claim::Free,
        };
        if claim == Claim::Collapsed {
            planner.collapsed();
        }
        let found = Found::Blob(Box::new(item));
        if planner.finds_again(&found) {
            return Ok(());
        }
        if let (Claim::Taken, Found::Blob(item)) = (claim, &found) {
            return going(planner.refuse(same_name(&item.object())));
        }
        going(planner.push(found))
    }

    /// Whether there is a blob of this name, and the job takes it.
    async fn is_wanted(&self, planner: &Planner<'_>, name: &str) -> Result<bool, Halt> {
        Ok(match self.single(planner, name).await? {
            Single::Blob(entry) | Single::Stub(entry) => {
                let item = BlobItem { entry, relative_at: self.base.len(), known: Known::Listed };
                self.source.wants(&item)
            }
            Single::None => false,
            Single::Unknown(failure) => return Err(failure.into()),
        })
    }

    /// Another blob has the local name of this one.
    fn refuse_same(&self, planner: &mut Planner<'_>, item: BlobItem) -> Result<(), Halt> {
        let object = item.object();
        if planner.finds_again(&Found::Blob(Box::new(item))) {
            return Ok(());
        }
        going(planner.refuse(same_name(&object)))
    }
}

/// The name without its empty segments, where it has some and that other name is listed before it: when this one comes, the
/// other's file may be there. (Otherwise whoever comes first claims the local name.)
fn plain_name(item: &BlobItem) -> Option<String> {
    let relative = item.relative();
    if !(relative.starts_with('/') || relative.contains("//")) {
        return None;
    }
    let mut plain = item.entry.name[..item.relative_at].to_owned();
    let segments: Vec<&str> = relative.split('/').filter(|segment| !segment.is_empty()).collect();
    plain.push_str(&segments.join("/"));
    if relative.ends_with('/') {
        plain.push('/');
    }
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
