//! What each operation knows of `x-ms-*` headers and of query parameters. Everything else is refused, so that nothing
//! that a client asks for is silently left undone.
//!
//! The names are those of each operation's page under <https://learn.microsoft.com/rest/api/storageservices/>, less
//! what this server does not implement.

use http::request::Parts;

use crate::error::{INVALID_QUERY_PARAMETER_VALUE, Result, UNSUPPORTED_HEADER, UNSUPPORTED_QUERY_PARAMETER};
use crate::route::Operation;
use crate::target::Target;

type Names = &'static [&'static str];

/// What one operation knows.
struct Known {
    /// Headers that begin with `x-ms-`, in groups.
    headers: &'static [Names],
    /// `x-ms-meta-*` too.
    metadata: bool,
    /// Query parameters, in groups.
    query: &'static [Names],
}

/// Headers of every operation. Each answer repeats the client's request id, asked or not.
const EVERY: Names =
    &["x-ms-version", "x-ms-client-request-id", "x-ms-date", "x-ms-return-client-request-id"];
const CHECKSUM: Names = &["x-ms-content-crc64"];
const LEASE: Names = &["x-ms-lease-id"];
const LEASES: Names = &[
    "x-ms-lease-id",
    "x-ms-lease-action",
    "x-ms-lease-duration",
    "x-ms-lease-break-period",
    "x-ms-proposed-lease-id",
];
const IF_TAGS: Names = &["x-ms-if-tags"];
const KEY: Names = &["x-ms-encryption-key", "x-ms-encryption-key-sha256", "x-ms-encryption-algorithm"];
const SCOPE: Names = &["x-ms-encryption-scope"];
const CONTENT: Names = &[
    "x-ms-blob-content-type",
    "x-ms-blob-content-md5",
    "x-ms-blob-cache-control",
    "x-ms-blob-content-encoding",
    "x-ms-blob-content-language",
    "x-ms-blob-content-disposition",
];
/// What a request says of the source that it copies from.
const SOURCE: Names = &[
    "x-ms-copy-source",
    "x-ms-source-if-match",
    "x-ms-source-if-none-match",
    "x-ms-source-if-modified-since",
    "x-ms-source-if-unmodified-since",
];
/// Of one that is read before the answer.
const SOURCE_SYNC: Names = &["x-ms-copy-source-authorization", "x-ms-source-content-md5"];
const SOURCE_KEY: Names =
    &["x-ms-source-encryption-key", "x-ms-source-encryption-key-sha256", "x-ms-source-encryption-algorithm"];
/// What it says of a part of one.
const SOURCE_PART: Names = &["x-ms-source-range", "x-ms-source-content-crc64"];
const NEW: Names = &["x-ms-access-tier", "x-ms-tags"];
const APPEND: Names = &["x-ms-blob-condition-appendpos", "x-ms-blob-condition-maxsize"];
const PUT_PAGE: Names = &["x-ms-page-write", "x-ms-range"];
const SEQUENCE: Names =
    &["x-ms-if-sequence-number-le", "x-ms-if-sequence-number-lt", "x-ms-if-sequence-number-eq"];
const PAGES: Names = &["x-ms-blob-content-length", "x-ms-blob-sequence-number"];

/// Parameters of every operation. Nothing here takes as long as a `timeout` is.
const ANY: Names = &["timeout", "api-version"];
const COMP: Names = &["comp"];
const TYPE: Names = &["restype"];
const WHICH: Names = &["snapshot", "versionid"];
const PAGE: Names = &["maxresults", "marker"];

