//! The networks, the accounts in them, and what is copied.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use azsim::{Authority, BlobInfo, Network, Seed, ServerBuilder, Tls};
use azuring_tests::{
    Azuring, CONTAINER, DEVSTORE_ACCOUNT, DEVSTORE_KEY, Fixture, Namespace, Outcome, azuring,
};

pub(crate) const FROM: &str = "from";
pub(crate) const TO: &str = "to";
pub(crate) const BETWEEN: &str = "between";

/// The accounts' keys.
pub(crate) const KEYS: [(&str, &str); 3] = [
    (FROM, "RnJvbUZyb21Gcm9tRnJvbUZyb21Gcm9tRnJvbUZyb20="),
    (TO, "VG9Ub1RvVG9Ub1RvVG9Ub1RvVG9Ub1RvVG9Ub1RvVG8="),
    (BETWEEN, "QmV0d2VlbkJldHdlZW5CZXR3ZWVuQmV0d2VlbkJldHc="),
];

pub(crate) const fn ip([a, b, c, d]: [u8; 4]) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d))
}

/// The address that all accounts have in common.
pub(crate) const PUBLIC: IpAddr = ip([203, 0, 113, 10]);
/// The clients'.
pub(crate) const INTERNET: IpAddr = ip([198, 51, 100, 7]);
pub(crate) const HUB: IpAddr = ip([10, 1, 0, 10]);
pub(crate) const SPOKE: IpAddr = ip([10, 2, 0, 10]);

/// Blocks of 64 KiB: a blob of several needs no megabytes.
const BLOCKS: [&str; 2] = ["--block-size-mb=0.0625", "--put-blob-size-mb=0.0625"];
const BLOCK: usize = 64 << 10;

/// Everything; the server is dropped before its network.
pub(crate) struct Azure {
    pub(crate) fixture: Fixture,
    pub(crate) authority: Option<Authority>,
    pub(crate) internet: Namespace,
    pub(crate) hub: Namespace,
    pub(crate) spoke: Namespace,
    _fabric: Namespace,
}

impl Azure {
    pub(crate) fn new() -> Self {
        Self::with(|_| (azuring!(), None))
    }

    /// `make` is done in the fabric, and may start an authority there.
    pub(crate) fn with(make: impl FnOnce(&Namespace) -> (Azuring, Option<Authority>) + Send) -> Self {
        let [fabric, internet, hub, spoke] = [(); 4].map(|()| Namespace::new());
        fabric.address("203.0.113.10/32");
        fabric.link(&["198.51.100.1/24"], &internet, &["198.51.100.7/24"]);
        internet.route("203.0.113.0/24", "198.51.100.1");
        fabric.link(&["10.1.0.1/24", "10.1.0.4/24", "10.1.0.5/24"], &hub, &["10.1.0.10/24"]);
        fabric.link(&["10.2.0.1/24", "10.2.0.4/24", "10.2.0.5/24"], &spoke, &["10.2.0.10/24"]);
        let (azuring, authority) = make(&fabric);
        let fixture = fabric.within(|| Fixture::with(azuring, |server| accounts(server, authority.as_ref())));
        for (account, _) in KEYS {
            assert!(fixture.server().create_container(account, CONTAINER));
        }
        let azure = Self { fixture, authority, internet, hub, spoke, _fabric: fabric };
        azure.fill();
        azure
    }

    /// Hub and spoke reach each other's endpoints.
    pub(crate) fn peer(&self) {
        self.hub.route("10.2.0.0/24", "10.1.0.1");
        self.spoke.route("10.1.0.0/24", "10.2.0.1");
    }

    pub(crate) fn restrict(&self, account: &str, network: Network) {
        self.fixture.server().set_network(account, network);
    }

    /// A container's URL at an address, without a credential.
    pub(crate) fn bare(&self, address: IpAddr, account: &str) -> String {
        format!("{}/{CONTAINER}", self.fixture.server().url_at(address, account))
    }

    /// The same with a SAS.
    pub(crate) fn at(&self, address: IpAddr, account: &str) -> String {
        let sas = self.fixture.server().account_sas(account, "rwdlac", Duration::from_secs(3600));
        format!("{}?{sas}", self.bare(address, account))
    }

    /// Copies everything, as somebody in this network.
    #[track_caller]
    pub(crate) fn copy(&self, network: &Namespace, (from, to): (&str, &str), more: &[&str]) -> Outcome {
        let flags = ["--recursive", "--output-type=ndjson", "--retry-failed=0"];
        let line = [&["copy", from, to][..], &flags, &BLOCKS, more].concat();
        network.within(|| self.fixture.run(line))
    }

