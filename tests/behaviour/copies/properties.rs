//! What goes along with a blob, and what of it is compared.

use azsim::{Operation, Seed};
use azuring_tests::AzCopy;

use super::{Accounts, BLOCK, BLOCKS, FROM, ROUTES, TO, bytes, seed};

/// An MD5 that is wrong goes along all the same, over each way, also of an empty blob and of one in several blocks.
#[test]
fn a_wrong_md5_is_copied_as_it_is_if_nobody_is_to_look() {
    for route in ROUTES {
        let accounts = Accounts::new();
        let lens = [("empty", 0), ("small", 9), ("large", 3 * BLOCK + 1)];
        for (name, len) in lens {
            accounts.plant(FROM, [Seed { content_md5: Some([7; 16]), ..seed(name, &bytes(len, 1)) }]);
        }
        accounts.plant(FROM, [seed("right", &bytes(9, 2))]);
        let flags = [&["--check-md5=NoCheck", "--verify", route][..], &BLOCKS].concat();
        accounts.copy(&flags).expect_code(0);
        for (name, len) in lens {
            assert!(accounts.content(TO, name) == bytes(len, 1), "{route} {name}");
        }
        let md5 = |account| {
            accounts.blobs(account).into_iter().map(|blob| (blob.name, blob.content_md5)).collect::<Vec<_>>()
        };
        assert_eq!(md5(FROM), md5(TO), "{route}");
        if route == "--route=relay" {
            // What is right is one request.
            assert_eq!(accounts.count(Operation::PutBlob), 1);
        }
        // And what is there is kept.
        accounts.copy(&[&flags[..], &["--overwrite=false"]].concat()).expect_code(0);
    }
}

/// AzCopy as judge: of these flags some have no effect between blobs, in either program.
#[test]
fn the_flags_for_properties_do_what_azcopys_do() {
    for flag in [
        "--s2s-preserve-properties=false",
        "--s2s-preserve-properties=true",
        "--s2s-preserve-access-tier=false",
        "--s2s-get-properties-in-backend=false",
        "--s2s-handle-invalid-metadata=FailIfInvalid",
        "--s2s-handle-invalid-metadata=RenameIfInvalid",
        "--s2s-detect-source-changed=true",
    ] {
        for (from, to) in [("", ""), ("small.txt", "copy")] {
            let there = |ours: bool| {
                let accounts = Accounts::new();
                accounts.fill();
                let (from, to) = (accounts.url(FROM, from), accounts.url(TO, to));
                let line = ["copy", &*from, &*to, "--from-to=BlobBlob", "--recursive", flag];
                if ours { accounts.fixture.run(line) } else { AzCopy::new().run(line) }.expect_code(0);
                let mut blobs = accounts.blobs(TO);
                // Go spells names in its own way.
                let names = blobs.iter_mut().flat_map(|blob| &mut blob.metadata);
                names.for_each(|(name, _)| name.make_ascii_lowercase());
                blobs.iter().map(super::properties).collect::<Vec<_>>()
            };
            assert_eq!(there(true), there(false), "azuring, AzCopy: {flag} {from}");
        }
    }
}
