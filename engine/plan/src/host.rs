//! What the name of a host tells of the service behind it.

use std::net::IpAddr;

use crate::location::Location;

/// The account of Azure's emulators. With it as its first segment a path names the account, whatever the host is.
pub const EMULATOR_ACCOUNT: &str = "devstoreaccount1";

/// Azure's endpoints have their service's name as a label behind the account's, in every cloud:
/// `ACCOUNT.blob.core.windows.net`, `ACCOUNT.z01.blob.storage.azure.net`, `ACCOUNT.privatelink.dfs.core.windows.net`.
const LABELS: [(&str, Location); 3] =
    [("blob", Location::Blob), ("file", Location::File), ("dfs", Location::BlobFs)];

/// Other clouds: the host itself, or what it ends with.
const SUFFIXES: [(&str, Location); 3] = [
    ("amazonaws.com", Location::S3),
    ("amazonaws.com.cn", Location::S3),
    ("storage.cloud.google.com", Location::Gcp),
];

/// Names of this machine, and what is below them: what answers there is an emulator or a gateway. Container engines
/// have names of their own for it.
const EMULATORS: [&str; 3] = ["localhost", "host.docker.internal", "host.containers.internal"];

/// The domains of the storage service in all clouds; the public one first.
pub const CLOUDS: [&str; 5] = [
    "core.windows.net",
    "core.chinacloudapi.cn",
    "core.cloudapi.de",
    "core.usgovcloudapi.net",
    "storage.azure.net",
];

/// The service that `host` (lower case, no port) belongs to; `None`: a custom domain, a gateway, an emulator.
#[must_use]
pub fn service_of(host: &str) -> Option<Location> {
    azure_of(host).map(|(_, service)| service).or_else(|| {
        SUFFIXES.iter().find(|(suffix, _)| is_at_or_below(host, suffix)).map(|&(_, service)| service)
    })
}

/// The account's name in a host of Azure's; its second location is the same account.
#[must_use]
pub fn account_of(host: &str) -> Option<&str> {
    azure_of(host).map(|(account, _)| account.trim_end_matches("-secondary"))
}

/// The bucket in a host of Amazon's: `BUCKET.s3.REGION.amazonaws.com`. A bucket's name may have dots.
#[must_use]
pub fn bucket_of(host: &str) -> Option<&str> {
    if service_of(host) != Some(Location::S3) {
        return None;
    }
    let labels = host.split('.').scan(0, |at, label| {
        let here = *at;
        *at += label.len() + 1;
        Some((here, label))
    });
    // A bucket may have the name as well; the service's is the last.
    let service = labels.filter(|(_, label)| *label == "s3" || label.starts_with("s3-")).last();
    service.and_then(|(at, _)| host[..at].strip_suffix('.')).filter(|bucket| !bucket.is_empty())
}

/// Whether it is told by its name alone that no service of Azure's is there: an address, a name without a dot (a
/// container on a private network), a name of this machine. An emulator keeps every name as it is; the service does
/// not, under whatever domain it is reached.
#[must_use]
pub fn is_emulator(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || EMULATORS.iter().any(|name| is_at_or_below(host, name))
}

fn is_at_or_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|it| it.is_empty() || it.ends_with('.'))
}

fn azure_of(host: &str) -> Option<(&str, Location)> {
    let (account, rest) = host.split_once('.')?;
    let service = rest.split('.').find_map(|label| LABELS.iter().find(|(name, _)| *name == label))?;
    Some((account, service.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_stand_in_hosts() {
        for (host, bucket) in [
            ("s3.amazonaws.com", None),
            ("s3.eu-west-1.amazonaws.com", None),
            ("s3-eu-west-1.amazonaws.com", None),
            ("bucket.s3.amazonaws.com", Some("bucket")),
            ("my.bucket.s3.eu-west-1.amazonaws.com", Some("my.bucket")),
            ("bucket.s3-eu-west-1.amazonaws.com", Some("bucket")),
            ("bucket.s3.dualstack.eu-west-1.amazonaws.com", Some("bucket")),
            ("s3.s3.amazonaws.com", Some("s3")),
            ("amazonaws.com", None),
            ("bucket.s3.example.com", None),
            (".s3.amazonaws.com", None),
        ] {
            assert_eq!(bucket_of(host), bucket, "{host}");
        }
    }

    #[test]
    fn hosts_tell_service_and_account() {
        for (host, service, account, emulator) in [
            ("acc.blob.core.windows.net", Some(Location::Blob), Some("acc"), false),
            ("acc-secondary.blob.core.windows.net", Some(Location::Blob), Some("acc"), false),
            ("acc.z01.blob.storage.azure.net", Some(Location::Blob), Some("acc"), false),
            ("acc.privatelink.dfs.core.windows.net", Some(Location::BlobFs), Some("acc"), false),
            ("acc.file.core.chinacloudapi.cn", Some(Location::File), Some("acc"), false),
            ("acc.blob.region.stack.example.com", Some(Location::Blob), Some("acc"), false),
            ("acc.blob.localhost", Some(Location::Blob), Some("acc"), true),
            // A service's name in another label is no service.
            ("data.files.contoso.com", None, None, false),
            ("blob.contoso.com", None, None, false),
            ("data.contoso.com", None, None, false),
            ("s3.eu-west-1.amazonaws.com", Some(Location::S3), None, false),
            ("bucket.s3.cn-north-1.amazonaws.com.cn", Some(Location::S3), None, false),
            ("notamazonaws.com", None, None, false),
            ("storage.cloud.google.com", Some(Location::Gcp), None, false),
            ("127.0.0.1", None, None, true),
            ("::1", None, None, true),
            ("localhost", None, None, true),
            ("azurite", None, None, true),
            ("host.docker.internal", None, None, true),
            ("notlocalhost.com", None, None, false),
            ("localhost.contoso.com", None, None, false),
        ] {
            assert_eq!(
                (service_of(host), account_of(host), is_emulator(host)),
                (service, account, emulator),
                "{host}"
            );
        }
    }
}
