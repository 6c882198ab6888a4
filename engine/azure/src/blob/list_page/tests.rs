use azuring_store::{AccessTier, BlobType};

use super::*;

/// Reads a whole document, put into the window in pieces of this length.
fn parse_in(pieces: usize, document: &[u8], wanted: &Wanted) -> Result<ListPage, String> {
    let mut reader = PageReader::new(wanted);
    let mut rest = document;
    while !rest.is_empty() {
        let space = reader.space();
        let n = rest.len().min(space.len()).min(pieces);
        space[..n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        reader.filled(n)?;
    }
    reader.finish()
}

fn parse(document: &[u8], wanted: &Wanted) -> Result<ListPage, String> {
    parse_in(usize::MAX, document, wanted)
}

const TYPICAL: &str = "<Blob><Name>year=2026/month=11/day=22/part-00017-of-01000.parquet</Name><Properties>\
    <Creation-Time>Sun, 22 Nov 2026 03:00:00 GMT</Creation-Time><Last-Modified>Sun, 22 Nov 2026 04:00:00 GMT</Last-Modified>\
    <Etag>0x8DE1C2B3A4D5E6F</Etag><Content-Length>4096</Content-Length><Content-Type>application/octet-stream</Content-Type>\
    <Content-Encoding /><Content-Language /><Content-CRC64 /><Content-MD5>AQEBAQEBAQEBAQEBAQEBAQ==</Content-MD5>\
    <Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>\
    <AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>\
    <ServerEncrypted>true</ServerEncrypted></Properties><OrMetadata /></Blob>";

fn document(entries: &str, marker: &str) -> String {
    format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a.b/\" \
         ContainerName=\"c\"><Prefix>p</Prefix><Blobs>{entries}</Blobs><NextMarker>{marker}</NextMarker>\
         </EnumerationResults>"
    )
}

fn blobs(entries: &str) -> Vec<BlobEntry> {
    let page = parse(document(entries, "").as_bytes(), &Wanted::ALL).unwrap();
    let one = |item| match item {
        ListItem::Entry(blob) => *blob,
        ListItem::Prefix(name) => panic!("{name} is no blob"),
    };
    page.items.into_iter().map(one).collect()
}

fn why(document: &str) -> String {
    parse(document.as_bytes(), &Wanted::ALL).unwrap_err()
}

#[test]
fn a_typical_entry_is_read_whole() {
    let entry = &blobs(TYPICAL)[0];
    assert_eq!(entry.name, "year=2026/month=11/day=22/part-00017-of-01000.parquet");
    let facts = &entry.facts;
    assert_eq!((facts.len, facts.blob_type, &facts.tier), (4096, BlobType::Block, &Some(AccessTier::Hot)));
    assert_eq!((facts.created, facts.last_modified), (Some(1_795_316_400), 1_795_320_000));
    assert_eq!((facts.etag.as_deref(), facts.content_md5), (Some("0x8DE1C2B3A4D5E6F"), Some([1; 16])));
    let content = facts.content.as_ref().unwrap();
    assert_eq!(content.content_type.as_deref(), Some("application/octet-stream"));
    assert_eq!((&content.encoding, &content.cache_control), (&None, &None));
    let state = facts.state.as_ref().unwrap();
    assert_eq!(state.lease_state.as_deref(), Some("available"));
    assert!(state.server_encrypted && entry.is_current_version && !entry.deleted && !entry.is_folder());
}

#[test]
fn unwanted_properties_take_no_memory() {
    let page = parse(document(TYPICAL, "").as_bytes(), &Wanted::default()).unwrap();
    let [ListItem::Entry(entry)] = &page.items[..] else { panic!("{page:?}") };
    let facts = &entry.facts;
    assert_eq!((&facts.content, &facts.state, &facts.etag), (&None, &None, &None));
    assert_eq!((facts.created, facts.content_md5), (None, None));
    assert_eq!((facts.len, facts.last_modified), (4096, 1_795_320_000));
}

