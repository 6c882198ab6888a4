//! Why a command cannot be carried out, and the flags that are refused.

use std::path::Path;

use azuring_azure::EncryptionError;
use azuring_plan::flags::FLAGS;
use azuring_plan::location::Location;
use azuring_plan::pairs::{ALONE, FromTo, Pair, TO_NULL, Verb};
use azuring_plan::place::NULL;
use azuring_transfer::JobError;

use crate::cli::copy::{BlobTypeArg, CheckMd5Arg, CopyArgs, HardlinksArg, OverwriteArg, RouteArg};
use crate::cli::global::GlobalArgs;
use crate::cli::pairs::Given;
use crate::exit::{self, Exit};
use crate::output;
use crate::redact::redact;

/// Why a command cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// For a person; without secrets.
    pub(crate) text: String,
    /// What the process ends with.
    pub(crate) exit: Exit,
}

impl Refused {
    /// Tells it; gives the exit code.
    pub(crate) fn tell(&self) -> Exit {
        output::failed(&self.text);
        self.exit
    }

    /// The same, of an end of a copy: `source: `, `destination: `, or nothing where there is one only.
    pub(crate) fn of_end(self, end: &str) -> Self {
        Self { text: format!("{end}{}", self.text), ..self }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

impl<E: Into<JobError>> From<E> for Refused {
    fn from(error: E) -> Self {
        let error = error.into();
        if let JobError::Login(login) = &error
            && let Some(refused) = login.downcast_ref::<Self>()
        {
            return refused.clone();
        }
        Self { text: redact(&error.to_string()), exit: exit::of_error(&error) }
    }
}

/// A command line that asks for what cannot be.
pub(crate) fn usage(text: impl AsRef<str>) -> Refused {
    Refused { text: redact(text.as_ref()), exit: Exit::Usage }
}

/// A key that cannot be used is a credential that cannot.
pub(crate) fn key(error: &EncryptionError) -> Refused {
    Refused { text: error.to_string(), exit: Exit::Authentication }
}

/// Checks the flags of every command. What is left is the notices of flags that have no effect.
///
/// # Errors
/// The first flag that cannot be honoured.
pub(crate) fn check_global(global: &GlobalArgs) -> Result<Vec<String>, Refused> {
    let refuse = |flag: &str, why: &str| Err(usage(format!("--{flag}: {why}")));
    if global.check_version.0 {
        return refuse("check-version", "azuring asks nobody but the storage account; leave it out");
    }
    if global.await_open.0 {
        return refuse("await-open", "scan and transfer overlap, so there is no moment between them");
    }
    if global.debug_skip_files.as_ref().is_some_and(|paths| !paths.is_empty()) {
        return refuse("debug-skip-files", "it is a hook of AzCopy's own tests");
    }
    if global.retry_status_codes.is_some() {
        return refuse("retry-status-codes", "what is tried again follows from the service's error code");
    }
    if global.request_priority.is_some_and(|priority| priority >= 0) {
        return refuse("request-priority", "not in this version");
    }
    if global.memory_profile.as_ref().is_some_and(|file| !file.is_empty()) {
        return refuse("memory-profile", "it is for AzCopy's runtime; use heaptrack or perf");
    }
    let mut notices = Vec::new();
    if global.skip_version_check.0 {
        notices.push("--skip-version-check has no effect, as in AzCopy".to_owned());
    }
    Ok(notices)
}

/// Checks what was given against what is done, by the table of flags.
///
/// # Errors
/// The first flag of the table that means nothing there.
pub(crate) fn check_flags(pair: &Pair, given: &Given) -> Result<(), Refused> {
    match FLAGS.iter().find_map(|flag| flag.refusal(pair, given.value(flag.name)?)) {
        Some(text) => Err(usage(text)),
        None => Ok(()),
    }
}

/// Checks what `copy` is asked for: each flag by itself, then what does not go together. What is left is the notices of
/// flags that have no effect.
///
/// # Errors
/// The first that cannot be honoured.
pub(crate) fn check_copy(args: &CopyArgs, pair: &Pair, given: &Given) -> Result<Vec<String>, Refused> {
    check_flags(pair, given)?;
    if args.upload.verify.0 && args.download.decompress.0 {
        return Err(usage("--verify compares bytes, and --decompress writes others: use one of them"));
    }
    if args.overwrite() == OverwriteArg::PosixProperties {
        return Err(usage("--overwrite=posixproperties: not in this version"));
    }
    if args.upload.hardlinks != HardlinksArg::Follow {
        return Err(usage(
            "the --hardlinks option, when downloading, is only supported from a NFS file share",
        ));
    }
    if args.upload.preserve_setuid.0 && !args.upload.preserve_posix_properties.0 {
        return Err(usage("--preserve-setuid adds to --preserve-posix-properties: give that too"));
    }
    let mut notices = if pair.verb == Verb::Copy { check_between(args)? } else { Vec::new() };
    if args.refused.disable_auto_decoding.0 {
        notices.push(
            "--disable-auto-decoding has no effect between Linux and Blob storage, as in AzCopy".to_owned(),
        );
    }
    if args.refused.preserve_owner.is_some() {
        notices
            .push("--preserve-owner has no effect without --preserve-permissions, as in AzCopy".to_owned());
    }
    Ok(notices)
}

/// The same of a copy from service to service.
fn check_between(args: &CopyArgs) -> Result<Vec<String>, Refused> {
    let between = &args.between;
    if between.no_relay.0 && between.route == RouteArg::Relay {
        return Err(usage("--no-relay forbids the way that --route=relay asks for: use one of them"));
    }
    if between.route == RouteArg::Staging && between.staging_url.is_none() {
        return Err(usage(
            "--route=staging needs --staging-url: an account that both source and destination reach",
        ));
    }
    if between.no_relay.0 && between.staging_url.is_some() && between.route == RouteArg::Auto {
        return Err(usage(
            "--no-relay with --staging-url: say which way it is, --route=staging or --route=direct",
        ));
    }
    if matches!(args.blob.blob_type, BlobTypeArg::Page | BlobTypeArg::Append) {
        return Err(usage("--blob-type: from service to service each blob keeps its type in this version"));
    }
    if matches!(args.download.check_md5, Some(CheckMd5Arg::LogOnly | CheckMd5Arg::FailIfDifferentOrMissing)) {
        return Err(usage("--check-md5: from service to service it is FailIfDifferent or NoCheck"));
    }
    let mut notices = Vec::new();
    if between.s2s_preserve_properties.is_some_and(|keep| !keep.0) {
        let text = "--s2s-preserve-properties=false has no effect between blobs, as in AzCopy: a copy has the content \
                    type and its kin, the MD5 and the metadata of its source";
        notices.push(text.to_owned());
    }
    if between.s2s_get_properties_in_backend.is_some() {
        let text =
            "--s2s-get-properties-in-backend has no effect: the listing of Blob storage tells the properties";
        notices.push(text.to_owned());
    }
    Ok(notices)
}

/// The row of a copy.
///
/// # Errors
/// What this version does not copy, with the reason.
pub(crate) fn check_places(from_to: FromTo, destination: &Path) -> Result<&'static Pair, Refused> {
    match (Pair::of(from_to), from_to.refusal(Verb::Get.command())) {
        (Some(pair), None) if pair.to == Some(Location::Local) && destination == Path::new(NULL) => {
            Ok(&TO_NULL)
        }
        (Some(pair), None) => Ok(pair),
        (_, why) => Err(usage(why.unwrap_or_default())),
    }
}

/// The row of a command that has one place; `None`: a word that is no place.
///
/// # Errors
/// What this version does not do there, with the reason.
pub(crate) fn check_alone(verb: Verb, at: Option<Location>) -> Result<&'static Pair, Refused> {
    let why = |pair: &Pair| usage(format!("{}: {}", verb.command(), pair.why));
    match at.and_then(|at| Pair::alone(verb, at)) {
        Some(pair) if pair.is_possible() => Ok(pair),
        Some(pair) => Err(why(pair)),
        // Whatever it is, it is less than what a later version will do.
        None => Err(ALONE
            .iter()
            .filter(|pair| pair.verb == verb)
            .find(|pair| !pair.is_possible())
            .map_or_else(|| usage(format!("{}: not there", verb.command())), why)),
    }
}

#[cfg(test)]
mod tests;