fn known(operation: Operation) -> Known {
    use Operation as O;
    let (headers, query): (&[Names], &[Names]) = match operation {
        O::PutBlob => {
            (&[&["x-ms-blob-type"], CHECKSUM, CONTENT, LEASE, NEW, IF_TAGS, PAGES, KEY, SCOPE], &[])
        }
        O::PutBlobFromUrl => (
            &[
                &[
                    "x-ms-blob-type",
                    "x-ms-source-if-tags",
                    "x-ms-copy-source-blob-properties",
                    "x-ms-copy-source-tag-option",
                ],
                SOURCE,
                SOURCE_SYNC,
                SOURCE_KEY,
                CONTENT,
                LEASE,
                NEW,
                IF_TAGS,
                KEY,
                SCOPE,
            ],
            &[],
        ),
        O::CopyBlob => (
            &[
                &["x-ms-source-if-tags", "x-ms-requires-sync", "x-ms-rehydrate-priority"],
                SOURCE,
                LEASE,
                NEW,
                IF_TAGS,
            ],
            &[],
        ),
        O::CopyBlobFromUrl => (
            &[
                &["x-ms-requires-sync", "x-ms-copy-source-tag-option"],
                SOURCE,
                SOURCE_SYNC,
                LEASE,
                NEW,
                IF_TAGS,
                SCOPE,
            ],
            &[],
        ),
        O::AbortCopyBlob => (&[&["x-ms-copy-action"], LEASE], &[COMP, &["copyid"]]),
        O::PutBlockFromUrl => {
            (&[SOURCE, SOURCE_SYNC, SOURCE_KEY, SOURCE_PART, LEASE, KEY, SCOPE], &[COMP, &["blockid"]])
        }
        O::AppendBlockFromUrl => {
            (&[SOURCE, SOURCE_SYNC, SOURCE_KEY, SOURCE_PART, APPEND, LEASE, IF_TAGS, KEY, SCOPE], &[COMP])
        }
        O::PutPageFromUrl => (
            &[SOURCE, SOURCE_SYNC, SOURCE_KEY, SOURCE_PART, PUT_PAGE, SEQUENCE, LEASE, IF_TAGS, KEY, SCOPE],
            &[COMP],
        ),
        O::PutBlock => (&[CHECKSUM, LEASE, KEY, SCOPE], &[COMP, &["blockid"]]),
        O::PutBlockList => (&[CHECKSUM, CONTENT, LEASE, NEW, IF_TAGS, KEY, SCOPE], &[COMP]),
        O::GetBlockList => (&[LEASE, IF_TAGS], &[COMP, &["blocklisttype"], WHICH]),
        O::GetBlob => (
            &[
                &["x-ms-range", "x-ms-range-get-content-crc64", "x-ms-range-get-content-md5"],
                LEASE,
                IF_TAGS,
                KEY,
            ],
            &[WHICH],
        ),
        // `comp=metadata`.
        O::GetBlobProperties => (&[LEASE, IF_TAGS, KEY], &[WHICH, COMP]),
        O::DeleteBlob => (
            &[
                &["x-ms-delete-snapshots"],
                LEASE,
                IF_TAGS,
                &["x-ms-access-tier-if-modified-since", "x-ms-access-tier-if-unmodified-since"],
            ],
            &[WHICH, &["deletetype"]],
        ),
        O::LeaseBlob => (&[LEASES, IF_TAGS], &[COMP]),
        O::UndeleteBlob => (&[], &[COMP]),
        O::SnapshotBlob | O::SetBlobMetadata => (&[LEASE, IF_TAGS, KEY, SCOPE], &[COMP]),
        O::SetBlobTier => {
            (&[&["x-ms-access-tier", "x-ms-rehydrate-priority"], LEASE, IF_TAGS], &[COMP, WHICH])
        }
        O::SetBlobProperties => {
            (&[CONTENT, LEASE, IF_TAGS, PAGES, &["x-ms-sequence-number-action"], KEY, SCOPE], &[COMP])
        }
        O::SetBlobTags => (&[CHECKSUM, LEASE, IF_TAGS], &[COMP, WHICH]),
        O::GetBlobTags => (&[LEASE, IF_TAGS], &[COMP, WHICH]),
        O::AppendBlock => (&[APPEND, CHECKSUM, LEASE, IF_TAGS, KEY, SCOPE], &[COMP]),
        O::SealAppendBlob => (&[&["x-ms-blob-condition-appendpos"], LEASE, IF_TAGS, KEY, SCOPE], &[COMP]),
        O::PutPage => (&[PUT_PAGE, SEQUENCE, CHECKSUM, LEASE, IF_TAGS, KEY, SCOPE], &[COMP]),
        // What asks for differences is answered with 501.
        O::GetPageRanges => (
            &[&["x-ms-range", "x-ms-previous-snapshot-url"], LEASE, IF_TAGS],
            &[COMP, WHICH, PAGE, &["prevsnapshot"]],
        ),
        O::ListBlobs => {
            (&[], &[TYPE, COMP, &["prefix", "delimiter"], PAGE, &["include", "startFrom", "showonly"]])
        }
        O::ListContainers => (&[], &[COMP, &["prefix"], PAGE, &["include"]]),
        O::FindBlobs | O::FindBlobsInContainer => (&[], &[TYPE, COMP, &["where"], PAGE]),
        O::BlobBatch | O::GetServiceProperties | O::GetAccountInformation | O::GetUserDelegationKey => {
            (&[], &[TYPE, COMP])
        }
        O::CreateContainer => (
            &[&[
                "x-ms-blob-public-access",
                "x-ms-default-encryption-scope",
                "x-ms-deny-encryption-scope-override",
            ]],
            &[TYPE],
        ),
        O::DeleteContainer => (&[LEASE], &[TYPE]),
        O::GetContainerProperties | O::GetContainerAcl | O::SetContainerMetadata => (&[LEASE], &[TYPE, COMP]),
        O::SetContainerAcl => (&[LEASE, &["x-ms-blob-public-access"]], &[TYPE, COMP]),
        O::LeaseContainer => (&[LEASES], &[TYPE, COMP]),
        O::Other => (&[], &[]),
    };
    let metadata = matches!(
        operation,
        O::PutBlob
            | O::PutBlobFromUrl
            | O::CopyBlob
            | O::CopyBlobFromUrl
            | O::PutBlockList
            | O::SetBlobMetadata
            | O::SnapshotBlob
            | O::CreateContainer
            | O::SetContainerMetadata
            // Undocumented, and passed over: Microsoft's Python client sends the metadata of a blob with all its parts.
            | O::PutBlock
            | O::AppendBlock
            | O::PutPage
    );
    Known { headers, metadata, query }
}

