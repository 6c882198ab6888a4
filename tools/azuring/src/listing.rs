//! What `list` prints of a blob, and in which form.

use azuring_azure::{BlobFacts, Wanted};
use azuring_plan::date;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::json;

use crate::cli::other::ListArgs;
use crate::view::{json, ndjson};

/// The properties that can be asked for, by AzCopy's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    LastModifiedTime,
    VersionId,
    BlobType,
    BlobAccessTier,
    ContentType,
    ContentEncoding,
    ContentMD5,
    LeaseState,
    LeaseDuration,
    LeaseStatus,
    ArchiveStatus,
}

impl Property {
    const ALL: [Self; 11] = [
        Self::LastModifiedTime,
        Self::VersionId,
        Self::BlobType,
        Self::BlobAccessTier,
        Self::ContentType,
        Self::ContentEncoding,
        Self::ContentMD5,
        Self::LeaseState,
        Self::LeaseDuration,
        Self::LeaseStatus,
        Self::ArchiveStatus,
    ];

    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// How lengths are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// In bytes.
    Bytes,
    /// In units of 1024.
    Binary,
    /// In units of 1000.
    Decimal,
}

/// What is shown, and how.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    properties: Vec<Property>,
    lengths: Lengths,
}

impl Listing {
    /// By the flags; and the names among the properties that are none (AzCopy passes over them).
    pub(crate) fn new(args: &ListArgs) -> (Self, Vec<String>) {
        let (mut properties, mut unknown) = (Vec::new(), Vec::new());
        let words = args.properties.as_deref().unwrap_or_default().split(';').map(str::trim);
        for word in words.filter(|word| !word.is_empty()) {
            match Property::ALL.into_iter().find(|property| property.name().eq_ignore_ascii_case(word)) {
                Some(property) => properties.push(property),
                None => unknown.push(word.to_owned()),
            }
        }
        let lengths = match (args.machine_readable.0, args.mega_units.0) {
            (true, _) => Lengths::Bytes,
            (false, true) => Lengths::Decimal,
            (false, false) => Lengths::Binary,
        };
        (Self { properties, lengths }, unknown)
    }

    /// Which properties the listing has to bring.
    pub(crate) fn wanted(&self) -> Wanted {
        use Property::{
            ArchiveStatus, ContentEncoding, ContentMD5, ContentType, LeaseDuration, LeaseState, LeaseStatus,
        };
        let any = |of: &[Property]| self.properties.iter().any(|property| of.contains(property));
        Wanted::default()
            .content_md5(any(&[ContentMD5]))
            .content(any(&[ContentType, ContentEncoding]))
            .state(any(&[LeaseState, LeaseDuration, LeaseStatus, ArchiveStatus]))
    }

    /// Whether versions are listed too.
    pub(crate) fn versions(&self) -> bool {
        self.properties.contains(&Property::VersionId)
    }

    /// AzCopy's line: name, properties in the order they were asked for, length.
    pub(crate) fn text(&self, path: &str, facts: &BlobFacts) -> String {
        let mut line = one_line(path);
        for &property in &self.properties {
            line += &format!("; {}: {}", property.name(), value(property, facts, time_text));
        }
        line + &format!("; Content Length: {}", self.length_of(facts))
    }

    /// AzCopy's `ListObject`.
    pub(crate) fn json(&self, path: &str, facts: &BlobFacts) -> String {
        let of = |property| {
            let asked = self.properties.contains(&property);
            Some(value(property, facts, time_json)).filter(|text| asked && !text.is_empty())
        };
        let object = Object {
            path,
            last_modified_time: of(Property::LastModifiedTime),
            version_id: of(Property::VersionId),
            blob_type: of(Property::BlobType),
            blob_access_tier: of(Property::BlobAccessTier),
            content_type: of(Property::ContentType),
            content_encoding: of(Property::ContentEncoding),
            content_md5: of(Property::ContentMD5),
            lease_state: of(Property::LeaseState),
            lease_duration: of(Property::LeaseDuration),
            lease_status: of(Property::LeaseStatus),
            archive_status: of(Property::ArchiveStatus),
            content_length: self.length_of(facts),
        };
        json::nested("ListObject", &object)
    }

