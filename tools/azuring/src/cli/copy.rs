//! Flags of `copy`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::engine::{EngineArgs, KeepArgs};
use super::filter::{KeyArgs, NameArgs, RegexArgs, TimeArgs};
use super::value::Switch;

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// A local file, a directory, `dir/*` for its contents, a pattern, or `-` for stdin. Or a URL: of a blob, a virtual
    /// directory or a container, or `URL/*` for its contents. Source and destination may both be URLs; then they may
    /// also be accounts, the source with a pattern of containers (`https://ACCOUNT.blob.core.windows.net/log*`)
    pub(crate) source: PathBuf,

    /// A URL (https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS or http://HOST:PORT/ACCOUNT/CONTAINER/PATH), a
    /// local path, `-` for stdout, or /dev/null to verify only
    pub(crate) destination: Option<PathBuf>,

    /// Include everything below a directory
    #[arg(long, default_value = "false")]
    pub(crate) recursive: Switch,

    /// Kinds of source and destination, such as LocalBlob or BlobPipe [default: found from the arguments]
    #[arg(long, value_name = "FROM_TO")]
    pub(crate) from_to: Option<String>,

    /// Create the source directory itself below the destination, not only its contents
    #[arg(long, default_value = "true")]
    pub(crate) as_subdir: Switch,

    /// Transfer nothing; print what would be transferred
    #[arg(long, default_value = "false")]
    pub(crate) dry_run: Switch,

    /// What to do if the destination already has the object [default: true, but page and append blobs are only replaced
    /// if this flag is given]
    #[arg(long, value_enum, ignore_case = true, value_name = "WHEN")]
    overwrite: Option<OverwriteArg>,

    #[command(flatten)]
    pub(crate) names: NameArgs,

    #[command(flatten)]
    pub(crate) regexes: RegexArgs,

    #[command(flatten)]
    pub(crate) times: TimeArgs,

    #[command(flatten)]
    pub(crate) which: WhichArgs,

    #[command(flatten)]
    pub(crate) blob: BlobArgs,

    #[command(flatten)]
    pub(crate) upload: UploadArgs,

    #[command(flatten)]
    pub(crate) download: DownloadArgs,

    #[command(flatten)]
    pub(crate) keys: KeyArgs,

    #[command(flatten)]
    pub(crate) between: BetweenArgs,

    #[command(flatten)]
    pub(crate) refused: RefusedArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}

impl CopyArgs {
    /// What to do with objects that the destination already has.
    pub(crate) fn overwrite(&self) -> OverwriteArg {
        self.overwrite.unwrap_or(OverwriteArg::True)
    }

    /// Whether that was said.
    pub(crate) fn says_overwrite(&self) -> bool {
        self.overwrite.is_some()
    }
}

/// When an object that exists is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OverwriteArg {
    /// Replace it
    True,
    /// Keep it; it counts as skipped
    False,
    /// Ask each time
    Prompt,
    /// Replace it if the source was modified later
    #[value(name = "ifSourceNewer")]
    IfSourceNewer,
    /// Only their POSIX properties would be replaced; refused: not in this version
    #[value(name = "posixproperties", hide = true)]
    PosixProperties,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which objects")]
pub(crate) struct WhichArgs {
    /// Exclude blobs of these types: `PageBlob;AppendBlob`
    #[arg(long, value_name = "TYPES")]
    pub(crate) exclude_blob_type: Option<String>,

    /// Only the versions of the source blob whose ids are in this file, one per line
    #[arg(long, value_name = "FILE")]
    pub(crate) list_of_versions: Option<PathBuf>,

    /// Include the blobs that stand for directories (`hdi_isfolder`)
    #[arg(long, default_value = "false")]
    pub(crate) include_directory_stub: Switch,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Blob properties")]
pub(crate) struct BlobArgs {
    /// Block size in MiB, fractions allowed [default: 8, more for files above 390 GiB]
    #[arg(long, value_name = "MIB")]
    pub(crate) block_size_mb: Option<String>,

    /// Largest file that is sent in one request, in MiB [default: the block size]
    #[arg(long, value_name = "MIB")]
    pub(crate) put_blob_size_mb: Option<String>,

