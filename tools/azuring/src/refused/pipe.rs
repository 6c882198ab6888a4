//! Flags of `copy` that say nothing where one end is a pipe, or /dev/null: they are refused, not ignored.

use std::path::Path;

use azuring_plan::from_to::{FromTo, Location};

use super::{Refused, usage};
use crate::cli::copy::{CopyArgs, OverwriteArg, PosixStyleArg};

/// Where bytes are read and verified, and nothing is kept.
const NULL: &str = "/dev/null";

/// A flag, whether it asks for something, and why that cannot be.
type Asked = (&'static str, bool, &'static str);

/// Checks the flags of a copy from or to a pipe, or to /dev/null.
///
/// # Errors
/// The first flag that would have no effect.
pub(super) fn check_pipe(args: &CopyArgs, from_to: FromTo) -> Result<(), Refused> {
    match (from_to.from, from_to.to) {
        (Location::Pipe, _) => refuse(of_pipes(args).into_iter().chain(from_pipe(args))),
        (_, Location::Pipe) => refuse(of_pipes(args).into_iter().chain(to_pipe(args))),
        (_, Location::Local) if args.destination.as_deref() == Some(Path::new(NULL)) => refuse(to_null(args)),
        _ => Ok(()),
    }
}

fn refuse(flags: impl IntoIterator<Item = Asked>) -> Result<(), Refused> {
    match flags.into_iter().find(|(_, asked, _)| *asked) {
        Some((flag, _, why)) => Err(usage(format!("--{flag}: {why}"))),
        None => Ok(()),
    }
}

/// Whether a flag has a value: AzCopy's default of most is an empty one.
fn given(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

/// Flags that say nothing of a pipe, whichever end it is.
fn of_pipes(args: &CopyArgs) -> Vec<Asked> {
    const ONE: &str = "a pipe carries one blob: there is nothing to choose from";
    const NO_DIRECTORIES: &str = "a pipe carries one blob: there are no directories";
    const NO_PROPERTIES: &str = "a pipe has no properties of a file";
    let (names, which, upload) = (&args.names, &args.which, &args.upload);
    vec![
        ("dry-run", args.dry_run.0, "it says which files would be transferred: a pipe has none"),
        ("recursive", args.recursive.0, NO_DIRECTORIES),
        ("as-subdir", !args.as_subdir.0, NO_DIRECTORIES),
        ("include-directory-stub", which.include_directory_stub.0, NO_DIRECTORIES),
        ("include-pattern", given(&names.include_pattern), ONE),
        ("exclude-pattern", given(&names.exclude_pattern), ONE),
        ("include-path", given(&names.include_path), ONE),
        ("exclude-path", given(&names.exclude_path), ONE),
        ("include-regex", given(&args.regexes.include_regex), ONE),
        ("exclude-regex", given(&args.regexes.exclude_regex), ONE),
        ("include-after", given(&args.times.include_after), ONE),
        ("include-before", given(&args.times.include_before), ONE),
        ("list-of-files", names.list_of_files.is_some(), ONE),
        ("list-of-versions", which.list_of_versions.is_some(), ONE),
        ("exclude-blob-type", given(&which.exclude_blob_type), ONE),
        ("follow-symlinks", upload.follow_symlinks.0, "a pipe is no symbolic link"),
        ("preserve-symlinks", upload.preserve_symlinks.0, "a pipe is no symbolic link"),
        ("preserve-posix-properties", upload.preserve_posix_properties.0, NO_PROPERTIES),
        ("preserve-setuid", upload.preserve_setuid.0, NO_PROPERTIES),
        ("posix-properties-style", upload.posix_properties_style != PosixStyleArg::Standard, NO_PROPERTIES),
        ("verify", upload.verify.0, "what went through a pipe cannot be read again"),
    ]
}

fn from_pipe(args: &CopyArgs) -> Vec<Asked> {
    const NO_PAGES: &str = "a page blob is made with its length, which a pipe does not tell: use a file";
    vec![
        (
            "put-blob-size-mb",
            given(&args.blob.put_blob_size_mb),
            "what fits into one block is sent in one request: use --block-size-mb",
        ),
        ("page-blob-tier", given(&args.blob.page_blob_tier), NO_PAGES),
    ]
}

fn to_pipe(args: &CopyArgs) -> Vec<Asked> {
    let download = &args.download;
    vec![
        (
            "overwrite",
            args.overwrite() != OverwriteArg::True,
            "there is nothing in a pipe that could be kept",
        ),
        (
            "decompress",
            download.decompress.0,
            "a pipe gets the bytes as they are stored: leave it out and unpack what comes (`... | gunzip`)",
        ),
        (
            "preserve-last-modified-time",
            download.preserve_last_modified_time.0,
            "a pipe has no time of modification",
        ),
    ]
}

/// The flags that choose blobs keep their meaning: they choose what is verified.
fn to_null(args: &CopyArgs) -> Vec<Asked> {
    const NOTHING_KEPT: &str = "/dev/null keeps nothing: blobs are read and verified as they are stored";
    let (upload, download) = (&args.upload, &args.download);
    vec![
        ("as-subdir", !args.as_subdir.0, NOTHING_KEPT),
        ("overwrite", args.overwrite() != OverwriteArg::True, NOTHING_KEPT),
        ("decompress", download.decompress.0, NOTHING_KEPT),
        ("preserve-last-modified-time", download.preserve_last_modified_time.0, NOTHING_KEPT),
        ("preserve-posix-properties", upload.preserve_posix_properties.0, NOTHING_KEPT),
        ("preserve-setuid", upload.preserve_setuid.0, NOTHING_KEPT),
        ("posix-properties-style", upload.posix_properties_style != PosixStyleArg::Standard, NOTHING_KEPT),
        ("verify", upload.verify.0, NOTHING_KEPT),
    ]
}
