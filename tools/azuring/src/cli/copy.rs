//! Flags of `copy`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::engine::{EngineArgs, KeepArgs};
use super::filter::{KeyArgs, NameArgs, RegexArgs, TimeArgs};
use super::value::Switch;

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// A local file, a directory, `dir/*` for what is in it, a pattern, `-` for stdin; or a URL of a blob, a virtual
    /// directory, a container, `URL/*` for what is in it
    pub(crate) source: PathBuf,

    /// The other side: https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH?SAS or
    /// http://HOST:PORT/ACCOUNT/CONTAINER/PATH; or a local path, `-` for stdout, /dev/null to verify only
    pub(crate) destination: Option<PathBuf>,

    /// Take directories with all that is below them
    #[arg(long, default_value = "false")]
    pub(crate) recursive: Switch,

    /// What goes where, such as LocalBlob or BlobPipe; told by the arguments' shape when it is not given
    #[arg(long, value_name = "FROM_TO")]
    pub(crate) from_to: Option<String>,

    /// Recreate the source directory itself below the destination
    #[arg(long, default_value = "true")]
    pub(crate) as_subdir: Switch,

    /// Only say what would be transferred
    #[arg(long, default_value = "false")]
    pub(crate) dry_run: Switch,

    /// What to do with objects that the destination already has [default: true; page and append blobs want it said]
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
    /// Replace them
    True,
    /// Keep them; they count as skipped
    False,
    /// Ask for each
    Prompt,
    /// Replace them when the source was modified later
    #[value(name = "ifSourceNewer")]
    IfSourceNewer,
    /// Only their POSIX properties would be replaced; refused: not in this version
    #[value(name = "posixproperties", hide = true)]
    PosixProperties,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which objects")]
pub(crate) struct WhichArgs {
    /// No blobs of these types: `PageBlob;AppendBlob`
    #[arg(long, value_name = "TYPES")]
    pub(crate) exclude_blob_type: Option<String>,

    /// Only the versions of the source blob whose ids stand in this file, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) list_of_versions: Option<PathBuf>,

    /// Take the blobs that stand for directories (`hdi_isfolder`) along
    #[arg(long, default_value = "false")]
    pub(crate) include_directory_stub: Switch,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Blob properties")]
pub(crate) struct BlobArgs {
    /// Block size in MiB, fractions allowed [default: 8, more for files above 390 GiB]
    #[arg(long, value_name = "MIB")]
    pub(crate) block_size_mb: Option<String>,

    /// Largest file sent in one request, in MiB [default: the block size]
    #[arg(long, value_name = "MIB")]
    pub(crate) put_blob_size_mb: Option<String>,

    /// The kind of blob an upload makes
    #[arg(long, value_enum, ignore_case = true, default_value_t = BlobTypeArg::Detect, value_name = "TYPE")]
    pub(crate) blob_type: BlobTypeArg,

    /// Content type of every blob [default: told by name, then by content]
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

    /// Metadata of every blob: `name=value;name2=value2`; `\;` and `\=` stand for themselves
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
    /// A page blob for .vhd and .vhdx, otherwise a block blob
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
    /// Upload what symbolic links point to
    #[arg(long, default_value = "false")]
    pub(crate) follow_symlinks: Switch,

    /// Upload symbolic links as links, and make links of them again when they are downloaded
    #[arg(long, default_value = "false", conflicts_with = "follow_symlinks")]
    pub(crate) preserve_symlinks: Switch,

    /// Keep owner, mode and times as metadata, and restore them when they are downloaded
    #[arg(long, default_value = "false")]
    pub(crate) preserve_posix_properties: Switch,

    /// With --preserve-posix-properties: also restore set-user-ID and set-group-ID of files. Whoever writes to the container
    /// then decides who their programs run as
    #[arg(long, default_value = "false")]
    pub(crate) preserve_setuid: Switch,

    /// How they are written: AzCopy's keys, or those of Azure Managed Lustre
    #[arg(long, value_enum, ignore_case = true, default_value_t = PosixStyleArg::Standard, value_name = "STYLE")]
    pub(crate) posix_properties_style: PosixStyleArg,

    /// Ask for the length of each blob after its upload [default: only where no checksum has proven more]
    #[arg(long)]
    pub(crate) check_length: Option<Switch>,

    /// Read back what was transferred and compare it byte by byte: the file with the blob
    #[arg(long, default_value = "false")]
    pub(crate) verify: Switch,

    /// Remove what is there where a blob of another type, or blocks that nobody has committed, stand in the way;
    /// never with --overwrite=false
    #[arg(long, default_value = "false")]
    pub(crate) delete_destination_file: Switch,

    /// What hard links are: `follow` uploads each as a file of its own
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
    /// Files
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
    /// What the MD5 stored with a blob means [default: FailIfDifferent]
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL")]
    pub(crate) check_md5: Option<CheckMd5Arg>,

    /// Unpack blobs whose content encoding is gzip or deflate
    #[arg(long, default_value = "false")]
    pub(crate) decompress: Switch,

    /// Give files the blob's time of modification
    #[arg(long, default_value = "false")]
    pub(crate) preserve_last_modified_time: Switch,
}

/// What a stored MD5 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckMd5Arg {
    /// Nothing
    #[value(name = "NoCheck")]
    NoCheck,
    /// A difference is told, and the file kept
    #[value(name = "LogOnly")]
    LogOnly,
    /// A difference fails the file
    #[value(name = "FailIfDifferent")]
    FailIfDifferent,
    /// A difference fails the file, and so does a blob without MD5
    #[value(name = "FailIfDifferentOrMissing")]
    FailIfDifferentOrMissing,
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

    /// Not these containers of an account
    #[arg(long, value_name = "NAMES", hide = true)]
    pub(crate) exclude_container: Option<String>,

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

    /// Keep the tier between accounts
    #[arg(long, hide = true)]
    pub(crate) s2s_preserve_access_tier: Option<Switch>,

    /// Keep the properties between accounts
    #[arg(long, hide = true)]
    pub(crate) s2s_preserve_properties: Option<Switch>,

    /// Ask for properties late
    #[arg(long, hide = true)]
    pub(crate) s2s_get_properties_in_backend: Option<Switch>,

    /// Compare times before and after
    #[arg(long, hide = true)]
    pub(crate) s2s_detect_source_changed: Option<Switch>,

    /// What to do with metadata that Azure cannot keep
    #[arg(long, value_name = "HOW", hide = true)]
    pub(crate) s2s_handle_invalid_metadata: Option<String>,

    /// Keep tags between accounts
    #[arg(long, hide = true)]
    pub(crate) s2s_preserve_blob_tags: Option<Switch>,
}
