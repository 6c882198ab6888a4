//! A listing, page after page: the one place where pages of blobs are asked for.

use azuring_azure::{Course, Disorder, ListInclude, ListPage, ListRequest, Wanted};
use azuring_lane::client::Client;
use azuring_lane::request::{Begin, GaveUp, Sender, request};
use azuring_plan::order::OrderKey;

/// What is asked of every page.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageOptions {
    pub(crate) include: ListInclude,
    pub(crate) wanted: Wanted,
    /// Entries of a page, where they are not as many as the service likes.
    pub(crate) entries: Option<u32>,
}

/// What is below a prefix, in the service's order.
#[derive(Debug)]
pub(crate) struct Pages {
    prefix: String,
    /// One level of it: blobs, and what begins the names below its directories.
    is_level: bool,
    /// Of the next page, where it is not the first.
    marker: Option<String>,
    is_done: bool,
    /// Of one that has begun. Thousands may wait.
    course: Option<Box<Course>>,
}

impl Pages {
    /// All that is below a prefix.
    pub(crate) fn all(prefix: String) -> Self {
        Self::at(prefix, None)
    }

    /// The same, from a page on that an earlier run did not see.
    pub(crate) fn at(prefix: String, marker: Option<String>) -> Self {
        Self { prefix, is_level: false, marker, is_done: false, course: None }
    }

    /// The same of one level alone.
    pub(crate) fn level(self) -> Self {
        Self { is_level: true, ..self }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Of the next page, where it is not the first.
    pub(crate) fn marker(&self) -> Option<&str> {
        self.marker.as_deref()
    }

    /// Whether there is no further page.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Names that came in no known order, if some did.
    pub(crate) fn disorder(&self) -> Option<&Disorder> {
        self.course.as_ref()?.disorder()
    }

    /// The order of its blobs, so far as those that came tell.
    pub(crate) fn order(&self) -> Option<OrderKey> {
        match &self.course {
            Some(course) => course.order(),
            None => Course::default().order(),
        }
    }

    /// The next page; after the last one, one without anything. An error leaves the listing where it was.
    pub(crate) async fn next(
        &mut self,
        sender: &Sender<'_>,
        client: &Client,
        pages: &PageOptions,
    ) -> Result<ListPage, GaveUp> {
        if self.is_done {
            return Ok(ListPage::default());
        }
        let list = ListRequest {
            prefix: &self.prefix,
            delimiter: self.is_level,
            marker: self.marker.as_deref(),
            include: pages.include,
            max_results: pages.entries,
            wanted: pages.wanted,
        };
        let course = self.course.get_or_insert_default();
        let ask = async |_| client.list(&list, course).await;
        let mut page = request(sender, 0, Begin::UnlessStopping, ask).await?;
        self.marker = page.next.take();
        self.is_done = self.marker.is_none();
        Ok(page)
    }
}
