//! Managed identities, whose services check every request, and programs that lend their login.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, dead_code, reason = "it is a test")]

mod kit;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use azsim::{Application, Authority, Behaviour, Trouble};
use azuring_azure::Secret;
use azuring_identity::{
    Cache, CacheOptions, Clock, Login, LoginKind, ManagedIdentity, Network, STORAGE_SCOPE, chain, keep,
};
use kit::{CLIENT, SECRET, assert_strict, network, refused};

const RESOURCE: &str =
    "/subscriptions/1/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u";

fn authority() -> Authority {
    let authority = Authority::builder().start().unwrap();
    authority.register_identity(azsim::ManagedIdentity::system("sys"));
    authority.register_identity(azsim::ManagedIdentity::user("usr", RESOURCE).object_id("obj"));
    authority
}

fn machine(which: ManagedIdentity) -> Login {
    Login::new(LoginKind::ManagedIdentity(which))
}

fn vm(authority: &Authority) -> Network {
    let pem = authority.ca_pem().unwrap();
    network(pem, &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url())])
}

#[test]
fn a_vm_has_identities() {
    let authority = authority();
    let network = vm(&authority);
    for (which, client) in [
        (ManagedIdentity::System, ""),
        (ManagedIdentity::ClientId("usr".into()), "usr"),
        (ManagedIdentity::ObjectId("obj".into()), "obj"),
        (ManagedIdentity::ResourceId(RESOURCE.into()), RESOURCE),
    ] {
        let token = machine(which).token(&network, STORAGE_SCOPE).unwrap();
        assert_eq!(token.lifetime, Duration::from_secs(86_399));
        assert_eq!(authority.requests().last().unwrap().client, client);
    }
    let said = refused(&machine(ManagedIdentity::ClientId("none".into())), &network);
    assert!(said.ends_with("invalid_request: Identity not found; check that this identity is assigned to the machine: AZCOPY_MSI_CLIENT_ID"), "{said}");
    // A service that is busy is asked again, by us and not by the library as well.
    let asked = authority.requests().len();
    let troubles = vec![Trouble::TooManyRequests(Some(0)), Trouble::ServerError];
    authority.set_behaviour(Behaviour { troubles, numbers: true, ..Behaviour::default() });
    machine(ManagedIdentity::System).token(&network, STORAGE_SCOPE).unwrap();
    assert_eq!(authority.requests().len(), asked + 3);
    assert_strict(&authority);
}

#[test]
fn the_metadata_service_is_near() {
    for far in ["http://10.0.0.1", "https://127.0.0.1", "http://example.org", "http://169.255.1.1"] {
        let network = network(
            Authority::builder().start().unwrap().ca_pem().unwrap(),
            &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", far.to_owned())],
        );
        let said = refused(&machine(ManagedIdentity::System), &network);
        assert!(said.starts_with("AZURE_POD_IDENTITY_AUTHORITY_HOST: "), "{said}");
    }
}

#[test]
fn a_machine_of_arc_shows_the_key_it_was_pointed_to() {
    let keys = tempfile::tempdir().unwrap();
    let authority = Authority::builder().arc_keys(keys.path()).start().unwrap();
    authority.register_identity(azsim::ManagedIdentity::system("sys"));
    let variables =
        [("IDENTITY_ENDPOINT", authority.arc_endpoint()), ("IMDS_ENDPOINT", "http://127.0.0.1".to_owned())];
    let mut network = network(authority.ca_pem().unwrap(), &variables);
    network.arc_keys = keys.path().to_owned();
    let token = machine(ManagedIdentity::System).token(&network, STORAGE_SCOPE).unwrap();
    assert_eq!(token.lifetime, Duration::from_secs(86_399));
    let statuses: Vec<_> = authority.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [401, 200]);
    assert_strict(&authority);
    // Nobody has other files read.
    network.arc_keys = "/var/opt/azcmagent/tokens".into();
    let said = refused(&machine(ManagedIdentity::System), &network);
    assert!(said.ends_with("is not a .key file in /var/opt/azcmagent/tokens"), "{said}");
    assert!(
        refused(&machine(ManagedIdentity::ClientId("c".into())), &network).contains("its own identity only")
    );
}

#[test]
fn app_service_gives_tokens() {
    let authority = authority();
    let variables = [
        ("IDENTITY_ENDPOINT", authority.app_service_endpoint()),
        ("IDENTITY_HEADER", authority.app_service_secret().to_string()),
    ];
    let network = network(authority.ca_pem().unwrap(), &variables);
    for (which, client) in [
        (ManagedIdentity::System, ""),
        (ManagedIdentity::ClientId("usr".into()), "usr"),
        (ManagedIdentity::ObjectId("obj".into()), "obj"),
        (ManagedIdentity::ResourceId(RESOURCE.into()), RESOURCE),
    ] {
        machine(which).token(&network, STORAGE_SCOPE).unwrap();
        let asked = authority.requests().pop().unwrap();
        assert_eq!((&*asked.client, asked.status), (client, 200));
    }
    assert_strict(&authority);
}

