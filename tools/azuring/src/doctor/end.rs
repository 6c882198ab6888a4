//! One place: the way to it, who asks, and what it lets them do.

use std::net::{IpAddr, ToSocketAddrs};

use azuring_transfer::{
    BlobUrl, CommandError, Credential, Examined, Failure, FailureKind, JobOptions, LinkError, Sample,
    SasOperation, StopHandle, examine,
};
use serde_json::json;

use super::credential;
use super::finding::{Finding, Findings, Verdict};
use crate::access::Access;
use crate::exit::Exit;
use crate::refused::Refused;

/// What a place is examined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// To be listed and read.
    One,
    /// The same, for a copy.
    Source,
    /// To be written to by a copy.
    Destination,
}

impl Role {
    pub(super) fn end(self) -> Option<&'static str> {
        match self {
            Self::One => None,
            Self::Source => Some("source"),
            Self::Destination => Some("destination"),
        }
    }
}

/// Seconds after which the service takes no signature any more, and no SAS that begins now.
const MOST_SKEW_S: i32 = 15 * 60;
/// What a person may want to know.
const SOME_SKEW_S: i32 = 60;

/// A place that is not examined yet.
pub(super) struct End {
    url: BlobUrl,
    access: Result<Access, Refused>,
    role: Role,
}

/// What a copy needs to know of an end.
pub(super) struct Known {
    pub(super) url: BlobUrl,
    pub(super) credential: Option<Credential>,
    /// Whether requests reach the service.
    pub(super) reached: bool,
    /// Whether the address is private; `None`: there are both, or none.
    pub(super) private: Option<bool>,
    /// The source: whether its objects can be read. The destination: whether it can be written to, as far as that is
    /// known without writing.
    pub(super) able: bool,
    pub(super) sample: Option<Sample>,
}

impl End {
    pub(super) fn new(url: BlobUrl, access: Result<Access, Refused>, role: Role) -> Self {
        Self { url, access, role }
    }

    /// Examines it and tells what is found.
    pub(super) fn look(
        self,
        options: &JobOptions,
        stop: &StopHandle,
        findings: &mut Findings,
    ) -> Result<Known, Refused> {
        let Self { url, access, role } = self;
        let examined = |credential: Option<&Credential>| {
            examine(&url, credential, options, stop).map_err(|error| match error {
                CommandError::Start(error) => Refused::from(error),
                other => Refused { text: other.to_string(), exit: crate::exit::of_command(&other) },
            })
        };
        // Who this process is may take requests to find out, which are of no use where nobody can be reached.
        let (credential, examined) = match access {
            Ok(Access::Known(credential)) => {
                let examined = examined(Some(&credential))?;
                (Ok(credential), examined)
            }
            Ok(asked) => {
                let first = examined(None)?;
                if is_reached(&first) {
                    match asked.now() {
                        Ok(credential) => {
                            let examined = examined(Some(&credential))?;
                            (Ok(credential), examined)
                        }
                        Err(refused) => (Err(refused), first),
                    }
                } else {
                    let text = "none was looked for, since nobody is reached".to_owned();
                    (Err(Refused { text, exit: Exit::GaveUp }), first)
                }
            }
            Err(refused) => (Err(refused), examined(None)?),
        };
        let mut tell = |finding| findings.tell(role.end(), finding);
        let reached = is_reached(&examined);
        way(&url, &examined).into_iter().for_each(&mut tell);
        tell(match &credential {
            Ok(credential) => credential::described(&url, credential, role),
            Err(refused) => Finding::new("credential", Verdict::Wrong(refused.exit), &refused.text),
        });
        if reached {
            service(&examined).into_iter().for_each(&mut tell);
            permitted(&examined, role).into_iter().for_each(&mut tell);
        }
        let may =
            |operation| credential.as_ref().is_ok_and(|found| credential::allows(&url, found, operation));
        let able = match role {
            Role::Destination => may(SasOperation::WriteBlob) && !is_shut(&examined),
            _ => matches!(examined.read, Some(Ok(()))),
        };
        let private = examined.probe.addresses.as_ref().ok().and_then(|found| same(found));
        let sample = examined.sample;
        Ok(Known { url, credential: credential.ok(), reached, private, able: able && reached, sample })
    }
}

fn is_reached(examined: &Examined) -> bool {
    examined.account.is_some()
}

/// Whether what could be asked says that nothing can be written either.
fn is_shut(examined: &Examined) -> bool {
    matches!(&examined.list, Some(Err(failure)) if !is_of_permission(failure))
}

/// Whether a right is missing that others need, and not the way.
fn is_of_permission(failure: &Failure) -> bool {
    let codes = [
        "AuthorizationPermissionMismatch",
        "AuthorizationResourceTypeMismatch",
        "AuthorizationServiceMismatch",
    ];
    failure.code.as_deref().is_some_and(|code| codes.contains(&code))
}

