//! One exchange with the service: rendered, authorized, sent, its refusal read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::SystemTime;

use azuring_link::{Answer, Links, Payload, Reply, secrets};
use azuring_plan::name::escape;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug, debug_span, trace, warn};

use crate::account::bearer::HeldToken;
use crate::account::credential::Credential;

use crate::exchange::error::{NotStorage, RequestError, ServiceError, first_line_of};
use crate::exchange::grant::Lent;
use crate::exchange::operation::{Operation, is_of_service};
use crate::exchange::target::Target;

/// Error bodies and small answers are read up to this size.
pub(crate) const ANSWER_LIMIT_BYTES: usize = 64 << 10;

/// Of a page that is not the service's the beginning is shown.
const FIRST_LINE_BYTES: usize = 4 << 10;

const X_MS_DATE: HeaderName = HeaderName::from_static("x-ms-date");

/// Sends requests of one lane to one container, or to a whole account. The names of blobs are given percent-encoded, as
/// they stand in URLs; in an account they begin with the name of the container.
#[derive(Clone)]
pub struct BlobClient {
    target: Rc<Target>,
    links: Links,
    clock: Rc<RefCell<Clock>>,
    /// Where tokens authorize the requests.
    token: Option<Rc<HeldToken>>,
    /// The SAS that others are given to read blobs here, where there is the account's key.
    pub(crate) lent: Rc<RefCell<Option<Lent>>>,
    /// Whether the service knows no version of the protocol that tells of a copy's source.
    pub(crate) knows_no_newest: Rc<Cell<bool>>,
}

/// The `x-ms-date` of this second.
struct Clock {
    second: u64,
    header: HeaderValue,
}

/// A request up to its body.
pub(crate) struct Head<'a> {
    /// Decides which answers are a success.
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// Percent-encoded; empty for the container or account itself.
    pub(crate) name: &'a str,
    /// Decoded.
    pub(crate) query: Vec<(&'a str, &'a str)>,
    pub(crate) headers: HeaderMap,
}

/// A request as it is sent, up to its body.
pub(crate) struct Authorized {
    pub(crate) method: Method,
    /// Path and query. With a SAS it is a secret.
    pub(crate) path: PathAndQuery,
    pub(crate) headers: HeaderMap,
}

impl<'a> Head<'a> {
    /// Of a request that writes.
    pub(crate) fn put(
        operation: Operation,
        name: &'a str,
        query: Vec<(&'a str, &'a str)>,
        headers: HeaderMap,
    ) -> Self {
        Self { operation, method: Method::PUT, name, query, headers }
    }
}

/// What the answer says of itself, for whoever looks.
fn record(span: &Span, reply: &Reply) {
    if span.is_disabled() {
        return;
    }
    let timing = reply.timing();
    span.record("status", reply.status().as_u16());
    span.record("answered_ms", timing.answered.as_millis() as u64);
    span.record("fresh_link", timing.fresh_link);
    if let Some(id) = reply.header("x-ms-request-id") {
        span.record("request_id", &*secrets::conceal(&String::from_utf8_lossy(id)));
    }
}

impl BlobClient {
    /// A client for `target` over `links`, which lead to the target's endpoint.
    pub fn new(target: Rc<Target>, links: Links) -> Self {
        let clock = Clock { second: 0, header: HeaderValue::from_static("") };
        let token = target.held_token().map(Rc::new);
        Self {
            target,
            links,
            clock: Rc::new(RefCell::new(clock)),
            token,
            lent: Rc::default(),
            knows_no_newest: Rc::default(),
        }
    }

    /// The links requests go over.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Where and as whom the requests go.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request and reads its answer, of at most `limit` bytes.
    pub(crate) async fn exchange(
        &self,
        head: Head<'_>,
        payload: Payload,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        Ok(self.send(head, payload).await?.collect(limit).await?)
    }

    /// [`Self::exchange`] with the service itself: a request that is not about the container.
    pub(crate) async fn exchange_with_service(
        &self,
        head: Head<'_>,
        payload: Payload,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        let base = self.target.service_path();
        Ok(self.send_below(&base, head, payload, 0).await?.collect(limit).await?)
    }

