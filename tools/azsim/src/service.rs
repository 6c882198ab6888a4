//! One request from its head to its answer: faults, version, authentication, operation.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::answer::{self, Answer, Failure, RequestIds};
use crate::auth::{self, Grant, Peer};
use crate::body::{Body, drain};
use crate::conn::{ConnState, Cut};
use crate::content::Backend;
use crate::entra::{Issuer, Trusted};
use crate::error::{
    AUTHORIZATION_FAILURE, AUTHORIZATION_PERMISSION_MISMATCH, ApiError, INVALID_HEADER_VALUE, Result,
};
use crate::faults::{Asked, Fault, Switch};
use crate::fetch::Fetching;
use crate::firewall::Caller;
use crate::headers::{self, text};
use crate::names::Order;
use crate::properties::{Props, Spelling, Tiers, put};
use crate::route::{Operation, route};
use crate::service_log::{ServiceLog, ServiceRequest};
use crate::stats::{Counters, InFlight};
use crate::store::{Account, Clock, Container};
use crate::target::{NameRules, Target};
use crate::{
    acl, append_blob, batch, block_blob, change, conditions, container, copy, delegation_key, delete,
    from_url, known, lease, list, page_blob, read_blob, tags, time,
};

/// What all threads of a server share.
pub(crate) struct Shared {
    pub(crate) accounts: Vec<Arc<Account>>,
    pub(crate) backend: Backend,
    pub(crate) switch: Switch,
    pub(crate) clock: Clock,
    pub(crate) request_ids: RequestIds,
    pub(crate) in_flight: InFlight,
    pub(crate) counters: Vec<Counters>,
    /// Compute and store the MD5 of every Put Blob, as the real service does.
    pub(crate) always_md5: bool,
    /// Keep what is overwritten or deleted as an earlier version.
    pub(crate) versioning: bool,
    /// Keep what is deleted or overwritten for this many days, as deleted.
    pub(crate) soft_delete: Option<u32>,
    /// The order of names in listings.
    pub(crate) order: Order,
    /// What becomes of paths before they name something.
    pub(crate) names: NameRules,
    /// The account takes page blobs alone, and knows their tiers.
    pub(crate) premium_pages: bool,
    /// The encryption scopes that there are; none: every name is one.
    pub(crate) scopes: Vec<String>,
    /// For how long a container that was deleted cannot be made again, in ticks.
    pub(crate) container_deletion: u64,
    /// What [`Server::advance`](crate::Server::advance) added to the time of leases, in ticks.
    pub(crate) advanced: AtomicU64,
    /// The authority whose tokens are accepted.
    pub(crate) issuer: Option<Arc<Issuer>>,
    /// The latest requests of services.
    pub(crate) service_log: ServiceLog,
    /// The newest version that requests may name.
    pub(crate) newest: String,
    /// Copy Blob stays pending until it is told to go on.
    pub(crate) pending_copies: AtomicBool,
    /// How sources of copies are read.
    pub(crate) fetching: Fetching,
}

impl Shared {
    /// The time by which leases and the deletion of containers end, in ticks.
    pub(crate) fn now(&self) -> u64 {
        time::now() + self.advanced.load(Ordering::Relaxed)
    }

    /// Gives the properties of a new version its id, where versions are kept.
    pub(crate) fn stamp(&self, props: &mut Props, tick: u64) {
        if self.versioning {
            props.set_rare(|rare| rare.version = tick);
        }
    }

    /// Whether a version of the service is one that this server is of.
    pub(crate) fn knows(&self, version: &str) -> bool {
        auth::is_version(version) && version <= &*self.newest
    }

    /// Whose tokens an account takes.
    pub(crate) fn issuer<'a>(&'a self, account: &'a Account) -> Option<Trusted<'a>> {
        let issuer = self.issuer.as_deref()?;
        Some(Trusted::new(issuer, &account.name, account.tenant.as_deref()))
    }

    /// The time of a deletion that happens now, where what is deleted is kept.
    pub(crate) fn deletion(&self) -> Option<u64> {
        self.soft_delete.map(|_| self.clock.tick())
    }
}

/// The facts of one connection that its requests need.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) shared: Arc<Shared>,
    pub(crate) worker: usize,
    pub(crate) conn: Arc<ConnState>,
    pub(crate) peer: Peer,
    pub(crate) http1: bool,
}