    /// The type of the blobs that an upload creates
    #[arg(long, value_enum, ignore_case = true, default_value_t = BlobTypeArg::Detect, value_name = "TYPE")]
    pub(crate) blob_type: BlobTypeArg,

    /// Content type of every blob [default: found from the name, then from the content]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,

    /// Do not guess content types
    #[arg(long, default_value = "false")]
    pub(crate) no_guess_mime_type: Switch,

    /// Content encoding of every blob
    #[arg(long, value_name = "ENCODING")]
    pub(crate) content_encoding: Option<String>,

    /// Content language of every blob
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) content_language: Option<String>,

    /// Content disposition of every blob
    #[arg(long, value_name = "DISPOSITION")]
    pub(crate) content_disposition: Option<String>,

    /// Cache-Control of every blob
    #[arg(long, value_name = "DIRECTIVES")]
    pub(crate) cache_control: Option<String>,

    /// Metadata of every blob: `name=value;name2=value2`; write `\;` and `\=` for these characters in a value
    #[arg(long, value_name = "PAIRS")]
    pub(crate) metadata: Option<String>,

    /// Access tier of every block blob: Hot, Cool, Cold or Archive
    #[arg(long, value_name = "TIER")]
    pub(crate) block_blob_tier: Option<String>,

    /// Access tier of every page blob: P4, P6, P10, P15, P20, P30, P40 or P50
    #[arg(long, value_name = "TIER")]
    pub(crate) page_blob_tier: Option<String>,

    /// Index tags of every blob: `key=value&key2=value2`, percent-encoded
    #[arg(long, value_name = "TAGS")]
    pub(crate) blob_tags: Option<String>,

    /// Store the MD5 of each file with its blob
    #[arg(long, default_value = "false")]
    pub(crate) put_md5: Switch,
}

/// The kinds of blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BlobTypeArg {
    /// Page blobs for .vhd and .vhdx, block blobs for all others
    Detect,
    /// Block blobs
    #[value(name = "BlockBlob")]
    Block,
    /// Page blobs; files must be multiples of 512 bytes
    #[value(name = "PageBlob")]
    Page,
    /// Append blobs
    #[value(name = "AppendBlob")]
    Append,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(crate) struct UploadArgs {
    /// Upload the targets of symbolic links
    #[arg(long, default_value = "false")]
    pub(crate) follow_symlinks: Switch,

    /// Keep symbolic links: upload them as links, and create links again when they are downloaded
    #[arg(long, default_value = "false", conflicts_with = "follow_symlinks")]
    pub(crate) preserve_symlinks: Switch,

    /// Upload owner, mode and times as metadata, and restore them in downloads
    #[arg(long, default_value = "false")]
    pub(crate) preserve_posix_properties: Switch,

    /// With --preserve-posix-properties: also restore set-user-ID and set-group-ID of files. Danger: anybody who can
    /// write to the container can then choose the user that a downloaded program runs as
    #[arg(long, default_value = "false")]
    pub(crate) preserve_setuid: Switch,

    /// The metadata keys of POSIX properties
    #[arg(long, value_enum, ignore_case = true, default_value_t = PosixStyleArg::Standard, value_name = "STYLE")]
    pub(crate) posix_properties_style: PosixStyleArg,

    /// Check the length of each blob after its upload [default: only if no checksum was compared]
    #[arg(long)]
    pub(crate) check_length: Option<Switch>,

    /// After the transfer, read the data back, and compare file and blob byte by byte
    #[arg(long, default_value = "false")]
    pub(crate) verify: Switch,

    /// Remove the existing blob first if it has another type, or uncommitted blocks, that prevent the upload. Never
    /// done with --overwrite=false
    #[arg(long, default_value = "false")]
    pub(crate) delete_destination_file: Switch,

    /// What to do with hard links
    #[arg(long, value_enum, ignore_case = true, default_value_t = HardlinksArg::Follow, value_name = "HOW")]
    pub(crate) hardlinks: HardlinksArg,
}

