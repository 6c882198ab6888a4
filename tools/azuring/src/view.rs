//! What stdout says about a job, in each of the forms.

pub(crate) mod json;
pub(crate) mod ndjson;
pub(crate) mod route;
pub(crate) mod text;

use std::path::Path;
use std::sync::Arc;

use azuring_plan::pairs::FromTo;
use azuring_transfer::{Event, JobPlan, Progress, Report};

use crate::cli::global::OutputType;
use crate::exit::Exit;
use crate::output::Output;

/// Shows one job on stdout, or writes it elsewhere.
pub(crate) trait View {
    /// The job begins.
    fn begin(&mut self, plan: &JobPlan, progress: Arc<Progress>);
    /// Something happened.
    fn event(&mut self, event: &Event);
    /// The job has ended.
    fn end(&mut self, plan: &JobPlan, report: &Report, exit: Exit);
}

/// What the command line says about the objects, as far as AzCopy's dry run repeats it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Whether nothing is done.
    pub(crate) dry_run: bool,
    /// Whether stdin or stdout are one end: a success says nothing.
    pub(crate) pipe: bool,
    /// Whether questions are asked on stderr: progress would write over them.
    pub(crate) asks: bool,
    /// What goes where.
    pub(crate) from_to: Option<FromTo>,
    /// The type of the blobs, as AzCopy names it.
    pub(crate) blob_type: String,
    /// The tags that are set.
    pub(crate) tags: Vec<(String, String)>,
    /// The metadata that are set.
    pub(crate) metadata: Vec<(String, String)>,
    /// The tier that is set.
    pub(crate) tier: Option<String>,
    /// What `jobs resume` needs besides the job's id.
    pub(crate) resume_flags: String,
}

/// The view that was asked for, of a job that is logged in that file.
pub(crate) fn of(facts: Facts, log: Option<&Path>) -> Box<dyn View> {
    let log = log.map(|path| path.to_string_lossy().into_owned());
    match Output::get().kind {
        _ if facts.pipe => Box::new(Silent),
        OutputType::Text => Box::new(text::TextView::new(facts.dry_run, log)),
        OutputType::Json => Box::new(json::JsonView::new(facts, log.unwrap_or_default())),
        OutputType::Ndjson => Box::new(ndjson::NdjsonView::new(log)),
        OutputType::None => Box::new(Silent),
    }
}

/// Several for one job.
impl View for Vec<Box<dyn View>> {
    fn begin(&mut self, plan: &JobPlan, progress: Arc<Progress>) {
        self.iter_mut().for_each(|view| view.begin(plan, Arc::clone(&progress)));
    }

    fn event(&mut self, event: &Event) {
        self.iter_mut().for_each(|view| view.event(event));
    }

    fn end(&mut self, plan: &JobPlan, report: &Report, exit: Exit) {
        self.iter_mut().for_each(|view| view.end(plan, report, exit));
    }
}

/// Shows nothing.
pub(crate) struct Silent;

impl View for Silent {
    fn begin(&mut self, _: &JobPlan, _: Arc<Progress>) {}
    fn event(&mut self, _: &Event) {}
    fn end(&mut self, _: &JobPlan, _: &Report, _: Exit) {}
}

/// A URL without its percent-encoding, as AzCopy shows it; anything else, and what would break the line, as it is.
pub(crate) fn shown(place: &str) -> String {
    if !azuring_transfer::BlobUrl::looks_like(place) {
        return place.to_owned();
    }
    match percent_encoding::percent_decode_str(place).decode_utf8() {
        Ok(decoded) if !decoded.chars().any(char::is_control) => decoded.into_owned(),
        _ => place.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_decoded_unless_that_breaks_the_line() {
        assert_eq!(shown("http://h/a/c/x%20y%25"), "http://h/a/c/x y%");
        assert_eq!(shown("http://h/a/c/x%0Ay"), "http://h/a/c/x%0Ay");
        assert_eq!(shown("http://h/a/c/x%FF"), "http://h/a/c/x%FF");
        assert_eq!(shown("/data/x%20y"), "/data/x%20y");
    }
}
