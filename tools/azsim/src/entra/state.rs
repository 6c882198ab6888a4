//! What the authority knows, and the checks that all its endpoints share.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use http::request::Parts;

use super::answer::{EntraError, Failure, Reply};
use super::issuer::{Issuer, Principal};
use super::model::{Application, Behaviour, ManagedIdentity, SignIn, TokenRequest, Trouble};
use super::params::{Params, Place};

/// What the threads of an authority share.
pub(super) struct Shared {
    pub(super) issuer: Arc<Issuer>,
    /// The secret of the App Service endpoint.
    pub(super) app_service_secret: String,
    /// Where the agent of Azure Arc leaves its keys.
    pub(super) arc_keys: Option<PathBuf>,
    /// `https` or `http`.
    pub(super) scheme: &'static str,
    state: Mutex<State>,
}

/// What changes while the authority runs.
#[derive(Default)]
pub(super) struct State {
    pub(super) applications: Vec<Arc<Application>>,
    pub(super) identities: Vec<Arc<ManagedIdentity>>,
    pub(super) behaviour: Behaviour,
    troubles: VecDeque<Trouble>,
    pub(super) devices: Vec<Device>,
    pub(super) refresh_tokens: BTreeMap<String, Consent>,
    /// Key files of Azure Arc that are still to be used, with their content.
    pub(super) arc_challenges: Vec<(PathBuf, String)>,
    pub(super) deviations: Vec<String>,
    pub(super) requests: Vec<TokenRequest>,
}

/// What a user has agreed to.
#[derive(Clone)]
pub(super) struct Consent {
    pub(super) application: Arc<Application>,
    pub(super) audience: String,
    pub(super) scope: String,
    /// Whether refresh tokens were asked for.
    pub(super) offline: bool,
}

/// A device code that was handed out. Times are those of the authority's clock.
pub(super) struct Device {
    pub(super) code: String,
    pub(super) user_code: String,
    pub(super) consent: Consent,
    pub(super) expires_ms: u64,
    pub(super) interval_s: u32,
    pub(super) next_poll_ms: u64,
    pub(super) polls: u32,
    /// Whether the user said yes or no.
    pub(super) answer: Option<bool>,
}

/// A request, read.
pub(super) struct Seen<'r> {
    pub(super) parts: &'r Parts,
    pub(super) body: &'r [u8],
}

impl Shared {
    pub(super) fn new(
        issuer: Issuer,
        scheme: &'static str,
        app_service_secret: String,
        arc_keys: Option<PathBuf>,
    ) -> Shared {
        Shared { issuer: Arc::new(issuer), app_service_secret, arc_keys, scheme, state: Mutex::default() }
    }

    /// The state, locked; never across an await.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tenant of an application.
    pub(super) fn tenant_of<'a>(&'a self, application: &'a Application) -> &'a str {
        application.tenant.as_deref().unwrap_or(&self.issuer.tenant)
    }

    pub(super) fn delay(&self) -> Duration {
        self.state().behaviour.delay
    }

    pub(super) fn set_behaviour(&self, behaviour: Behaviour) {
        let mut state = self.state();
        state.troubles = behaviour.troubles.iter().copied().collect();
        state.behaviour = behaviour;
    }

    /// The answer that stands in place of a token, when one is due. `entra`: in Entra's words.
    pub(super) fn trouble(&self, entra: bool) -> Result<(), Failure> {
        let Some(trouble) = self.state().troubles.pop_front() else { return Ok(()) };
        let (error, retry_after) = match trouble {
            Trouble::TooManyRequests(s) => {
                (EntraError::new(429, "temporarily_unavailable", 50196, "Too many requests."), s)
            }
            Trouble::TenantThrottled => {
                let text = "The server has terminated the request due to excessive request rate. \
                            Please wait a few seconds and try again.";
                (EntraError::new(429, "temporarily_unavailable", 90055, text), None)
            }
            Trouble::ServerError => (EntraError::new(500, "server_error", 90020, "An internal error."), None),
            Trouble::Unavailable(s) => {
                (EntraError::new(503, "temporarily_unavailable", 90033, "A transient error has occurred."), s)
            }
        };
        let reply = if entra { error.reply() } else { Reply::plain(error.status, error.error, &error.text) };
        Err(Failure::Refused(reply.retry_after(retry_after)))
    }

