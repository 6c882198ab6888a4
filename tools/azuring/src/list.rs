//! `azuring list`.

use std::ops::ControlFlow;

use azuring_plan::location::Location;
use azuring_plan::pairs::{Pair, Verb};
use azuring_transfer::{CommandError, FailureKind, ListOptions, ListTotals, StopHandle};

use crate::access::{self, Purpose};
use crate::cli::global::{GlobalArgs, OutputType};
use crate::cli::other::ListArgs;
use crate::cli::pairs::Given;
use crate::exit::{self, Exit};
use crate::listing::Listing;
use crate::output::{self, Output, Sink, notice, say, tell};
use crate::refused::{self, Refused, usage};
use crate::view::json;
use crate::{options, remove, run};

pub(crate) fn run(global: &GlobalArgs, given: &Given, args: &ListArgs) -> Exit {
    let stop = run::stop_on_signals(|| {});
    let (listing, listed) = match listed((global, given), args, &stop) {
        Ok(listed) => listed,
        Err(refused) => return refused.tell(),
    };
    let totals = match listed {
        Ok(totals) => totals,
        // To the service a directory without blobs and one that never was are the same; a container is not.
        Err(CommandError::Failed(failure))
            if failure.kind == FailureKind::Missing && failure.code.is_none() =>
        {
            tell!("azuring: {failure}");
            ListTotals::default()
        }
        Err(error) => {
            output::failed(&error.to_string());
            return exit::of_command(&error);
        }
    };
    // No total stands below a list that is cut.
    if !output::is_whole() {
        return Exit::Done;
    }
    if args.running_tally.0 {
        let (files, bytes) = (totals.files, totals.bytes);
        match Output::get().kind {
            OutputType::Json => say!("{}", listing.tally_json(files, bytes)),
            OutputType::Ndjson => say!("{}", Listing::tally_ndjson(files, bytes)),
            OutputType::Text | OutputType::None => say!("{}", listing.tally_text(files, bytes)),
        }
    }
    if Output::get().kind == OutputType::Json {
        say!("{}", json::message("EndOfJob", ""));
    }
    Exit::Done
}

type Listed = (Listing, Result<ListTotals, CommandError>);

fn listed(
    (global, given): (&GlobalArgs, &Given),
    args: &ListArgs,
    stop: &StopHandle,
) -> Result<Listed, Refused> {
    refused::check_flags(row(args)?, given)?;
    remove::listen(global, None, stop)?;
    let (listing, unknown) = Listing::new(args);
    if !unknown.is_empty() {
        notice(&format!("unknown properties: {}", unknown.join(", ")));
    }
    let (url, access) = access::open(&args.target, &Purpose::LIST, global, &args.engine)?;
    let credential = access.now()?;
    let options = ListOptions::default()
        .engine(options::common(global, &args.engine)?)
        .include_versions(listing.versions())
        .wanted(listing.wanted())
        .parallel(!options::flat_listing());
    let mut sink = Sink::stdout();
    let kind = Output::get().kind;
    let totals = azuring_transfer::list(&url, &credential, &options, stop, |blob| {
        let (path, facts) = (&blob.path, &blob.entry.facts);
        match kind {
            OutputType::Text => sink.line(&listing.text(path, facts)),
            OutputType::Json => sink.line(&listing.json(path, facts)),
            OutputType::Ndjson => sink.line(&listing.ndjson(path, facts)),
            OutputType::None => ControlFlow::Continue(()),
        }
    });
    sink.end();
    Ok((listing, totals))
}

/// What is listed, and that this version can.
fn row(args: &ListArgs) -> Result<&'static Pair, Refused> {
    let at = match &args.location {
        Some(word) => Location::of_word(word),
        None => Some(Location::of(&args.target)),
    };
    if args.location.is_none() && at.is_some_and(|at| !at.is_remote()) {
        return Err(usage(format!(
            "{} is not a URL: it looks like https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS",
            args.target
        )));
    }
    refused::check_alone(Verb::List, at)
}
