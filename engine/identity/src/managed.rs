//! The identity of the machine: which service answers for it, and Azure Arc's way of proving who asks.

use std::path::Path;

use azuring_azure::Secret;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use url::{Host, Url};

use crate::answer::{self, TokenAnswer};
use crate::environment::Environment;
use crate::error::IdentityError;
use crate::login::{ManagedIdentity, digest};
use crate::network::{Incoming, Network, Outgoing, Wire, authority, is_near};

/// Where the agent of Azure Arc listens unless `IDENTITY_ENDPOINT` says otherwise.
const ARC_ENDPOINT: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token";
/// The agent's program.
const ARC_AGENT: &str = "/opt/azcmagent/bin/himds";
const ARC_VERSION: &str = "2020-06-01";
const IMDS_PATH: &str = "/metadata/identity/oauth2/token";
const IMDS_VERSION: &str = "2018-02-01";
const APP_SERVICE_VERSION: &str = "2019-08-01";
/// The agent's keys are shorter (MSAL has the same limit).
const MAX_ARC_KEY_BYTES: u64 = 4096;

const TRUE: HeaderValue = HeaderValue::from_static("true");

/// What tells machines that share a home directory apart; the last one, containers of one machine.
const NAMES: [&str; 3] = ["/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname"];

/// Who answers for the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// App Service, Functions, Container Apps: the endpoint, and the header that proves that it is the app that asks.
    AppService(String, Secret),
    /// Azure Cloud Shell: the endpoint.
    CloudShell(String),
    /// A machine elsewhere, connected with Azure Arc.
    Arc(String),
    /// A VM of Azure.
    Imds,
    /// Something that is not supported.
    Other(&'static str),
}

impl Source {
    /// Finds out from the environment, as Microsoft's libraries do.
    pub(crate) fn of(environment: &Environment) -> Self {
        let set = |name| environment.get(name).is_some();
        if let Some(endpoint) = environment.get("IDENTITY_ENDPOINT") {
            return match (environment.get("IDENTITY_HEADER"), set("IMDS_ENDPOINT")) {
                (Some(_), _) if set("IDENTITY_SERVER_THUMBPRINT") => Source::Other("Service Fabric"),
                (Some(header), _) => Source::AppService(endpoint, Secret::new(header)),
                (None, true) => Source::Arc(endpoint),
                (None, false) => Source::Imds,
            };
        }
        match (environment.get("MSI_ENDPOINT"), set("MSI_SECRET")) {
            (Some(_), true) => Source::Other("Azure ML"),
            (Some(endpoint), false) => Source::CloudShell(endpoint),
            _ if Path::new(ARC_AGENT).exists() => Source::Arc(ARC_ENDPOINT.to_owned()),
            _ => Source::Imds,
        }
    }
}

/// What distinguishes this machine and who answers for it from others: no secret, and not to be guessed from.
pub(crate) fn mark(network: &Network) -> String {
    mark_of(&NAMES.map(Path::new), network)
}

fn mark_of(names: &[&Path], network: &Network) -> String {
    let answers = match Source::of(&network.environment) {
        // Each app of a machine has a header of its own.
        Source::AppService(endpoint, header) => endpoint + "\n" + header.expose(),
        Source::Arc(endpoint) | Source::CloudShell(endpoint) => endpoint,
        Source::Imds => network.imds().map(String::from).unwrap_or_default(),
        Source::Other(name) => name.to_owned(),
    };
    // One that cannot be read distinguishes nothing.
    let files = names.iter().map(|name| std::fs::read(name).unwrap_or_default());
    digest(files.chain([answers.into_bytes()]))
}

/// A token of the machine's identity.
pub(crate) async fn token(
    network: &Network,
    wire: &Wire,
    which: &ManagedIdentity,
    scope: &str,
    now_s: u64,
) -> Result<TokenAnswer, IdentityError> {
    let unsupported = |reason: String| Err(IdentityError::Unsupported(reason));
    let alone = *which == ManagedIdentity::System;
    let asked = match Source::of(&network.environment) {
        Source::Other(name) => {
            return unsupported(format!("managed identities of {name} are not supported"));
        }
        Source::Arc(_) if !alone => {
            return unsupported(own_alone("a machine of Azure Arc"));
        }
        Source::CloudShell(_) if !alone => return unsupported(own_alone("Cloud Shell")),
        Source::Arc(endpoint) => return arc(network, wire, &endpoint, scope, now_s).await,
        Source::CloudShell(endpoint) => {
            let url = at_hand("MSI_ENDPOINT", &endpoint, is_near)?;
            Outgoing::form(url, &[("resource", resource(scope))]).with("metadata", TRUE)
        }
        Source::AppService(endpoint, header) => {
            let mut url = at_hand("IDENTITY_ENDPOINT", &endpoint, is_near_or_private)?;
            question(&mut url, APP_SERVICE_VERSION, scope, which, "mi_res_id");
            let unfit = |_| IdentityError::setting("IDENTITY_HEADER", "it is not the text of a header");
            let mut proof = HeaderValue::try_from(header.expose()).map_err(unfit)?;
            proof.set_sensitive(true);
            Outgoing::get(url).with("x-identity-header", proof)
        }
        Source::Imds => {
            let mut url = network.imds()?;
            url.set_path(IMDS_PATH);
            question(&mut url, IMDS_VERSION, scope, which, "msi_res_id");
            Outgoing::get(url).with("metadata", TRUE)
        }
    };
    let host = authority(&asked.url);
    answer::read(&host, &wire.send(asked).await?, true, now_s)
}

