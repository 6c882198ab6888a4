//! Every store does what a store has to do: one suite, held against Blob storage twice and against an embedder's store.
//!
//! A store of another service is one more test here: make a container of it, hand it to [`hold`].
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::rc::Rc;
use std::time::Duration;

use azsim::Server;
use azuring_azure::{AccountKey, BlobClient, BlobProperties, BlobStore, BlobUrl, Credential, Secret, Target};
use azuring_link::{HttpChoice, LinkSettings, Links};
use azuring_store::conformance::{Known, run, run_unmade};
use azuring_store::{CustomStore, Memory, Store};
use azuring_tests::{Azurite, AzuriteOptions, DEVSTORE_ACCOUNT, DEVSTORE_KEY};

/// Where Azurite 3.37 is not as the service. What holds one day has to go from here: the test says so.
const AZURITE: &[Known] = &[
    Known {
        check: "reading: a range that begins at the end is refused",
        reason: "it answers with no byte, where the service answers 416 InvalidRange",
    },
    Known {
        check: "reading: an empty object has no byte",
        reason: "it answers the range `bytes 0--1/0`, where the service answers 416 InvalidRange",
    },
    Known { check: "reading: the CRC64 of a byte is told and true", reason: NO_CRC64 },
    Known { check: "reading: the CRC64 of a range is told and true", reason: NO_CRC64 },
    Known { check: "reading: the CRC64 of what goes beyond the end is told and true", reason: NO_CRC64 },
    Known {
        check: "copies: by the store itself",
        reason: "it answers 501 APINotImplemented to Put Blob From URL",
    },
];
const NO_CRC64: &str = "it answers 500 FeatureNotSupported to x-ms-range-get-content-crc64";

/// Fewer checks than this are not the whole suite.
const CHECKS: usize = 190;

/// Runs the whole suite against a store that is there, and the one of an unmade store.
async fn hold(name: &str, there: &impl Store, unmade: &impl Store, known: &[Known]) {
    let reports = [run(there, "conform/").await, run_unmade(unmade).await];
    let count: usize = reports.iter().map(|report| report.count()).sum();
    let mut faults = Vec::new();
    let mut failed: Vec<Known> = known.to_vec();
    for report in &reports {
        println!("{name}: {report}");
        let (here, rest): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|known| report.checks.iter().any(|check| check.name == known.check));
        faults.extend(report.fails_only(&here).err());
        failed = rest;
    }
    assert!(
        faults.is_empty() && failed.is_empty(),
        "{name}:\n{}\nno such checks: {failed:?}",
        faults.join("\n")
    );
    assert!(count >= CHECKS, "{name}: {count} checks");
}

/// Runs `checks` on the thread of a lane, with the containers `there` and `unmade` below this endpoint.
fn with_blob_stores(account_url: &str, checks: impl AsyncFn(BlobStore, BlobStore)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let stores = ["there", "unmade"].map(|container| {
            let url = BlobUrl::parse(&format!("{account_url}/{container}")).unwrap();
            let key = AccountKey::new(DEVSTORE_ACCOUNT, &Secret::new(DEVSTORE_KEY)).unwrap();
            let credential = Credential::SharedKey(Box::new(key));
            let target = Target::new(url, credential, &BlobProperties::default()).unwrap();
            let (http, stall) = (HttpChoice::Auto, Duration::from_secs(60));
            let settings = LinkSettings::default().http(http).stall(stall);
            let links = Links::new(target.url().endpoint(), settings);
            BlobStore::new(BlobClient::new(Rc::new(target), links))
        });
        let [there, unmade] = stores;
        checks(there, unmade).await;
    });
}

#[test]
fn blob_storage_conforms_by_azsim() {
    // Once as names are sent, and once as the service is known to keep them.
    for service_names in [false, true] {
        let server =
            Server::builder().threads(1).versioning(false).service_names(service_names).start().unwrap();
        assert!(server.create_container(DEVSTORE_ACCOUNT, "there"));
        with_blob_stores(&server.url(DEVSTORE_ACCOUNT), async |there, unmade| {
            hold("Blob storage (azsim)", &there, &unmade, &[]).await;
        });
    }
}

#[test]
fn blob_storage_conforms_by_azurite() {
    let azurite = Azurite::start(AzuriteOptions::default());
    azurite.client(DEVSTORE_ACCOUNT).create_container("there");
    with_blob_stores(&azurite.url(DEVSTORE_ACCOUNT), async |there, unmade| {
        hold("Blob storage (Azurite)", &there, &unmade, AZURITE).await;
    });
}

#[test]
fn a_store_of_an_embedder_conforms() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let there = CustomStore::shared("memory:there", Memory::new());
    let unmade = CustomStore::shared("memory:unmade", Memory::missing());
    runtime.block_on(hold("Custom (memory)", &there.open(), &unmade.open(), &[]));
    // One that takes pieces in their order alone.
    let there = CustomStore::shared("memory:there", Memory::in_order());
    let unmade = CustomStore::shared("memory:unmade", Memory::missing());
    runtime.block_on(hold("Custom (memory, in order)", &there.open(), &unmade.open(), &[]));
}
