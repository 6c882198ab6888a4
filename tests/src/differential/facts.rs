//! What can be seen after a run, as pairs that compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::Difference;
use super::stage::{AnyServer, Remote};
use crate::{DEVSTORE_ACCOUNT, Outcome, sha256_hex};

/// Content up to this length is shown as it is.
const SHOWN_BYTES: usize = 60;

/// A file that was written during the run is younger than this.
const RUN: Duration = Duration::from_secs(24 * 3600);

/// Counters of AzCopy's JSON summary that are facts of a job, not of its course.
const COUNTERS: [&str; 19] = [
    "ErrorMsg",
    "JobStatus",
    "TotalTransfers",
    "FileTransfers",
    "FolderPropertyTransfers",
    "SymlinkTransfers",
    "FoldersCompleted",
    "TransfersCompleted",
    "FoldersFailed",
    "TransfersFailed",
    "FoldersSkipped",
    "TransfersSkipped",
    "TotalBytesTransferred",
    "TotalBytesEnumerated",
    "TotalBytesExpected",
    "SkippedSymlinkCount",
    "HardlinksConvertedCount",
    "SkippedHardlinkCount",
    "SkippedSpecialFileCount",
];

/// A kind of fact. The subject is a blob's name, a path, or what the variant says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The exit code; no subject.
    Exit,
    /// A counter or status of the summary, by its label in the text or its key in JSON.
    Count,
    /// A line that is the command's data (a listing, a dry run, a downloaded blob), and how often it came.
    Line,
    /// A transfer that failed or was skipped, in JSON, by source and destination.
    Transfer,
    /// A blob is there.
    Name,
    /// Its bytes.
    Content,
    /// `BlockBlob`, `PageBlob`, `AppendBlob`.
    BlobType,
    /// `Content-Type`.
    ContentType,
    /// `Content-Encoding`, `Content-Language`, `Content-Disposition`, `Cache-Control`.
    Headers,
    /// The stored MD5.
    Md5,
    /// Metadata.
    Metadata,
    /// Tier, with a mark when it is the account's default.
    Tier,
    /// Index tags.
    Tags,
    /// How many snapshots the name has.
    Snapshots,
    /// Something is there in the destination directory, and what: file, directory, link, pipe.
    Path,
    /// Bytes of the file, target of the link.
    Bytes,
    /// Modification time in seconds since 1970, unless it is that of the run.
    Mtime,
    /// Permission bits.
    Mode,
}

/// All facts after one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    facts: BTreeMap<(Aspect, String), String>,
    /// Both streams.
    pub(super) text: String,
}

/// Every fact that is not the same in both. Of what is on one side only, that alone.
pub(super) fn differences(azcopy: &Facts, azuring: &Facts) -> Vec<Difference> {
    let keys: BTreeSet<_> = azcopy.facts.keys().chain(azuring.facts.keys()).collect();
    let differs = |key: &(Aspect, String)| azcopy.facts.get(key) != azuring.facts.get(key);
    let alone = |(aspect, subject): &(Aspect, String)| {
        let presence = match aspect {
            Aspect::Bytes | Aspect::Mtime | Aspect::Mode => Aspect::Path,
            Aspect::Content
            | Aspect::BlobType
            | Aspect::ContentType
            | Aspect::Headers
            | Aspect::Md5
            | Aspect::Metadata
            | Aspect::Tier
            | Aspect::Tags => Aspect::Name,
            _ => return false,
        };
        differs(&(presence, subject.clone()))
    };
    keys.into_iter()
        .filter(|key| differs(key) && !alone(key))
        .map(|key| Difference {
            aspect: key.0,
            subject: key.1.clone(),
            azcopy: azcopy.facts.get(key).cloned(),
            azuring: azuring.facts.get(key).cloned(),
        })
        .collect()
}

