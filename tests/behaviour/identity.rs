//! Microsoft Entra ID: every way to be somebody, against an authority that knows the protocol to the letter.
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "identity/login.rs"]
mod login;
#[path = "identity/tokens.rs"]
mod tokens;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use azsim::{Application, Authority, Endpoint, ManagedIdentity, Role};
use azuring_tests::entra::{APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::{Azuring, Outcome, azuring, wait_until};

/// Uploads two files, lists them, reads one back and removes them: every kind of request with a token.
#[track_caller]
fn everything_works(entra: &Entra) -> Outcome {
    let tree = entra.fixture.file("tree/a b", b"12345").parent().unwrap().to_owned();
    entra.fixture.file("tree/large", &vec![7; 300_000]);
    let (trusted, url) = (entra.trusted(), entra.url(""));
    let run = |args: &[&str]| {
        let mut args = args.to_vec();
        args.push(&trusted);
        entra.fixture.run(args)
    };
    let tree = tree.to_str().unwrap();
    let uploaded =
        run(&["copy", tree, &url, "--recursive", "--block-size-mb=0.0625", "--put-blob-size-mb=0.0625"]);
    uploaded.expect_code(0);
    let listed = run(&["list", &url, "--machine-readable"]);
    assert!(listed.expect_code(0).stdout.contains("tree/a b; Content Length: 5"), "{}", listed.stdout);
    let down = entra.fixture.path().join("down");
    run(&["copy", &entra.url("tree/large"), down.to_str().unwrap()]).expect_code(0);
    assert_eq!(fs::read(&down).unwrap(), vec![7; 300_000]);
    fs::remove_file(down).unwrap();
    run(&["remove", &entra.url("tree"), "--recursive"]).expect_code(0);
    assert_eq!(entra.names(), Vec::<String>::new());
    entra.assert_protocol();
    uploaded
}

/// How often a token was given.
fn given(authority: &Authority) -> usize {
    authority.requests().iter().filter(|request| request.status == 200).count()
}

#[test]
fn a_service_principal_does_everything_with_one_token() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    let outcome = everything_works(&entra);
    assert!(outcome.stderr.contains(&format!("service principal {APPLICATION}")), "{}", outcome.stderr);
    assert_eq!(given(&entra.authority), 1, "four processes shared a token");
    let again = entra.fixture.run(["list", &entra.url(""), &entra.trusted(), "--no-cache"]);
    again.expect_code(0);
    assert_eq!(given(&entra.authority), 2);
}

#[test]
fn microsofts_own_variables_are_enough() {
    let with = |azuring: Azuring, authority: &Authority| {
        azuring
            .env("AZURE_TENANT_ID", authority.tenant())
            .env("AZURE_CLIENT_ID", APPLICATION)
            .env("AZURE_CLIENT_SECRET", CLIENT_SECRET)
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Contributor));
    let outcome = everything_works(&entra);
    assert!(
        outcome.stderr.contains("using the service principal"),
        "the chain says what it used: {}",
        outcome.stderr
    );
}

