//! `azuring make`.

use azuring_plan::location::Location;
use azuring_plan::pairs::Verb;
use azuring_transfer::make_container;
use serde_json::json;

use crate::access::{self, Purpose};
use crate::cli::global::{GlobalArgs, OutputType};
use crate::cli::other::MakeArgs;
use crate::cli::pairs::Given;
use crate::exit::{self, Exit};
use crate::options;
use crate::output::{self, Output, say};
use crate::refused::{self, Refused};
use crate::run;
use crate::view::{json, ndjson};

/// AzCopy's words.
const MADE: &str = "Successfully created the resource.";

pub(crate) fn run(global: &GlobalArgs, given: &Given, args: &MakeArgs) -> Exit {
    run::stop_on_signals(|| {});
    run::before_it_begins(|| make(global, given, args)).unwrap_or_else(|refused| refused.tell())
}

fn make(global: &GlobalArgs, given: &Given, args: &MakeArgs) -> Result<Exit, Refused> {
    refused::check_flags(refused::check_alone(Verb::Make, Some(Location::of(&args.target)))?, given)?;
    let (url, access) = access::open(&args.target, &Purpose::MAKE, global, &args.engine)?;
    let credential = access.now()?;
    if let Err(error) = make_container(&url, &credential, &options::common(global, &args.engine)?) {
        output::failed(&error.to_string());
        return Ok(exit::of_command(&error));
    }
    match Output::get().kind {
        OutputType::Json => say!("{}", json::message("EndOfJob", MADE)),
        OutputType::Ndjson => say!("{}", ndjson::line("made", json!({ "url": url.to_string() }))),
        OutputType::Text | OutputType::None => say!("\n{MADE}"),
    }
    Ok(Exit::Done)
}
