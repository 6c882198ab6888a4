use super::*;
use crate::login::PUBLIC_CLIENT;

fn read(pairs: &[(&str, &str)]) -> Result<Option<Login>, IdentityError> {
    Login::from_environment(|name| {
        pairs.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    })
}

fn login(pairs: &[(&str, &str)]) -> Login {
    read(pairs).unwrap().unwrap()
}

fn error(pairs: &[(&str, &str)]) -> String {
    read(pairs).unwrap_err().to_string()
}

const SPN: [(&str, &str); 3] =
    [("AZCOPY_AUTO_LOGIN_TYPE", "SPN"), ("AZCOPY_SPA_APPLICATION_ID", "1111"), ("AZCOPY_TENANT_ID", "2222")];

#[test]
fn nothing_set_is_no_login() {
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[("AZCOPY_AUTO_LOGIN_TYPE", ""), ("AZURE_CLIENT_SECRET", "s")]), Ok(None));
}

#[test]
fn every_kind_has_azcopys_name() {
    let kind = |name| login(&[("AZCOPY_AUTO_LOGIN_TYPE", name)]);
    let device = kind("Device");
    assert_eq!(device.kind, LoginKind::DeviceCode { refresh: None });
    assert_eq!((device.tenant_or_common(), device.public_client()), ("common", PUBLIC_CLIENT));
    assert_eq!(kind("MSI").kind, LoginKind::ManagedIdentity(ManagedIdentity::System));
    assert_eq!(kind("AzCLI").kind, LoginKind::AzureCli);
    assert_eq!(kind("pscred").kind, LoginKind::PowerShell);
    assert_eq!(kind(" PWSH ").kind, LoginKind::PowerShell);
    assert_eq!(
        error(&[("AZCOPY_AUTO_LOGIN_TYPE", "tokenstore")]),
        "AZCOPY_AUTO_LOGIN_TYPE: tokenstore is none of device, spn, msi, azcli, pscred, workload"
    );
}

#[test]
fn a_certificate_goes_before_a_secret() {
    let secret = [&SPN[..], &[("AZCOPY_SPA_CLIENT_SECRET", "s3cret")]].concat();
    let found = login(&secret);
    assert_eq!(found.kind, LoginKind::ServicePrincipalSecret { secret: Secret::new("s3cret") });
    assert_eq!(found.describe(), "service principal 1111 of tenant 2222");
    assert!(!format!("{found:?}").contains("s3cret"));
    let both =
        [&secret[..], &[("AZCOPY_SPA_CERT_PATH", "/c.pem"), ("AZCOPY_SPA_CERT_PASSWORD", "p")]].concat();
    let password = Some(Secret::new("p"));
    assert_eq!(login(&both).kind, LoginKind::ServicePrincipalCertificate { path: "/c.pem".into(), password });
}

#[test]
fn azcopys_variables_go_before_the_shared_ones() {
    let shared = [
        ("AZURE_CLIENT_ID", "9999"),
        ("AZURE_TENANT_ID", "8888"),
        ("AZURE_CLIENT_SECRET", "other"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "/other.pem"),
        ("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn/"),
        ("AZCOPY_AUTO_LOGIN_TYPE", "spn"),
    ];
    let found = login(&shared);
    assert_eq!(found.authority, "https://login.chinacloudapi.cn");
    assert_eq!(found.describe(), "service principal 9999 of tenant 8888, with a certificate");
    let own = [
        &SPN[..],
        &[("AZCOPY_SPA_CLIENT_SECRET", "own"), ("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", "https://login.own:444")],
        &shared[..],
    ];
    let found = login(&own.concat());
    assert_eq!(found.kind, LoginKind::ServicePrincipalSecret { secret: Secret::new("own") });
    assert_eq!(found.authority, "https://login.own:444");
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(
        error(&SPN),
        "a login as service principal needs AZCOPY_SPA_CERT_PATH or AZCOPY_SPA_CLIENT_SECRET (or AZURE_CLIENT_CERTIFICATE_PATH, AZURE_CLIENT_SECRET)"
    );
    let without = |hole: &str| {
        [("AZCOPY_SPA_CLIENT_SECRET", "s")]
            .into_iter()
            .chain(SPN)
            .filter(|(name, _)| *name != hole)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        error(&without("AZCOPY_TENANT_ID")),
        "a login as service principal needs a tenant: AZCOPY_TENANT_ID, AZURE_TENANT_ID or --tenant-id"
    );
    assert_eq!(
        error(&without("AZCOPY_SPA_APPLICATION_ID")),
        "a login as service principal needs the application's id: AZCOPY_SPA_APPLICATION_ID, AZURE_CLIENT_ID or --application-id"
    );
    assert_eq!(
        error(&[("AZCOPY_AUTO_LOGIN_TYPE", "workload")]),
        "a login with workload identity needs AZURE_FEDERATED_TOKEN_FILE"
    );
}