/// Refuses headers and parameters that the operation does not know.
///
/// Most requests bring few of either, and the names are compared where they lie: nothing is allocated.
///
/// # Errors
/// 400, which names the first of them.
pub(crate) fn check(parts: &Parts, target: &Target<'_>, operation: Operation) -> Result<()> {
    let known = known(operation);
    let has = |groups: &[Names], name: &str| groups.iter().any(|names| names.contains(&name));
    for name in parts.headers.keys().map(http::HeaderName::as_str) {
        let fine = !name.starts_with("x-ms-")
            || EVERY.contains(&name)
            || has(known.headers, name)
            || (known.metadata && name.starts_with("x-ms-meta-"));
        if !fine {
            return Err(UNSUPPORTED_HEADER.header(name, "").naming(name));
        }
    }
    let signed = target.query.get("sig").is_some();
    for (name, value) in target.query.pairs() {
        let is = |known: &&str| name.eq_ignore_ascii_case(known);
        if (signed && is_sas(name))
            || known.query.iter().any(|names| names.iter().any(is))
            || ANY.iter().any(is)
        {
            continue;
        }
        let kind = match is_which(name) {
            // There is such a thing, and this operation cannot be done to it.
            true => INVALID_QUERY_PARAMETER_VALUE,
            false => UNSUPPORTED_QUERY_PARAMETER,
        };
        return Err(kind.query(name, value).naming(name));
    }
    Ok(())
}

