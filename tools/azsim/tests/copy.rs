//! Copy Blob in one account and between two, its pending copies, and Copy Blob From URL.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::time::Duration;

use azsim::{BlobInfo, DEVSTORE_KEY, Operation, Seed, Server};
use common::{ACCOUNT, Client, Reply, crc64};

const OTHER: &str = "other";
const TELLS: (&str, &str) = ("x-ms-version", "2025-11-05");
const SYNC: (&str, &str) = ("x-ms-requires-sync", "True");

fn start() -> Server {
    let builder = Server::builder().threads(1).account(ACCOUNT, DEVSTORE_KEY).account(OTHER, DEVSTORE_KEY);
    let server = builder.start().unwrap();
    assert!(server.create_container(ACCOUNT, "con") && server.create_container(OTHER, "src"));
    server
}

fn seed(name: &str) -> Seed {
    Seed {
        name: name.into(),
        content: vec![b"hello".to_vec().into()],
        content_type: "text/plain".into(),
        content_md5: Some([7; 16]),
        metadata: vec![("MixedCase".into(), "v".into())],
        tags: vec![("k".into(), "v".into())],
        ..Seed::default()
    }
}

fn own(server: &Server, name: &str) -> String {
    format!("{}/con/{name}", server.url(ACCOUNT))
}

fn others(server: &Server, name: &str, permissions: &str) -> String {
    let sas = server.account_sas(OTHER, permissions, Duration::from_secs(600));
    format!("{}/src/{name}?{sas}", server.url(OTHER))
}

fn copy(client: &mut Client, name: &str, source: &str, headers: &[(&str, &str)]) -> Reply {
    let mut all = vec![("x-ms-copy-source", source)];
    all.extend(headers);
    client.send("PUT", &format!("/con/{name}"), &all, b"")
}

fn head(client: &mut Client, name: &str) -> Reply {
    client.send("HEAD", &format!("/con/{name}"), &[], b"")
}

fn blob(server: &Server, name: &str) -> BlobInfo {
    server.blobs(ACCOUNT, "con").into_iter().find(|blob| blob.name == name).unwrap()
}

/// Status of the copy and its progress.
fn state(reply: &Reply) -> (&str, &str) {
    (reply.header("x-ms-copy-status"), reply.header("x-ms-copy-progress"))
}

#[test]
fn inside_an_account_no_byte_moves() {
    let server = start();
    let mut client = Client::new(&server);
    server.plant(ACCOUNT, "con", [seed("x")]);
    let url = own(&server, "x");
    let put = copy(&mut client, "y", &url, &[]);
    assert_eq!((put.verdict(), put.header("x-ms-copy-status")), ((202, ""), "success"));
    let (old, new) = (blob(&server, "x"), blob(&server, "y"));
    assert_eq!(new.copy_status, "success");
    let mut same = old;
    (same.name, same.etag, same.copy_status) = (new.name.clone(), new.etag.clone(), new.copy_status.clone());
    same.tags = Vec::new();
    assert_eq!(new, same);
    assert_eq!(put.header("etag"), new.etag);
    let seen = head(&mut client, "y");
    assert_eq!(state(&seen), ("success", "5/5"));
    assert_eq!(seen.header("x-ms-copy-id"), put.header("x-ms-copy-id"));
    assert_eq!(seen.header("x-ms-copy-source"), url);
    assert!(!seen.header("x-ms-copy-completion-time").is_empty());
    let list = client.send("GET", "/con?restype=container&comp=list&include=copy", &[], b"");
    assert_eq!(list.elements("CopyProgress"), ["5/5"]);
    assert_eq!(list.elements("CopyId"), [put.header("x-ms-copy-id")]);
    let stats = server.stats();
    assert_eq!(stats.by_operation[&Operation::CopyBlob], 1);
    assert!(stats.of_services.is_empty() && stats.bytes_fetched == 0);

    // What is given goes before; who writes the blob again makes another one.
    let given = [("x-ms-meta-a", "1"), ("x-ms-tags", "t=1"), ("x-ms-access-tier", "Cool")];
    assert_eq!(copy(&mut client, "y", &url, &given).status, 202);
    let new = blob(&server, "y");
    assert_eq!((new.metadata.len(), new.tags.len(), &*new.tier), (1, 1, "Cool"));
    client.put("y", b"1");
    assert_eq!(state(&head(&mut client, "y")), ("", ""));
}

