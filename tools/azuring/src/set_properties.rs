//! `azuring set-properties`.

use std::path::Path;

use azuring_azure::SasOperation;
use azuring_plan::filter::Filter;
use azuring_plan::location::Location;
use azuring_plan::{metadata, tags};
use azuring_transfer::{Job, PropertyChange, RehydratePriority, StopHandle};

use crate::access::{self, Purpose};
use crate::cli::filter::{RegexArgs, TimeArgs};
use crate::cli::global::GlobalArgs;
use crate::cli::pairs::Given;
use crate::cli::set_properties::{RehydratePriorityArg, SetPropertiesArgs};
use crate::exit::Exit;
use crate::jobs::{self, Origin, Places};
use crate::options::{self, BLOCK_TIERS, PAGE_TIERS};
use crate::output::notice;
use crate::refused::{self, Refused, usage};
use crate::remove::{listen, target};
use crate::run;
use crate::view::Facts;

/// AzCopy's word for "remove what there is".
const CLEAR: &str = "clear";

pub(crate) fn run(global: &GlobalArgs, given: &Given, args: &SetPropertiesArgs, origin: &Origin) -> Exit {
    let stop = run::stop_on_signals(|| {});
    match prepare((global, given), args, origin, &stop) {
        Ok((job, facts)) => run::run(job, &stop, facts),
        Err(refused) => refused.tell(),
    }
}

fn prepare(
    (global, given): (&GlobalArgs, &Given),
    args: &SetPropertiesArgs,
    origin: &Origin,
    stop: &StopHandle,
) -> Result<(Job, Facts), Refused> {
    let pair = target(&args.target, args.from_to.as_deref(), Location::None)?;
    refused::check_flags(pair, given)?;
    listen(global, args.names.list_of_files.as_deref(), stop)?;
    let change = change(args)?;
    if args.metadata.as_deref() == Some(CLEAR) {
        notice("*** WARNING *** Metadata will be cleared because of input --metadata=clear");
    }
    let options = options::common(global, &args.engine)?
        .dry_run(args.dry_run.0)
        .retry_failed(args.keep.retry.retry_failed);
    let places = Places { source: Path::new(&args.target), destination: None, staging: None };
    let facts = Facts {
        resume_flags: places.resume_flags(),
        dry_run: args.dry_run.0,
        pipe: false,
        asks: false,
        from_to: pair.from_to(),
        blob_type: "Detect".to_owned(),
        tags: change.tags.clone().unwrap_or_default(),
        metadata: change.metadata.clone().unwrap_or_default(),
        tier: change.tier.clone(),
    };
    let mut operations = Vec::new();
    if change.tags.is_some() && !args.dry_run.0 {
        operations.push(SasOperation::Tags);
    }
    if (change.metadata.is_some() || change.tier.is_some()) && !args.dry_run.0 {
        operations.push(SasOperation::SetProperties);
    }
    let lists = args.names.list_of_files.is_none();
    let purpose = Purpose { operations: &operations, lists, reads: false };
    let (url, access) = access::open(&args.target, &purpose, global, &args.engine)?;
    let spec = options::filter_spec(&args.names, &RegexArgs::default(), &TimeArgs::default())?;
    let filter = Filter::new(&spec)?;
    let mut job = Job::set_properties(url, access.known(), change).recursive(args.recursive.0).filter(filter);
    if let Some(list) = &args.names.list_of_files {
        job = job.list_of_files(options::list_of_files(list));
    }
    if !(args.dry_run.0 || args.keep.no_journal.0) {
        job = origin.keep(job, "set-properties", &places);
    }
    Ok((jobs::build(access.of(job.options(options)))?, facts))
}

fn change(args: &SetPropertiesArgs) -> Result<PropertyChange, Refused> {
    let block = options::tier(&args.block_blob_tier, &BLOCK_TIERS)?;
    let page = options::tier(&args.page_blob_tier, &PAGE_TIERS)?;
    if block.is_some() && page.is_some() {
        return Err(usage("--block-blob-tier and --page-blob-tier: one of them"));
    }
    let change = PropertyChange::default()
        .tier(block.or(page))
        .rehydrate_priority(args.rehydrate_priority.map(|priority| match priority {
            RehydratePriorityArg::Standard => RehydratePriority::Standard,
            RehydratePriorityArg::High => RehydratePriority::High,
        }))
        .metadata(match args.metadata.as_deref() {
            None => None,
            Some(CLEAR) => Some(Vec::new()),
            Some(text) => Some(metadata::parse(text)?),
        })
        .tags(args.blob_tags.as_deref().map(tags::parse).transpose()?);
    if change.tier.is_none() && change.rehydrate_priority.is_some() {
        return Err(usage("--rehydrate-priority goes with --block-blob-tier"));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Command};

    fn changed(line: &str) -> Result<PropertyChange, String> {
        let Command::SetProperties(args) = cli::parse(line.split(' ')).unwrap().command else {
            panic!("it is set-properties")
        };
        change(&args).map_err(|refused| refused.text)
    }

    #[test]
    fn what_is_changed() {
        assert_eq!(changed("azuring sp u"), Ok(PropertyChange::default()));
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let line =
            "azuring sp u --block-blob-tier=cool --rehydrate-priority=high --metadata=a=1 --blob-tags=k=v";
        let want = PropertyChange::default()
            .tier(Some("Cool".to_owned()))
            .rehydrate_priority(Some(RehydratePriority::High))
            .metadata(Some(pair("a", "1")))
            .tags(Some(pair("k", "v")));
        assert_eq!(changed(line), Ok(want));
        assert_eq!(changed("azuring sp u --metadata=clear").unwrap().metadata, Some(Vec::new()));
        assert_eq!(changed("azuring sp u --blob-tags=").unwrap().tags, Some(Vec::new()));
    }

    #[test]
    fn what_does_not_go_together() {
        assert!(changed("azuring sp u --block-blob-tier=Hot --page-blob-tier=P4").is_err());
        assert!(changed("azuring sp u --rehydrate-priority=High").is_err());
        assert!(
            changed("azuring sp u --block-blob-tier=Lukewarm")
                .unwrap_err()
                .contains("Hot, Cool, Cold or Archive")
        );
    }
}