fn own_alone(machine: &str) -> String {
    format!("{machine} has its own identity only: leave the identity's id out")
}

fn resource(scope: &str) -> &str {
    scope.strip_suffix("/.default").unwrap_or(scope)
}

/// What VMs and App Service are asked (learn.microsoft.com, "How to use managed identities on a VM" and "Use managed
/// identities for App Service", REST endpoint reference): they differ in the name of a resource id.
fn question(url: &mut Url, version: &str, scope: &str, which: &ManagedIdentity, resource_id: &str) {
    let mut query = url.query_pairs_mut();
    query.append_pair("api-version", version).append_pair("resource", resource(scope));
    match which {
        ManagedIdentity::System => &mut query,
        ManagedIdentity::ClientId(id) => query.append_pair("client_id", id),
        ManagedIdentity::ObjectId(id) => query.append_pair("object_id", id),
        ManagedIdentity::ResourceId(id) => query.append_pair(resource_id, id),
    };
}

/// The address in the variable `name`, to which a secret may go: over TLS, or not far.
fn at_hand(name: &str, endpoint: &str, is_near: fn(&Url) -> bool) -> Result<Url, IdentityError> {
    let wrong = |reason: &str| IdentityError::setting(name, reason);
    let url = Url::parse(endpoint).map_err(|_| wrong("it is not a URL"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_near(&url) => Ok(url),
        _ => Err(wrong("it is neither https:// nor http:// and an address of this machine")),
    }
}

/// Containers of App Service ask at an address like 172.16.5.3.
fn is_near_or_private(url: &Url) -> bool {
    let private = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_private(),
        Some(Host::Ipv6(ip)) => ip.is_unique_local(),
        _ => false,
    };
    private || is_near(url)
}

/// A token from the agent of Azure Arc: it refuses with the path of a key file, which only its group may read, and what
/// is in there is the answer (learn.microsoft.com, "Authenticate against Azure resources with Azure Arc-enabled
/// servers").
async fn arc(
    network: &Network,
    wire: &Wire,
    endpoint: &str,
    scope: &str,
    now_s: u64,
) -> Result<TokenAnswer, IdentityError> {
    let wrong = |reason: &str| IdentityError::setting("IDENTITY_ENDPOINT", reason);
    let mut url = Url::parse(endpoint).map_err(|_| wrong("it is not a URL"))?;
    if url.scheme() != "http" || !is_near(&url) {
        return Err(wrong("it is not http:// and an address of this machine"));
    }
    question(&mut url, ARC_VERSION, scope, &ManagedIdentity::System, "");
    let host = authority(&url);
    let ask = || Outgoing::get(url.clone()).with("metadata", TRUE);
    let challenge = wire.send(ask()).await?;
    if challenge.status != StatusCode::UNAUTHORIZED {
        return answer::read(&host, &challenge, true, now_s);
    }
    let key = read_key(&network.arc_keys, &key_path(&host, &challenge)?)?;
    let mut proof = HeaderValue::try_from(format!("Basic {}", key.expose())).map_err(|_| {
        IdentityError::Answer { host: host.clone(), reason: "its key is not text".to_owned() }
    })?;
    proof.set_sensitive(true);
    let incoming = wire.send(ask().with("authorization", proof)).await?;
    answer::read(&host, &incoming, true, now_s)
}

/// The path in `WWW-Authenticate: Basic realm=<path>`.
fn key_path(host: &str, challenge: &Incoming) -> Result<std::path::PathBuf, IdentityError> {
    let header = challenge.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    let realm =
        header.and_then(|text| text.split_once("realm=")).map(|(_, path)| path.trim().trim_matches('"'));
    realm.filter(|path| !path.is_empty()).map(Into::into).ok_or_else(|| IdentityError::Answer {
        host: host.to_owned(),
        reason: "it does not say where its key is".to_owned(),
    })
}

