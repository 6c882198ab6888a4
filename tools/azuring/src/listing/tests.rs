use azuring_azure::{AccessTier, BlobState, BlobType, ContentFacts};

use super::*;
use crate::cli::{self, Command};

const ALL: &str = "LastModifiedTime;VersionId;BlobType;BlobAccessTier;ContentType;ContentEncoding;ContentMD5;LeaseState;\
                   LeaseDuration;LeaseStatus;ArchiveStatus";

fn listing(flags: &[&str]) -> (Listing, Vec<String>) {
    let line = ["azuring", "list", "u"].iter().chain(flags);
    let Command::List(args) = cli::parse(line).unwrap().command else { panic!("it is list") };
    Listing::new(&args)
}

/// 2026-11-22T07:40:42Z.
const MODIFIED: i64 = 1_795_333_242;

fn facts() -> BlobFacts {
    let content = ContentFacts::default().content_type(Some("text/x".to_owned()));
    let mut state = BlobState::default();
    state.lease_state = Some("available".to_owned());
    state.lease_status = Some("unlocked".to_owned());
    let mut facts = BlobFacts::of_len(3_000_000);
    facts.last_modified = MODIFIED;
    facts.blob_type = BlobType::Block;
    facts.tier = Some(AccessTier::Hot);
    facts.content = Some(Box::new(content));
    facts.state = Some(Box::new(state));
    facts
}

#[test]
fn a_line_is_azcopys() {
    let text = |flags: &[&str]| listing(flags).0.text("dir/a b.txt", &facts());
    assert_eq!(text(&[]), "dir/a b.txt; Content Length: 2.86 MiB");
    assert_eq!(text(&["--machine-readable"]), "dir/a b.txt; Content Length: 3000000");
    assert_eq!(text(&["--mega-units"]), "dir/a b.txt; Content Length: 3.00 MB");
    assert_eq!(
        text(&["--properties", ALL]),
        "dir/a b.txt; LastModifiedTime: 2026-11-22 07:40:42 +0000 GMT; VersionId: ; BlobType: BlockBlob; \
         BlobAccessTier: Hot; ContentType: text/x; ContentEncoding: ; ContentMD5: ; LeaseState: available; \
         LeaseDuration: ; LeaseStatus: unlocked; ArchiveStatus: ; Content Length: 2.86 MiB"
    );
    assert_eq!(
        text(&["--properties=blobaccesstier;LastModifiedTime"]),
        "dir/a b.txt; BlobAccessTier: Hot; LastModifiedTime: 2026-11-22 07:40:42 +0000 GMT; Content Length: 2.86 MiB"
    );
    let (listing, _) = listing(&[]);
    assert_eq!(listing.text("a\nb", &BlobFacts::default()), "a\\nb; Content Length: 0.00 B");
}

#[test]
fn an_object_in_json_is_azcopys() {
    let content = |flags: &[&str]| {
        let line = listing(flags).0.json("dir/a b.txt", &facts());
        let envelope: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(envelope["MessageType"], "ListObject");
        envelope["MessageContent"].as_str().unwrap().to_owned()
    };
    assert_eq!(content(&[]), r#"{"Path":"dir/a b.txt","ContentLength":"2.86 MiB"}"#);
    assert_eq!(content(&["--machine-readable"]), r#"{"Path":"dir/a b.txt","ContentLength":"3000000"}"#);
    assert_eq!(
        content(&["--properties", ALL]),
        r#"{"Path":"dir/a b.txt","LastModifiedTime":"2026-11-22T07:40:42Z","BlobType":"BlockBlob","BlobAccessTier":"Hot","ContentType":"text/x","LeaseState":"available","LeaseStatus":"unlocked","ContentLength":"2.86 MiB"}"#
    );
    let mut with_md5 = facts();
    with_md5.content_md5 = Some([7; 16]);
    let line = listing(&["--properties=ContentMD5"]).0.json("x", &with_md5);
    assert!(line.contains(r#"\"ContentMD5\":\"BwcHBwcHBwcHBwcHBwcHBw==\""#), "{line}");
}

#[test]
fn a_tally_is_azcopys() {
    let (listing, _) = listing(&[]);
    assert_eq!(listing.tally_text(4, 3_001_508), "\nFile count: 4\nTotal file size: 2.86 MiB");
    let line = listing.tally_json(4, 3_001_508);
    assert!(line.contains(r#""{\"FileCount\":\"4\",\"TotalFileSize\":\"2.86 MiB\"}""#), "{line}");
}

#[test]
fn lengths_have_units_where_they_begin() {
    for (bytes, binary, decimal) in [
        (0, "0.00 B", "0.00 B"),
        (999, "999.00 B", "999.00 B"),
        (1000, "1000.00 B", "1.00 KB"),
        (1023, "1023.00 B", "1.02 KB"),
        (1024, "1.00 KiB", "1.02 KB"),
        (1_500, "1.46 KiB", "1.50 KB"),
        (1_048_575, "1024.00 KiB", "1.05 MB"),
        (u64::MAX, "16.00 EiB", "18.45 EB"),
    ] {
        assert_eq!(listing(&[]).0.length(bytes), binary, "{bytes}");
        assert_eq!(listing(&["--mega-units"]).0.length(bytes), decimal, "{bytes}");
    }
}

#[test]
fn only_what_is_asked_for_is_fetched() {
    assert_eq!(
        listing(&["--properties=LastModifiedTime;BlobType;BlobAccessTier"]).0.wanted(),
        Wanted::default()
    );
    let all = listing(&["--properties", ALL]).0;
    assert_eq!(all.wanted(), Wanted::ALL.etag(false).created(false).all_metadata(false));
    assert!(all.versions() && !listing(&[]).0.versions());
    let (none, unknown) = listing(&["--properties=Nope; ;blobtype"]);
    assert_eq!((none.properties, unknown), (vec![Property::BlobType], vec!["Nope".to_owned()]));
}