    /// Sends a request with a small answer, whose body is still to come.
    async fn send(&self, head: Head<'_>, payload: Payload) -> Result<Reply, RequestError> {
        self.send_for(head, payload, 0).await
    }

    /// Sends a request; the body of its answer is still to come and has about `answer_len` bytes.
    pub(crate) async fn send_for(
        &self,
        head: Head<'_>,
        payload: Payload,
        answer_len: u64,
    ) -> Result<Reply, RequestError> {
        self.send_below(&self.target.container_path, head, payload, answer_len).await
    }

    /// One exchange, and the span of it. A name is told at TRACE alone, a query never.
    async fn send_below(
        &self,
        base: &str,
        head: Head<'_>,
        payload: Payload,
        answer_len: u64,
    ) -> Result<Reply, RequestError> {
        let span = debug_span!(
            "request",
            operation = head.operation.name(),
            method = head.method.as_str(),
            container = base,
            body_len = payload.len(),
            status = Empty,
            request_id = Empty,
            answered_ms = Empty,
            fresh_link = Empty,
        );
        self.send_in(&span, base, head, payload, answer_len).instrument(span.clone()).await
    }

    async fn send_in(
        &self,
        span: &Span,
        base: &str,
        head: Head<'_>,
        payload: Payload,
        answer_len: u64,
    ) -> Result<Reply, RequestError> {
        let target = &*self.target;
        trace!(name = head.name, "the object of the request");
        let token = self.token_ready().await?;
        let operation = head.operation;
        let Authorized { method, path, headers } = self.authorize_below(base, head, payload.len())?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(target.scheme.clone());
        parts.authority = Some(target.authority.clone());
        parts.path_and_query = Some(path);
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path are there");
        *request.headers_mut() = headers;
        if let Some(spelling) = &target.spelling {
            request.extensions_mut().insert(spelling.clone());
        }
        let path_and_query = request.uri().path_and_query().cloned();
        let reply = match self.links.send_for(request, payload, answer_len).await {
            Ok(reply) => reply,
            Err(error) => {
                debug!(error = %secrets::conceal(&error.to_string()), "no answer");
                return Err(error.into());
            }
        };
        record(span, &reply);
        if operation.succeeds_with(reply.status()) && operation.is_answered_by(&reply) {
            if let (Some(held), Some(number)) = (&self.token, token) {
                held.accepted(number);
            }
            return Ok(reply);
        }
        let refuses = reply.status().is_client_error() || reply.status().is_server_error();
        if !refuses {
            // A yes of somebody else, or one that the operation does not have; a way to somewhere else.
            return Err(self.not_storage(operation, path_and_query.as_ref(), reply).await);
        }
        // What the service says with an error, as far as it is readable: a gateway's page may be long, or cut off, and
        // its status counts all the same.
        let answer = reply.collect_up_to(ANSWER_LIMIT_BYTES).await;
        let error = ServiceError::read(answer.status(), &answer.headers(), &answer.body);
        debug!(
            code = %secrets::conceal(&error.code),
            class = ?error.class(),
            retry_after_s = error.retry_after.map(|after| after.as_secs()),
            of_service = error.of_service,
            token,
            "refused"
        );
        Err(self.refused(token, error, false).await)
    }

    /// The error of an answer that is no success of `operation`, and no refusal either.
    async fn not_storage(
        &self,
        operation: Operation,
        path: Option<&PathAndQuery>,
        reply: Reply,
    ) -> RequestError {
        let of_service = is_of_service(&reply);
        let target = &*self.target;
        // Without the query, which may hold a SAS.
        let path = path.map(PathAndQuery::path).unwrap_or_default();
        let answer = reply.collect_up_to(FIRST_LINE_BYTES).await;
        let location = answer.header("location").map(String::from_utf8_lossy);
        warn!(
            operation = operation.name(),
            status = answer.status().as_u16(),
            of_service,
            first_line = %secrets::conceal(&first_line_of(&answer.body).unwrap_or_default()),
            "this is not Azure Storage, or no answer that the operation has"
        );
        Box::new(NotStorage {
            operation: operation.name(),
            url: format!("{}://{}{path}", target.scheme, target.authority),
            status: answer.status().as_u16(),
            of_service,
            first_line: first_line_of(&answer.body).unwrap_or_default(),
            leads_to: location.and_then(|to| first_line_of(to.split('?').next()?.as_bytes())),
        })
        .into()
    }