/// No answer: hyper closes the connection, or resets the stream.
#[derive(Debug)]
pub(crate) struct Aborted;

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request is not answered")
    }
}

impl std::error::Error for Aborted {}

/// A request that may be carried out.
pub(crate) struct Rq<'r> {
    pub(crate) shared: &'r Shared,
    pub(crate) counters: &'r Counters,
    /// The number of the thread.
    pub(crate) worker: usize,
    pub(crate) parts: &'r Parts,
    pub(crate) target: &'r Target<'r>,
    pub(crate) grant: Grant,
    /// `x-ms-version`, or what stands for it.
    pub(crate) version: &'r str,
    pub(crate) peer: Peer,
    /// Metadata names as the client spelled them.
    pub(crate) metadata_names: &'r [Box<str>],
}

impl Rq<'_> {
    /// Which blobs of the account have tiers.
    pub(crate) fn tiers(&self) -> Tiers {
        match (self.target.account.premium_blocks, self.shared.premium_pages) {
            (true, _) => Tiers::None,
            (false, true) => Tiers::OfPages,
            (false, false) => Tiers::OfBlocks,
        }
    }

    /// The container that the request names.
    pub(crate) fn container(&self) -> Result<Arc<Container>> {
        self.target.account.container(self.target.names().0)
    }
}

impl Link {
    fn counters(&self) -> &Counters {
        &self.shared.counters[self.worker]
    }

    /// Answers one request.
    pub(crate) async fn serve(
        self,
        request: Request<Incoming>,
    ) -> std::result::Result<Response<Body>, Aborted> {
        let _in_flight = self.shared.in_flight.enter();
        let (parts, body) = request.into_parts();
        let names = if self.http1 { self.conn.take_metadata_names() } else { Vec::new() };
        let mut body = Some(body);
        let target = Target::parse(&parts, &self.shared.accounts, self.shared.names);
        let routed = match &target {
            Ok(target) => route(&parts, target),
            Err(e) => Err(e.clone()),
        };
        let operation = routed.as_ref().map_or(Operation::Other, |o| *o);
        self.counters().request(operation);
        let caller = Caller::of(&parts, self.peer);
        let of_service = !matches!(caller, Caller::Client { .. });
        if of_service {
            self.counters().of_service(operation);
        }

        let (container, blob) = target.as_ref().map_or(("", ""), Target::names);
        let account = target.as_ref().map_or("", |target| target.account.name.as_str());
        let verdict = self.shared.switch.judge(&Asked { account, caller, container, blob, operation });
        if !verdict.delay.is_zero() {
            tokio::time::sleep(verdict.delay).await;
        }
        if let Some(mut held) = verdict.held {
            // It fails when the server is gone, and this request with it.
            let _ = held.changed().await;
        }
        let outcome = match verdict.fault {
            Some(Fault::Stall) => pending().await,
            Some(Fault::Reset) => {
                self.finish_body(&parts, &mut body).await?;
                self.conn.reset.store(self.http1, Ordering::Release);
                return Err(Aborted);
            }
            Some(Fault::Error { status, ref code, retry_after_s }) => {
                Err(Failure::Api(ApiError { retry_after_s, ..ApiError::custom(status, code) }))
            }
            _ => match (&target, routed) {
                (Ok(target), _) if !target.account.network().admits(&caller) => {
                    Err(AUTHORIZATION_FAILURE.into())
                }
                (Ok(target), routed) => self.run(&parts, target, caller, routed, &names, &mut body).await,
                (Err(e), _) => Err(e.clone().into()),
            },
        };
        self.finish_body(&parts, &mut body).await?;
        self.conn.request_done();
        let id = self.shared.request_ids.next();
        let mut answer = match outcome {
            Ok(answer) => answer,
            Err(Failure::Gone) => return Err(Aborted),
            Err(Failure::Api(error)) => {
                self.counters().error(&error.code, error.status);
                answer::error(&error, id.as_str(), &parts.method)
            }
        };
        if let Some(seen) = ServiceRequest::of(&caller, account, container, blob, operation, answer.status())
        {
            self.shared.service_log.add(seen);
        }
        let headers = answer.headers_mut();
        let (name, value) = answer::server();
        headers.insert(name, value);
        headers.insert(headers::REQUEST_ID, id.header());
        // Every answer says which version it is of: the one that was asked for, if it is one.
        let queried = |name: &str| target.as_ref().ok().and_then(|t| t.query.get(name));
        let asked = text(&parts, "x-ms-version").or_else(|| queried("api-version")).or_else(|| queried("sv"));
        let version = asked.filter(|v| self.shared.knows(v)).unwrap_or(auth::VERSIONS.0);
        if let Ok(version) = HeaderValue::from_str(version) {
            headers.insert(headers::VERSION, version);
        }
        if let Some(id) = parts.headers.get(headers::CLIENT_REQUEST_ID).filter(|id| id.len() <= 1024) {
            headers.insert(headers::CLIENT_REQUEST_ID, id.clone());
        }
        if let Some(spelling) = answer.extensions_mut().remove::<Spelling>() {
            if of_service {
                put(answer.headers_mut(), headers::METADATA_NAMES, &spelling.0.join(","));
            } else if self.http1 {
                self.conn.spell_answer(spelling.0);
            }
        }
        self.counters().sent(answer.body().len());
        self.cut(verdict.fault, &mut answer)?;
        Ok(answer)
    }

