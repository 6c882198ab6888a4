//! What opens the direct way between two accounts, with the commands for it.

use azuring_transfer::BlobUrl;

/// One end of a copy, as far as it matters for what opens the way.
pub(super) struct Place<'a> {
    pub(super) url: &'a BlobUrl,
    /// Whether its address is private; `None`: there are both, or it is not known.
    pub(super) private: Option<bool>,
}

/// The two supported scenarios: what is known of each, and its commands.
pub(super) fn scenarios(source: &Place<'_>, destination: &Place<'_>) -> [(String, String); 2] {
    let (from, to) = (account(source.url), account(destination.url));
    let named = |place: &Place<'_>, name: &str| match place.private {
        Some(true) => format!("{name} is reached at a private address"),
        Some(false) => format!("{name} is reached at a public address"),
        None => format!("where {name} is reached is not known"),
    };
    let seen = format!("{}, {}", named(source, &from), named(destination, &to));
    let lists = match (source.private, destination.private) {
        (Some(true), Some(true)) => "does not apply: both are reached at private addresses".to_owned(),
        (Some(false), Some(false)) => {
            "this machine's address has to be on both lists; whether it is, only the accounts know".to_owned()
        }
        _ => format!("not met as far as is known: {seen}"),
    };
    let endpoints = match (source.private, destination.private) {
        (Some(true), Some(true)) => {
            "both are reached at private addresses; whether the endpoints are in one network, only Azure knows"
                .to_owned()
        }
        _ => format!("not met as far as is known: {seen}"),
    };
    let rule = |account: &str| {
        format!(
            "az storage account network-rule add --account-name {account} --ip-address THIS_MACHINES_PUBLIC_ADDRESS"
        )
    };
    [
        (
            format!("scenario 1, this machine's address is on the allow lists of both accounts: {lists}"),
            format!(
                "{}; {}; in the region of an account, --subnet SUBNET_ID in place of --ip-address",
                rule(&from),
                rule(&to)
            ),
        ),
        (
            format!("scenario 2, private endpoints of both accounts in this machine's network: {endpoints}"),
            format!("{}; {}", endpoint(&from, "THIS_VNET"), endpoint(&to, "THIS_VNET")),
        ),
    ]
}

/// The four ways out where neither scenario can be had, with their commands.
pub(super) fn mitigations(source: &Place<'_>, destination: &Place<'_>) -> [(String, String); 4] {
    let (from, to) = (account(source.url), account(destination.url));
    [
        (
            format!("mitigation 1: a private endpoint of {to} in the network of {from}"),
            endpoint(&to, "SOURCE_VNET"),
        ),
        (
            format!("mitigation 2: run azuring in the network of {from}, which is peered with that of {to}"),
            "az network vnet peering create --resource-group GROUP --name NAME --vnet-name SOURCE_VNET \
             --remote-vnet DESTINATION_VNET_ID --allow-vnet-access"
                .to_owned(),
        ),
        (
            "mitigation 3: copy twice, by a third account in the region with a private endpoint in the network of the \
             account that is copied from or to"
                .to_owned(),
            format!(
                "az storage account create --name STAGING --resource-group GROUP --location REGION --sku Standard_LRS; {}",
                endpoint("STAGING", "SOURCE_VNET")
            ),
        ),
        (
            "mitigation 4: download and upload on a machine that reaches both".to_owned(),
            "azuring does it through this host's memory: azuring copy SOURCE DESTINATION --route=relay".to_owned(),
        ),
    ]
}

fn endpoint(account: &str, network: &str) -> String {
    format!(
        "az network private-endpoint create --name {account}-blob --resource-group GROUP --vnet-name {network} \
         --subnet SUBNET --connection-name {account}-blob --group-id blob --private-connection-resource-id \
         $(az storage account show --name {account} --query id --output tsv); az network private-endpoint \
         dns-zone-group create --endpoint-name {account}-blob --resource-group GROUP --name default --zone-name blob \
         --private-dns-zone privatelink.blob.core.windows.net"
    )
}

/// The account's name, for commands that are pasted.
fn account(url: &BlobUrl) -> String {
    let plain =
        |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    url.account().filter(plain).unwrap_or("ACCOUNT").to_owned()
}
