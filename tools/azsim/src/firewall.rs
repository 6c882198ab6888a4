//! Who reaches an account: its clients by the address they come from, services by the name of their account.
//!
//! The order of events of a copy between two accounts: the destination's service reads the source as itself; refused by
//! the source's network, it asks again on behalf of the client of the copy, who is judged then.

use std::net::IpAddr;

use http::request::Parts;

use crate::auth::Peer;
use crate::headers;

/// What lets requests through to an account. The default lets everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    closed: bool,
    clients: Vec<IpAddr>,
    services: Vec<String>,
    endpoints: Vec<(IpAddr, String)>,
    sources: Option<Vec<String>>,
}

impl Network {
    /// Lets nobody through but what is added.
    pub fn closed() -> Network {
        Network { closed: true, ..Network::default() }
    }

    /// Lets clients from this address through, and nobody else but what is added.
    pub fn allow(mut self, client: IpAddr) -> Self {
        self.closed = true;
        self.clients.push(client);
        self
    }

    /// Lets the service of this account through as itself, when it reads the source of a copy to that account.
    pub fn trust(mut self, destination: &str) -> Self {
        self.services.push(destination.to_owned());
        self
    }

    /// Adds a private endpoint: whoever reaches the server at this address of its own is in this network, and let
    /// through. Nobody else is, but what is added.
    pub fn private_endpoint(mut self, address: IpAddr, network: &str) -> Self {
        self.closed = true;
        self.endpoints.push((address, network.to_owned()));
        self
    }

    /// Copies to this account come from this one; from no other but those that are added.
    pub fn copy_from(mut self, source: &str) -> Self {
        self.sources.get_or_insert_default().push(source.to_owned());
        self
    }

    /// Whether copies may come from this account.
    pub(crate) fn may_copy_from(&self, source: &str) -> bool {
        self.sources.as_ref().is_none_or(|sources| sources.iter().any(|s| s == source))
    }

    /// The network whose private endpoint is at this address.
    pub(crate) fn network_at(&self, address: IpAddr) -> Option<&str> {
        self.endpoints.iter().find(|(at, _)| *at == address).map(|(_, network)| network.as_str())
    }

    pub(crate) fn admits(&self, caller: &Caller<'_>) -> bool {
        if !self.closed {
            return true;
        }
        match caller {
            Caller::Client { ip, at } => self.network_at(*at).is_some() || self.clients.contains(ip),
            Caller::Service { account } => self.services.iter().any(|s| s == account),
            Caller::OnBehalf { client, network, .. } => {
                let same = |name: &&str| self.endpoints.iter().any(|(_, own)| own == name);
                self.clients.contains(client) || network.as_ref().is_some_and(same)
            }
        }
    }
}

/// Who a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller<'r> {
    /// A client from this address, which reached the server at that one.
    Client { ip: IpAddr, at: IpAddr },
    /// The service of this account, as itself.
    Service { account: &'r str },
    /// The same for a client of its own, who is in this network if it came by a private endpoint.
    OnBehalf { account: &'r str, client: IpAddr, network: Option<&'r str> },
}

impl<'r> Caller<'r> {
    pub(crate) fn of(parts: &'r Parts, peer: Peer) -> Caller<'r> {
        let text = |name: http::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(account) = text(headers::COPY_BY) else {
            return Caller::Client { ip: peer.ip, at: peer.at };
        };
        let (client, network) = match text(headers::COPY_FOR) {
            None => return Caller::Service { account },
            Some(text) => text.split_once(' ').map_or((text, None), |(ip, network)| (ip, Some(network))),
        };
        match client.parse() {
            Ok(client) => Caller::OnBehalf { account, client, network },
            Err(_) => Caller::Service { account },
        }
    }

    /// `COPY_FOR` of a request on behalf of this client.
    pub(crate) fn on_behalf(peer: Peer, destination: &Network) -> String {
        match destination.network_at(peer.at) {
            Some(network) => format!("{} {network}", peer.ip),
            None => peer.ip.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [127, 0, 0, last].into()
    }

    #[test]
    fn who_is_let_through() {
        let client = |from, at| Caller::Client { ip: ip(from), at: ip(at) };
        let service = Caller::Service { account: "dst" };
        let behalf = |from, network| Caller::OnBehalf { account: "dst", client: ip(from), network };
        let allowed = Network::default().allow(ip(2));
        let private = Network::default().private_endpoint(ip(9), "hub");
        for (network, caller, expected) in [
            (Network::default(), client(2, 1), true),
            (Network::default(), service, true),
            (Network::closed(), client(2, 1), false),
            (Network::closed(), service, false),
            (Network::closed().trust("dst"), service, true),
            (Network::closed().trust("other"), service, false),
            (allowed.clone(), client(2, 1), true),
            (allowed.clone(), client(3, 1), false),
            (allowed.clone(), service, false),
            (allowed.clone(), behalf(2, None), true),
            (allowed, behalf(3, Some("hub")), false),
            (private.clone(), client(2, 9), true),
            (private.clone(), client(2, 1), false),
            (private.clone(), service, false),
            (private.clone(), behalf(2, Some("hub")), true),
            (private.clone(), behalf(2, Some("spoke")), false),
            (private.clone(), behalf(2, None), false),
            (private.allow(ip(2)), behalf(2, None), true),
        ] {
            assert_eq!(network.admits(&caller), expected, "{network:?} {caller:?}");
        }
    }
}
