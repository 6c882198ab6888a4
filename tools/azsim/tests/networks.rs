//! Copies between accounts whose networks let only some through: who asks the source, in which order, and what the
//! client is told.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is the report.

mod common;

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use azsim::{
    AccountRule, DEVSTORE_KEY, Fault, Faults, NameMatch, Network, Operation, Rule, Seed, Sender, Server,
    ServerBuilder, Tls,
};
use common::{ACCOUNT, Client, Reply};

const OTHER: &str = "other";
const TELLS: (&str, &str) = ("x-ms-version", "2025-11-05");

fn ip(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

fn builder() -> ServerBuilder {
    Server::builder().threads(1).account(ACCOUNT, DEVSTORE_KEY).account(OTHER, DEVSTORE_KEY)
}

fn start(builder: ServerBuilder) -> Server {
    let server = builder.start().unwrap();
    assert!(server.create_container(ACCOUNT, "con") && server.create_container(OTHER, "src"));
    let seed = Seed { name: "x".into(), content: vec![b"hello".to_vec().into()], ..Seed::default() };
    server.plant(OTHER, "src", [seed]);
    server
}

/// A client from an address, which reaches the server at another.
fn client(server: &Server, from: IpAddr, at: IpAddr) -> Client {
    let addr = SocketAddr::new(at, server.addr().port());
    let sas = server.account_sas(ACCOUNT, "rwdxlac", Duration::from_secs(600));
    let mut client = Client::from_to(from, addr);
    client.sas = sas;
    client
}

fn source(server: &Server, at: IpAddr) -> String {
    let sas = server.account_sas(OTHER, "r", Duration::from_secs(600));
    format!("{}/src/x?{sas}", server.url_at(at, OTHER))
}

fn copy(client: &mut Client, source: &str) -> Reply {
    let headers = [("x-ms-blob-type", "BlockBlob"), ("x-ms-copy-source", source), TELLS];
    client.send("PUT", "/con/y", &headers, b"")
}

/// Who asked the source and what it answered: the client on whose behalf, or nobody, and the status.
fn asked(server: &Server) -> Vec<(Option<IpAddr>, u16)> {
    let all = server.service_requests().into_iter();
    all.inspect(|r| assert_eq!((&*r.account, &*r.by, &*r.blob), (OTHER, ACCOUNT, "x")))
        .map(|r| (r.on_behalf_of, r.status))
        .collect()
}

/// What a copy gets that the source's network refuses.
fn refused(reply: &Reply) {
    assert_eq!(reply.verdict(), (403, "CannotVerifyCopySource"));
    assert_eq!(reply.header("x-ms-copy-source-status-code"), "403");
    assert_eq!(reply.header("x-ms-copy-source-error-code"), "AuthorizationFailure");
    let message = reply.elements("Message").pop().unwrap();
    assert!(message.starts_with("This request is not authorized to perform this operation."), "{message}");
}

#[test]
fn the_destination_asks_as_itself_and_then_for_its_client() {
    let allowed = Network::default().allow(ip(2));
    let server = start(builder().network(OTHER, allowed));
    let url = source(&server, ip(1));
    let mut friend = client(&server, ip(2), ip(1));
    let mut stranger = client(&server, ip(3), ip(1));
    assert_eq!(copy(&mut friend, &url).verdict(), (201, ""));
    assert_eq!(server.content(ACCOUNT, "con", "y").unwrap(), "hello");
    assert_eq!(asked(&server), [(None, 403), (Some(ip(2)), 200)]);
    refused(&copy(&mut stranger, &url));
    assert_eq!(asked(&server)[2..], [(None, 403), (Some(ip(3)), 403)]);
    // The client itself fares as on its behalf.
    let own = source(&server, ip(1)).split_once(&format!("/{OTHER}")).unwrap().1.to_owned();
    for (client, status) in [(&mut friend, 200), (&mut stranger, 403)] {
        let reply = client.raw("GET", &format!("/{OTHER}{own}"), &[], b"").unwrap();
        assert_eq!(reply.status, status);
    }
    // A destination that the source trusts needs nobody.
    server.set_network(OTHER, Network::closed().trust(ACCOUNT));
    assert_eq!(copy(&mut stranger, &url).verdict(), (201, ""));
    assert_eq!(asked(&server)[4..], [(None, 200)]);
    server.set_network(OTHER, Network::closed().trust(OTHER));
    refused(&copy(&mut stranger, &url));
}

#[test]
fn a_destination_that_refuses_its_client_asks_nobody() {
    let server = start(builder().network(ACCOUNT, Network::default().allow(ip(2))));
    let url = source(&server, ip(1));
    let reply = copy(&mut client(&server, ip(3), ip(1)), &url);
    assert_eq!(reply.verdict(), (403, "AuthorizationFailure"));
    assert_eq!(reply.header("x-ms-copy-source-status-code"), "");
    assert_eq!(asked(&server), []);
    assert_eq!(copy(&mut client(&server, ip(2), ip(1)), &url).status, 201);
}

#[test]
fn private_endpoints_help_in_one_network_alone() {
    let at = |address, network: &str| Network::default().private_endpoint(address, network);
    let server = start(
        builder()
            .also_listen(ip(11))
            .also_listen(ip(12))
            .network(ACCOUNT, at(ip(11), "hub"))
            .network(OTHER, at(ip(12), "hub")),
    );
    let url = source(&server, ip(12));
    let mut member = client(&server, ip(2), ip(11));
    assert_eq!(copy(&mut member, &url).verdict(), (201, ""));
    assert_eq!(asked(&server), [(None, 403), (Some(ip(2)), 200)]);
    // Elsewhere the accounts answer nobody.
    let mut outside = client(&server, ip(2), ip(1));
    assert_eq!(copy(&mut outside, &url).verdict(), (403, "AuthorizationFailure"));
    // Hub and spoke: the client reaches both, and the destination does not reach the source.
    server.set_network(OTHER, at(ip(12), "spoke"));
    refused(&copy(&mut member, &url));
    let path = url.split_once(&format!(":{}", server.addr().port())).unwrap().1.to_owned();
    let direct = client(&server, ip(2), ip(12)).raw("GET", &path, &[], b"").unwrap();
    assert_eq!((direct.status, &direct.body[..]), (200, &b"hello"[..]));
    // One more endpoint of the destination in the source's network is what helps.
    server.set_network(ACCOUNT, at(ip(11), "hub").private_endpoint(ip(12), "spoke"));
    let mut spoke = client(&server, ip(2), ip(12));
    assert_eq!(copy(&mut spoke, &url).verdict(), (201, ""));
}

#[test]
fn an_account_takes_copies_from_some_alone() {
    let server = start(builder().network(ACCOUNT, Network::default().copy_from("friend")));
    let url = source(&server, ip(1));
    let mut client = client(&server, ip(2), ip(1));
    let reply = copy(&mut client, &url);
    assert_eq!(reply.verdict(), (403, "CannotVerifyCopySource"));
    // The source was not asked.
    assert_eq!(reply.header("x-ms-copy-source-status-code"), "");
    assert_eq!(asked(&server), []);
    server.set_network(ACCOUNT, Network::default().copy_from("friend").copy_from(OTHER));
    assert_eq!(copy(&mut client, &url).status, 201);
}

#[test]
fn faults_are_for_one_pair_of_accounts() {
    let server = start(builder());
    let url = source(&server, ip(1));
    let mut client = client(&server, ip(2), ip(1));
    let rule = |sender, fault, count| AccountRule {
        account: Some(OTHER.into()),
        sender,
        rule: Rule {
            name: NameMatch::Contains(String::new()),
            operation: Some(Operation::GetBlob),
            fault,
            skip: 0,
            count,
        },
    };
    let refuse = Fault::error(403, "AuthorizationFailure");
    let account_rules = vec![
        rule(Sender::Service(Some(ACCOUNT.into())), refuse.clone(), u64::MAX),
        rule(Sender::OnBehalf(Some(ACCOUNT.into()), Some(ip(2))), refuse, 1),
        rule(Sender::OnBehalf(Some(ACCOUNT.into()), None), Fault::error(503, "ServerBusy"), 1),
    ];
    server.set_faults(Faults { account_rules, ..Faults::default() });
    assert_eq!(copy(&mut client, &url).verdict(), (403, "CannotVerifyCopySource"));
    let busy = copy(&mut client, &url);
    assert_eq!(busy.verdict(), (503, "ServerBusy"));
    assert_eq!(busy.header("x-ms-copy-source-status-code"), "503");
    assert_eq!(copy(&mut client, &url).status, 201);
    let client = Some(ip(2));
    assert_eq!(
        asked(&server),
        [(None, 403), (client, 403), (None, 403), (client, 503), (None, 403), (client, 200)]
    );
}

#[test]
fn more_addresses_have_the_certificate() {
    let server = start(builder().tls(Tls::SelfSigned).also_listen(ip(11)));
    let mut client = Client::tls(&server, &[b"http/1.1"]);
    // The service itself asks at the other address.
    assert_eq!(copy(&mut client, &source(&server, ip(11))).verdict(), (201, ""));
}

#[test]
fn what_cannot_be_is_refused() {
    let unknown = Server::builder().network("nobody", Network::closed()).start();
    assert!(unknown.err().unwrap().to_string().contains("nobody"));
    let taken = TcpListener::bind((ip(11), 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let both = Server::builder().listen(SocketAddr::new(ip(12), port)).also_listen(ip(11)).start();
    assert!(both.is_err());
}