fn is_which(name: &str) -> bool {
    WHICH.iter().any(|which| name.eq_ignore_ascii_case(which))
}

/// Whether it is a field of a SAS of some kind. The signature covers them; those which this server does not know were
/// refused with the SAS.
fn is_sas(name: &str) -> bool {
    match name.len() {
        2 => ["sv", "ss", "se", "sp", "st", "sr", "si"].iter().any(|f| name.eq_ignore_ascii_case(f)),
        3 => ["sig", "srt", "spr", "sip", "ses", "sdd", "skt", "ske", "sks", "skv"]
            .iter()
            .any(|f| name.eq_ignore_ascii_case(f)),
        _ => ["skoid", "sktid", "saoid", "scid", "rscc", "rscd", "rsce", "rscl", "rsct"]
            .iter()
            .any(|f| name.eq_ignore_ascii_case(f)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Account;
    use crate::target::NameRules;

    /// What is answered to a request for a blob with this header and this query; empty: nothing is wrong.
    fn verdict(operation: Operation, header: &str, query: &str) -> (String, String) {
        let request = http::Request::builder().uri(format!("http://h/a/con/x?{query}")).header(header, "1");
        let parts = request.body(()).unwrap().into_parts().0;
        let accounts = [Arc::new(Account::new("a", &[1]))];
        let target = Target::parse(&parts, &accounts, NameRules::Exact).unwrap();
        match check(&parts, &target, operation) {
            Ok(()) => Default::default(),
            Err(e) => (e.code.into_owned(), e.message.into_owned()),
        }
    }

    #[test]
    fn every_operation_takes_what_it_knows_and_nothing_else() {
        let all: Vec<&str> = Operation::ALL.iter().flat_map(|o| known(*o).headers.concat()).collect();
        let queries: Vec<&str> = Operation::ALL.iter().flat_map(|o| known(*o).query.concat()).collect();
        for operation in Operation::ALL {
            let known = known(operation);
            for name in all.iter().chain(EVERY) {
                let takes = EVERY.contains(name) || known.headers.concat().contains(name);
                let code = verdict(operation, name, "").0;
                assert_eq!(code, if takes { "" } else { "UnsupportedHeader" }, "{operation:?} {name}");
            }
            for name in queries.iter().chain(ANY) {
                let takes = ANY.contains(name) || known.query.concat().contains(name);
                let refused =
                    if is_which(name) { "InvalidQueryParameterValue" } else { "UnsupportedQueryParameter" };
                let code = verdict(operation, "host", &format!("{}=1", name.to_uppercase())).0;
                assert_eq!(code, if takes { "" } else { refused }, "{operation:?} {name}");
            }
            let meta = verdict(operation, "x-ms-meta-a", "").0;
            assert_eq!(meta.is_empty(), known.metadata, "{operation:?}");
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        let (code, message) = verdict(Operation::GetBlob, "x-ms-lease-idd", "");
        assert_eq!(code, "UnsupportedHeader");
        assert!(message.ends_with("is not supported: x-ms-lease-idd."), "{message}");
        let (code, message) = verdict(Operation::GetBlob, "host", "snapshott=1");
        assert_eq!(code, "UnsupportedQueryParameter");
        assert!(message.ends_with("is not supported: snapshott."), "{message}");
        assert_eq!(verdict(Operation::PutBlob, "x-other", "").0, "");
    }

    #[test]
    fn fields_of_a_sas_come_with_its_signature_alone() {
        for name in ["sv", "ss", "srt", "sp", "se", "st", "spr", "sip", "sr", "si", "sdd", "skoid", "rsct"] {
            assert_eq!(verdict(Operation::PutBlock, "host", &format!("{name}=1&sig=2")).0, "", "{name}");
            assert_eq!(
                verdict(Operation::PutBlock, "host", &format!("{name}=1")).0,
                "UnsupportedQueryParameter"
            );
        }
    }
}