/// Name, proxy, connection, TLS.
fn way(url: &BlobUrl, examined: &Examined) -> Vec<Finding> {
    let (endpoint, probe) = (url.endpoint(), &examined.probe);
    let mut found = Vec::new();
    found.push(match &probe.addresses {
        Ok(addresses) => name(&endpoint.host, addresses, examined.canonical.as_deref()),
        Err(error) if examined.proxy.is_some() => {
            Finding::new("name", Verdict::Note, format!("{error}; the proxy looks it up itself"))
        }
        Err(error) => Finding::unreachable("name", error).advise(
            "check the account's name in the URL, and DNS: a private zone without this name says the same",
        ),
    });
    found.push(match &examined.proxy {
        Some(proxy) => Finding::new("proxy", Verdict::Ok, proxy).facts(json!({ "proxy": proxy })),
        None => Finding::new("proxy", Verdict::Ok, "none"),
    });
    match &probe.connected {
        Ok(time) => found.push(timed("connection", format!("to {endpoint}"), time.as_secs_f64() * 1e3)),
        Err(LinkError::Resolve { .. }) => return found,
        Err(error) => found.push(Finding::unreachable("connection", error).advise(
            "check host and port, and that a firewall or private endpoint lets this machine through",
        )),
    }
    match &probe.tls {
        Some(Ok((version, time))) => found.push(
            timed("tls", format!("{version}, the certificate is trusted"), time.as_secs_f64() * 1e3)
                .facts(json!({ "tls": version })),
        ),
        Some(Err(error)) => found.push(Finding::unreachable("tls", error).advise(match error {
            LinkError::Certificate { .. } => {
                "add the authority with --ca-file or SSL_CERT_FILE, or use the name the certificate is for"
            }
            _ => "check that the port speaks TLS, or use http://",
        })),
        None if endpoint.tls => {}
        None => found.push(Finding::new(
            "tls",
            Verdict::Note,
            "none: the URL is http, and everybody can read along",
        )),
    }
    found
}

fn timed(check: &'static str, text: String, ms: f64) -> Finding {
    let ms = (ms * 10.0).round() / 10.0;
    Finding::new(check, Verdict::Ok, format!("{text}, {ms} ms")).facts(json!({ "ms": ms }))
}

fn name(host: &str, addresses: &[IpAddr], canonical: Option<&str>) -> Finding {
    let list = |separator| addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(separator);
    let kind = match same(addresses) {
        Some(true) => "private",
        Some(false) => "public",
        None => "public and private",
    };
    let is_name = host.parse::<IpAddr>().is_err();
    let behind =
        canonical.map(|name| name.trim_end_matches('.')).filter(|name| !name.eq_ignore_ascii_case(host));
    let link = behind.map(|name| name.to_ascii_lowercase().split('.').any(|label| label == "privatelink"));
    let mut text = format!("{host} is {} ({kind})", list(", "));
    match (behind, link) {
        (Some(name), Some(true)) => text += &format!("; it is {name}, the name of a private endpoint"),
        (Some(name), _) => text += &format!("; it is {name}"),
        (None, _) if is_name => text += "; whether there is a privatelink CNAME, the resolver does not tell",
        (None, _) => {}
    }
    Finding::new("name", Verdict::Ok, text).facts(json!({
        "addresses": list(" "),
        "network": kind,
        "canonical": behind,
        "privatelink": link,
    }))
}

/// Whether the addresses of a place are private; `None`: some are, or there are none.
pub(super) fn is_private_place(url: &BlobUrl) -> Option<bool> {
    let endpoint = url.endpoint();
    let found = (&*endpoint.host, endpoint.port).to_socket_addrs().ok()?;
    same(&found.map(|address| address.ip()).collect::<Vec<_>>())
}

/// Whether all addresses are private; `None`: some are.
fn same(addresses: &[IpAddr]) -> Option<bool> {
    let mut kinds = addresses.iter().map(|address| is_private(*address));
    let first = kinds.next()?;
    kinds.all(|kind| kind == first).then_some(first)
}