/// How POSIX properties are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PosixStyleArg {
    /// AzCopy's own keys
    Standard,
    /// The keys of Azure Managed Lustre
    Amlfs,
}

/// What hard links are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HardlinksArg {
    /// Upload each as its own file
    Follow,
    /// Refused: only for NFS shares
    #[value(hide = true)]
    Skip,
    /// Refused: only for NFS shares
    #[value(hide = true)]
    Preserve,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Downloads")]
pub(crate) struct DownloadArgs {
    /// How to check the MD5 that is stored with a blob; from service to service: FailIfDifferent or NoCheck [default:
    /// FailIfDifferent]
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL")]
    pub(crate) check_md5: Option<CheckMd5Arg>,

    /// Decompress blobs with content encoding gzip or deflate
    #[arg(long, default_value = "false")]
    pub(crate) decompress: Switch,

    /// Set each file's modification time to that of its blob
    #[arg(long, default_value = "false")]
    pub(crate) preserve_last_modified_time: Switch,
}

/// What a stored MD5 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckMd5Arg {
    /// Do not check
    #[value(name = "NoCheck")]
    NoCheck,
    /// Report a difference, but keep the file
    #[value(name = "LogOnly")]
    LogOnly,
    /// Fail the file if the MD5 differs
    #[value(name = "FailIfDifferent")]
    FailIfDifferent,
    /// Fail the file if the MD5 differs, or the blob has none
    #[value(name = "FailIfDifferentOrMissing")]
    FailIfDifferentOrMissing,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "From service to service")]
pub(crate) struct BetweenArgs {
    /// The source is encrypted with the key in CPK_SOURCE_ENCRYPTION_KEY (and CPK_SOURCE_ENCRYPTION_KEY_SHA256), both
    /// base64. The key of --cpk-by-value is the destination's
    #[arg(long, default_value = "false")]
    pub(crate) source_cpk_by_value: Switch,

    /// Leave out these containers of an account: `one;two`
    #[arg(long, value_name = "NAMES")]
    pub(crate) exclude_container: Option<String>,

    /// Which way the bytes go
    #[arg(long, value_enum, ignore_case = true, default_value_t = RouteArg::Auto, value_name = "WAY")]
    pub(crate) route: RouteArg,

    /// Never let bytes pass this host: a copy that the service cannot do by itself stops, and says why
    #[arg(long, default_value = "false")]
    pub(crate) no_relay: Switch,

    #[command(flatten)]
    pub(crate) tenants: TenantArgs,

    /// A third account that both reach, to copy by: the URL of a container or of a directory in it
    #[arg(long, value_name = "URL")]
    pub(crate) staging_url: Option<String>,

    /// GiB that may be in the staging account at once
    #[arg(long, default_value = "64", value_name = "GIB", value_parser = gib)]
    pub(crate) staging_limit: u64,

    /// Keep the access tiers of the source, unless --block-blob-tier gives all blobs one, or the account of the
    /// destination has none [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) s2s_preserve_access_tier: Option<Switch>,

    /// Keep content type and its kin, MD5 and metadata. Between blobs they are always kept, as in AzCopy
    #[arg(long, value_name = "BOOL")]
    pub(crate) s2s_preserve_properties: Option<Switch>,

    /// Keep the index tags of the source; only false: tags are not kept in this version
    #[arg(long, value_name = "BOOL", hide = true)]
    pub(crate) s2s_preserve_blob_tags: Option<Switch>,

    /// Copy each blob as it was at one time, also if it changes meanwhile; always so, whatever is said here
    #[arg(long, value_name = "BOOL")]
    pub(crate) s2s_detect_source_changed: Option<Switch>,

    /// What to do with names of metadata that a blob cannot have: no blob has such
    #[arg(long, value_enum, ignore_case = true, default_value_t = InvalidMetadataArg::Exclude, value_name = "HOW",
          hide = true)]
    pub(crate) s2s_handle_invalid_metadata: InvalidMetadataArg,

    /// Ask for properties late
    #[arg(long, hide = true)]
    pub(crate) s2s_get_properties_in_backend: Option<Switch>,
}