    /// Arranges for the answer to end early, or to lie, when that is the fault of the day.
    fn cut(&self, fault: Option<Fault>, answer: &mut Answer) -> std::result::Result<(), Aborted> {
        let body = answer.body().len();
        match fault {
            Some(Fault::CutBody) if body > 0 && self.http1 => {
                self.conn.cut_answer(Cut::AfterHeaders(body as usize / 2));
            }
            Some(Fault::CutBody) if body > 0 => answer.body_mut().fail_halfway(),
            Some(Fault::WrongChecksum) => lie(answer),
            Some(Fault::CutHeaders | Fault::CutBody) if self.http1 => self.conn.cut_answer(Cut::After(11)),
            Some(Fault::CutHeaders | Fault::CutBody) => return Err(Aborted),
            _ => {}
        }
        Ok(())
    }

    /// Reads what is left of the request. A client that waits for `100 Continue` is told the error instead.
    async fn finish_body(
        &self,
        parts: &Parts,
        body: &mut Option<Incoming>,
    ) -> std::result::Result<(), Aborted> {
        if let Some(body) = body.take()
            && !body.is_end_stream()
            && !parts.headers.contains_key("expect")
        {
            let len = drain(body).await.map_err(|_| Aborted)?;
            self.counters().received(len);
        }
        Ok(())
    }

