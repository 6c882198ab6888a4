//! Why a command cannot be carried out, and the flags that are refused.

mod pipe;

use azuring_azure::EncryptionError;
use azuring_plan::from_to::{FromTo, Location};
use azuring_transfer::JobError;

use crate::cli::copy::{CopyArgs, HardlinksArg, OverwriteArg, RefusedArgs};
use crate::cli::global::GlobalArgs;
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

/// AzCopy's word for the direction.
fn direction(from_to: FromTo) -> &'static str {
    if from_to.is_upload() { "uploading" } else { "downloading" }
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

/// Checks what `copy` is asked for against its direction, in AzCopy's words where it has some.
///
/// # Errors
/// The first flag that cannot be honoured.
pub(crate) fn check_copy(args: &CopyArgs, from_to: FromTo) -> Result<Vec<String>, Refused> {
    if args.upload.delete_destination_file.0 && !from_to.is_upload() {
        return Err(usage("--delete-destination-file is for uploads: the destination has no blobs"));
    }
    let notices = check_refused(&args.refused, from_to)?;
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
    if from_to.is_upload() {
        check_upload(args)?;
    } else {
        check_download(args)?;
    }
    pipe::check_pipe(args, from_to)?;
    if args.upload.preserve_setuid.0 && !args.upload.preserve_posix_properties.0 {
        return Err(usage("--preserve-setuid adds to --preserve-posix-properties: give that too"));
    }
    Ok(notices)
}

fn check_upload(args: &CopyArgs) -> Result<(), Refused> {
    if args.download.check_md5.is_some() {
        return Err(usage("check-md5 is set but the job is not a download"));
    }
    if args.download.preserve_last_modified_time.0 {
        return Err(usage("preserve-last-modified-time is not supported while uploading to Blob Storage"));
    }
    let only_down = [
        ("decompress", args.download.decompress.0),
        ("preserve-setuid", args.upload.preserve_setuid.0),
        ("exclude-blob-type", args.which.exclude_blob_type.is_some()),
        ("list-of-versions", args.which.list_of_versions.is_some()),
    ];
    refuse_set(&only_down, "uploading")
}

fn check_download(args: &CopyArgs) -> Result<(), Refused> {
    let blob = &args.blob;
    let only_up = [
        ("follow-symlinks flag", args.upload.follow_symlinks.0),
        ("blob-tier", blob.block_blob_tier.is_some() || blob.page_blob_tier.is_some()),
        ("no-guess-mime-type", blob.no_guess_mime_type.0),
        ("content-type", blob.content_type.is_some()),
        ("content-encoding", blob.content_encoding.is_some()),
        ("content-language", blob.content_language.is_some()),
        ("content-disposition", blob.content_disposition.is_some()),
        ("cache-control", blob.cache_control.is_some()),
        ("metadata", blob.metadata.is_some()),
        ("blob-tags", blob.blob_tags.is_some()),
        ("put-md5", blob.put_md5.0),
        ("put-blob-size-mb", blob.put_blob_size_mb.is_some()),
        ("blob-type", blob.blob_type != crate::cli::copy::BlobTypeArg::Detect),
    ];
    refuse_set(&only_up, "downloading")
}

fn refuse_set(flags: &[(&str, bool)], while_what: &str) -> Result<(), Refused> {
    match flags.iter().find(|(_, set)| *set) {
        Some((flag, _)) => Err(usage(format!("{flag} is not supported while {while_what}"))),
        None => Ok(()),
    }
}

/// AzCopy's flags for other places and other systems.
fn check_refused(args: &RefusedArgs, from_to: FromTo) -> Result<Vec<String>, Refused> {
    let windows = [
        ("include-attributes", args.include_attributes.is_some()),
        ("exclude-attributes", args.exclude_attributes.is_some()),
        ("backup", args.backup.0),
    ];
    if let Some((flag, _)) = windows.iter().find(|(_, set)| *set) {
        return Err(usage(format!("--{flag} is for Windows only")));
    }
    if args.include.is_some() || args.exclude.is_some() {
        return Err(usage(
            "the include and exclude parameters have been replaced by include-pattern; include-path; \
             exclude-pattern and exclude-path. For info, run: azuring copy --help",
        ));
    }
    if args.exclude_container.is_some() {
        return Err(usage(
            "--exclude-container: accounts as a whole are not in this version; name a container",
        ));
    }
    if args.force_if_read_only.0 {
        return Err(usage(FORCE_IF_READ_ONLY));
    }
    if args.preserve_permissions.0 {
        return Err(usage(
            "preserve-permissions is set but the job is not between permission-aware resources",
        ));
    }
    if args.preserve_info.0 {
        return Err(usage(
            "preserve-info is set but the job is not between resources that have such properties",
        ));
    }
    if args.preserve_owner.is_some() && from_to.is_upload() {
        return Err(usage("flag --preserve-owner can only be used on downloads"));
    }
    if args.flush_threshold.is_some() {
        return Err(usage("--flush-threshold is only for Data Lake Storage's own endpoint"));
    }
    check_trailing_dot(args.trailing_dot.as_deref())?;
    let s2s = [
        ("s2s-preserve-access-tier", args.s2s_preserve_access_tier.is_some()),
        ("s2s-preserve-properties", args.s2s_preserve_properties.is_some()),
        ("s2s-get-properties-in-backend", args.s2s_get_properties_in_backend.is_some()),
        ("s2s-detect-source-changed", args.s2s_detect_source_changed.is_some()),
        ("s2s-handle-invalid-metadata", args.s2s_handle_invalid_metadata.is_some()),
        ("s2s-preserve-blob-tags", args.s2s_preserve_blob_tags.is_some()),
    ];
    refuse_set(&s2s, direction(from_to))?;
    let mut notices = Vec::new();
    if args.disable_auto_decoding.0 {
        notices.push(
            "--disable-auto-decoding has no effect between Linux and Blob storage, as in AzCopy".to_owned(),
        );
    }
    if args.preserve_owner.is_some() {
        notices
            .push("--preserve-owner has no effect without --preserve-permissions, as in AzCopy".to_owned());
    }
    Ok(notices)
}

/// AzCopy's words.
pub(crate) const FORCE_IF_READ_ONLY: &str =
    "force-if-read-only is only supported when the target is Azure Files or a Windows file system";

/// Blob names keep their dots: only the default is right here.
///
/// # Errors
/// Any other value.
pub(crate) fn check_trailing_dot(value: Option<&str>) -> Result<(), Refused> {
    match value {
        None => Ok(()),
        Some(value) if value.eq_ignore_ascii_case("enable") => Ok(()),
        Some(value) => Err(usage(format!("--trailing-dot={value} is only for Azure Files"))),
    }
}

/// What this version moves: between local files, pipes and Blob storage.
///
/// # Errors
/// Any other pair, with what to do instead.
pub(crate) fn check_places(from_to: FromTo) -> Result<(), Refused> {
    use Location::{Blob, Local, Pipe};
    match (from_to.from, from_to.to) {
        (Local | Pipe, Blob) | (Blob, Local | Pipe) => Ok(()),
        (Blob, Blob) => Err(usage(format!(
            "{from_to}: the source is a URL and so is the destination: copies between accounts are not in this version"
        ))),
        _ => Err(usage(format!("{from_to}: this version moves between local files and Blob storage"))),
    }
}

#[cfg(test)]
mod tests;