impl Facts {
    /// Exit code, counters, data lines. `neutral` takes out what is different for each tool.
    pub(super) fn of_output(outcome: &Outcome, neutral: impl Fn(&str) -> String) -> Self {
        let text = neutral(&format!("{}{}", outcome.stdout, outcome.stderr));
        let mut facts = Self { text, ..Self::default() };
        facts.add(Aspect::Exit, "", outcome.code.map_or("by a signal".to_owned(), |code| code.to_string()));
        let mut jobs_own = false;
        for line in neutral(&outcome.stdout).lines() {
            let line = line.trim_end().rsplit('\r').next().unwrap_or_default();
            if let Some(message) = message(line) {
                facts.add_message(&message);
            } else if line.starts_with("Job ") && line.contains(" has started") {
                jobs_own = true;
            } else if let Some((label, value)) = summary_field(line) {
                facts.add(Aspect::Count, label, value.to_owned());
            } else if outcome.code == Some(0) && !jobs_own && is_data(line) {
                facts.count_line(line);
            }
        }
        facts
    }

    fn add(&mut self, aspect: Aspect, subject: &str, value: String) {
        if !value.is_empty() || aspect == Aspect::Content || aspect == Aspect::Bytes {
            self.facts.insert((aspect, subject.to_owned()), value);
        }
    }

    fn count_line(&mut self, line: &str) {
        let count = self.facts.entry((Aspect::Line, line.to_owned())).or_insert_with(|| "0".to_owned());
        *count = (count.parse::<u32>().expect("only counts are in it") + 1).to_string();
    }

    /// One JSON message of a job or a listing.
    fn add_message(&mut self, message: &Value) {
        let kind = message["MessageType"].as_str().unwrap_or_default();
        let text = message["MessageContent"].as_str().unwrap_or_default();
        let content: Value = serde_json::from_str(text).unwrap_or(Value::Null);
        match kind {
            "Info" => {}
            "Progress" | "EndOfJob" if content.is_object() => {
                for (list, status) in [("FailedTransfers", "failed"), ("SkippedTransfers", "skipped")] {
                    for transfer in content[list].as_array().into_iter().flatten() {
                        let from_to = format!("{} -> {}", show(&transfer["Src"]), show(&transfer["Dst"]));
                        let how =
                            format!("{status}: {} {}", transfer["TransferStatus"], transfer["ErrorCode"]);
                        self.add(Aspect::Transfer, &from_to, how);
                    }
                }
                if kind == "EndOfJob" {
                    for counter in COUNTERS {
                        self.add(Aspect::Count, counter, show(&content[counter]));
                    }
                }
            }
            "Progress" => {}
            "Init" => {
                let keys = content.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
                self.add(Aspect::Line, "Init", keys.collect::<Vec<_>>().join(" "));
            }
            // Where a message is text, only its kind is a fact; where it is JSON, all of it is, but not the order of
            // its keys.
            _ if content.is_null() => self.count_line(&format!("{kind} message")),
            _ => self.count_line(&format!("{kind} {content}")),
        }
    }

    /// The blobs of the container.
    pub(super) fn add_blobs(&mut self, remote: &Remote<'_>) {
        match remote.server {
            AnyServer::Azsim(server) => {
                for blob in server.blobs(DEVSTORE_ACCOUNT, &remote.container) {
                    let content = server.content(DEVSTORE_ACCOUNT, &remote.container, &blob.name);
                    let name = blob.name.as_str();
                    self.add(Aspect::Name, name, "there".to_owned());
                    self.add(Aspect::Content, name, shown(&content.expect("azsim keeps content in memory")));
                    self.add(Aspect::BlobType, name, blob.blob_type.clone());
                    self.add(Aspect::ContentType, name, blob.content_type.clone());
                    let headers = [
                        &blob.content_encoding,
                        &blob.content_language,
                        &blob.content_disposition,
                        &blob.cache_control,
                    ];
                    self.add(Aspect::Headers, name, joined(&headers));
                    let md5 = blob.content_md5.map(|md5| BASE64_STANDARD.encode(md5));
                    self.add(Aspect::Md5, name, md5.unwrap_or_default());
                    self.add(Aspect::Metadata, name, pairs(&blob.metadata));
                    self.add(Aspect::Tags, name, pairs(&blob.tags));
                    let inferred = if blob.tier_inferred { " by default" } else { "" };
                    self.add(Aspect::Tier, name, format!("{}{inferred}", blob.tier));
                }
                for (name, count) in server.snapshots(DEVSTORE_ACCOUNT, &remote.container) {
                    self.add(Aspect::Snapshots, &name, count.to_string());
                }
            }
            AnyServer::Azurite(azurite) => {
                for (name, blob) in azurite.client(DEVSTORE_ACCOUNT).blobs(&remote.container) {
                    let text = |text: &Option<String>| text.clone().unwrap_or_default();
                    self.add(Aspect::Name, &name, "there".to_owned());
                    self.add(Aspect::Content, &name, blob.sha256.clone());
                    self.add(Aspect::ContentType, &name, text(&blob.content_type));
                    let headers = [
                        &text(&blob.content_encoding),
                        &text(&blob.content_language),
                        &text(&blob.content_disposition),
                        &text(&blob.cache_control),
                    ];
                    self.add(Aspect::Headers, &name, joined(&headers));
                    self.add(Aspect::Metadata, &name, pairs(&blob.metadata.into_iter().collect::<Vec<_>>()));
                    self.add(Aspect::Tags, &name, pairs(&blob.tags.into_iter().collect::<Vec<_>>()));
                    self.add(Aspect::Tier, &name, text(&blob.tier));
                }
            }
        }
    }