/// Reads a key, only if it is where the agent puts them: whoever else listens at the agent's port must not have other
/// files sent to it.
fn read_key(keys: &Path, path: &Path) -> Result<Secret, IdentityError> {
    let fault = |reason: &dyn ToString| IdentityError::file(path, reason.to_string());
    let inside = path.parent() == Some(keys) && path.extension().is_some_and(|name| name == "key");
    if !inside {
        return Err(fault(&format!("the key of Azure Arc is not a .key file in {}", keys.display())));
    }
    let facts = std::fs::symlink_metadata(path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => " (be a member of the group himds)",
            _ => "",
        };
        fault(&format!("{error}{hint}"))
    })?;
    if !facts.is_file() || facts.len() > MAX_ARC_KEY_BYTES {
        return Err(fault(&"it is not a key of Azure Arc"));
    }
    let key = std::fs::read_to_string(path)
        .map_err(|error| fault(&format!("{error} (be a member of the group himds)")))?;
    Ok(Secret::new(key.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{Login, LoginKind};
    use crate::one_answer::answers;

    #[test]
    fn the_environment_says_who_answers() {
        let source = |set: &'static [&'static str]| {
            Source::of(&Environment::of(move |name| set.contains(&name).then(|| "http://x".to_owned())))
        };
        assert_eq!(source(&[]), Source::Imds);
        let app = Source::AppService("http://x".to_owned(), Secret::new("http://x"));
        assert_eq!(source(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]), app);
        assert_eq!(source(&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]), Source::Arc("http://x".to_owned()));
        assert_eq!(source(&["IDENTITY_ENDPOINT"]), Source::Imds);
        assert_eq!(source(&["MSI_ENDPOINT"]), Source::CloudShell("http://x".to_owned()));
        let fabric = &["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"];
        assert_eq!(source(fabric), Source::Other("Service Fabric"));
    }

    #[test]
    fn every_machine_and_every_app_has_its_own_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a"), "1").unwrap();
        std::fs::write(path("b"), "2").unwrap();
        let mark = |file: &str, set: &'static [(&'static str, &'static str)]| {
            let mut network = Network::new(azuring_link::LinkSettings::default());
            network.environment = Environment::of(|wanted| {
                set.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
            });
            mark_of(&[&path(file), &path("none")], &network)
        };
        const APP: &[(&str, &str)] =
            &[("IDENTITY_ENDPOINT", "http://127.0.0.1"), ("IDENTITY_HEADER", "hunter2")];
        const OTHER: &[(&str, &str)] =
            &[("IDENTITY_ENDPOINT", "http://127.0.0.1"), ("IDENTITY_HEADER", "other")];
        const MOVED: &[(&str, &str)] = &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")];
        let marks = [mark("a", &[]), mark("b", &[]), mark("a", APP), mark("a", OTHER), mark("a", MOVED)];
        assert!((1..5).all(|n| !marks[..n].contains(&marks[n])), "{marks:?}");
        assert_eq!(mark("a", APP), marks[2]);
        assert!(!marks[2].contains("hunter2"));
    }

    #[test]
    fn cloud_shell_is_asked_with_a_form() {
        let (url, sent) = answers(r#"{"access_token":"t","expires_in":"3600"}"#.to_owned());
        let mut network = Network::new(azuring_link::LinkSettings::default());
        network.environment =
            Environment::of(move |name| (name == "MSI_ENDPOINT").then(|| format!("{url}oauth2/token")));
        let login = |which| Login::new(LoginKind::ManagedIdentity(which));
        let token = login(ManagedIdentity::System).token(&network, "https://s/.default").unwrap();
        assert_eq!((token.secret.expose(), token.lifetime.as_secs()), ("t", 3600));
        let sent = sent.recv().unwrap();
        assert!(sent.starts_with("POST /oauth2/token HTTP/1.1\r\n"), "{sent}");
        assert!(
            sent.contains("metadata: true\r\n") && sent.ends_with("\r\n\r\nresource=https%3A%2F%2Fs"),
            "{sent}"
        );
        let error = login(ManagedIdentity::ClientId("c".into())).token(&network, "s").unwrap_err();
        assert!(error.to_string().starts_with("Cloud Shell has its own identity only"), "{error}");
    }

    #[test]
    fn only_keys_of_the_agent_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("tokens");
        std::fs::create_dir(&keys).unwrap();
        std::fs::write(keys.join("a.key"), "k3y\n").unwrap();
        std::fs::write(keys.join("a.txt"), "k3y").unwrap();
        std::fs::write(keys.join("b.key"), [b'x'; 4097]).unwrap();
        std::fs::write(dir.path().join("c.key"), "k3y").unwrap();
        std::os::unix::fs::symlink(dir.path().join("c.key"), keys.join("d.key")).unwrap();
        assert_eq!(read_key(&keys, &keys.join("a.key")).unwrap().expose(), "k3y");
        for bad in ["a.txt", "b.key", "../c.key", "d.key", "none.key"] {
            assert!(read_key(&keys, &keys.join(bad)).is_err(), "{bad}");
        }
    }
}