    /// A token in the way that is asked for today, and the document around it is the caller's.
    pub(super) fn issue(&self, who: &Principal<'_>, audience: &str, usual_s: u32) -> super::issuer::Issued {
        let (lifetime, expired) = {
            let state = self.state();
            (state.behaviour.lifetime_s.unwrap_or(usual_s), state.behaviour.expired)
        };
        self.issuer.issue(who, audience, lifetime, expired)
    }
}

impl State {
    /// What the plan says about a device code that is polled for the `polls`-th time; `None`: wait for the test.
    pub(super) fn planned(&self, polls: u32) -> Option<SignIn> {
        let plan = self.behaviour.sign_in;
        let after = match plan {
            SignIn::Wait => return None,
            SignIn::ApproveAfter(n) | SignIn::DeclineAfter(n) | SignIn::ExpireAfter(n) => n,
        };
        (polls > after).then_some(plan)
    }
}

impl<'r> Seen<'r> {
    /// The value of a header that must be there once.
    pub(super) fn header(&self, name: &str) -> Result<&'r str, Failure> {
        let mut values = self.parts.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => {
                value.to_str().map_err(|_| Failure::Deviation(format!("the header {name} is not ASCII")))
            }
            (None, _) => Err(Failure::Deviation(format!("the header {name} is missing"))),
            _ => Err(Failure::Deviation(format!("the header {name} is given twice"))),
        }
    }

    /// Refuses headers that do not belong here: proofs of another endpoint, or traces of a proxy.
    pub(super) fn without(&self, names: &[&str]) -> Result<(), Failure> {
        match names.iter().find(|n| self.parts.headers.contains_key(**n)) {
            Some(name) => Err(Failure::Deviation(format!("the header {name} does not belong here"))),
            None => Ok(()),
        }
    }

    fn method(&self, expected: Method) -> Result<(), Failure> {
        if self.parts.method == expected {
            return Ok(());
        }
        Err(Failure::Deviation(format!("the method is {}, not {expected}", self.parts.method)))
    }

    /// The form of a POST to Entra ID.
    pub(super) fn form(&self) -> Result<Params<'r>, Failure> {
        self.method(Method::POST)?;
        self.without(&["authorization", "metadata", "x-identity-header", "cookie", "content-encoding"])?;
        if self.parts.uri.query().is_some() {
            return Err(Failure::Deviation("the URL has a query".to_owned()));
        }
        let kind = self.header("content-type")?.to_ascii_lowercase();
        let (media, charset) =
            kind.split_once(';').map_or((kind.as_str(), "charset=utf-8"), |(m, c)| (m, c.trim()));
        if media.trim() != "application/x-www-form-urlencoded" || charset != "charset=utf-8" {
            return Err(Failure::Deviation(format!("the content type is {kind}")));
        }
        let text = std::str::from_utf8(self.body)
            .map_err(|_| Failure::Deviation("the form is not UTF-8".to_owned()))?;
        Params::parse(text, Place::Form).map_err(Failure::Deviation)
    }

    /// The query of a GET to a metadata service.
    pub(super) fn query(&self) -> Result<Params<'r>, Failure> {
        self.method(Method::GET)?;
        if !self.body.is_empty() {
            return Err(Failure::Deviation("a GET has a body".to_owned()));
        }
        Params::parse(self.parts.uri.query().unwrap_or_default(), Place::Query).map_err(Failure::Deviation)
    }
}

/// Whether a resource is one that tokens are issued for.
pub(super) fn is_resource(resource: &str) -> bool {
    let resource = resource.strip_suffix('/').unwrap_or(resource);
    matches!(
        resource,
        "https://storage.azure.com" | "https://disk.azure.com" | "https://management.azure.com"
    ) || resource
        .strip_prefix("https://")
        .and_then(|host| host.strip_suffix(".blob.core.windows.net"))
        .is_some_and(|account| !account.is_empty() && account.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// AADSTS500011, for a resource that nobody has registered.
pub(super) fn no_such_resource(resource: &str, tenant: &str) -> EntraError {
    let text = format!("The resource principal named {resource} was not found in the tenant named {tenant}.");
    EntraError::bad("invalid_resource", 500_011, text)
}
