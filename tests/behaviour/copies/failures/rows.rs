//! What one end refuses of one blob.

use super::*;

/// A refusal, and what is told of it.
struct Row {
    status: u16,
    /// The code of the end that refuses; empty: it gives none.
    code: &'static str,
    kind: &'static str,
    exit: i32,
    /// A part of what to do about it.
    advice: &'static str,
}

const fn row(
    (status, code): (u16, &'static str),
    (kind, exit): (&'static str, i32),
    advice: &'static str,
) -> Row {
    Row { status, code, kind, exit, advice }
}

/// A row is the same for a block that is relayed.
const ROW_CASES: [(Way, usize); 3] = [CASES[0], CASES[1], CASES[2]];

/// The failure's class and the exit code of a job that has done everything else.
const REFUSED: (&str, i32) = ("service", 1);
const NOT_ALLOWED: (&str, i32) = ("authentication", 1);
const BUSY: (&str, i32) = ("throttled", 5);
const FAILS: (&str, i32) = ("network", 5);
const DAMAGED: (&str, i32) = ("integrity", 7);

/// The source refuses to be read.
const OF_SOURCE: [Row; 15] = [
    row((401, "InvalidAuthenticationInfo"), NOT_ALLOWED, "check the credential"),
    row((403, "AuthenticationFailed"), NOT_ALLOWED, "the SAS is not taken"),
    row((403, "AuthorizationPermissionMismatch"), NOT_ALLOWED, "reading needs `r` in sp"),
    row((403, "AuthorizationResourceTypeMismatch"), NOT_ALLOWED, "needs `o` (objects) in srt"),
    row((403, ""), NOT_ALLOWED, "check the"),
    row((404, "BlobNotFound"), REFUSED, "was it removed after it was listed?"),
    row((404, "ContainerNotFound"), REFUSED, "there is no such container"),
    row((409, "BlobArchived"), REFUSED, "in the archive: set its tier to Hot, Cool or Cold"),
    row((409, "BlobBeingRehydrated"), REFUSED, "on its way out of the archive"),
    row((409, "BlobOperationNotSupportedForBlobCreatedByNfsV3"), REFUSED, "NFS 3.0"),
    row((409, "BlobUsesCustomerSpecifiedEncryption"), REFUSED, "encrypted with a customer's key"),
    row((429, "TooManyRequests"), BUSY, "the account is at its limit"),
    row((500, "InternalError"), FAILS, "try again"),
    row((500, "OperationTimedOut"), FAILS, "try again"),
    row((503, "ServerBusy"), BUSY, "the account is at its limit"),
];

#[test]
fn what_the_source_refuses_of_one_blob() {
    for row in OF_SOURCE {
        let Row { status, code, .. } = row;
        together(ROW_CASES, |(way, len)| {
            let accounts = filled(len);
            strike(&accounts, FROM, Operation::GetBlob, Fault::error(status, code));
            let (failure, what) = one_failure(&accounts, way, &row);
            let reason = failure["reason"].as_str().unwrap();
            let own = format!("{status} {}", if code.is_empty() { "Forbidden" } else { code });
            let (begins, told) = match way {
                Way::Relay => (format!("source: {own}"), String::new()),
                // The destination says so of it.
                Way::Direct => {
                    let outer = if status < 500 { "CannotVerifyCopySource" } else { code };
                    let told = format!("{status} {code}");
                    (
                        format!("source: {status} {outer}"),
                        format!("(the source answered {})", told.trim_end()),
                    )
                }
            };
            let by = format!(", refused by {}", accounts.bare(FROM, ""));
            assert!(reason.starts_with(&begins) && reason.contains(&told), "{what}: {reason}");
            assert!(reason.ends_with(&by), "{what}: {reason}");
            assert_eq!(failure["source"], accounts.bare(FROM, BAD), "{what}");
        });
    }
}

/// The destination refuses to write.
const OF_DESTINATION: [Row; 20] = [
    row((400, "CopyAcrossAccountsNotSupported"), REFUSED, "--route=relay"),
    row((400, "Crc64Mismatch"), DAMAGED, "changes the data"),
    row((400, "InvalidBlobOrBlock"), REFUSED, "uncommitted blocks of another tool"),
    row((400, "InvalidHeaderValue"), REFUSED, "does not take a header of the request"),
    row((400, "InvalidSourceBlobType"), REFUSED, "--route=relay"),
    row((400, "InvalidSourceBlobUrl"), REFUSED, "--route=relay"),
    row((400, "Md5Mismatch"), DAMAGED, "changes the data"),
    row((400, "MissingRequiredHeader"), REFUSED, "wants a header that the request does not have"),
    row((403, "AuthorizationPermissionMismatch"), NOT_ALLOWED, "writing `w` (or `c`)"),
    row((403, "AuthorizationFailure"), NOT_ALLOWED, "the account's firewall does not admit this network"),
    row((403, "UnauthorizedBlobOverwrite"), NOT_ALLOWED, "add `w` to sp"),
    row((409, "BlobImmutableDueToPolicy"), REFUSED, "protected by an immutability policy"),
    row((409, "BlobBeingRehydrated"), REFUSED, "on its way out of the archive"),
    row((409, "PendingCopyOperation"), REFUSED, "a copy under way: wait, or abort the copy"),
    row((400, "UnsupportedHeader"), REFUSED, "leave out what it is for"),
    row((412, "LeaseIdMissing"), REFUSED, "another writer holds the blob"),
    row((413, "RequestBodyTooLarge"), REFUSED, "lower --put-blob-size-mb or --block-size-mb"),
    row((429, "TooManyRequests"), BUSY, "the account is at its limit"),
    row((500, "InternalError"), FAILS, "try again"),
    row((503, "ServerBusy"), BUSY, "the account is at its limit"),
];

#[test]
fn what_the_destination_refuses_of_one_blob() {
    for row in OF_DESTINATION {
        together(ROW_CASES, |(way, len)| {
            let accounts = filled(len);
            strike(&accounts, TO, way.write(len), Fault::error(row.status, row.code));
            let (failure, what) = one_failure(&accounts, way, &row);
            assert_eq!(
                (&failure["status"], &failure["code"]),
                (&row.status.into(), &row.code.into()),
                "{what}"
            );
            let reason = failure["reason"].as_str().unwrap();
            let begins = format!("destination: {} {}", row.status, row.code);
            let ends = format!(", refused by {}", accounts.bare(TO, ""));
            assert!(reason.starts_with(&begins) && reason.ends_with(&ends), "{what}: {reason}");
            assert_eq!(failure["destination"], accounts.bare(TO, BAD), "{what}");
        });
    }
}

/// Copies everything: the bad blob alone fails, as the row says. Returns its line.
#[track_caller]
fn one_failure(accounts: &Accounts, way: Way, row: &Row) -> (serde_json::Value, String) {
    let what = format!("{} {} {way:?} of {} bytes", row.status, row.code, accounts.content(FROM, BAD).len());
    let failure = fails_alone(accounts, way, row.exit, &what);
    assert_eq!(failure["kind"], row.kind, "{what}");
    let tries = if [BUSY.0, FAILS.0, DAMAGED.0].contains(&row.kind) { 2 } else { 1 };
    // Once more without a checksum, which may be what the service does not know.
    assert!(failure["tries"] == tries || row.code == "UnsupportedHeader", "{what}: {failure}");
    let advice = failure["advice"].as_str().unwrap_or_default();
    assert!(advice.contains(row.advice), "{what}: {advice}");
    (failure, what)
}

/// For a person it is one line.
#[test]
fn a_failure_is_one_line_that_begins_with_the_end_that_refused() {
    let name = "dir/bad";
    for (account, operation, told) in [
        (
            FROM,
            Operation::GetBlob,
            "source: 409 CannotVerifyCopySource: The copy source blob has been modified. (the source answered 409 \
             BlobArchived)",
        ),
        (TO, Operation::PutBlobFromUrl, "destination: 409 BlobArchived: "),
    ] {
        let accounts = filled(SMALL);
        strike(&accounts, account, operation, Fault::error(409, "BlobArchived"));
        let outcome = accounts.copy(&["--route=direct", "--retry-failed=0"]);
        outcome.expect_code(1);
        let lines: Vec<_> = outcome.stderr.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(lines.len(), 1, "{}", outcome.stderr);
        assert!(lines[0].contains(&format!("failed: {name}: {told}")), "{}", lines[0]);
        assert!(lines[0].contains("set its tier to Hot, Cool or Cold"), "{}", lines[0]);
    }
}

/// What a destination says of one blob counts for it alone, once that has copied another: the way of all others stays.
#[test]
fn one_blob_that_is_not_reached_does_not_change_the_way_of_the_others() {
    let accounts = filled(SMALL);
    strike(&accounts, TO, Operation::PutBlobFromUrl, Fault::error(404, "CannotVerifyCopySource"));
    let before = state(&accounts);
    // One lane begins them in order: the first one finds out that the way is open.
    let outcome = accounts.copy(&[&["--route=auto", "--lanes=1"][..], &flags(Way::Direct)[1..]].concat());
    let failure = only_failure(&outcome, 1, "one that is not reached");
    assert!(
        failure["reason"].as_str().unwrap().starts_with("source: 404 CannotVerifyCopySource: "),
        "{failure}"
    );
    let summary = line(&outcome, "summary");
    assert_eq!(
        (&summary["route_reason"], &summary["bytes_sent"]),
        (&"proven".into(), &0.into()),
        "{summary}"
    );
    assert_alone(&accounts, &before, "one that is not reached");
}
