use azuring_transfer::{Action, Planned, SkippedKind, Transfer};
use serde_json::Value;

use super::*;

/// Names of the fields of a line, in their order.
fn fields(line: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = line;
    // serde_json's map sorts; the order in the text is what is compared.
    while let Some(at) = rest.find("\":") {
        let start = rest[..at].rfind('"').unwrap() + 1;
        names.push(rest[start..at].to_owned());
        rest = &rest[at + 2..];
    }
    names
}

fn content(line: &str) -> Value {
    let envelope: Value = serde_json::from_str(line).unwrap();
    serde_json::from_str(envelope["MessageContent"].as_str().unwrap()).unwrap()
}

#[test]
fn the_envelope_is_azcopys() {
    let line = message("Info", "INFO: Scanning...");
    assert_eq!(
        fields(&line),
        [
            "TimeStamp",
            "MessageType",
            "MessageContent",
            "PromptDetails",
            "PromptType",
            "ResponseOptions",
            "PromptTarget"
        ]
    );
    assert!(line.ends_with(r#""PromptDetails":{"PromptType":"","ResponseOptions":null,"PromptTarget":""}}"#));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["MessageContent"], "INFO: Scanning...");
    let at = value["TimeStamp"].as_str().unwrap();
    assert!(at.len() == "2026-11-22T07:40:40.2188637Z".len() && at.ends_with('Z'), "{at}");
}

#[test]
fn progress_has_azcopys_fields_in_its_order_and_types() {
    let mut view = ProgressView::default();
    (view.found, view.done, view.failed, view.skipped) = (6, 1, 1, 1);
    (view.bytes, view.scanned) = (7, true);
    let line = progress_line("id", &view);
    let content = content(&line);
    // From AzCopy 10.32.2.
    let azcopy = r#"{"ErrorMsg":"","JobID":"f9d52246","ActiveConnections":"0","CompleteJobOrdered":true,"JobStatus":"Completed","TotalTransfers":"6","FileTransfers":"6","FolderPropertyTransfers":"0","SymlinkTransfers":"0","FoldersCompleted":"0","TransfersCompleted":"6","FoldersFailed":"0","TransfersFailed":"0","FoldersSkipped":"0","TransfersSkipped":"0","BytesOverWire":"1511","TotalBytesTransferred":"1511","TotalBytesEnumerated":"1511","TotalBytesExpected":"1511","PercentComplete":"100","AverageIOPS":"5","AverageE2EMilliseconds":"0","ServerBusyPercentage":"0","NetworkErrorPercentage":"0","FailedTransfers":[],"SkippedTransfers":[],"PerfConstraint":0,"PerformanceAdvice":[],"IsCleanupJob":false,"SkippedSymlinkCount":"0","HardlinksConvertedCount":"0","SkippedHardlinkCount":"0","SkippedSpecialFileCount":"0"}"#;
    let envelope: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(fields(envelope["MessageContent"].as_str().unwrap()), fields(azcopy));
    let theirs: Value = serde_json::from_str(azcopy).unwrap();
    for (name, value) in theirs.as_object().unwrap() {
        let same = std::mem::discriminant(value) == std::mem::discriminant(&content[name]);
        assert!(same, "{name}: {} instead of {value}", content[name]);
    }
    assert_eq!(content["PercentComplete"], "50");
    assert_eq!(content["TransfersFailed"], "1");
    assert_eq!(content["TransfersSkipped"], "1");
}

#[test]
fn a_failed_transfer_is_listed_as_azcopy_lists_it() {
    let ended = Ended {
        src: "/src/top.txt".to_owned(),
        dst: "http://h/a/c/top.txt".to_owned(),
        is_folder_properties: false,
        transfer_status: "Failed",
        transfer_size: 7,
        error_code: 404,
    };
    let want = r#"{"Src":"/src/top.txt","Dst":"http://h/a/c/top.txt","IsFolderProperties":false,"TransferStatus":"Failed","TransferSize":7,"ErrorCode":"404"}"#;
    assert_eq!(super::line(&ended), want);
    let places = Transfer::default().source("/s".to_owned());
    assert_eq!(Ended::skipped(&places, 0, SkippedKind::Symlink), None, "links are counted only");
    let skipped = Ended::skipped(&places, 9, SkippedKind::Exists).unwrap();
    assert_eq!((skipped.transfer_status, skipped.transfer_size), ("SkippedEntityAlreadyExists", 9));
}

#[test]
fn the_lists_are_bounded() {
    let mut list = Vec::new();
    let one = || Ended::skipped(&Transfer::default(), 0, SkippedKind::Exists).unwrap();
    for _ in 0..LISTED + 5 {
        push(&mut list, one());
    }
    assert_eq!(list.len(), LISTED + 1, "one more, which tells that there are more; the end cuts it off");
}

#[test]
fn a_dry_run_repeats_what_azcopy_repeats() {
    let transfer = Transfer::default()
        .object("x".to_owned())
        .source("/src/a b%.txt".to_owned())
        .destination("http://h/a/c/a%20b%25.txt".to_owned());
    let pairs = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let facts = |name: &str| Facts {
        dry_run: true,
        pipe: false,
        asks: false,
        from_to: Some(azuring_plan::pairs::FromTo::parse(name).unwrap()),
        blob_type: "Detect".to_owned(),
        tags: pairs("k", "v"),
        metadata: pairs("a", "1"),
        tier: Some("Cool".to_owned()),
        ..Facts::default()
    };
    let told = |action, bytes, name| {
        let planned = Planned::new(action, transfer.clone()).bytes(bytes);
        let envelope: Value = serde_json::from_str(&dry_run::message(&planned, &facts(name))).unwrap();
        assert_eq!(envelope["MessageType"], "Dryrun");
        envelope["MessageContent"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        told(Action::Copy, Some(1), "LocalBlob"),
        r#"{"EntityType":"File","BlobType":"Detect","FromTo":"LocalBlob","Source":"/src/a b%.txt","Destination":"http://h/a/c/a b%.txt","SourceSize":1,"BlobTags":{"k":"v"}}"#
    );
    assert!(!told(Action::Copy, Some(0), "LocalBlob").contains("SourceSize"), "as AzCopy leaves out a zero");
    let changed = told(Action::SetProperties, Some(7), "BlobNone");
    assert!(
        changed.ends_with(r#""BlobTags":{"k":"v"},"Metadata":{"a":"1"},"BlobTier":"Cool"}"#),
        "{changed}"
    );
}

#[test]
fn urls_of_transfers_are_encoded_as_go_does() {
    assert_eq!(
        super::summary::as_go_writes("http://h/c/a%20b%2520%2B%26.txt"),
        "http://h/c/a%20b%2520+&.txt"
    );
    assert_eq!(super::summary::as_go_writes("/src/%2B"), "/src/%2B", "a path is no URL");
}