    /// The token that is held, for a request of somebody else's.
    pub(crate) fn held_token(&self) -> Option<&HeldToken> {
        self.token.as_deref()
    }

    /// Waits until there is a token that has not expired, where tokens authorize the requests; returns its number.
    pub(crate) async fn token_ready(&self) -> Result<Option<u64>, RequestError> {
        match &self.token {
            Some(held) => Ok(Some(held.ready().await?)),
            None => Ok(None),
        }
    }

    /// The error of a request that the service refused. If it was token `number` that it refused, waits for another.
    /// `partly`: a part of the request may have been carried out.
    pub(crate) async fn refused(
        &self,
        number: Option<u64>,
        error: ServiceError,
        partly: bool,
    ) -> RequestError {
        let (Some(held), Some(number)) = (&self.token, number) else { return error.into() };
        if !error.refuses_token() {
            // Whoever is told that he may not has been recognised.
            if error.status == 403 {
                held.accepted(number);
            }
            return error.into();
        }
        match held.refused(number).await {
            Ok(true) => RequestError::TokenRenewed { partly },
            Ok(false) => error.into(),
            Err(ended) => ended.into(),
        }
    }

    /// Puts the SAS into the query, or a signature or the token that is held into the headers.
    ///
    /// # Errors
    /// [`RequestError::Name`], [`RequestError::OtherName`].
    pub(crate) fn authorize(&self, head: Head<'_>, body_len: u64) -> Result<Authorized, RequestError> {
        self.authorize_below(&self.target.container_path, head, body_len)
    }

    fn authorize_below(&self, base: &str, head: Head<'_>, body_len: u64) -> Result<Authorized, RequestError> {
        let Head { method, name, query, mut headers, operation: _ } = head;
        // Whatever the request does, it would do it to another blob.
        if let Some(stored) = self.target.url().takes_encoded_for(name) {
            return Err(RequestError::OtherName { stored: escape(stored.as_bytes()) });
        }
        let path_len = base.len() + 1 + name.len();
        let mut path = String::with_capacity(path_len + 256);
        path.push_str(base);
        if !name.is_empty() {
            path.push('/');
            path.push_str(name);
        }
        if path.is_empty() {
            path.push('/');
        }
        let path_end = path.len();
        let mut mark = '?';
        for (key, text) in &query {
            path.push(mark);
            path.push_str(key);
            path.push('=');
            path.extend(percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC));
            mark = '&';
        }
        match self.target.credential() {
            Credential::Anonymous => {}
            Credential::Sas(sas) => {
                path.push(mark);
                path.push_str(sas.expose());
            }
            Credential::Token(_) => {
                if let Some(header) = self.token.as_ref().and_then(|held| held.header()) {
                    headers.insert(AUTHORIZATION, header);
                }
            }
            Credential::SharedKey(key) => {
                headers.insert(X_MS_DATE, self.now());
                let signed = key.sign(&method, &path[..path_end], &query, &headers, body_len);
                let mut signed = HeaderValue::try_from(signed).expect("base64 makes a valid header");
                signed.set_sensitive(true);
                headers.insert(AUTHORIZATION, signed);
            }
        }
        let path = PathAndQuery::from_maybe_shared(Bytes::from(path))
            .map_err(|error| RequestError::Name(error.to_string()))?;
        Ok(Authorized { method, path, headers })
    }

    /// The date header, rendered once a second.
    fn now(&self) -> HeaderValue {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut clock = self.clock.borrow_mut();
        if clock.second != second {
            clock.second = second;
            clock.header =
                HeaderValue::try_from(httpdate::fmt_http_date(now)).expect("a date is a valid header");
        }
        clock.header.clone()
    }
}