#[test]
fn certificates_do_as_well_as_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let openssl = |args: &[&str]| {
        let output = std::process::Command::new("openssl").args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (key, cert, pem, pfx) = (path("key.pem"), path("cert.pem"), path("both.pem"), path("both.pfx"));
    openssl(&[
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &cert, "-days", "2",
        "-subj", "/CN=t",
    ]);
    fs::write(&pem, [fs::read(&key).unwrap(), fs::read(&cert).unwrap()].concat()).unwrap();
    openssl(&[
        "pkcs12",
        "-export",
        "-inkey",
        &key,
        "-in",
        &cert,
        "-out",
        &pfx,
        "-passout",
        "pass:open sesame",
    ]);
    const AZCOPYS: [&str; 5] = [
        "AZCOPY_TENANT_ID",
        "AZCOPY_SPA_APPLICATION_ID",
        "AZCOPY_ACTIVE_DIRECTORY_ENDPOINT",
        "AZCOPY_SPA_CERT_PATH",
        "AZCOPY_SPA_CERT_PASSWORD",
    ];
    const SHARED: [&str; 5] = [
        "AZURE_TENANT_ID",
        "AZURE_CLIENT_ID",
        "AZURE_AUTHORITY_HOST",
        "AZURE_CLIENT_CERTIFICATE_PATH",
        "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    ];
    let sesame = Some("open sesame");
    for (kind, names, file, password) in
        [("spn", AZCOPYS, &pem, None), ("spn", AZCOPYS, &pfx, sesame), ("", SHARED, &pfx, sesame)]
    {
        let with = |azuring: Azuring, authority: &Authority| {
            // An empty variable is one that is not set.
            let azuring =
                azuring.env("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", "").env("AZCOPY_AUTO_LOGIN_TYPE", kind);
            let values = [authority.tenant(), APPLICATION, &authority.url(), file, password.unwrap_or("")];
            names.iter().zip(values).fold(azuring, |azuring, (name, value)| azuring.env(name, value))
        };
        let entra = Entra::with(azuring!(), |authority| authority, with);
        let certificate = fs::read_to_string(&cert).unwrap();
        entra
            .authority
            .register(Application::new(APPLICATION).certificate_pem(&certificate).role(Role::Contributor));
        everything_works(&entra);
    }
}

#[test]
fn machines_and_apps_have_identities() {
    let (client, object, resource) = (
        "9f6f3a30-0000-4000-8000-00000000c11e",
        "9f6f3a30-0000-4000-8000-00000000b0b1",
        "/subscriptions/s/id",
    );
    let imds = |azuring: Azuring, authority: &Authority| {
        azuring.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url())
    };
    let app = |azuring: Azuring, authority: &Authority| {
        azuring
            .env("IDENTITY_ENDPOINT", authority.app_service_endpoint())
            .env("IDENTITY_HEADER", authority.app_service_secret())
    };
    let machines: [(&str, &str, Endpoint); 5] = [
        ("", "", Endpoint::Imds),
        ("AZCOPY_MSI_CLIENT_ID", client, Endpoint::Imds),
        ("AZCOPY_MSI_OBJECT_ID", object, Endpoint::Imds),
        ("AZCOPY_MSI_RESOURCE_STRING", resource, Endpoint::Imds),
        ("AZCOPY_MSI_CLIENT_ID", client, Endpoint::AppService),
    ];
    for (name, id, endpoint) in machines {
        let with = |azuring: Azuring, authority: &Authority| {
            let azuring = azuring.env("AZCOPY_AUTO_LOGIN_TYPE", "MSI");
            let azuring = if id.is_empty() { azuring } else { azuring.env(name, id) };
            if endpoint == Endpoint::Imds { imds(azuring, authority) } else { app(azuring, authority) }
        };
        let entra = Entra::with(azuring!(), |authority| authority, with);
        entra.authority.register_identity(ManagedIdentity::system("5a5a").role(Role::Contributor));
        let user = ManagedIdentity::user(client, resource).object_id(object).role(Role::Contributor);
        entra.authority.register_identity(user);
        everything_works(&entra);
        let asked = entra.authority.requests();
        assert!(asked.iter().all(|request| request.endpoint == endpoint), "{asked:?}");
        assert_eq!((asked.len(), asked[0].client.as_str()), (1, id));
    }
}

#[test]
fn a_pod_shows_its_own_token() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, "header.federated.signature").unwrap();
    let with = |azuring: Azuring, authority: &Authority| {
        azuring
            .env("AZCOPY_AUTO_LOGIN_TYPE", "workload")
            .env("AZURE_TENANT_ID", authority.tenant())
            .env("AZURE_CLIENT_ID", APPLICATION)
            .env("AZURE_FEDERATED_TOKEN_FILE", &file)
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    let pod =
        Application::new(APPLICATION).federated_token("header.federated.signature").role(Role::Contributor);
    entra.authority.register(pod);
    everything_works(&entra);
}

