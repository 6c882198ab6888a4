//! What services asked for at the sources of copies.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use http::StatusCode;

use crate::firewall::Caller;
use crate::route::Operation;

/// Requests that are kept, the latest.
const KEPT: usize = 10_000;

/// A request that a service made, as the destination of a copy whose source is here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceRequest {
    /// The account that was asked.
    pub account: String,
    /// The container that was named.
    pub container: String,
    /// The blob that was named.
    pub blob: String,
    /// What was asked for.
    pub operation: Operation,
    /// The account whose service asked.
    pub by: String,
    /// The client on whose behalf it asked; `None`: as itself.
    pub on_behalf_of: Option<IpAddr>,
    /// What was answered.
    pub status: u16,
}

impl ServiceRequest {
    /// `None` for what came from a client.
    pub(crate) fn of(
        caller: &Caller<'_>,
        account: &str,
        container: &str,
        blob: &str,
        operation: Operation,
        status: StatusCode,
    ) -> Option<ServiceRequest> {
        let (by, on_behalf_of) = match caller {
            Caller::Client { .. } => return None,
            Caller::Service { account } => (*account, None),
            Caller::OnBehalf { account, client, .. } => (*account, Some(*client)),
        };
        Some(ServiceRequest {
            account: account.to_owned(),
            container: container.to_owned(),
            blob: blob.to_owned(),
            operation,
            by: by.to_owned(),
            on_behalf_of,
            status: status.as_u16(),
        })
    }
}

/// The latest of them.
#[derive(Default)]
pub(crate) struct ServiceLog(Mutex<VecDeque<ServiceRequest>>);

impl ServiceLog {
    pub(crate) fn add(&self, request: ServiceRequest) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == KEPT {
            all.pop_front();
        }
        all.push_back(request);
    }

    pub(crate) fn all(&self) -> Vec<ServiceRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