    async fn run(
        &self,
        parts: &Parts,
        target: &Target<'_>,
        caller: Caller<'_>,
        routed: Result<Operation>,
        metadata_names: &[Box<str>],
        body: &mut Option<Incoming>,
    ) -> std::result::Result<Answer, Failure> {
        let version = text(parts, "x-ms-version").or_else(|| target.query.get("api-version"));
        if let Some(version) = version.filter(|v| !self.shared.knows(v)) {
            return Err(INVALID_HEADER_VALUE.header("x-ms-version", version).into());
        }
        // A service that reads on behalf of a client has the client's address.
        let peer = match caller {
            Caller::OnBehalf { client, .. } => Peer { ip: client, ..self.peer },
            _ => self.peer,
        };
        let grant = auth::authenticate(parts, target, peer, version, self.shared.issuer(&target.account))?;
        if grant == Grant::Anonymous {
            let access = target.container.as_deref().and_then(|c| target.account.container(c).ok());
            let access = access.map_or(auth::PublicAccess::None, |c| c.facts().access);
            let operation = routed.as_ref().map_or(Operation::Other, |o| *o);
            auth::allow_anonymous(operation, access, self.shared.issuer(&target.account))?;
        }
        let operation = routed?;
        auth::authorize(&grant, operation)?;
        allowed(parts, target, &grant, operation)?;
        let version = version.or_else(|| target.query.get("sv")).unwrap_or(auth::VERSIONS.0);
        let rq = Rq {
            shared: &self.shared,
            counters: self.counters(),
            worker: self.worker,
            parts,
            target,
            grant,
            version,
            peer,
            metadata_names,
        };
        match operation {
            Operation::PutBlob => block_blob::put_blob(&rq, body).await,
            Operation::PutBlock => block_blob::put_block(&rq, body).await,
            Operation::PutBlobFromUrl => from_url::put_blob(&rq).await,
            Operation::PutBlockFromUrl => from_url::put_block(&rq).await,
            Operation::AppendBlockFromUrl => from_url::append_block(&rq).await,
            Operation::PutPageFromUrl => from_url::put_page(&rq).await,
            Operation::CopyBlob => copy::copy(&rq).await,
            Operation::CopyBlobFromUrl => copy::copy_from_url(&rq).await,
            Operation::AbortCopyBlob => copy::abort(&rq),
            Operation::PutBlockList => block_blob::put_block_list(&rq, body).await,
            Operation::GetBlockList => block_blob::get_block_list(&rq),
            Operation::GetBlob => read_blob::get(&rq),
            Operation::GetBlobProperties => read_blob::properties(&rq),
            Operation::DeleteBlob => delete::delete(&rq),
            Operation::SnapshotBlob => delete::snapshot(&rq),
            Operation::SetBlobTier => change::set_tier(&rq),
            Operation::SetBlobMetadata => change::set_metadata(&rq),
            Operation::SetBlobProperties => change::set_properties(&rq),
            Operation::SetBlobTags => change::set_tags(&rq, body).await,
            Operation::GetBlobTags => change::get_tags(&rq),
            Operation::AppendBlock => append_blob::append_block(&rq, body).await,
            Operation::SealAppendBlob => append_blob::seal(&rq),
            Operation::PutPage => page_blob::put_page(&rq, body).await,
            Operation::GetPageRanges => page_blob::get_page_ranges(&rq),
            Operation::BlobBatch => batch::batch(&rq, body).await,
            Operation::ListBlobs => list::blobs(&rq).await,
            Operation::ListContainers => list::containers(&rq),
            Operation::CreateContainer => container::create(&rq),
            Operation::DeleteContainer => container::delete(&rq),
            Operation::GetContainerProperties => container::properties(&rq),
            Operation::SetContainerMetadata => container::set_metadata(&rq),
            Operation::FindBlobs | Operation::FindBlobsInContainer => tags::find(&rq),
            Operation::UndeleteBlob => delete::undelete(&rq),
            Operation::LeaseContainer => lease::container(&rq),
            Operation::LeaseBlob => lease::blob(&rq),
            Operation::GetContainerAcl => acl::get(&rq),
            Operation::SetContainerAcl => acl::set(&rq, body).await,
            Operation::GetUserDelegationKey => delegation_key::get(&rq, body).await,
            Operation::GetAccountInformation => Ok(container::account_information(&rq)),
            Operation::GetServiceProperties => Ok(container::service_properties(&rq)),
            Operation::Other => Err(crate::error::API_NOT_IMPLEMENTED.into()),
        }
    }
}

/// Changes the checksums that an answer has.
fn lie(answer: &mut Answer) {
    for (name, other) in [
        (headers::CONTENT_CRC64, ["AAAAAAAAAAA=", "AAAAAAAAAAE="]),
        (headers::CONTENT_MD5, ["AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAQ=="]),
    ] {
        if let Some(value) = answer.headers_mut().get_mut(name) {
            let other = other.into_iter().find(|other| value != other).unwrap_or_default();
            *value = HeaderValue::from_static(other);
        }
    }
}

/// Refuses what the operation does not know, and conditions that the grant does not cover.
pub(crate) fn allowed(parts: &Parts, target: &Target<'_>, grant: &Grant, operation: Operation) -> Result<()> {
    known::check(parts, target, operation)?;
    conditions::allowed(parts, operation)?;
    // Whether a condition holds tells of the tags.
    if parts.headers.contains_key("x-ms-if-tags") && !auth::may(grant, b't') {
        return Err(AUTHORIZATION_PERMISSION_MISMATCH.into());
    }
    Ok(())
}

/// Writes ETag and Last-Modified.
pub(crate) fn write_times(answer: &mut Answer, modified: u64) {
    put(answer.headers_mut(), http::header::ETAG, &crate::store::etag(modified));
    put(answer.headers_mut(), http::header::LAST_MODIFIED, &time::http_date(modified));
}
