//! The token endpoint: <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use std::sync::Arc;

use serde_json::json;

use super::answer::{EntraError, Failure, Reply};
use super::issuer::{self, Principal};
use super::jwt::{self, Jwt, Refusal};
use super::model::{Application, TokenRequest, Validity};
use super::params::Params;
use super::state::{Consent, Seen, Shared, is_resource, no_such_resource};
use super::{device, random};

/// Seconds that a token of an application or a user lives, unless the test says otherwise.
const LIFETIME_S: u32 = 3599;
/// The only kind of assertion.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// What stands before the names of grants that are no part of OAuth 2.0 itself.
pub(super) const GRANT_PREFIX: &str = "urn:ietf:params:oauth:grant-type:";

/// Answers a request for a token.
pub(super) fn token(
    shared: &Shared,
    request: &Seen<'_>,
    tenant: &str,
    log: &mut TokenRequest,
) -> Result<Reply, Failure> {
    let form = request.form()?;
    let grant = form.get("grant_type").unwrap_or_default();
    grant.strip_prefix(GRANT_PREFIX).unwrap_or(grant).clone_into(&mut log.grant);
    form.value("client_id").clone_into(&mut log.client);
    let (required, optional): (&[&str], &[&str]) = match grant {
        "client_credentials" if form.get("client_assertion").is_some() => {
            (&["grant_type", "client_id", "scope", "client_assertion", "client_assertion_type"], &[])
        }
        "client_credentials" => (&["grant_type", "client_id", "scope"], &["client_secret"]),
        "urn:ietf:params:oauth:grant-type:device_code" => (&["grant_type", "client_id", "device_code"], &[]),
        "refresh_token" => (&["grant_type", "client_id", "refresh_token"], &["scope"]),
        _ => return Err(Failure::Deviation(format!("there is no grant_type '{grant}'"))),
    };
    form.expect(required, optional).map_err(Failure::Deviation)?;
    shared.trouble(true)?;
    match grant {
        "client_credentials" => {
            let application = application(shared, tenant, form.value("client_id"), false)?;
            let endpoint =
                format!("{}://{}{}", shared.scheme, request.header("host")?, request.parts.uri.path());
            prove(&application, &form, &endpoint)?;
            for_application(shared, &application, form.value("scope"))
        }
        "refresh_token" => refresh(shared, tenant, &form),
        _ => {
            let application = application(shared, tenant, form.value("client_id"), true)?;
            device::poll(shared, &application, form.value("device_code"))
        }
    }
}

/// Finds an application. `for_users`: the flow also goes through `common` and `organizations`.
pub(super) fn application(
    shared: &Shared,
    tenant: &str,
    client_id: &str,
    for_users: bool,
) -> Result<Arc<Application>, EntraError> {
    let state = shared.state();
    let mut applications = state.applications.iter();
    let is_of = |a: &Application, tenant: &str| shared.tenant_of(a).eq_ignore_ascii_case(tenant);
    let of_client = |a: &&Arc<Application>| a.client_id.eq_ignore_ascii_case(client_id);
    let found = if matches!(tenant, "common" | "organizations") {
        if !for_users {
            let text = "No tenant-identifying information found in either the request or implied by any provided credentials.";
            return Err(EntraError::bad("invalid_request", 50_059, text));
        }
        applications.find(of_client)
    } else {
        let known = applications.clone().any(|a| is_of(a, tenant));
        if !known && !tenant.eq_ignore_ascii_case(&shared.issuer.tenant) {
            let text = format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into \
                 the correct cloud."
            );
            return Err(EntraError::bad("invalid_request", 90_002, text));
        }
        applications.filter(|a| is_of(a, tenant)).find(of_client)
    };
    found.cloned().ok_or_else(|| {
        let text =
            format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.");
        EntraError::bad("unauthorized_client", 700_016, text)
    })
}

/// Checks the secret or the assertion of an application.
fn prove(application: &Application, form: &Params<'_>, endpoint: &str) -> Result<(), Failure> {
    let id = &application.client_id;
    if let Some(secret) = form.get("client_secret") {
        return match application.secrets.iter().find(|(known, _)| known == secret) {
            Some((_, Validity::Valid)) => Ok(()),
            Some((_, Validity::Expired)) => Err(EntraError::client(
                7_000_222,
                format!("The provided client secret keys for app '{id}' are expired."),
            )
            .into()),
            None => Err(EntraError::client(
                7_000_215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                     value, not the client secret ID, for a secret added to app '{id}'."
                ),
            )
            .into()),
        };
    }
    let Some(assertion) = form.get("client_assertion") else {
        let text =
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(EntraError::client(7_000_218, text).into());
    };
    if form.value("client_assertion_type") != ASSERTION_TYPE {
        return Err(Failure::Deviation("there is no such client_assertion_type".to_owned()));
    }
    if application.federated.iter().any(|known| known == assertion) {
        return Ok(());
    }
    if application.certificates.is_empty() {
        let text = "No matching federated identity record found for presented assertion.";
        return Err(EntraError::bad("invalid_request", 70_021, text).into());
    }
    let jwt = Jwt::read(assertion)
        .ok_or_else(|| Failure::Deviation("the client_assertion is no JWT".to_owned()))?;
    jwt::check_assertion(&jwt, &application.certificates, id, endpoint, issuer::wall_s())
        .map_err(|refusal| refused_assertion(&refusal, endpoint))
}