#[test]
fn the_secret_of_an_app_goes_to_its_own_machine() {
    let authority = authority();
    let with = |endpoint: &str| {
        let variables = [("IDENTITY_ENDPOINT", endpoint.to_owned()), ("IDENTITY_HEADER", SECRET.to_owned())];
        refused(&machine(ManagedIdentity::System), &network(authority.ca_pem().unwrap(), &variables))
    };
    for far in ["http://example.org/msi", "http://1.1.1.1/msi", "ftp://127.0.0.1/msi", "nowhere"] {
        assert!(with(far).starts_with("IDENTITY_ENDPOINT: it is n"), "{far}");
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    let authority = authority();
    let variables = [
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url()),
        ("IDENTITY_ENDPOINT", String::new()),
        // Alone it is nobody's, and goes nowhere: the authority would call it a deviation.
        ("IDENTITY_HEADER", SECRET.to_owned()),
    ];
    let network = network(authority.ca_pem().unwrap(), &variables);
    machine(ManagedIdentity::System).token(&network, STORAGE_SCOPE).unwrap();
    assert_strict(&authority);
}

#[test]
fn two_machines_with_one_home_have_their_own_tokens() {
    let home = tempfile::tempdir().unwrap();
    let machines = [authority(), authority()];
    for machine_of in [&machines[0], &machines[1], &machines[0]] {
        let cache = Cache::open(home.path(), CacheOptions::default().keyring(false)).unwrap();
        let login = machine(ManagedIdentity::System);
        keep(login, vm(machine_of), STORAGE_SCOPE, Clock::system(), None, cache).unwrap();
    }
    assert_eq!(machines.map(|machine| machine.requests().len()), [1, 1]);
}

/// A directory with a program in it.
fn program(name: &str, script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn with_path(dir: &tempfile::TempDir) -> Network {
    let authority = Authority::builder().start().unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    network(authority.ca_pem().unwrap(), &[("PATH", path)])
}

#[test]
fn the_azure_cli_gives_tokens() {
    // What the real one prints, and the arguments it is given.
    let dir = program(
        "az",
        r#"[ "$*" = "account get-access-token -o json --scope https://storage.azure.com/.default --tenant 2222" ] || exit 9
        echo "{\"accessToken\":\"t0ken\",\"expiresOn\":\"2026-01-01\",\"expires_on\":$(($(date +%s) + 3600)),\"tokenType\":\"Bearer\"}""#,
    );
    let login = Login::new(LoginKind::AzureCli);
    let token =
        login.clone().with_tenant("", "2222").unwrap().token(&with_path(&dir), STORAGE_SCOPE).unwrap();
    assert_eq!(token.secret, Secret::new("t0ken"));
    assert!((3590..=3600).contains(&token.lifetime.as_secs()));
    assert_eq!(refused(&login, &with_path(&dir)), "az gives no token: it ended with exit status: 9");
    for (script, reason) in [
        (
            "echo \"ERROR: Please run 'az login' to setup account. More.\" >&2; exit 1",
            "Please run 'az login' to setup account",
        ),
        (
            "echo '{\"accessToken\":\"hunter2-canary~8Q\"}'",
            "its output holds no token; version 2.54.0 or newer is needed",
        ),
        ("echo hunter2-canary~8Q", "its output holds no token; version 2.54.0 or newer is needed"),
        ("exit 127", "it is not in PATH"),
    ] {
        assert_eq!(
            refused(&login, &with_path(&program("az", script))),
            format!("az gives no token: {reason}")
        );
    }
    assert_eq!(refused(&login, &with_path(&program("other", ""))), "az gives no token: it is not in PATH");
}

#[test]
fn powershell_gives_tokens() {
    let dir = program(
        "pwsh",
        r#"[ "$1 $2 $3" = "-NoProfile -NonInteractive -Command" ] || exit 9
        case "$4" in *Get-AzAccessToken*) ;; *) exit 8;; esac
        case "$*" in *2222*) exit 7;; esac
        [ "$AZURING_TOKEN_RESOURCE $AZURING_TOKEN_TENANT" = "https://storage.azure.com 2222" ] || exit 6
        echo "{\"access_token\":\"t0ken\",\"expires_on\":$(($(date +%s) + 3600))}""#,
    );
    let login = Login::new(LoginKind::PowerShell).with_tenant("", "2222").unwrap();
    let token = login.token(&with_path(&dir), STORAGE_SCOPE).unwrap();
    assert_eq!(token.secret, Secret::new("t0ken"));
    assert!((3590..=3600).contains(&token.lifetime.as_secs()));
    let failed = program("pwsh", "echo 'Run Connect-AzAccount to login.' >&2; exit 1");
    assert_eq!(refused(&login, &with_path(&failed)), "pwsh gives no token: Run Connect-AzAccount to login");
    let silent = program("pwsh", "echo hunter2-canary~8Q");
    assert_eq!(refused(&login, &with_path(&silent)), "pwsh gives no token: its output holds no token");
}