#[test]
fn the_requests_credential_counts_for_its_own_account_alone() {
    let server = start();
    let mut client = Client::new(&server);
    server.plant(ACCOUNT, "con", [seed("x")]);
    server.plant(OTHER, "src", [seed("x")]);
    let full = client.sas.clone();
    client.sas = server.account_sas(ACCOUNT, "w", Duration::from_secs(600));
    let blind = copy(&mut client, "y", &own(&server, "x"), &[TELLS]);
    assert_eq!(blind.verdict(), (403, "CannotVerifyCopySource"));
    assert_eq!(blind.header("x-ms-copy-source-error-code"), "AuthorizationPermissionMismatch");
    let with_sas = format!("{}?{full}", own(&server, "x"));
    assert_eq!(copy(&mut client, "y", &with_sas, &[]).verdict(), (202, ""));
    let private = format!("{}/src/x", server.url(OTHER));
    // What is private is not there, says Copy Blob.
    assert_eq!(copy(&mut client, "y", &private, &[]).verdict(), (404, "CannotVerifyCopySource"));
    let missing = copy(&mut client, "y", &others(&server, "none", "r"), &[TELLS]);
    assert_eq!(missing.verdict(), (404, "CannotVerifyCopySource"));
    let token = [("x-ms-copy-source-authorization", "Bearer x")];
    assert_eq!(copy(&mut client, "y", &private, &token).verdict(), (400, "UnsupportedHeader"));
}

#[test]
fn another_account_is_read_over_the_network() {
    let server = start();
    let mut client = Client::new(&server);
    server.plant(OTHER, "src", [seed("x")]);
    let put = copy(&mut client, "y", &others(&server, "x", "r"), &[]);
    assert_eq!((put.verdict(), put.header("x-ms-copy-status")), ((202, ""), "success"));
    let new = blob(&server, "y");
    assert_eq!(new.metadata, [("MixedCase".to_owned(), "v".to_owned())]);
    assert_eq!((&*new.content_type, new.content_md5), ("text/plain", Some([7; 16])));
    assert_eq!(server.content(ACCOUNT, "con", "y").unwrap(), "hello");
    assert_eq!(server.stats().of_services[&Operation::GetBlob], 1);
    // Without the signature.
    assert_eq!(head(&mut client, "y").header("x-ms-copy-source"), format!("{}/src/x", server.url(OTHER)));
    let changed = copy(&mut client, "y", &others(&server, "x", "r"), &[("x-ms-source-if-match", "\"0x1\"")]);
    assert_eq!(changed.verdict(), (412, "SourceConditionNotMet"));
}