/// Whether an address belongs to a network of one's own (RFC 1918, 6598, 4193), to a link, or to this machine.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Clock, version, account.
fn service(examined: &Examined) -> Vec<Finding> {
    let mut found = vec![match examined.clock_skew_s {
        None => Finding::new("clock", Verdict::Unknown, "no answer has a date"),
        Some(skew) => {
            let way = if skew < 0 { "behind" } else { "ahead of" };
            let text = format!("the service's is {} s {way} this machine's", skew.unsigned_abs());
            let facts = json!({ "skew_s": skew });
            match skew.abs() {
                MOST_SKEW_S.. => Finding::new("clock", Verdict::Wrong(Exit::Authentication), text)
                    .facts(facts)
                    .advise("set this machine's clock: signatures and tokens are refused"),
                SOME_SKEW_S.. => Finding::new("clock", Verdict::Note, text).facts(facts),
                _ => Finding::new("clock", Verdict::Ok, text).facts(facts),
            }
        }
    }];
    match &examined.account {
        Some(Ok(account)) => {
            let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".to_owned());
            let version = told(&account.version);
            let facts = json!({ "version": account.version, "tells_of_sources": account.tells_of_sources });
            found.push(match account.tells_of_sources {
                true => Finding::new("version", Verdict::Ok, version).facts(facts),
                false => {
                    let text = format!(
                        "{version}; a copy that its source refuses is told without the source's answer"
                    );
                    Finding::new("version", Verdict::Note, text).facts(facts)
                }
            });
            let namespace = match account.hierarchical {
                Some(true) => "hierarchical namespace",
                Some(false) => "no hierarchical namespace",
                None => "hierarchical namespace not told",
            };
            let text = format!("{}, {}, {namespace}", told(&account.kind), told(&account.sku));
            found.push(Finding::new("account", Verdict::Ok, text).facts(json!({
                "kind": account.kind,
                "sku": account.sku,
                "hierarchical": account.hierarchical,
            })));
        }
        // List and read tell whether it matters.
        Some(Err(failure)) => found.push(Finding::refused("account", Verdict::Unknown, failure)),
        None => {}
    }
    found
}

/// Listing and reading.
fn permitted(examined: &Examined, role: Role) -> Vec<Finding> {
    let mut found = Vec::new();
    match &examined.list {
        Some(Ok(true)) => found.push(Finding::new("list", Verdict::Ok, "it can be listed")),
        Some(Ok(false)) if role == Role::Destination => {
            found.push(Finding::new("list", Verdict::Ok, "it can be listed, and is empty"));
        }
        Some(Ok(false)) if examined.read.is_none() => {
            let text = "it can be listed, and there is nothing: whether blobs can be read is not known";
            found.push(Finding::new("list", Verdict::Note, text));
        }
        Some(Ok(false)) => found.push(Finding::new("list", Verdict::Ok, "it can be listed")),
        Some(Err(failure)) if role == Role::Destination && is_of_permission(failure) => {
            let text = format!("{}; a copy does not need it", failure.reason);
            found.push(Finding::new("list", Verdict::Note, text));
        }
        Some(Err(failure)) => found.push(Finding::failed("list", failure)),
        None => {}
    }
    if role == Role::Destination {
        if let Some(Err(failure)) = &examined.read
            && failure.kind != FailureKind::Missing
        {
            found.push(match is_of_permission(failure) {
                true => Finding::new(
                    "read",
                    Verdict::Note,
                    format!("{}; a copy does not need it", failure.reason),
                ),
                false => Finding::failed("read", failure),
            });
        }
        return found;
    }
    match (&examined.read, &examined.sample) {
        (Some(Ok(())), Some(sample)) => found.push(
            Finding::new(
                "read",
                Verdict::Ok,
                format!("{} can be read", azuring_plan::name::escape(sample.name.as_bytes())),
            )
            .facts(json!({ "object": sample.name })),
        ),
        (Some(Err(failure)), _) => found.push(Finding::failed("read", failure)),
        (None, None) if matches!(examined.list, Some(Ok(true))) => {
            let text =
                "no blob among the first that is not in the archive: whether blobs can be read is not known";
            found.push(Finding::new("read", Verdict::Unknown, text));
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_public_or_private() {
        for (address, private) in [
            ("20.60.1.1", false),
            ("10.0.0.4", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("100.64.0.1", true),
            ("127.0.0.1", true),
            ("169.254.169.254", true),
            ("fd00::1", true),
            ("2603:1030::1", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
        let both = ["10.0.0.4", "20.60.1.1"].map(|address| address.parse().unwrap());
        assert_eq!((same(&both), same(&both[..1]), same(&[])), (None, Some(true), None));
    }

    #[test]
    fn the_name_behind_a_host_tells_of_a_private_endpoint() {
        let of = |canonical| {
            let host = "acc.blob.core.windows.net";
            let finding = name(host, &["10.0.0.4".parse().unwrap()], canonical);
            format!("{finding:?}")
        };
        assert!(of(Some("acc.privatelink.blob.core.windows.net")).contains("the name of a private endpoint"));
        assert!(
            of(Some("blob.ams01.store.core.windows.net."))
                .contains("it is blob.ams01.store.core.windows.net\"")
        );
        assert!(of(Some("ACC.blob.core.windows.net")).contains("the resolver does not tell"));
        assert!(of(None).contains("the resolver does not tell"));
    }
}
