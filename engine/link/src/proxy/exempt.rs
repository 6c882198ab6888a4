//! `NO_PROXY`: what is connected to directly.

use std::net::IpAddr;

use crate::endpoint::Endpoint;

/// The endpoints without a proxy. `localhost` and loopback addresses always are.
#[derive(Clone, Debug, Default)]
pub(super) struct Exempt {
    all: bool,
    /// Addresses and networks, with the number of leading bits that count; and a port, where only that one is meant.
    networks: Vec<(IpAddr, u32, Option<u16>)>,
    domains: Vec<Domain>,
}

#[derive(Clone, Debug)]
struct Domain {
    /// With a dot in front.
    suffix: String,
    /// Whether the name itself is meant, and not only those below it.
    itself: bool,
    port: Option<u16>,
}

impl Exempt {
    /// Reads a list separated by commas. An entry is `*`, `DOMAIN` (with all below it), `.DOMAIN` or `*.DOMAIN` (only
    /// what is below it), an address or a network (`10.0.0.0/8`); all but networks may have a `:PORT`. What is none of
    /// these matches nothing.
    pub(super) fn parse(text: &str) -> Self {
        let mut exempt = Self::default();
        for entry in text.split(',') {
            let entry = entry.trim().to_ascii_lowercase();
            if entry == "*" {
                exempt.all = true;
            } else if let Some((address, bits)) = network(&entry) {
                exempt.networks.push((address, bits, None));
            } else if let Some((host, port)) = split_port(&entry) {
                if let Ok(address) = host.parse::<IpAddr>() {
                    exempt.networks.push((address.to_canonical(), 128, port));
                } else {
                    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
                    let itself = !host.starts_with('.');
                    let suffix = if itself { format!(".{host}") } else { host.to_owned() };
                    exempt.domains.push(Domain { suffix, itself, port });
                }
            }
        }
        exempt
    }

    pub(super) fn covers(&self, endpoint: &Endpoint) -> bool {
        let host = endpoint.host.to_ascii_lowercase();
        let for_port = |port: Option<u16>| port.is_none_or(|port| port == endpoint.port);
        if self.all || host == "localhost" {
            return true;
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            return address.is_loopback()
                || self
                    .networks
                    .iter()
                    .any(|&(network, bits, port)| for_port(port) && agree(network, address, bits));
        }
        self.domains.iter().any(|domain| {
            let below = host.ends_with(&domain.suffix);
            for_port(domain.port) && (below || (domain.itself && host == domain.suffix[1..]))
        })
    }
}

/// `ADDRESS/BITS`.
fn network(entry: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = entry.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits = bits.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

/// Host and port; `None` where there is no host, or the port is no number.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?.parse().ok()?)),
        None if entry.matches(':').count() == 1 => {
            let (host, port) = entry.split_once(':')?;
            (host, Some(port.parse().ok()?))
        }
        None => (entry, None),
    };
    (!host.is_empty()).then_some((host, port))
}

/// Whether two addresses of one family have their first `bits` bits in common.
fn agree(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    let differ = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    // A whole address may be given as 128 bits of either family.
    differ >= bits.min(if one.is_ipv4() { 32 } else { 128 })
}
