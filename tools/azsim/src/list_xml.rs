//! How the pages of listings are written.

use std::fmt::Write as _;

use http::header::HOST;

use crate::change::archive_status;
use crate::encryption::write_key;
use crate::lease::State;
use crate::list::{Ask, Entry, Include, Origin, Shown, write_marker};
use crate::properties::{BlobKind, Props, Rare};
use crate::service::Rq;
use crate::store::{Container, etag};
use crate::time;
use crate::xml;

/// `http://host/account/`
pub(crate) fn endpoint(rq: &Rq<'_>) -> String {
    let host = rq.parts.headers.get(HOST).and_then(|h| h.to_str().ok());
    let host =
        host.or_else(|| rq.parts.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let scheme = if rq.peer.tls { "https" } else { "http" };
    let account = &rq.target.account.name;
    let in_path = rq.target.raw_path.strip_prefix('/').and_then(|p| p.strip_prefix(account.as_str()));
    if in_path.is_some() { format!("{scheme}://{host}/{account}/") } else { format!("{scheme}://{host}/") }
}

/// A page of List Blobs.
pub(crate) fn document(
    rq: &Rq<'_>,
    container: &Container,
    ask: &Ask<'_>,
    entries: &[Entry],
    next: Option<&str>,
    include: Include,
) -> String {
    let mut out = String::with_capacity(512 + entries.len() * 720);
    out.push_str(xml::PROLOG);
    out.push_str("<EnumerationResults ServiceEndpoint=\"");
    xml::escape(&mut out, &endpoint(rq));
    out.push_str("\" ContainerName=\"");
    xml::escape(&mut out, &container.name);
    out.push_str("\">");
    ask.write(&mut out);
    out.push_str("<Blobs>");
    for entry in entries {
        match entry {
            Entry::Prefix(name) => {
                out.push_str("<BlobPrefix>");
                write_name(&mut out, name);
                out.push_str("</BlobPrefix>");
            }
            Entry::Uncommitted(name) => {
                out.push_str("<Blob>");
                write_name(&mut out, name);
                out.push_str(concat!(
                    "<Properties><Content-Length>0</Content-Length><Content-Type>application/octet-stream",
                    "</Content-Type><BlobType>BlockBlob</BlobType><LeaseStatus>unlocked</LeaseStatus>",
                    "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties></Blob>"
                ));
            }
            Entry::Blob(shown) => {
                write_blob(&mut out, shown, include, rq);
            }
        }
    }
    out.push_str("</Blobs>");
    xml::element(&mut out, "NextMarker", &next.map(write_marker).unwrap_or_default());
    out.push_str("</EnumerationResults>");
    out
}

/// Names that XML cannot carry are percent-encoded and marked so.
pub(crate) fn write_name(out: &mut String, name: &str) {
    if xml::is_representable(name) {
        xml::element(out, "Name", name);
        return;
    }
    out.push_str("<Name Encoded=\"true\">");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out.push_str("</Name>");
}

/// Whole days until what was deleted at this time is dropped.
fn days_left(at: u64, retention_days: u32) -> u64 {
    let past = time::now().saturating_sub(at).max(1);
    (u64::from(retention_days) * time::DAY).saturating_sub(past) / time::DAY
}

fn write_blob(out: &mut String, shown: &Shown, include: Include, rq: &Rq<'_>) {
    let retention_days = rq.shared.soft_delete.unwrap_or_default();
    let Shown { name, blob, origin, lease, deleted_at } = shown;
    let props = &blob.props;
    out.push_str("<Blob>");
    write_name(out, name);
    if let Origin::Snapshot(tick) = origin {
        xml::element(out, "Snapshot", &time::iso(*tick));
    } else if props.rare().version != 0 && (include.versions || matches!(origin, Origin::VersionOfNone)) {
        xml::element(out, "VersionId", &time::iso(props.rare().version));
        if matches!(origin, Origin::Current) {
            out.push_str("<IsCurrentVersion>true</IsCurrentVersion>");
        }
    }
    if deleted_at.is_some() {
        out.push_str("<Deleted>true</Deleted>");
    }
    out.push_str("<Properties>");
    xml::element(out, "Creation-Time", &time::http_date(blob.created));
    xml::element(out, "Last-Modified", &time::http_date(blob.modified));
    xml::element(out, "Etag", etag(blob.modified).trim_matches('"'));
    let _ = write!(out, "<Content-Length>{}</Content-Length>", blob.len);
    xml::element(out, "Content-Type", &props.content_type);
    xml::element(out, "Content-Encoding", &props.content_encoding);
    xml::element(out, "Content-Language", &props.content_language);
    out.push_str("<Content-CRC64 />");
    xml::element(out, "Content-MD5", &blob.md5.as_ref().map(|md5| md5.text()).unwrap_or_default());
    xml::element(out, "Cache-Control", &props.cache_control);
    xml::element(out, "Content-Disposition", &props.content_disposition);
    xml::element(out, "BlobType", props.rare().kind.name());
    if let Some((tier, inferred)) = props.shown_tier(blob.len, rq.tiers()) {
        xml::element(out, "AccessTier", tier);
        if inferred {
            out.push_str("<AccessTierInferred>true</AccessTierInferred>");
        }
    }
    if let Some(rare) = &props.rare {
        write_rare(out, props, rare);
        if let Some(copied) = rare.copied.as_ref().filter(|_| include.copy) {
            copied.list(out);
        }
    }
    if deleted_at.is_none() {
        write_lease(out, *lease);
    }
    out.push_str("<ServerEncrypted>true</ServerEncrypted>");
    if let Some(at) = *deleted_at {
        xml::element(out, "DeletedTime", &time::http_date(at));
        let _ =
            write!(out, "<RemainingRetentionDays>{}</RemainingRetentionDays>", days_left(at, retention_days));
    }
    if !props.tags.is_empty() {
        let _ = write!(out, "<TagCount>{}</TagCount>", props.tags.len());
    }
    out.push_str("</Properties>");
    if include.metadata && props.rare().key.is_some() {
        // Only who has the key sees them.
        out.push_str("<Metadata Encrypted=\"true\" />");
    } else if include.metadata {
        write_metadata(out, &props.metadata);
    }
    if include.tags && !props.tags.is_empty() {
        xml::write_tags(out, &props.tags);
    }
    if matches!(origin, Origin::VersionOfNone) {
        out.push_str("<HasVersionsOnly>true</HasVersionsOnly>");
    }
    out.push_str("<OrMetadata /></Blob>");
}

/// What page and append blobs, rehydration and encryption add.
fn write_rare(out: &mut String, props: &Props, rare: &Rare) {
    if let Some((status, priority)) = archive_status(props) {
        xml::element(out, "ArchiveStatus", &status);
        xml::element(out, "RehydratePriority", priority);
    }
    if rare.tier_changed != 0 {
        xml::element(out, "AccessTierChangeTime", &time::http_date(rare.tier_changed));
    }
    if rare.kind == BlobKind::Page {
        let _ = write!(out, "<x-ms-blob-sequence-number>{}</x-ms-blob-sequence-number>", rare.sequence);
    }
    if rare.sealed {
        out.push_str("<Sealed>true</Sealed>");
    }
    if let Some(key) = &rare.key {
        xml::element(out, "CustomerProvidedKeySha256", &write_key(key));
    }
    if !rare.scope.is_empty() {
        xml::element(out, "EncryptionScope", &rare.scope);
    }
}

/// What is shown of a lease.
pub(crate) fn write_lease(out: &mut String, lease: State) {
    xml::element(out, "LeaseStatus", lease.status());
    xml::element(out, "LeaseState", lease.name());
    if let Some(duration) = lease.duration() {
        xml::element(out, "LeaseDuration", duration);
    }
}

/// `<Metadata>` with its elements.
pub(crate) fn write_metadata(out: &mut String, metadata: &[(Box<str>, Box<str>)]) {
    if metadata.is_empty() {
        return out.push_str("<Metadata />");
    }
    out.push_str("<Metadata>");
    for (name, value) in metadata {
        xml::element(out, name, value);
    }
    out.push_str("</Metadata>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_retention_is_whole_days() {
        let now = time::now();
        assert_eq!(days_left(now, 7), 6);
        assert_eq!(days_left(now - 3 * time::DAY, 7), 3);
        assert_eq!(days_left(now - 9 * time::DAY, 7), 0);
    }

    #[test]
    fn names_that_xml_cannot_carry_are_encoded() {
        let mut out = String::new();
        write_name(&mut out, "a/\u{1}b c");
        assert_eq!(out, "<Name Encoded=\"true\">a/%01b%20c</Name>");
    }
}