#[test]
fn the_chain_takes_the_first_and_says_why_not_the_others() {
    let authority = authority();
    authority.register(Application::new(CLIENT).secret(SECRET));
    let pem = authority.ca_pem().unwrap();
    let closed = "http://127.0.0.1:9".to_owned();
    let azure = |secret: &str| {
        vec![
            ("AZURE_CLIENT_ID", CLIENT.to_owned()),
            ("AZURE_TENANT_ID", authority.tenant().to_owned()),
            ("AZURE_CLIENT_SECRET", secret.to_owned()),
            ("AZURE_AUTHORITY_HOST", authority.url()),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", closed.clone()),
        ]
    };
    let (login, _) = chain(&network(pem, &azure(SECRET)), STORAGE_SCOPE, &Cache::none()).unwrap();
    assert_eq!(login.describe(), format!("service principal {CLIENT} of tenant {}", authority.tenant()));

    let error = chain(&network(pem, &azure("wrong")), STORAGE_SCOPE, &Cache::none()).unwrap_err();
    let said = error.to_string();
    let lines: Vec<_> = said.lines().collect();
    // It was meant: nobody else is taken in its place.
    assert_eq!(lines.len(), 2, "{said}");
    assert!(lines[1].starts_with("  service principal: ") && lines[1].contains("AADSTS7000215"), "{said}");
    assert!(!format!("{error:?}").contains("wrong"));

    let nothing = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", closed.clone())];
    let error = chain(&network(pem, &nothing), STORAGE_SCOPE, &Cache::none()).unwrap_err();
    let said = error.to_string();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(lines[1].starts_with("  service principal: neither AZURE_CLIENT_SECRET"), "{said}");
    assert_eq!(lines[2], "  workload identity: AZURE_FEDERATED_TOKEN_FILE is not set");
    assert!(lines[3].starts_with("  managed identity: 127.0.0.1:9 takes no connection"), "{said}");
    assert_eq!(lines[4], "  Azure CLI: az is not in PATH");

    let dir = program(
        "az",
        r#"echo "{\"accessToken\":\"t0ken\",\"expires_on\":$(($(date +%s) + 3600)),\"tokenType\":\"Bearer\"}""#,
    );
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let variables = [("PATH", path), ("AZURE_POD_IDENTITY_AUTHORITY_HOST", closed)];
    let (login, token) = chain(&network(pem, &variables), STORAGE_SCOPE, &Cache::none()).unwrap();
    assert_eq!((login.kind, token.secret), (LoginKind::AzureCli, Secret::new("t0ken")));
    assert_strict(&authority);
}

#[test]
fn a_machine_that_is_busy_is_waited_for_and_one_that_is_named_is_meant() {
    let authority = authority();
    let imds = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url());
    let az = program("az", r#"echo '{"accessToken":"t","expires_on":4102444800,"tokenType":"Bearer"}'"#);
    let path = ("PATH", format!("{}:/usr/bin:/bin", az.path().display()));
    let with = |more: &[(&'static str, &str)]| {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let variables: Vec<_> = [imds.clone(), path.clone()].into_iter().chain(more).collect();
        chain(&network(authority.ca_pem().unwrap(), &variables), STORAGE_SCOPE, &Cache::none())
    };
    // Longer than one would wait for what may be another cloud's.
    let troubles = vec![Trouble::TooManyRequests(Some(4))];
    authority.set_behaviour(Behaviour { troubles, ..Behaviour::default() });
    assert_eq!(with(&[]).unwrap().0, machine(ManagedIdentity::System));
    let (login, _) = with(&[("AZCOPY_MSI_CLIENT_ID", "usr"), ("AZURE_CLIENT_ID", "none")]).unwrap();
    assert_eq!(login, machine(ManagedIdentity::ClientId("usr".into())));
    for name in ["AZCOPY_MSI_OBJECT_ID", "AZURE_CLIENT_ID"] {
        let error = with(&[(name, "none")]).unwrap_err();
        assert!(error.is_of_somebody() && !error.is_passing(), "{error}");
        assert_eq!(error.passed.last().unwrap().link, "managed identity");
    }
    // Where a machine has no identity, another is as good.
    let bare = Authority::builder().start().unwrap();
    let variables = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", bare.imds_url()), path.clone()];
    let network = network(bare.ca_pem().unwrap(), &variables);
    assert_eq!(chain(&network, STORAGE_SCOPE, &Cache::none()).unwrap().0.kind, LoginKind::AzureCli);
    assert_strict(&authority);
}