    /// Names that have to be encoded, lengths of one request and of several blocks; and what is at the destination.
    fn fill(&self) {
        let lengths =
            [("empty", 0), ("dir/a b+c%2F", 70), ("dir/\u{e4}\u{1F600}", BLOCK), ("large", 5 * BLOCK + 3)];
        let seeds = lengths.into_iter().enumerate().map(|(n, (name, len))| Seed {
            content: vec![(0..len).map(|at| (at * 31 + at / 251 + n) as u8).collect::<Vec<_>>().into()],
            content_type: format!("text/x-{n}"),
            metadata: vec![("mark".to_owned(), format!("{n} x"))],
            ..seed(name, b"")
        });
        self.fixture.server().plant(FROM, CONTAINER, seeds);
        self.fixture.server().plant(TO, CONTAINER, [seed("empty", b"before")]);
    }

    pub(crate) fn blobs(&self, account: &str) -> Vec<(BlobInfo, Vec<u8>)> {
        let server = self.fixture.server();
        let content = |name: &str| server.content(account, CONTAINER, name).unwrap().to_vec();
        server.blobs(account, CONTAINER).into_iter().map(|blob| (blob.clone(), content(&blob.name))).collect()
    }

    /// The destination has all of the source, byte for byte.
    #[track_caller]
    pub(crate) fn assert_same(&self) {
        let (from, to) = (self.blobs(FROM), self.blobs(TO));
        assert_eq!(from.len(), 4);
        let facts = |(blob, content): &(BlobInfo, Vec<u8>)| {
            (blob.name.clone(), blob.content_type.clone(), blob.metadata.clone(), content.clone())
        };
        assert!(from.iter().map(facts).eq(to.iter().map(facts)), "{to:?}");
    }

    /// The destination is as it was.
    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        let to = self.blobs(TO);
        assert_eq!(to.len(), 1);
        assert_eq!((&*to[0].0.name, &*to[0].1), ("empty", &b"before"[..]));
    }

    /// What services have asked of the source: for whom, and what they were answered.
    pub(crate) fn asked(&self) -> Vec<(Option<IpAddr>, u16)> {
        let all = self.fixture.server().service_requests().into_iter();
        all.filter(|asked| asked.account == FROM).map(|asked| (asked.on_behalf_of, asked.status)).collect()
    }
}

fn accounts(server: ServerBuilder, authority: Option<&Authority>) -> ServerBuilder {
    let mut server = server.tls(Tls::SelfSigned).account(DEVSTORE_ACCOUNT, DEVSTORE_KEY);
    for (account, key) in KEYS {
        server = server.account(account, key);
    }
    for address in [PUBLIC, ip([10, 1, 0, 4]), ip([10, 1, 0, 5]), ip([10, 2, 0, 4]), ip([10, 2, 0, 5])] {
        server = server.also_listen(address);
    }
    match authority {
        Some(authority) => server.authority(authority),
        None => server,
    }
}

fn seed(name: &str, content: &[u8]) -> Seed {
    Seed { name: name.to_owned(), content: vec![content.to_vec().into()], ..Seed::default() }
}

/// Copies as somebody in this network, directly, and compares every byte.
#[track_caller]
pub(crate) fn direct(azure: &Azure, network: &Namespace, ends: (&str, &str)) -> Outcome {
    let outcome = azure.copy(network, ends, &["--route=direct"]);
    outcome.expect_code(0);
    azure.assert_same();
    outcome
}

/// Bytes that the service has moved, and bytes that went through this host.
#[track_caller]
pub(crate) fn moved(outcome: &Outcome) -> [u64; 2] {
    let summary = outcome.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let summary = summary.into_iter().find(|line| line["type"] == "summary").unwrap();
    [&summary["bytes_by_service"], &summary["bytes_sent"]].map(|bytes| bytes.as_u64().unwrap())
}

fn total() -> u64 {
    (70 + BLOCK + 5 * BLOCK + 3) as u64
}

/// Each request of the destination was refused as its own, and answered on behalf of its client.
#[track_caller]
pub(crate) fn assert_direct(azure: &Azure, outcome: &Outcome, client: IpAddr) {
    assert_eq!(moved(outcome), [total(), 0]);
    let asked = azure.asked();
    let count = |what: (Option<IpAddr>, u16)| asked.iter().filter(|asked| **asked == what).count();
    let read = [200, 206].map(|status| count((Some(client), status))).iter().sum::<usize>();
    assert_eq!([count((None, 403)), read], [9, 9], "three blobs and six blocks: {asked:?}");
    assert_eq!(asked.len(), 18, "{asked:?}");
}

/// Everything went through this host.
#[track_caller]
pub(crate) fn assert_relayed(outcome: &Outcome) {
    assert_eq!(moved(outcome), [0, total()]);
}

/// How many files are below a directory.
pub(crate) fn files(path: &Path) -> usize {
    std::fs::read_dir(path).unwrap().count()
}
