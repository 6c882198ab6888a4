//! The options of a job that decide what becomes of an object.

use std::collections::BTreeMap;

use azuring_azure::BlobProperties;
use azuring_plan::blocks::BlockRules;
use azuring_plan::content_type::{ContentTables, ContentTypes};
use serde::{Deserialize, Serialize};

use crate::choices::{
    BlobTypeChoice, CheckLength, CheckMd5, DeleteSnapshots, Encryption, Overwrite, PermanentDelete,
    PosixStyle, PropertyChange, RehydratePriority, Symlinks,
};
use crate::options::{ContentTypePolicy, JobOptions};

use super::SpecError;
use super::words::{optional, value, word};

const OVERWRITE: [(Overwrite, &str); 4] = [
    (Overwrite::Always, "always"),
    (Overwrite::Never, "never"),
    (Overwrite::IfSourceNewer, "if-source-newer"),
    (Overwrite::Ask, "ask"),
];
const CHECKS_MD5: [(CheckMd5, &str); 4] = [
    (CheckMd5::NoCheck, "no-check"),
    (CheckMd5::LogOnly, "log-only"),
    (CheckMd5::FailIfDifferent, "fail-if-different"),
    (CheckMd5::FailIfDifferentOrMissing, "fail-if-different-or-missing"),
];
const CHECKS_LENGTH: [(CheckLength, &str); 3] =
    [(CheckLength::Unproven, "unproven"), (CheckLength::Always, "always"), (CheckLength::Never, "never")];
const SYMLINKS: [(Symlinks, &str); 3] =
    [(Symlinks::Skip, "skip"), (Symlinks::Follow, "follow"), (Symlinks::Preserve, "preserve")];
const BLOB_TYPES: [(BlobTypeChoice, &str); 4] = [
    (BlobTypeChoice::Detect, "detect"),
    (BlobTypeChoice::Block, "block"),
    (BlobTypeChoice::Page, "page"),
    (BlobTypeChoice::Append, "append"),
];
const POSIX: [(PosixStyle, &str); 2] = [(PosixStyle::Standard, "standard"), (PosixStyle::Amlfs, "amlfs")];
const SNAPSHOTS: [(DeleteSnapshots, &str); 2] =
    [(DeleteSnapshots::Include, "include"), (DeleteSnapshots::Only, "only")];
const PERMANENT: [(PermanentDelete, &str); 3] = [
    (PermanentDelete::Snapshots, "snapshots"),
    (PermanentDelete::Versions, "versions"),
    (PermanentDelete::SnapshotsAndVersions, "snapshots-and-versions"),
];
const PRIORITIES: [(RehydratePriority, &str); 2] =
    [(RehydratePriority::Standard, "standard"), (RehydratePriority::High, "high")];

