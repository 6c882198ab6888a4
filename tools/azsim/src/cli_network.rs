//! Options of the binary about who reaches an account.

use std::collections::BTreeMap;
use std::net::IpAddr;

use azsim::{AccountRule, Network, Sender, ServerBuilder};
use clap::Args;

/// Networks of accounts.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Networks (--closed, --allow and --private-endpoint close an account for everybody else)"
)]
pub(crate) struct NetworkArgs {
    /// Listen at this address too, at the same port; repeatable.
    #[arg(long, value_name = "ADDR")]
    also_listen: Vec<IpAddr>,
    /// Clients from this address reach the account; repeatable.
    #[arg(long, value_name = "ACCOUNT:ADDR", value_parser = address)]
    allow: Vec<(String, IpAddr)>,
    /// The service of this destination reads sources in the account as itself; repeatable.
    #[arg(long, value_name = "ACCOUNT:DESTINATION", value_parser = pair)]
    allow_service: Vec<(String, String)>,
    /// Whoever reaches the server at this address is in this network, and reaches the account; repeatable.
    #[arg(long, value_name = "ACCOUNT:NETWORK:ADDR", value_parser = endpoint)]
    private_endpoint: Vec<(String, String, IpAddr)>,
    /// Nobody reaches the account but whom other options name.
    #[arg(long = "closed", value_name = "ACCOUNT")]
    closed: Vec<String>,
    /// Copies to the account come from this one alone; repeatable.
    #[arg(long, value_name = "ACCOUNT:SOURCE", value_parser = pair)]
    copy_from: Vec<(String, String)>,
}

impl NetworkArgs {
    /// Adds them to a server, which refuses accounts that it does not have.
    pub(crate) fn apply(&self, mut builder: ServerBuilder) -> ServerBuilder {
        for address in &self.also_listen {
            builder = builder.also_listen(*address);
        }
        let mut networks: BTreeMap<&str, Network> = BTreeMap::new();
        for account in &self.closed {
            networks.insert(account, Network::closed());
        }
        for (account, address) in &self.allow {
            let network = networks.entry(account).or_default();
            *network = std::mem::take(network).allow(*address);
        }
        for (account, destination) in &self.allow_service {
            let network = networks.entry(account).or_default();
            *network = std::mem::take(network).trust(destination);
        }
        for (account, name, address) in &self.private_endpoint {
            let network = networks.entry(account).or_default();
            *network = std::mem::take(network).private_endpoint(*address, name);
        }
        for (account, source) in &self.copy_from {
            let network = networks.entry(account).or_default();
            *network = std::mem::take(network).copy_from(source);
        }
        for (account, network) in networks {
            builder = builder.network(account, network);
        }
        builder
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (account, other) = text.split_once(':').ok_or("two accounts with a colon between them")?;
    Ok((account.to_owned(), other.to_owned()))
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text} is no address"))
}

fn address(text: &str) -> Result<(String, IpAddr), String> {
    let (account, address) = text.split_once(':').ok_or("ACCOUNT:ADDR")?;
    Ok((account.to_owned(), ip(address)?))
}

fn endpoint(text: &str) -> Result<(String, String, IpAddr), String> {
    let (account, rest) = text.split_once(':').ok_or("ACCOUNT:NETWORK:ADDR")?;
    let (network, address) = rest.split_once(':').ok_or("ACCOUNT:NETWORK:ADDR")?;
    Ok((account.to_owned(), network.to_owned(), ip(address)?))
}

/// `ACCOUNT,SENDER,` before a rule for blobs.
pub(crate) fn account_rule(text: &str) -> Result<AccountRule, String> {
    let mut fields = text.splitn(3, ',');
    let mut field = |name: &str| fields.next().ok_or_else(|| format!("{name} is missing"));
    let account = field("ACCOUNT")?;
    let account = (account != "any").then(|| account.to_owned());
    let sender = sender(field("SENDER")?)?;
    Ok(AccountRule { account, sender, rule: crate::cli::rule(field("NAME")?)? })
}

fn sender(text: &str) -> Result<Sender, String> {
    let (kind, of) = text.split_once(':').map_or((text, None), |(kind, of)| (kind, Some(of)));
    match kind {
        "any" => Ok(Sender::Anyone),
        "client" => Ok(Sender::Client(of.map(ip).transpose()?)),
        "service" => Ok(Sender::Service(of.map(str::to_owned))),
        "on-behalf" => Ok(Sender::OnBehalf(of.map(str::to_owned), None)),
        _ => Err(format!("{text} is no sender")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_accounts_are_read() {
        let rule = account_rule("src,service:dst,x,GetBlob,403:AuthorizationFailure,0,9").unwrap();
        assert_eq!(
            (rule.account.as_deref(), rule.sender),
            (Some("src"), Sender::Service(Some("dst".into())))
        );
        assert_eq!(rule.rule, crate::cli::rule("x,GetBlob,403:AuthorizationFailure,0,9").unwrap());
        assert_eq!(sender("client:127.0.0.2"), Ok(Sender::Client(Some([127, 0, 0, 2].into()))));
        assert_eq!(sender("on-behalf"), Ok(Sender::OnBehalf(None, None)));
        assert_eq!(account_rule("any,any,x,any,reset").unwrap().account, None);
        assert!(account_rule("src,nobody,x,any,reset").is_err() && account_rule("src,any").is_err());
        assert_eq!(endpoint("a:hub:::1"), Ok(("a".into(), "hub".into(), "::1".parse().unwrap())));
        assert!(address("a:b").is_err() && endpoint("a:b").is_err() && pair("a").is_err());
    }
}