    /// Everything below a directory; a container that was downloaded as a whole is called `CONTAINER`.
    pub(super) fn add_local(&mut self, dir: &Path, container: &str) {
        let mut open = vec![dir.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(dir).expect("it was found below").as_os_str().as_bytes();
                let name = name.escape_ascii().to_string().replace(container, "CONTAINER");
                let facts = path.symlink_metadata().unwrap();
                let kind = facts.file_type();
                let (kind, bytes) = if kind.is_dir() {
                    open.push(path.clone());
                    ("directory", None)
                } else if kind.is_symlink() {
                    ("link", Some(fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()))
                } else if kind.is_fifo() {
                    ("pipe", None)
                } else {
                    ("file", Some(fs::read(&path).unwrap()))
                };
                self.add(Aspect::Path, &name, kind.to_owned());
                if let Some(bytes) = bytes {
                    self.add(Aspect::Bytes, &name, shown(&bytes));
                }
                if kind != "link" {
                    self.add(Aspect::Mode, &name, format!("{:o}", facts.mode() & 0o7777));
                }
                let modified = facts.modified().unwrap();
                if kind == "file" && SystemTime::now().duration_since(modified).is_ok_and(|age| age > RUN) {
                    self.add(Aspect::Mtime, &name, facts.mtime().to_string());
                }
            }
        }
    }
}

/// A line of `--output-type=json`.
fn message(line: &str) -> Option<Value> {
    let message: Value = serde_json::from_str(line).ok()?;
    message.get("MessageType")?;
    Some(message)
}

/// `Number of File Transfers: 3`, `Final Job Status: Completed`.
fn summary_field(line: &str) -> Option<(&str, &str)> {
    let (label, value) = line.split_once(": ")?;
    let known = ["Number of ", "Total Number of ", "Final Job Status"];
    known.iter().any(|start| label.starts_with(start)).then_some((label, value.trim()))
}

/// Lines of a command that succeeds, outside a job's frame, that are its data and no remarks.
fn is_data(line: &str) -> bool {
    let remarks = ["INFO: ", "WARN: ", "Job ", "Log file is located", "Elapsed Time"];
    !line.is_empty() && !remarks.iter().any(|start| line.starts_with(start))
}

fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Short text as it is, anything else by its digest.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() <= SHOWN_BYTES => format!("{text:?}"),
        _ => format!("{} bytes, SHA-256 {}", bytes.len(), sha256_hex(bytes)),
    }
}

fn joined(headers: &[&String; 4]) -> String {
    if headers.iter().all(|header| header.is_empty()) {
        return String::new();
    }
    headers.map(String::as_str).join(" | ")
}

/// Pairs in the order of their names, without what reading a file changes.
fn pairs(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| name != "posix_atime")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.sort();
    pairs.join("; ")
}
