//! `Dryrun`: what AzCopy says of each object of a dry run.

use azuring_azure::{AccessTier, BlobFacts};
use azuring_transfer::{Action, Planned};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Serialize, Serializer};

use super::nested;
use crate::view::{Facts, shown};

/// The message of one object.
pub(super) fn message(planned: &Planned, facts: &Facts) -> String {
    // AzCopy repeats of an upload's properties the tags alone.
    let changes = planned.action == Action::SetProperties;
    let blob = planned.facts.as_deref();
    let of_blob = match (planned.action, blob) {
        (Action::SetProperties, _) | (_, None) => &[][..],
        (_, Some(blob)) => &blob.metadata,
    };
    let tier = match planned.action {
        Action::Copy => blob.and_then(|blob| blob.tier.as_ref()).map(AccessTier::name),
        Action::SetProperties => facts.tier.as_deref(),
        _ => None,
    };
    nested(
        "Dryrun",
        &DryRun {
            entity_type: "File",
            blob_type: blob.map_or(&*facts.blob_type, |blob| blob.blob_type.name()),
            from_to: facts.from_to.map(|from_to| from_to.to_string()).unwrap_or_default(),
            source: shown(&planned.transfer.source),
            destination: shown(&planned.transfer.destination),
            source_size: planned.bytes.filter(|&bytes| bytes > 0),
            blob_tags: Pairs(&facts.tags),
            metadata: Pairs(if changes { &facts.metadata } else { of_blob }),
            blob_tier: tier,
            content: blob.map_or_else(DryRunContent::default, DryRunContent::of),
        },
    )
}

/// One object of a dry run.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DryRun<'a> {
    entity_type: &'a str,
    blob_type: &'a str,
    from_to: String,
    source: String,
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_size: Option<u64>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    blob_tags: Pairs<'a>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    metadata: Pairs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob_tier: Option<&'a str>,
    #[serde(flatten)]
    content: DryRunContent<'a>,
}

/// What AzCopy repeats of the properties of a blob.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DryRunContent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_disposition: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<&'a str>,
    #[serde(rename = "ContentMD5", skip_serializing_if = "Option::is_none")]
    content_md5: Option<String>,
}

impl<'a> DryRunContent<'a> {
    fn of(facts: &'a BlobFacts) -> Self {
        let content_md5 = facts.content_md5.map(|md5| BASE64_STANDARD.encode(md5));
        let Some(content) = &facts.content else { return Self { content_md5, ..Self::default() } };
        Self {
            content_type: content.content_type.as_deref(),
            content_encoding: content.encoding.as_deref(),
            content_language: content.language.as_deref(),
            content_disposition: content.disposition.as_deref(),
            cache_control: content.cache_control.as_deref(),
            content_md5,
        }
    }
}

/// Names and values, written as an object.
struct Pairs<'a>(&'a [(String, String)]);

impl Pairs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
