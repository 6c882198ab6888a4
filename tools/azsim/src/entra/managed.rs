//! Managed identities, as virtual machines, App Service and Azure Arc offer them.
//!
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>,
//! <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>,
//! <https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication>.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use serde_json::{Value, json};

use super::answer::{Failure, Reply};
use super::issuer::{Issued, Principal};
use super::model::{ManagedIdentity, TokenRequest};
use super::params::Params;
use super::random;
use super::state::{Seen, Shared, is_resource, no_such_resource};

/// Seconds that a token of a managed identity lives, unless the test says otherwise.
const LIFETIME_S: u32 = 86_399;

/// Answers as the instance metadata service.
pub(super) fn imds(shared: &Shared, request: &Seen<'_>, log: &mut TokenRequest) -> Result<Reply, Failure> {
    let query = request.query()?;
    metadata_header(request)?;
    request.without(&["x-forwarded-for", "x-identity-header", "authorization"])?;
    let ids = ["client_id", "object_id", "msi_res_id"];
    // The first version that knows identities, and the one that azure_identity asks for.
    let id = expect(&query, &["2018-02-01", "2019-08-01"], &ids)?;
    id.unwrap_or_default().clone_into(&mut log.client);
    shared.trouble(false)?;
    let identity = identity(shared, id)?;
    let issued = issue(shared, &identity, query.value("resource"))?;
    Ok(Reply::ok(full_document(shared, &identity, &query, &issued)))
}

/// Answers as the identity endpoint of App Service.
pub(super) fn app_service(
    shared: &Shared,
    request: &Seen<'_>,
    log: &mut TokenRequest,
) -> Result<Reply, Failure> {
    let query = request.query()?;
    request.without(&["x-forwarded-for", "authorization"])?;
    if request.header("x-identity-header")? != shared.app_service_secret {
        return Err(Failure::Deviation("X-IDENTITY-HEADER is not the secret".to_owned()));
    }
    let ids = ["client_id", "principal_id", "object_id", "mi_res_id"];
    let id = expect(&query, &["2019-08-01"], &ids)?;
    id.unwrap_or_default().clone_into(&mut log.client);
    shared.trouble(false)?;
    let identity = identity(shared, id)?;
    let issued = issue(shared, &identity, query.value("resource"))?;
    Ok(Reply::ok(json!({
        "access_token": issued.token,
        "expires_on": number(shared, issued.expires_on_s),
        "resource": query.value("resource"),
        "token_type": "Bearer",
        "client_id": identity.client_id,
    })))
}

/// Answers as the agent of Azure Arc: first with a key file that only a member of its group can read.
pub(super) fn arc(shared: &Shared, request: &Seen<'_>, log: &mut TokenRequest) -> Result<Reply, Failure> {
    let query = request.query()?;
    metadata_header(request)?;
    request.without(&["x-forwarded-for", "x-identity-header"])?;
    expect(&query, &["2019-11-01", "2020-06-01"], &[])?;
    let Some(directory) = &shared.arc_keys else {
        return Err(Failure::Deviation("no directory for the keys of Arc was given".to_owned()));
    };
    shared.trouble(false)?;
    if !request.parts.headers.contains_key("authorization") {
        let (path, key) = (directory.join(format!("{}.key", random::guid())), random::secret());
        let written = std::fs::write(&path, &key);
        written.map_err(|e| Failure::Refused(Reply::plain(500, "server_error", &e.to_string())))?;
        let realm = format!("Basic realm={}", path.display());
        shared.state().arc_challenges.push((path, key));
        let mut challenge = Reply::plain(401, "unauthorized", "The key file has to be shown.");
        challenge.headers.push((WWW_AUTHENTICATE, realm));
        return Err(Failure::Refused(challenge));
    }
    let shown = request.header("authorization")?.strip_prefix("Basic ").unwrap_or_default();
    let used = {
        let mut state = shared.state();
        let at = state.arc_challenges.iter().position(|(_, key)| key == shown);
        at.map(|at| state.arc_challenges.swap_remove(at))
    };
    let Some((path, _)) = used else {
        return Err(Failure::Deviation(
            "Authorization is not Basic with the content of a key file".to_owned(),
        ));
    };
    // The agent keeps no used keys; one that is gone already needs no removal.
    let _ = std::fs::remove_file(path);
    let identity = identity(shared, None)?;
    let issued = issue(shared, &identity, query.value("resource"))?;
    log.client.clone_from(&identity.client_id);
    Ok(Reply::ok(full_document(shared, &identity, &query, &issued)))
}

fn metadata_header(request: &Seen<'_>) -> Result<(), Failure> {
    match request.header("metadata")? {
        "true" => Ok(()),
        _ => Err(Failure::Deviation("the header Metadata is not true".to_owned())),
    }
}

/// Demands a known version and a resource, and gives the one parameter that names an identity.
fn expect<'p>(query: &'p Params<'_>, versions: &[&str], ids: &[&str]) -> Result<Option<&'p str>, Failure> {
    query.expect(&["api-version", "resource"], ids).map_err(Failure::Deviation)?;
    if !versions.contains(&query.value("api-version")) {
        return Err(Failure::Deviation(format!("there is no api-version {}", query.value("api-version"))));
    }
    let mut given = ids.iter().filter_map(|id| query.get(id));
    let first = given.next();
    match given.next() {
        None => Ok(first),
        Some(_) => Err(Failure::Deviation("an identity is named in more than one way".to_owned())),
    }
}

/// The identity of this name; without a name that of the system, or else the only one.
fn identity(shared: &Shared, id: Option<&str>) -> Result<Arc<ManagedIdentity>, Failure> {
    let state = shared.state();
    let mut all = state.identities.iter();
    let found = match id {
        Some(id) => all.find(|i| {
            [Some(&i.client_id), Some(&i.object_id), i.resource_id.as_ref()]
                .into_iter()
                .flatten()
                .any(|known| known.eq_ignore_ascii_case(id))
        }),
        None if all.len() == 1 => all.next(),
        None => all.find(|i| i.resource_id.is_none()),
    };
    let missing = || Failure::Refused(Reply::plain(400, "invalid_request", "Identity not found"));
    found.cloned().ok_or_else(missing)
}

fn issue(shared: &Shared, identity: &ManagedIdentity, resource: &str) -> Result<Issued, Failure> {
    let tenant = &shared.issuer.tenant;
    if !is_resource(resource) {
        let error = no_such_resource(resource, tenant);
        let text = format!("AADSTS{}: {}", error.code, error.text);
        return Err(Failure::Refused(Reply::plain(error.status, error.error, &text)));
    }
    let who = Principal { tenant, object_id: &identity.object_id, client_id: &identity.client_id };
    Ok(shared.issue(&who, resource, LIFETIME_S))
}

/// A number, which these services write as a string.
fn number(shared: &Shared, n: u64) -> Value {
    if shared.state().behaviour.numbers { n.into() } else { n.to_string().into() }
}

/// The answer of IMDS and Arc.
fn full_document(shared: &Shared, identity: &ManagedIdentity, query: &Params<'_>, issued: &Issued) -> Value {
    json!({
        "access_token": issued.token,
        "client_id": identity.client_id,
        "expires_in": number(shared, issued.expires_in_s),
        "expires_on": number(shared, issued.expires_on_s),
        "ext_expires_in": number(shared, issued.expires_in_s),
        "not_before": number(shared, issued.not_before_s),
        "resource": query.value("resource"),
        "token_type": "Bearer",
    })
}
