//! What is in the archive: only the service copies it, and only if a job says to which tier.

use super::*;

#[test]
fn what_is_in_the_archive_is_copied_if_a_tier_says_so() {
    let account = Account::new();
    account.archive("old", &bytes(3 * PIECE));
    account.plant("from", "new", b"1");
    let (report, failed) = run(account.copy().options(options().retry_failed(0)).build().unwrap());
    assert_eq!((report.counts.done, report.counts.failed), (1, 1));
    let told = failed[0].to_string();
    assert!(told.contains("in the archive") && told.contains("--block-blob-tier=Hot"), "{told}");
    assert_eq!(account.count(Operation::CopyBlob), 0);
    assert!(account.blob("old").is_none());

    let mut to_cool = BlobProperties::default();
    to_cool.tier = Some("Cool".to_owned());
    let options = options().properties(to_cool);
    let mut notices = Vec::new();
    let job = account.copy().options(options.clone()).build().unwrap();
    let report = job.run(&StopHandle::new(), |event| {
        if let Event::Notice(text) = event {
            notices.push(text);
        }
    });
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 2));
    assert!(notices.iter().any(|text| text.contains("some hours")), "{notices:?}");
    let there = account.blob("old").unwrap();
    assert_eq!((&*there.tier, &*there.copy_status, there.len), ("Archive", "success", 3 * PIECE as u64));
    account.server.complete_rehydration("acc", "dest");
    let there = account.blob("old").unwrap();
    assert_eq!((&*there.tier, &*there.content_type), ("Cool", "text/x-test"));
    assert_eq!(account.content("dest", "old"), bytes(3 * PIECE));

    // What is there is replaced, or stays.
    account.plant("dest", "old", b"before");
    let never = options.clone().overwrite(Overwrite::Never);
    let (report, _) = run(account.copy().options(never).build().unwrap());
    assert_eq!((report.counts.done, report.counts.skipped_existing), (0, 2));
    assert_eq!(account.content("dest", "old"), b"before");
    let (report, failed) = run(account.copy().options(options).build().unwrap());
    assert_eq!(report.counts.done, 2, "{failed:?}");
    account.server.complete_rehydration("acc", "dest");
    assert_eq!(account.content("dest", "old"), bytes(3 * PIECE));
}

/// Hours pass until it leaves the archive, whether the copy is said to be pending meanwhile or not.
#[test]
fn a_copy_out_of_the_archive_is_not_waited_for() {
    let account = Account::new();
    account.archive("old", &bytes(3 * PIECE));
    account.server.set_pending_copies(true);
    let mut to_hot = BlobProperties::default();
    to_hot.tier = Some("Hot".to_owned());
    let (report, failed) = run(account.copy().options(options().properties(to_hot)).build().unwrap());
    assert_eq!((report.status(), report.counts.done), (JobStatus::Completed, 1), "{failed:?}");
    assert_eq!(account.blob("old").unwrap().copy_status, "pending");
}

#[test]
fn an_archived_blob_whose_answer_was_lost_is_not_paid_for_twice() {
    let account = Account::new();
    account.archive("old", &bytes(3 * PIECE));
    account.plant("dest", "old", b"before");
    account.strike(&[(Operation::CopyBlob, Fault::CutHeaders, 1, 1)]);
    let mut to_hot = BlobProperties::default();
    to_hot.tier = Some("Hot".to_owned());
    let before = account.blob("old").unwrap().etag;
    let (report, failed) = run(account.copy().options(options().properties(to_hot)).build().unwrap());
    let there = account.blob("old").unwrap();
    assert_eq!((report.counts.done, &*there.copy_status), (1, "success"), "{failed:?}");
    assert_ne!(there.etag, before);
    // One for a new blob, one over what is there, and its repetition, which is refused.
    assert_eq!(account.count(Operation::CopyBlob), 3);
}

#[test]
fn an_archived_blob_that_cannot_be_copied_is_told_with_what_to_do() {
    let tier = |tier: &str| {
        let mut properties = BlobProperties::default();
        properties.tier = Some(tier.to_owned());
        options().properties(properties).retry_failed(0)
    };
    let told = |account: &Account, to: &str, options: JobOptions| {
        account.archive("old", &bytes(PIECE));
        let job = Job::copy(account.at("acc", "from"), account.at(to, "dest")).recursive(true);
        let (report, failed) = run(job.options(options).build().unwrap());
        assert_eq!((report.counts.done, report.counts.failed), (0, 1));
        assert!(account.server.blobs(to, "dest").is_empty());
        failed[0].to_string()
    };
    let account = Account::new();
    for (to, options, text) in [
        ("acc", tier("Archive"), "--block-blob-tier=Hot"),
        ("acc", tier("Hot").route(RouteChoice::Relay), "--route=relay"),
        ("acc", tier("Hot").content_type(ContentTypePolicy::Fixed("a/b".to_owned())), "content type"),
        ("other", tier("Hot"), "region"),
    ] {
        let told = told(&account, to, options);
        assert!(told.contains(text) && told.contains("source"), "{told}");
    }
}