/// Bytes of a number of GiB.
fn gib(text: &str) -> Result<u64, String> {
    let gib = text.trim().parse::<f64>().ok().filter(|gib| *gib > 0.0 && *gib <= 1e6);
    let bytes = gib.map(|gib| (gib * (1u64 << 30) as f64) as u64);
    bytes.ok_or_else(|| "a number of GiB, more than 0".to_owned())
}

/// The ways from service to service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RouteArg {
    /// The destination reads the source by itself. If the source's network does not admit that: as `staging` if there
    /// is a `--staging-url`, else as `relay`, from then on, and a line says so
    Auto,
    /// The destination reads the source by itself. If the source's network does not admit that, the job stops
    Direct,
    /// Through the memory of this host, never its disk
    Relay,
    /// By the account of `--staging-url`, which reads the source, and which the destination reads
    Staging,
}

/// What becomes of metadata whose names a blob cannot have. Those of blobs are such that it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InvalidMetadataArg {
    /// They are left out
    #[value(name = "ExcludeIfInvalid")]
    Exclude,
    /// The object fails
    #[value(name = "FailIfInvalid")]
    Fail,
    /// They get other names
    #[value(name = "RenameIfInvalid")]
    Rename,
}

/// AzCopy's flags for other places and other systems: understood, and refused with the reason when they ask for
/// something.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Other places and systems")]
pub(crate) struct RefusedArgs {
    /// Only with these Windows attributes
    #[arg(long, value_name = "ATTRIBUTES", hide = true)]
    pub(crate) include_attributes: Option<String>,

    /// Not with these Windows attributes
    #[arg(long, value_name = "ATTRIBUTES", hide = true)]
    pub(crate) exclude_attributes: Option<String>,

    /// Old name of include-pattern and include-path
    #[arg(long, value_name = "PATTERNS", hide = true)]
    pub(crate) include: Option<String>,

    /// Old name of exclude-pattern and exclude-path
    #[arg(long, value_name = "PATTERNS", hide = true)]
    pub(crate) exclude: Option<String>,

    /// Clear the read-only attribute before overwriting
    #[arg(long, default_value = "false", hide = true)]
    pub(crate) force_if_read_only: Switch,

    /// Windows backup mode
    #[arg(long, default_value = "false", hide = true)]
    pub(crate) backup: Switch,

    /// Copy access control lists
    #[arg(long, alias = "preserve-smb-permissions", default_value = "false", hide = true)]
    pub(crate) preserve_permissions: Switch,

    /// Copy attributes and times of shares
    #[arg(long, alias = "preserve-smb-info", default_value = "false", hide = true)]
    pub(crate) preserve_info: Switch,

    /// Copy owners together with access control lists
    #[arg(long, hide = true)]
    pub(crate) preserve_owner: Option<Switch>,

    /// Dots at the end of names in shares
    #[arg(long, value_name = "HOW", hide = true)]
    pub(crate) trailing_dot: Option<String>,

    /// Do not decode names that Windows cannot have
    #[arg(long, default_value = "false", hide = true)]
    pub(crate) disable_auto_decoding: Switch,

    /// Blocks between two flushes
    #[arg(long, value_name = "N", hide = true)]
    pub(crate) flush_threshold: Option<u32>,
}

/// Where the two ends of a copy know this process.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TenantArgs {
    /// Tenant of the source's account, if the login's own is another: tokens for the source are asked for there
    #[arg(long, value_name = "TENANT")]
    pub(crate) source_tenant_id: Option<String>,

    /// Tenant of the destination's account, if the login's own is another
    #[arg(long, value_name = "TENANT")]
    pub(crate) destination_tenant_id: Option<String>,
}

impl TenantArgs {
    /// The flags and what they name, of source and destination.
    pub(crate) fn named(&self) -> [Option<(&'static str, &str)>; 2] {
        [
            self.source_tenant_id.as_deref().map(|tenant| ("--source-tenant-id", tenant)),
            self.destination_tenant_id.as_deref().map(|tenant| ("--destination-tenant-id", tenant)),
        ]
    }

    /// Whether one is named.
    pub(crate) fn is_any(&self) -> bool {
        self.named().iter().any(Option::is_some)
    }
}