    /// The flat line.
    pub(crate) fn ndjson(&self, path: &str, facts: &BlobFacts) -> String {
        let of = |property| {
            let asked = self.properties.contains(&property);
            Some(value(property, facts, time_json)).filter(|text| asked && !text.is_empty())
        };
        let rest = json!({
            "path": path,
            "bytes": facts.len,
            "modified": facts.last_modified,
            "version_id": of(Property::VersionId),
            "blob_type": of(Property::BlobType),
            "tier": of(Property::BlobAccessTier),
            "content_type": of(Property::ContentType),
            "content_encoding": of(Property::ContentEncoding),
            "content_md5": of(Property::ContentMD5),
            "lease_state": of(Property::LeaseState),
            "lease_duration": of(Property::LeaseDuration),
            "lease_status": of(Property::LeaseStatus),
            "archive_status": of(Property::ArchiveStatus),
        });
        ndjson::line("object", rest)
    }

    /// AzCopy's two lines of `--running-tally`.
    pub(crate) fn tally_text(&self, files: u64, bytes: u64) -> String {
        format!("\nFile count: {files}\nTotal file size: {}", self.length(bytes))
    }

    /// AzCopy's `ListSummary`.
    pub(crate) fn tally_json(&self, files: u64, bytes: u64) -> String {
        let summary = Tally { file_count: files.to_string(), total_file_size: self.length(bytes) };
        json::nested("ListSummary", &summary)
    }

    /// The flat line.
    pub(crate) fn tally_ndjson(files: u64, bytes: u64) -> String {
        ndjson::line("list_summary", json!({ "files": files, "bytes": bytes }))
    }

    fn length_of(&self, facts: &BlobFacts) -> String {
        if facts.len_is_unknown { "unknown".to_owned() } else { self.length(facts.len) }
    }

    fn length(&self, bytes: u64) -> String {
        let (base, units): (f64, _) = match self.lengths {
            Lengths::Bytes => return bytes.to_string(),
            Lengths::Binary => (1024.0, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]),
            Lengths::Decimal => (1000.0, ["B", "KB", "MB", "GB", "TB", "PB", "EB"]),
        };
        let (mut length, mut unit) = (bytes as f64, 0);
        while length / base >= 1.0 && unit + 1 < units.len() {
            (length, unit) = (length / base, unit + 1);
        }
        format!("{length:.2} {}", units[unit])
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Object<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_access_tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(rename = "ContentMD5", skip_serializing_if = "Option::is_none")]
    content_md5: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive_status: Option<String>,
    content_length: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tally {
    file_count: String,
    total_file_size: String,
}

/// A name on one line: what would break it is escaped.
fn one_line(path: &str) -> String {
    if path.chars().any(char::is_control) {
        azuring_plan::name::escape(path.as_bytes())
    } else {
        path.to_owned()
    }
}

/// A property as text; empty where the service says nothing.
fn value(property: Property, facts: &BlobFacts, time: fn(i64) -> String) -> String {
    let content = facts.content.as_deref();
    let state = facts.state.as_deref();
    let text = match property {
        Property::LastModifiedTime => return time(facts.last_modified),
        Property::BlobType => return facts.blob_type.name().to_owned(),
        Property::ContentMD5 => {
            return facts.content_md5.map(|md5| BASE64_STANDARD.encode(md5)).unwrap_or_default();
        }
        Property::VersionId => facts.version_id.as_deref(),
        Property::BlobAccessTier => facts.tier.as_ref().map(|tier| tier.name()),
        Property::ContentType => content.and_then(|content| content.content_type.as_deref()),
        Property::ContentEncoding => content.and_then(|content| content.encoding.as_deref()),
        Property::LeaseState => state.and_then(|state| state.lease_state.as_deref()),
        Property::LeaseDuration => state.and_then(|state| state.lease_duration.as_deref()),
        Property::LeaseStatus => state.and_then(|state| state.lease_status.as_deref()),
        Property::ArchiveStatus => state.and_then(|state| state.archive_status.as_deref()),
    };
    text.unwrap_or_default().to_owned()
}

/// `2026-11-22T07:40:42Z`.
fn time_json(seconds: i64) -> String {
    let text = date::format_utc(i128::from(seconds) * 1_000_000_000);
    format!("{}Z", text.split('.').next().unwrap_or_default())
}

/// `2026-11-22 07:40:42 +0000 GMT`, as Go writes a time that came in a header.
fn time_text(seconds: i64) -> String {
    time_json(seconds).replace('T', " ").replace('Z', " +0000 GMT")
}

#[cfg(test)]
mod tests;