#[test]
fn types_and_snapshots_are_copied() {
    let server = start();
    let mut client = Client::new(&server);
    let page = [("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", "1024")];
    client.send("PUT", "/con/p", &page, b"");
    let update = [("x-ms-page-write", "update"), ("x-ms-range", "bytes=512-1023")];
    assert_eq!(client.send("PUT", "/con/p?comp=page", &update, &[9; 512]).status, 201);
    client.send("PUT", "/con/a", &[("x-ms-blob-type", "AppendBlob")], b"");
    assert_eq!(client.send("PUT", "/con/a?comp=appendblock", &[], b"abc").status, 201);
    for (name, kind) in [("p", "PageBlob"), ("a", "AppendBlob")] {
        let to = format!("{name}2");
        let snapshot = client.send("PUT", &format!("/con/{name}?comp=snapshot"), &[], b"");
        let snapshot = format!("{}?snapshot={}", own(&server, name), snapshot.header("x-ms-snapshot"));
        assert_eq!(copy(&mut client, &to, &own(&server, name), &[]).verdict(), (202, ""));
        assert_eq!(blob(&server, &to).blob_type, kind);
        assert_eq!(server.content(ACCOUNT, "con", &to), server.content(ACCOUNT, "con", name));
        assert_eq!(copy(&mut client, &to, &snapshot, &[]).verdict(), (202, ""));
        assert_eq!(head(&mut client, &to).header("x-ms-copy-source"), snapshot);
        // Over a block blob nothing of another type comes.
        client.put("block", b"1");
        assert_eq!(copy(&mut client, "block", &own(&server, name), &[]).verdict(), (409, "InvalidBlobType"));
    }
    let ranges = client.send("GET", "/con/p2?comp=pagelist", &[], b"");
    assert_eq!((ranges.elements("Start"), ranges.elements("End")), (vec!["512".into()], vec!["1023".into()]));
}

#[test]
fn what_is_archived_is_copied_out_of_the_archive() {
    let server = start();
    let mut client = Client::new(&server);
    let archived = Seed { tier: "Archive".into(), ..seed("x") };
    server.plant(ACCOUNT, "con", [archived]);
    let url = own(&server, "x");
    for headers in [&[][..], &[("x-ms-access-tier", "Archive")]] {
        assert_eq!(copy(&mut client, "y", &url, headers).verdict(), (409, "BlobArchived"));
    }
    let out = [("x-ms-access-tier", "Cool"), ("x-ms-rehydrate-priority", "High")];
    assert_eq!(copy(&mut client, "y", &url, &out).verdict(), (202, ""));
    let seen = head(&mut client, "y");
    assert_eq!(
        (seen.header("x-ms-access-tier"), seen.header("x-ms-archive-status")),
        ("Archive", "rehydrate-pending-to-cool")
    );
    assert_eq!(seen.header("x-ms-rehydrate-priority"), "High");
    assert_eq!(server.complete_rehydration(ACCOUNT, "con"), 1);
    assert_eq!((blob(&server, "y").tier.as_str(), blob(&server, "x").tier.as_str()), ("Cool", "Archive"));
    assert_eq!(client.get("y").body, b"hello");
    // No other way leads out of it.
    let url = format!("{url}?{}", client.sas);
    let from_url = [("x-ms-copy-source", &*url), ("x-ms-blob-type", "BlockBlob")];
    let refused = client.send("PUT", "/con/z", &from_url, b"");
    assert_eq!(refused.verdict(), (409, "CannotVerifyCopySource"));
}

#[test]
fn pending_copies_move_when_they_are_told_to() {
    let server = start();
    let mut client = Client::new(&server);
    server.plant(ACCOUNT, "con", [seed("x")]);
    server.plant(OTHER, "src", [seed("x")]);
    server.set_pending_copies(true);
    for source in [own(&server, "x"), others(&server, "x", "r")] {
        let put = copy(&mut client, "y", &source, &[]);
        assert_eq!((put.verdict(), put.header("x-ms-copy-status")), ((202, ""), "pending"));
        assert_eq!(blob(&server, "y").copy_status, "pending");
        let seen = head(&mut client, "y");
        assert_eq!((state(&seen), seen.header("content-length")), (("pending", "0/5"), "0"));
        assert_eq!(seen.header("x-ms-copy-completion-time"), "");
        assert_eq!(client.put("y", b"1").verdict(), (409, "PendingCopyOperation"));
        assert_eq!(copy(&mut client, "y", &source, &[]).verdict(), (409, "PendingCopyOperation"));
        assert_eq!(client.send("DELETE", "/con/y", &[], b"").verdict(), (409, "PendingCopyOperation"));
        assert_eq!(server.advance_copies(ACCOUNT, "con", 3), 1);
        assert_eq!(state(&head(&mut client, "y")), ("pending", "3/5"));
        assert_eq!(client.get("y").body, b"");
        assert_eq!(server.advance_copies(ACCOUNT, "con", 3), 0);
        let seen = head(&mut client, "y");
        assert_eq!(state(&seen), ("success", "5/5"));
        assert_ne!(seen.header("etag"), put.header("etag"));
        assert_eq!(client.get("y").body, b"hello");
        assert_eq!(client.send("DELETE", "/con/y", &[], b"").status, 202);
    }
}

