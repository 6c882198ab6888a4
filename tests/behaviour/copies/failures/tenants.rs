//! Tokens of one tenant, and an account of another.

use azsim::{Authority, Role, Server, Tls};
use azuring_tests::entra::{ACCOUNT, Entra};
use azuring_tests::{CONTAINER, DEVSTORE_KEY};

use super::*;

const OTHER: &str = "0c0c0c0c-2222-4333-8444-555566667777";

#[test]
fn tokens_of_the_wrong_tenant_are_told_of_the_end_that_refuses_them() {
    let entra = Entra::service_principal(azuring!(), Role::Owner);
    let authority = Authority::builder().tenant(OTHER).start().unwrap();
    let server = Server::builder().tls(Tls::SelfSigned).authority(&authority).account(TO, DEVSTORE_KEY);
    let server = server.trust(entra.fixture.server().ca_pem().unwrap()).start().unwrap();
    assert!(server.create_container(TO, CONTAINER));
    let trusted = entra.fixture.ca_file();
    let both = std::fs::read_to_string(&trusted).unwrap() + server.ca_pem().unwrap();
    std::fs::write(&trusted, both).unwrap();
    let own = entra.fixture.server();
    own.plant(ACCOUNT, CONTAINER, [seed("a", b"1"), seed("b", b"2")]);
    server.plant(TO, CONTAINER, [seed("a", BEFORE)]);
    let (here, there) = (entra.url(""), format!("{}/{CONTAINER}", server.url(TO)));
    let hosts = format!("--trusted-microsoft-suffixes={};{}", own.addr(), server.addr());
    let state = || format!("{:?} {:?}", own.blobs(ACCOUNT, CONTAINER), server.blobs(TO, CONTAINER));
    let before = state();
    for (from, to, end) in [(&here, &there, "destination"), (&there, &here, "source")] {
        for route in ["--route=auto", "--route=direct", "--route=relay"] {
            let line = ["copy", from, to, "--recursive", "--no-cache", "--max-tries=2", &hosts, route];
            let outcome = entra.fixture.run(line);
            outcome.expect_code(3);
            let told = format!("{end}: 401 InvalidAuthenticationInfo: ");
            assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
            let advice = format!(
                "they have to be of the account's own tenant (AZCOPY_TENANT_ID, --tenant-id; between two: \
                 --source-tenant-id, --destination-tenant-id), which is {OTHER}"
            );
            assert!(outcome.stderr.contains(&advice), "{}", outcome.stderr);
            assert_eq!(state(), before, "{end} {route}");
        }
    }
}