#[test]
fn identities_of_a_machine_exclude_each_other() {
    let msi = |more: &[(&'static str, &'static str)]| {
        read(&[&[("AZCOPY_AUTO_LOGIN_TYPE", "msi"), ("AZURE_CLIENT_ID", "9")], more].concat())
    };
    let kind = |more: &[(&'static str, &'static str)]| msi(more).unwrap().unwrap().describe();
    assert_eq!(kind(&[]), "managed identity of this machine");
    assert_eq!(kind(&[("AZCOPY_MSI_CLIENT_ID", "33")]), "managed identity (client 33)");
    assert_eq!(kind(&[("AZCOPY_MSI_OBJECT_ID", "44")]), "managed identity (object 44)");
    assert_eq!(
        kind(&[("AZCOPY_MSI_RESOURCE_STRING", "/subscriptions/1")]),
        "managed identity (/subscriptions/1)"
    );
    assert_eq!(
        msi(&[("AZCOPY_MSI_RESOURCE_STRING", "r"), ("AZCOPY_MSI_CLIENT_ID", "c")]).unwrap_err().to_string(),
        "AZCOPY_MSI_CLIENT_ID and AZCOPY_MSI_RESOURCE_STRING exclude each other"
    );
}

#[test]
fn ids_and_addresses_are_checked() {
    let with = |name, value| error(&[("AZCOPY_AUTO_LOGIN_TYPE", "azcli"), (name, value)]);
    assert_eq!(
        with("AZCOPY_TENANT_ID", "a; rm -rf"),
        "AZCOPY_TENANT_ID: its value (9 characters) is not an id"
    );
    assert_eq!(with("AZURE_TENANT_ID", "--help"), "AZURE_TENANT_ID: its value (6 characters) is not an id");
    for (url, shown) in [
        ("http://login", "http://login"),
        ("login.microsoftonline.com", "its value (25 characters)"),
        // An application's secret, as they are made.
        ("Abc8Q~canary_.x", "its value (15 characters)"),
        ("https://u:p@h", "h"),
        ("https://h/tenant", "https://h/tenant"),
        ("https://h/?q", "https://h/?q"),
    ] {
        assert_eq!(
            with("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", url),
            format!("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT: {shown} is not the https:// address of a host")
        );
    }
}

#[test]
fn a_secret_goes_with_the_id_beside_it() {
    let set = |more: &'static [(&'static str, &'static str)]| {
        Environment::of(move |name| {
            let shared = [
                ("AZURE_CLIENT_ID", "9999"),
                ("AZURE_TENANT_ID", "8888"),
                ("AZURE_AUTHORITY_HOST", "https://shared"),
                ("AZCOPY_SPA_APPLICATION_ID", "1111"),
                ("AZCOPY_TENANT_ID", "2222"),
                ("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", "https://own"),
            ];
            more.iter()
                .copied()
                .chain(shared)
                .find(|(set, _)| *set == name)
                .map(|(_, value)| value.to_owned())
        })
    };
    let ids = |login: Login| (login.client.unwrap(), login.tenant.unwrap(), login.authority);
    let shared = ("9999".to_owned(), "8888".to_owned(), "https://shared".to_owned());
    let secret = set(&[("AZURE_CLIENT_SECRET", "s")]);
    assert_eq!(ids(Login::shared(&secret).unwrap().unwrap()), shared);
    let pod = set(&[("AZURE_FEDERATED_TOKEN_FILE", "/t"), ("AZCOPY_AUTO_LOGIN_TYPE", "workload")]);
    assert_eq!(ids(Login::shared(&pod).unwrap().unwrap()), shared);
    assert_eq!(ids(Login::from_environment(|name| pod.get(name)).unwrap().unwrap()), shared);
    let spn = set(&[("AZCOPY_SPA_CLIENT_SECRET", "s"), ("AZCOPY_AUTO_LOGIN_TYPE", "spn")]);
    let own = ("1111".to_owned(), "2222".to_owned(), "https://own".to_owned());
    assert_eq!(ids(Login::from_environment(|name| spn.get(name)).unwrap().unwrap()), own);
    assert_eq!(Login::shared(&set(&[])), Ok(None));
    // One alone stands for both.
    let own = Environment::of(|name| {
        let all =
            [("AZURE_CLIENT_SECRET", "s"), ("AZCOPY_SPA_APPLICATION_ID", "1"), ("AZCOPY_TENANT_ID", "2")];
        all.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned())
    });
    assert_eq!(Login::shared(&own).unwrap().unwrap().describe(), "service principal 1 of tenant 2");
}

#[test]
fn a_file_is_the_same_in_another_directory() {
    let here = std::env::current_dir().unwrap();
    let certificate = [&SPN[..], &[("AZCOPY_SPA_CERT_PATH", "c.pem")]].concat();
    let LoginKind::ServicePrincipalCertificate { path, .. } = login(&certificate).kind else { panic!() };
    assert_eq!(path, here.join("c.pem"));
    let pod = [("AZCOPY_AUTO_LOGIN_TYPE", "workload"), ("AZURE_FEDERATED_TOKEN_FILE", "t"), SPN[1], SPN[2]];
    assert_eq!(login(&pod).kind, LoginKind::WorkloadIdentity { token_file: here.join("t") });
}