#[test]
fn a_copy_that_is_aborted_or_fails_leaves_an_empty_blob() {
    let server = start();
    let mut client = Client::new(&server);
    server.plant(ACCOUNT, "con", [seed("x")]);
    server.set_pending_copies(true);
    let url = own(&server, "x");
    let abort = |client: &mut Client, id: &str, action: &str| {
        let path = format!("/con/y?comp=copy&copyid={id}");
        let reply = client.send("PUT", &path, &[("x-ms-copy-action", action)], b"");
        (reply.status, reply.code().to_owned())
    };
    let id = copy(&mut client, "y", &url, &[]).header("x-ms-copy-id").to_owned();
    let other = "00000000-0000-0000-0000-000000000000";
    assert_eq!(abort(&mut client, other, "abort"), (409, "CopyIdMismatch".into()));
    assert_eq!(abort(&mut client, &id, "stop"), (400, "InvalidHeaderValue".into()));
    assert_eq!(abort(&mut client, &id, "abort"), (204, String::new()));
    let seen = head(&mut client, "y");
    assert_eq!((state(&seen), seen.header("content-length")), (("aborted", "0/5"), "0"));
    assert_eq!(abort(&mut client, &id, "abort"), (409, "NoPendingCopyOperation".into()));
    assert_eq!(server.advance_copies(ACCOUNT, "con", u64::MAX), 0);
    assert_eq!(blob(&server, "y").len, 0);

    assert_eq!(copy(&mut client, "y", &url, &[]).status, 202);
    assert_eq!(server.fail_copies(ACCOUNT, "con", "500 InternalError \"\""), 1);
    let seen = head(&mut client, "y");
    assert_eq!((state(&seen).0, blob(&server, "y").len), ("failed", 0));
    assert_eq!(seen.header("x-ms-copy-status-description"), "500 InternalError \"\"");
    assert_eq!(client.put("y", b"1").status, 201);
}

#[test]
fn copy_blob_from_url_is_done_before_its_answer() {
    let server = start();
    let mut client = Client::new(&server);
    server.plant(OTHER, "src", [seed("x")]);
    client.put("x", b"hello");
    server.set_pending_copies(true);
    let put = copy(&mut client, "y", &others(&server, "x", "r"), &[SYNC]);
    assert_eq!((put.verdict(), put.header("x-ms-copy-status")), ((202, ""), "success"));
    assert_eq!(put.header("x-ms-content-crc64"), crc64(b"hello"));
    assert_eq!(put.header("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    let new = blob(&server, "y");
    assert_eq!((&*new.content_type, &*new.copy_status, new.len), ("text/plain", "success", 5));
    assert_eq!(server.stats().by_operation[&Operation::CopyBlobFromUrl], 1);
    let tags = [SYNC, ("x-ms-copy-source-tag-option", "COPY")];
    assert_eq!(copy(&mut client, "y", &others(&server, "x", "rt"), &tags).verdict(), (202, ""));
    assert_eq!(blob(&server, "y").tags.len(), 1);
    // A credential of its own, in the same account too.
    assert_eq!(
        copy(&mut client, "y", &own(&server, "x"), &[SYNC]).verdict(),
        (401, "CannotVerifyCopySource")
    );
    client.send("PUT", "/con/a", &[("x-ms-blob-type", "AppendBlob")], b"");
    let append = format!("{}?{}", own(&server, "a"), client.sas);
    assert_eq!(copy(&mut client, "y", &append, &[SYNC]).verdict(), (409, "InvalidSourceBlobType"));
}
