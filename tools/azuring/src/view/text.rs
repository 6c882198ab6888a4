//! For people and for scripts that read AzCopy's summary.

use std::sync::Arc;

use azuring_transfer::{Action, Event, JobPlan, Planned, Progress, Report};

use super::{View, shown};
use crate::exit::Exit;
use crate::output::{say, word};
use crate::summary;

/// The job's header, the lines of a dry run, and the summary.
pub(crate) struct TextView {
    dry_run: bool,
    log: Option<String>,
}

impl TextView {
    pub(crate) fn new(dry_run: bool, log: Option<String>) -> Self {
        Self { dry_run, log }
    }
}

impl View for TextView {
    fn begin(&mut self, plan: &JobPlan, _: Arc<Progress>) {
        if !self.dry_run {
            say!("\nJob {} has started", plan.id);
        }
        if let Some(log) = &self.log {
            say!("Log file is located at: {log}\n");
        }
    }

    fn event(&mut self, event: &Event) {
        if let Event::Planned(batch) = event {
            let lines: Vec<_> = batch.iter().map(dry_run_line).collect();
            if !lines.is_empty() {
                say!("{}", lines.join("\n"));
            }
        }
    }

    fn end(&mut self, plan: &JobPlan, report: &Report, _: Exit) {
        if !self.dry_run {
            say!("{}", summary::text(plan, report));
        }
    }
}

/// AzCopy's line.
fn dry_run_line(planned: &Planned) -> String {
    let (source, destination) = (shown(&planned.transfer.source), shown(&planned.transfer.destination));
    let (source, destination) = (word(&source), word(&destination));
    match planned.action {
        Action::Copy => format!("DRYRUN: copy {source} to {destination}"),
        action => format!("DRYRUN: {} {source}", action.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azuring_transfer::Transfer;

    #[test]
    fn a_dry_run_speaks_azcopys_words() {
        let line = |action, source: &str, destination: &str| {
            let (object, source) = (String::new(), source.to_owned());
            let transfer =
                Transfer::default().object(object).source(source).destination(destination.to_owned());
            dry_run_line(&Planned::new(action, transfer))
        };
        let url = "http://127.0.0.1:1/devstoreaccount1/c/dir/a%20b%25.txt";
        let copied = line(Action::Copy, "/src/dir/a b%.txt", url);
        let decoded = "http://127.0.0.1:1/devstoreaccount1/c/dir/a b%.txt";
        assert_eq!(copied, format!("DRYRUN: copy /src/dir/a b%.txt to {decoded}"));
        assert_eq!(line(Action::Remove, url, ""), format!("DRYRUN: remove {decoded}"));
        assert_eq!(line(Action::SetProperties, url, ""), format!("DRYRUN: set-properties {decoded}"));
    }
}