/// Writes a program for `PATH`.
fn program(dir: &Path, name: &str, script: &str) {
    let file = dir.join(name);
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_azure_cli_and_powershell_lend_their_login() {
    for (kind, name) in [("AZCLI", "az"), ("PSCRED", "pwsh")] {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let with =
            |azuring: Azuring, _: &Authority| azuring.env("AZCOPY_AUTO_LOGIN_TYPE", kind).env("PATH", &path);
        let entra = Entra::with(azuring!(), |authority| authority, with);
        let token = entra.authority.token("somebody", &[Role::Contributor], 3600);
        let end = entra.authority.now_s() + 3600;
        let answer = match name {
            "az" => format!(
                r#"{{"accessToken":"{token}","expiresOn":"2030-01-01 00:00:00.000000","expires_on":{end},"tokenType":"Bearer"}}"#
            ),
            _ => format!(r#"{{"access_token":"{token}","expires_on":{end}}}"#),
        };
        let calls = dir.path().join("calls");
        let script =
            format!("echo \"$* $AZURING_TOKEN_RESOURCE\" >> {}\ncat <<'END'\n{answer}\nEND", calls.display());
        program(dir.path(), name, &script);
        everything_works(&entra);
        let calls = fs::read_to_string(calls).unwrap();
        assert!(calls.contains("storage.azure.com"), "{calls}");
        program(dir.path(), name, "echo 'Please run az login to setup account.' >&2; exit 1");
        let refused = entra.fixture.run(["list", &entra.url(""), &entra.trusted(), "--no-cache"]);
        assert!(refused.expect_code(3).stderr.contains("Please run az login"), "{}", refused.stderr);
    }
}

#[test]
fn the_azure_cli_sees_no_secrets_and_ends_with_azuring() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    assert!(std::process::Command::new("mkfifo").arg(file("pipe")).status().unwrap().success());
    // Like the real one it is a script, which waits for what does the work.
    let (pipe, seen) = (file("pipe").display().to_string(), file("seen").display().to_string());
    let work =
        format!("env > {seen}.new; mv {seen}.new {seen}; exec 3> {pipe}; sleep 180; echo survived >&3");
    program(dir.path(), "az", &format!("({work})\n:"));
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let with = |azuring: Azuring, _: &Authority| {
        let azuring = azuring.env("AZCOPY_AUTO_LOGIN_TYPE", "azcli").env("PATH", &path);
        let secrets =
            ["AZCOPY_SPA_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD"];
        secrets.iter().fold(azuring, |azuring, name| azuring.env(name, CLIENT_SECRET))
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    let (url, trusted) = (entra.url(""), entra.trusted());
    for args in [vec!["list", &url, &trusted], vec!["login", "status"]] {
        let running = entra.fixture.azuring().start(&args);
        wait_until("az begins", || file("seen").exists());
        let environment = fs::read_to_string(file("seen")).unwrap();
        assert!(environment.contains("AZCOPY_AUTO_LOGIN_TYPE") && !environment.contains(CLIENT_SECRET));
        fs::remove_file(file("seen")).unwrap();
        let mut pipe = fs::File::open(file("pipe")).unwrap();
        running.terminate();
        // The pipe ends with its last writer.
        let mut last_words = String::new();
        std::io::Read::read_to_string(&mut pipe, &mut last_words).unwrap();
        assert_eq!(last_words, "", "{args:?}");
        assert_eq!(running.wait().unwrap().code, Some(6), "{args:?}");
    }
}

#[test]
fn a_parent_says_whom_to_ask() {
    let with = |azuring: Azuring, authority: &Authority| {
        azuring.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url()).env(
            "AZCOPY_OAUTH_TOKEN_INFO",
            r#"{"access_token":"old","expires_on":"1","_token_refresh_source":"MSI","IdentityInfo":{"_identity_client_id":"5a5a"}}"#,
        )
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    let resource =
        "/subscriptions/1/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u";
    entra.authority.register_identity(ManagedIdentity::user("5a5a", resource).role(Role::Contributor));
    everything_works(&entra);
    assert!(entra.authority.requests().iter().all(|request| request.client == "5a5a"));
}

#[test]
fn with_nothing_set_one_line_names_what_was_used() {
    let with = |azuring: Azuring, authority: &Authority| {
        azuring.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url())
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    entra.authority.register_identity(ManagedIdentity::system("5a5a").role(Role::Contributor));
    let outcome = everything_works(&entra);
    let lines: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("managed identity")).collect();
    assert!(!lines.is_empty(), "{}", outcome.stderr);

    // Nothing anywhere: every link of the chain says why not.
    let with = |azuring: Azuring, _: &Authority| {
        azuring.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1").env("PATH", "/nowhere")
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    let refused = entra.fixture.run(["copy", "/etc/hostname", &entra.url(""), &entra.trusted()]);
    refused.expect_code(3);
    for link in ["AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "managed identity", "Azure CLI", "SAS"]
    {
        assert!(refused.stderr.contains(link), "{link}: {}", refused.stderr);
    }
}

#[test]
fn what_is_wrong_is_told_with_what_to_change() {
    let entra = Entra::with(azuring!(), |authority| authority, Entra::as_service_principal);
    let copy =
        || entra.fixture.run(["copy", "/etc/hostname", &entra.url(""), &entra.trusted(), "--no-cache"]);
    let unknown = copy();
    assert!(unknown.expect_code(3).stderr.contains("AADSTS700016"), "{}", unknown.stderr);
    entra.authority.register(Application::new(APPLICATION).secret("another"));
    let wrong = copy();
    wrong.expect_code(3);
    for part in ["AADSTS7000215", "AZCOPY_SPA_CLIENT_SECRET"] {
        assert!(wrong.stderr.contains(part), "{part}: {}", wrong.stderr);
    }
    entra.authority.register(Application::new(APPLICATION).expired_secret(CLIENT_SECRET));
    assert!(copy().expect_code(3).stderr.contains("AADSTS7000222"));
    // A token without a role.
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET));
    let poor = copy();
    poor.expect_code(3);
    for part in ["AuthorizationPermissionMismatch", APPLICATION, "Storage Blob Data Contributor"] {
        assert!(poor.stderr.contains(part), "{part}: {}", poor.stderr);
    }
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Reader));
    let reader = copy();
    assert!(reader.expect_code(3).stderr.contains("Storage Blob Data Contributor"), "{}", reader.stderr);
    for kind in ["nonsense", "spn"] {
        let azuring = azuring!().env("AZCOPY_AUTO_LOGIN_TYPE", kind);
        let refused = azuring.run(["list", "https://a.blob.core.windows.net/container"]);
        let told = if kind == "spn" { "AZCOPY_SPA_CLIENT_SECRET" } else { "device, spn, msi" };
        assert!(refused.code.is_some_and(|code| code == 2 || code == 3), "{}", refused.stderr);
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
}

#[test]
fn a_parent_hands_down_its_token() {
    let with = |azuring: Azuring, authority: &Authority| {
        let token = authority.token("explorer", &[Role::Contributor], 3600);
        let end = authority.now_s() + 3600;
        let info = format!(
            r#"{{"access_token":"{token}","expires_on":"{end}","_tenant":"{}"}}"#,
            authority.tenant()
        );
        azuring.env("AZCOPY_OAUTH_TOKEN_INFO", info)
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    everything_works(&entra);
    assert_eq!(entra.authority.requests().len(), 0);
    assert!(!entra.fixture.azuring().home().join(".azuring/identity").exists(), "nothing of it is kept");
}