/// The options as a spec has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Options {
    block_size: Option<u64>,
    put_blob_size: Option<u64>,
    properties: Properties,
    content_type: ContentType,
    crc64: bool,
    /// Where it says to ask, whoever runs a part has nobody to ask, and what is there stays.
    overwrite: String,
    put_md5: bool,
    check_md5: String,
    check_length: String,
    overwrite_in_place: bool,
    delete_destination: bool,
    verify: bool,
    decompress: bool,
    preserve_last_modified_time: bool,
    preserve_posix: Option<String>,
    preserve_setuid: bool,
    symlinks: String,
    directory_stubs: bool,
    blob_type: String,
    page_blob_tier: Option<String>,
    encryption: Option<EncryptedWith>,
    delete_snapshots: Option<String>,
    permanent_delete: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Properties {
    content_encoding: Option<String>,
    content_language: Option<String>,
    content_disposition: Option<String>,
    cache_control: Option<String>,
    metadata: Vec<(String, String)>,
    tier: Option<String>,
    tags: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum ContentType {
    /// The tables of the machine that planned the job: on every machine the same blob gets the same type.
    Guess {
        overrides: BTreeMap<String, String>,
        exact: BTreeMap<String, String>,
        lower: BTreeMap<String, String>,
    },
    Fixed(String),
    None,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum EncryptedWith {
    /// A key of this SHA-256, which whoever runs a part has.
    Key {
        sha256: String,
    },
    Scope(String),
}

/// What `set-properties` changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Change {
    tier: Option<String>,
    rehydrate_priority: Option<String>,
    metadata: Option<Vec<(String, String)>>,
    tags: Option<Vec<(String, String)>>,
}

impl Change {
    pub(super) fn of(change: &PropertyChange) -> Self {
        let PropertyChange { tier, rehydrate_priority, metadata, tags } = change.clone();
        let rehydrate_priority = rehydrate_priority.map(|priority| word(&PRIORITIES, &priority));
        Self { tier, rehydrate_priority, metadata, tags }
    }

    pub(super) fn get(&self) -> Result<PropertyChange, SpecError> {
        let Self { tier, rehydrate_priority, metadata, tags } = self.clone();
        let what = "the priority of a rehydration";
        let rehydrate_priority = optional(&PRIORITIES, what, rehydrate_priority.as_ref())?;
        Ok(PropertyChange { tier, rehydrate_priority, metadata, tags })
    }
}

impl Options {
    /// All fields are named: whoever adds an option decides here whose it is.
    pub(super) fn of(options: &JobOptions) -> Self {
        let JobOptions {
            blocks,
            properties,
            content_type,
            crc64,
            overwrite,
            put_md5,
            check_md5,
            check_length,
            overwrite_in_place,
            delete_destination,
            verify,
            decompress,
            preserve_last_modified_time,
            preserve_posix,
            preserve_setuid,
            symlinks,
            directory_stubs,
            blob_type,
            page_blob_tier,
            encryption,
            delete_snapshots,
            permanent_delete,
            // Of the process: its bounds, its patience, and its way to the service.
            limits: _,
            retry: _,
            retry_failed: _,
            http: _,
            io: _,
            ca_file: _,
            proxies: _,
            cap_bytes_per_second: _,
            cap_requests_per_second: _,
            user_agent_prefix: _,
            // What it is told by the way.
            report_objects: _,
            // A dry run has no parts.
            dry_run: _,
            plan_facts: _,
            // Of tests.
            boundary: _,
            clock: _,
            // Of copies from store to store, which are not cut into parts.
            route: _,
            source_key: _,
            preserve_tier: _,
            preserve_tags: _,
        } = options;
        let (block_size, put_blob_size) = blocks.into_fields();
        Self {
            block_size,
            put_blob_size,
            properties: Properties::of(properties),
            content_type: match content_type {
                ContentTypePolicy::Guess(types) => {
                    let ContentTables { overrides, exact, lower } = types.to_tables();
                    ContentType::Guess { overrides, exact, lower }
                }
                ContentTypePolicy::Fixed(text) => ContentType::Fixed(text.clone()),
                ContentTypePolicy::None => ContentType::None,
            },
            crc64: *crc64,
            overwrite: word(&OVERWRITE, overwrite),
            put_md5: *put_md5,
            check_md5: word(&CHECKS_MD5, check_md5),
            check_length: word(&CHECKS_LENGTH, check_length),
            overwrite_in_place: *overwrite_in_place,
            delete_destination: *delete_destination,
            verify: *verify,
            decompress: *decompress,
            preserve_last_modified_time: *preserve_last_modified_time,
            preserve_posix: preserve_posix.map(|style| word(&POSIX, &style)),
            preserve_setuid: *preserve_setuid,
            symlinks: word(&SYMLINKS, symlinks),
            directory_stubs: *directory_stubs,
            blob_type: word(&BLOB_TYPES, blob_type),
            page_blob_tier: page_blob_tier.clone(),
            encryption: encryption.as_ref().map(|encryption| match encryption {
                Encryption::Key(key) => EncryptedWith::Key { sha256: key.sha256().to_owned() },
                Encryption::Scope(scope) => EncryptedWith::Scope(scope.clone()),
            }),
            delete_snapshots: delete_snapshots.map(|which| word(&SNAPSHOTS, &which)),
            permanent_delete: permanent_delete.map(|which| word(&PERMANENT, &which)),
        }
    }

    /// Whether this version knows all values.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let options = Self { encryption: None, ..self.clone() };
        options.onto(JobOptions::with(ContentTypePolicy::None)).map(drop)
    }

    /// These, and of `here` what is of the process.
    pub(super) fn onto(&self, here: JobOptions) -> Result<JobOptions, SpecError> {
        let encryption = self.encryption(&here)?;
        Ok(JobOptions {
            blocks: BlockRules::default().block_size(self.block_size).put_blob_size(self.put_blob_size),
            properties: self.properties.get(),
            content_type: self.content_type.get()?,
            crc64: self.crc64,
            overwrite: value(&OVERWRITE, "what is there already", &self.overwrite)?,
            put_md5: self.put_md5,
            check_md5: value(&CHECKS_MD5, "the check of MD5s", &self.check_md5)?,
            check_length: value(&CHECKS_LENGTH, "the check of lengths", &self.check_length)?,
            overwrite_in_place: self.overwrite_in_place,
            delete_destination: self.delete_destination,
            verify: self.verify,
            decompress: self.decompress,
            preserve_last_modified_time: self.preserve_last_modified_time,
            preserve_posix: optional(&POSIX, "POSIX properties", self.preserve_posix.as_ref())?,
            preserve_setuid: self.preserve_setuid,
            symlinks: value(&SYMLINKS, "symbolic links", &self.symlinks)?,
            directory_stubs: self.directory_stubs,
            blob_type: value(&BLOB_TYPES, "the kind of blobs", &self.blob_type)?,
            page_blob_tier: self.page_blob_tier.clone(),
            encryption,
            delete_snapshots: optional(&SNAPSHOTS, "snapshots", self.delete_snapshots.as_ref())?,
            permanent_delete: optional(&PERMANENT, "permanent deletion", self.permanent_delete.as_ref())?,
            dry_run: false,
            plan_facts: false,
            ..here
        })
    }

    fn encryption(&self, here: &JobOptions) -> Result<Option<Encryption>, SpecError> {
        match (&self.encryption, &here.encryption) {
            (None, _) => Ok(None),
            (Some(EncryptedWith::Scope(scope)), _) => Ok(Some(Encryption::Scope(scope.clone()))),
            (Some(EncryptedWith::Key { sha256 }), Some(Encryption::Key(key))) if key.sha256() == sha256 => {
                Ok(Some(Encryption::Key(key.clone())))
            }
            (Some(EncryptedWith::Key { sha256 }), _) => Err(SpecError::Key { sha256: sha256.clone() }),
        }
    }
}