fn refused_assertion(refusal: &Refusal, endpoint: &str) -> Failure {
    let error = match refusal {
        Refusal::Malformed(field) => {
            return Failure::Deviation(format!("the client_assertion breaks the rules: {field}"));
        }
        Refusal::UnknownCertificate => EntraError::client(
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered on application. \
             [Reason - The key was not found.]",
        ),
        Refusal::Signature => EntraError::client(
            700_027,
            "Client assertion contains an invalid signature. [Reason - The key used is incorrect.]",
        ),
        Refusal::Audience => EntraError::client(
            700_023,
            format!("Client assertion audience claim does not match Realm issuer. It should be {endpoint}."),
        ),
        Refusal::Issuer => EntraError::client(
            700_021,
            "Client assertion application identifier doesn't match 'client_id' parameter.",
        ),
        Refusal::Time => EntraError::client(700_024, "Client assertion is not within its valid time range."),
    };
    error.into()
}

/// A token for an application itself.
fn for_application(shared: &Shared, application: &Application, scope: &str) -> Result<Reply, Failure> {
    let tenant = shared.tenant_of(application);
    let Some(resource) = scope.strip_suffix("/.default") else {
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI)."
        );
        return Err(EntraError::bad("invalid_scope", 1_002_012, text).into());
    };
    if !is_resource(resource) {
        return Err(no_such_resource(resource, tenant).into());
    }
    let who = Principal { tenant, object_id: &application.object_id, client_id: &application.client_id };
    let issued = shared.issue(&who, resource, LIFETIME_S);
    Ok(Reply::ok(json!({
        "token_type": "Bearer",
        "expires_in": issued.expires_in_s,
        "ext_expires_in": issued.expires_in_s,
        "access_token": issued.token,
    })))
}

/// What a user is asked to agree to.
///
/// # Errors
/// AADSTS70011 unless the scope is one of storage, beside those of OpenID.
pub(super) fn consent(
    shared: &Shared,
    application: &Arc<Application>,
    scope: &str,
) -> Result<Consent, EntraError> {
    let bad = || EntraError::bad("invalid_scope", 70_011, format!("The scope {scope} is not valid."));
    let mut audience = None;
    let mut offline = false;
    for word in scope.split(' ') {
        match word {
            "offline_access" => offline = true,
            "openid" | "profile" | "email" => {}
            _ => {
                let resource =
                    word.strip_suffix("/.default").or_else(|| word.strip_suffix("/user_impersonation"));
                let resource = resource.ok_or_else(bad)?;
                if !is_resource(resource) {
                    return Err(no_such_resource(resource, shared.tenant_of(application)));
                }
                if audience.replace(resource.to_owned()).is_some() {
                    // One token is for one resource.
                    return Err(bad());
                }
            }
        }
    }
    let audience = audience.ok_or_else(bad)?;
    Ok(Consent { application: Arc::clone(application), audience, scope: scope.to_owned(), offline })
}

/// A token for a user, with another to renew it where that was asked for.
pub(super) fn for_user(shared: &Shared, consent: &Consent) -> Reply {
    let application = &consent.application;
    let tenant = shared.tenant_of(application);
    let who = Principal { tenant, object_id: &application.object_id, client_id: &application.client_id };
    let issued = shared.issue(&who, &consent.audience, LIFETIME_S);
    let mut body = json!({
        "token_type": "Bearer",
        "scope": consent.scope,
        "expires_in": issued.expires_in_s,
        "ext_expires_in": issued.expires_in_s,
        "access_token": issued.token,
    });
    if consent.offline {
        let token = random::secret();
        shared.state().refresh_tokens.insert(token.clone(), consent.clone());
        body["refresh_token"] = token.into();
    }
    Reply::ok(body)
}

fn refresh(shared: &Shared, tenant: &str, form: &Params<'_>) -> Result<Reply, Failure> {
    let application = application(shared, tenant, form.value("client_id"), true)?;
    let known = shared.state().refresh_tokens.get(form.value("refresh_token")).cloned();
    let known = known.filter(|c| Arc::ptr_eq(&c.application, &application));
    let Some(mut given) = known else {
        let text = "The provided value for the input parameter 'refresh_token' is not valid.";
        return Err(EntraError::bad("invalid_grant", 70_000, text).into());
    };
    if let Some(scope) = form.get("scope") {
        // The right to renew lasts, whether it is named again or not.
        given = Consent { offline: given.offline, ..consent(shared, &application, scope)? };
    }
    Ok(for_user(shared, &given))
}