#[test]
fn prefixes_stand_between_the_blobs() {
    let blob = |name: &str| format!("<Blob><Name>{name}</Name><Properties></Properties></Blob>");
    let entries = format!(
        "{}<BlobPrefix><Name>a/</Name><Properties><ResourceType>directory</ResourceType></Properties></BlobPrefix>{}",
        blob("a"),
        blob("b")
    );
    let page = parse(document(&entries, "2!abc&amp;").as_bytes(), &Wanted::default()).unwrap();
    let names: Vec<(bool, &str)> = page
        .items
        .iter()
        .map(|item| match item {
            ListItem::Entry(blob) => (true, blob.name.as_str()),
            ListItem::Prefix(name) => (false, name.as_str()),
        })
        .collect();
    assert_eq!(names, [(true, "a"), (false, "a/"), (true, "b")]);
    assert_eq!(page.next.as_deref(), Some("2!abc&"));
    let empty = parse(document("", "").as_bytes(), &Wanted::default()).unwrap();
    assert_eq!(empty, ListPage::default());
    let none = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
    assert_eq!(parse(none.as_bytes(), &Wanted::default()).unwrap(), ListPage::default());
}

#[test]
fn names_are_decoded() {
    let named = |name: &str| blobs(&format!("<Blob>{name}</Blob>")).remove(0).name;
    assert_eq!(named("<Name Encoded=\"true\">a/%01b%20c%EF%BF%BE</Name>"), "a/\u{1}b c\u{fffe}");
    assert_eq!(named("<Name>100%25 &lt;&amp;&#xD;&gt; ä\t</Name>"), "100%25 <&\r> ä\t");
    assert_eq!(named("<Name> a </Name>"), " a ");
    let told = why(&document("<Blob><Name Encoded=\"true\">%FF</Name></Blob>", ""));
    assert!(told.contains("the name `%FF` is not UTF-8"), "{told}");
}

#[test]
fn snapshots_and_versions_are_told_apart() {
    let entries = "<Blob><Name>a</Name><Snapshot>2026-11-22T04:00:00.0000000Z</Snapshot></Blob>\
        <Blob><Name>a</Name><VersionId>1</VersionId></Blob>\
        <Blob><Name>a</Name><VersionId>2</VersionId><IsCurrentVersion>true</IsCurrentVersion></Blob>\
        <Blob><Name>b</Name><Deleted>true</Deleted></Blob>";
    let found = blobs(entries);
    assert_eq!(found[0].snapshot.as_deref(), Some("2026-11-22T04:00:00.0000000Z"));
    let current: Vec<bool> = found.iter().map(|entry| entry.is_current_version).collect();
    assert_eq!(current, [false, false, true, true]);
    assert_eq!(found[1].facts.version_id.as_deref(), Some("1"));
    assert!(found[3].deleted && !found[0].deleted);
}

#[test]
fn metadata_and_tags_are_pairs() {
    let entries = "<Blob><Name>d</Name><Metadata><Hdi_IsFolder>true</Hdi_IsFolder><empty /></Metadata>\
        <Tags><TagSet><Tag><Key>a&lt;</Key><Value /></Tag><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tags></Blob>\
        <Blob><Name>e</Name><Properties><ResourceType>directory</ResourceType></Properties><Metadata Encrypted=\"true\" /></Blob>";
    let found = blobs(entries);
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(found[0].facts.metadata, [pair("Hdi_IsFolder", "true"), pair("empty", "")]);
    assert_eq!(found[0].tags, [pair("a<", ""), pair("k", "v")]);
    assert!(found[0].is_folder() && !found[0].is_directory && found[1].is_folder());
}

#[test]
fn pages_that_cannot_be_read_say_why() {
    assert_eq!(why("<html><body>proxy</body></html>"), "it is no EnumerationResults");
    assert_eq!(why("<EnumerationResults></EnumerationResults>"), "it has no list of blobs");
    let bad = |blob: &str| why(&document(&format!("<Blob>{blob}</Blob>"), ""));
    assert_eq!(bad("<Name />"), "a blob has no name (blob ``)");
    assert_eq!(
        bad("<Name>n</Name><Properties><Content-Length>x</Content-Length></Properties>"),
        "`x` is no length (blob `n`)"
    );
    assert!(bad("<Name>a&bad;</Name>").contains("`&bad;` is no character"));
    assert!(bad("<Name>a&#0;</Name>").contains("is no character"));
}

/// Cut off anywhere, or with any byte changed, a page is an error or a page, and never a panic.
#[test]
fn damaged_pages_do_no_harm() {
    let whole = document(TYPICAL, "m");
    let whole = whole.as_bytes();
    for end in 0..whole.len() {
        assert!(parse(&whole[..end], &Wanted::ALL).is_err(), "cut at {end}");
    }
    let mut readable = 0;
    for at in 0..whole.len() {
        for byte in [0, b'<', b'&', b'"', 0xff] {
            let mut damaged = whole.to_vec();
            damaged[at] = byte;
            readable += usize::from(parse(&damaged, &Wanted::ALL).is_ok());
        }
    }
    assert!((1..whole.len() * 5).contains(&readable));
}