impl Properties {
    fn of(properties: &BlobProperties) -> Self {
        let (content_encoding, content_language, content_disposition, cache_control, metadata, tier, tags) =
            properties.clone().into_fields();
        Self { content_encoding, content_language, content_disposition, cache_control, metadata, tier, tags }
    }

    fn get(&self) -> BlobProperties {
        let Self {
            content_encoding,
            content_language,
            content_disposition,
            cache_control,
            metadata,
            tier,
            tags,
        } = self.clone();
        BlobProperties::default()
            .content_encoding(content_encoding)
            .content_language(content_language)
            .content_disposition(content_disposition)
            .cache_control(cache_control)
            .metadata(metadata)
            .tier(tier)
            .tags(tags)
    }
}

impl ContentType {
    fn get(&self) -> Result<ContentTypePolicy, SpecError> {
        Ok(match self.clone() {
            Self::Guess { overrides, exact, lower } => {
                let types = ContentTypes::from_tables(ContentTables { overrides, exact, lower });
                let wrong =
                    || SpecError::Value { what: "content types", value: "one that is none".to_owned() };
                ContentTypePolicy::Guess(types.ok_or_else(wrong)?)
            }
            Self::Fixed(text) => ContentTypePolicy::Fixed(text),
            Self::None => ContentTypePolicy::None,
        })
    }
}
