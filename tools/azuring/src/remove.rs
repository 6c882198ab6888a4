//! `azuring remove`.

use std::path::Path;

use azuring_azure::SasOperation;
use azuring_plan::filter::Filter;
use azuring_plan::location::Location;
use azuring_plan::pairs::{FromTo, Pair, Verb};
use azuring_transfer::{DeleteSnapshots, Job, PermanentDelete, StopHandle};

use crate::access::{self, Purpose};
use crate::cli::filter::RegexArgs;
use crate::cli::global::GlobalArgs;
use crate::cli::pairs::{Given, possible};
use crate::cli::remove::{DeleteSnapshotsArg, PermanentDeleteArg, RemoveArgs};
use crate::exit::Exit;
use crate::jobs::{self, Origin, Places};
use crate::options;
use crate::output::notice;
use crate::refused::{self, Refused, usage};
use crate::run;
use crate::stdin::{self, Lines};
use crate::view::Facts;

pub(crate) fn run(global: &GlobalArgs, given: &Given, args: &RemoveArgs, origin: &Origin) -> Exit {
    let stop = run::stop_on_signals(|| {});
    match prepare((global, given), args, origin, &stop) {
        Ok((job, facts)) => run::run(job, &stop, facts),
        Err(refused) => refused.tell(),
    }
}

/// What a URL that is given alone is, and that this version can do with it what leads `to` there.
pub(crate) fn target(url: &str, from_to: Option<&str>, to: Location) -> Result<&'static Pair, Refused> {
    let from_to = match from_to {
        Some(name) => FromTo::parse(name)?,
        None => FromTo { from: Location::of(url), to },
    };
    let command = if to == Location::Trash { Verb::Remove.command() } else { Verb::SetProperties.command() };
    match (Pair::of(from_to), from_to.refusal(command)) {
        (Some(pair), None) => Ok(pair),
        _ if !from_to.from.is_remote() => Err(usage(format!(
            "{url} is not a URL: it looks like https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS"
        ))),
        (_, why) => Err(usage(format!("{} ({})", why.unwrap_or_default(), possible(command)))),
    }
}

/// Reads commands from stdin, if that was asked for.
pub(crate) fn listen(
    global: &GlobalArgs,
    list: Option<&std::path::Path>,
    stop: &StopHandle,
) -> Result<(), Refused> {
    let is_list = list == Some(std::path::Path::new("-"));
    if is_list {
        stdin::check_list()?;
    }
    if is_list && (global.cancel_from_stdin.0 || global.await_continue.0) {
        return Err(usage("stdin can be one thing only: the list of files, or commands"));
    }
    if global.cancel_from_stdin.0 {
        // The thread lives on without the handle.
        drop(Lines::start(Some(stop.clone())));
    }
    Ok(())
}

fn prepare(
    (global, given): (&GlobalArgs, &Given),
    args: &RemoveArgs,
    origin: &Origin,
    stop: &StopHandle,
) -> Result<(Job, Facts), Refused> {
    let pair = target(&args.target, args.from_to.as_deref(), Location::Trash)?;
    refused::check_flags(pair, given)?;
    listen(global, args.names.list_of_files.as_deref(), stop)?;
    let permanent_delete = match args.permanent_delete {
        PermanentDeleteArg::None => None,
        PermanentDeleteArg::Snapshots => Some(PermanentDelete::Snapshots),
        PermanentDeleteArg::Versions => Some(PermanentDelete::Versions),
        PermanentDeleteArg::SnapshotsAndVersions => Some(PermanentDelete::SnapshotsAndVersions),
    };
    if permanent_delete.is_some() {
        notice("--permanent-delete cannot be undone; the account must allow it");
    }
    let options = options::common(global, &args.engine)?
        .dry_run(args.dry_run.0)
        .delete_snapshots(args.delete_snapshots.map(|which| match which {
            DeleteSnapshotsArg::Include => DeleteSnapshots::Include,
            DeleteSnapshotsArg::Only => DeleteSnapshots::Only,
        }))
        .permanent_delete(permanent_delete)
        .encryption(options::encryption(&args.keys)?)
        .retry_failed(args.keep.retry.retry_failed);
    let operation = match (permanent_delete, &args.list_of_versions) {
        _ if args.dry_run.0 => None,
        (Some(_), _) => Some(SasOperation::DeletePermanently),
        (None, Some(_)) => Some(SasOperation::DeleteVersion),
        (None, None) => Some(SasOperation::Delete),
    };
    let named = args.names.list_of_files.is_some() || args.list_of_versions.is_some();
    let purpose = Purpose { operations: operation.as_slice(), lists: !named, reads: false };
    let (url, access) = access::open(&args.target, &purpose, global, &args.engine)?;
    let spec = options::filter_spec(&args.names, &RegexArgs::default(), &args.times)?;
    let mut job = Job::remove(url, access.known()).recursive(args.recursive.0).filter(Filter::new(&spec)?);
    if let Some(list) = &args.names.list_of_files {
        job = job.list_of_files(options::list_of_files(list));
    }
    if let Some(versions) = &args.list_of_versions {
        job = job.list_of_versions(versions);
    }
    let places = Places { source: Path::new(&args.target), destination: None, staging: None };
    if !(args.dry_run.0 || args.keep.no_journal.0) {
        job = origin.keep(job, "remove", &places);
    }
    let facts = Facts {
        dry_run: args.dry_run.0,
        from_to: pair.from_to(),
        blob_type: "Detect".to_owned(),
        resume_flags: places.resume_flags(),
        ..Facts::default()
    };
    Ok((jobs::build(access.of(job.options(options)))?, facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_in_blob_storage() {
        let url = "https://a.blob.core.windows.net/c";
        let told = |url, from_to| {
            let pair = target(url, from_to, Location::Trash).map_err(|refused| refused.text)?;
            Ok::<_, String>(pair.from_to().unwrap())
        };
        assert_eq!(told(url, None).unwrap().to_string(), "BlobTrash");
        assert_eq!(told(url, Some("blobtrash")).unwrap().to_string(), "BlobTrash");
        assert!(told(url, Some("FileTrash")).unwrap_err().contains("this version works on Blob storage"));
        assert!(told(url, Some("BlobNone")).unwrap_err().contains("BlobTrash"));
        assert!(told("a/b", None).unwrap_err().starts_with("a/b is not a URL"));
    }
}