/// Of whatever is cut in two by the end of the window.
#[test]
fn a_page_of_any_length_is_read_through_the_window() {
    let awkward = "<Blob><Name>a/%25<![CDATA[</Blob> &]]>\u{1f600}&amp;<!-- </Blob> --></Name><Properties>\
        <Content-Length>7</Content-Length></Properties><Metadata><Blob>inner</Blob><hdi_isfolder>true</hdi_isfolder>\
        <Blobs /></Metadata></Blob><BlobPrefix><Name>p\u{fffd}/</Name></BlobPrefix><Unknown><Blob><Name>no</Name></Blob>\
        </Unknown>";
    for filler in (0..300).chain([WINDOW_BYTES]) {
        // So that each byte of an entry is once the first behind the window.
        let long = format!("<Blob><Name>{}</Name></Blob>", "x".repeat(filler % 1_000));
        let entries = long + &[TYPICAL, awkward].concat().repeat(400);
        let document = document(&entries, "2!m&amp;");
        assert!(document.len() > 3 * WINDOW_BYTES);
        let page = parse(document.as_bytes(), &Wanted::ALL);
        if filler % 1_000 == 0 {
            assert!(page.unwrap_err().contains("no name"));
            continue;
        }
        let page = page.unwrap();
        assert_eq!((page.items.len(), page.next.as_deref()), (1 + 3 * 400, Some("2!m&")));
        for three in page.items[1..].chunks(3) {
            assert_eq!(three[0].name(), "year=2026/month=11/day=22/part-00017-of-01000.parquet");
            assert_eq!(three[1].name(), "a/%25</Blob> &\u{1f600}&");
            let ListItem::Entry(entry) = &three[1] else { panic!("{three:?}") };
            assert_eq!((entry.facts.len, entry.facts.metadata.len(), entry.is_folder()), (7, 3, true));
            assert_eq!(three[2], ListItem::Prefix("p\u{fffd}/".to_owned()));
        }
        if filler == 299 {
            assert_eq!(parse_in(1, document.as_bytes(), &Wanted::ALL).as_ref(), Ok(&page));
            assert_eq!(parse_in(4_099, document.as_bytes(), &Wanted::ALL).as_ref(), Ok(&page));
        }
    }
}

#[test]
fn only_metadata_that_say_what_a_file_is_are_kept_unless_all_are_wanted() {
    let long = "v".repeat(VALUE_LIMIT_BYTES + 1);
    let entries = format!(
        "<Blob><Name>d</Name><Metadata><Hdi_IsFolder>true</Hdi_IsFolder><posix_owner>7</posix_owner><note>x</note>\
         <modtime>{long}</modtime><is_fifo>false</is_fifo></Metadata></Blob>"
    );
    let keys = |wanted: &Wanted| {
        let page = parse(document(&entries, "").as_bytes(), wanted).unwrap();
        let [ListItem::Entry(entry)] = &page.items[..] else { panic!("{page:?}") };
        entry.facts.metadata.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&Wanted::default()), ["Hdi_IsFolder", "posix_owner", "is_fifo"]);
    assert_eq!(keys(&Wanted::ALL), ["Hdi_IsFolder", "posix_owner", "note", "modtime", "is_fifo"]);
}

#[test]
fn what_is_larger_than_the_service_makes_it_is_refused_and_named() {
    let name = "n".repeat(ENTRY_LIMIT_BYTES);
    let told = why(&document(
        &[TYPICAL, &format!("<Blob><Name>{name}</Name></Blob>"), &TYPICAL.repeat(80)].concat(),
        "",
    ));
    assert!(told.contains("after `year=2026") && told.contains("more than 64 KiB"), "{told}");
    let told = why(&document(&"<Blob><Name>a</Name></Blob>".repeat(ENTRIES_LIMIT + 3_000), ""));
    assert!(told.contains("more than 20000 entries"), "{told}");
    // What cannot be read in the middle of a long page is told as such.
    let told = why(&document(&["<Blob><Name>a&bad;</Name></Blob>", &TYPICAL.repeat(200)].concat(), ""));
    assert!(told.contains("`&bad;` is no character"), "{told}");
}
