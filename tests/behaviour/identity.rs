//! Microsoft Entra ID: every way to be somebody, against an authority that knows the protocol to the letter.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use azsim::{
    Application, Authority, Behaviour, Endpoint, Fault, Faults, ManagedIdentity, NameMatch, Role, Rule,
    Trouble,
};
use azuring_tests::entra::{APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::{Azuring, Outcome, azuring};

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
fn a_login_is_kept_shown_used_and_forgotten() {
    let with = |azuring: Azuring, _: &Authority| azuring.env("AZCOPY_SPA_CLIENT_SECRET", CLIENT_SECRET);
    let entra = Entra::with(azuring!(), |authority| authority, with);
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Contributor));
    let status = entra.fixture.run(["login", "status"]);
    assert!(status.expect_code(1).stdout.contains("You are currently not logged in"), "{}", status.stdout);
    let json = entra.fixture.run(["login", "status", "--output-type=json"]);
    assert!(json.expect_code(1).stdout.contains(r#"{\"valid\":false}"#), "{}", json.stdout);
    assert!(entra.fixture.run(["logout"]).expect_code(1).stderr.contains("no cached token found"));

    let tenant = format!("--tenant-id={}", entra.authority.tenant());
    let application = format!("--application-id={APPLICATION}");
    let login = entra.fixture.run(["login", "--service-principal", &application, &tenant]);
    assert!(login.expect_code(0).stdout.contains("SPN Auth via secret succeeded"), "{}", login.stdout);
    let file = entra.fixture.azuring().home().join(".azuring/identity");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);

    let status = entra.fixture.run(["login", "status", "--tenant", "--endpoint", "--method"]);
    status.expect_code(0);
    for part in
        ["Your login session is still active", entra.authority.tenant(), &entra.authority.url(), "SPN"]
    {
        assert!(status.stdout.contains(part), "{part}: {}", status.stdout);
    }
    let json = entra.fixture.run(["login", "status", "--output-type=json"]);
    assert!(json.expect_code(0).stdout.contains(r#"\"valid\":true"#), "{}", json.stdout);
    let outcome = everything_works(&entra);
    assert!(outcome.stderr.contains(APPLICATION), "{}", outcome.stderr);

    let out = entra.fixture.run(["logout"]);
    assert!(out.expect_code(0).stdout.contains("Logout succeeded"), "{}", out.stdout);
    entra.fixture.run(["login", "status"]).expect_code(1);
    assert!(!file.exists());
    let refused = entra.fixture.run(["list", &entra.url(""), &entra.trusted()]);
    assert!(refused.expect_code(3).stderr.contains("azuring login"), "{}", refused.stderr);
}

/// Waits for a user code in what a process prints.
fn user_code(authority: &Authority) -> String {
    let begun = Instant::now();
    loop {
        if let Some(code) = authority.user_codes().first() {
            return code.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody asks for a code");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_person_logs_in_with_a_code_and_stays_logged_in() {
    let entra = Entra::new(azuring!());
    let public = "579a7132-0e58-4d80-b1e1-7a1e2d337859";
    entra.authority.register(Application::new(public).public().role(Role::Contributor));
    entra.authority.set_behaviour(Behaviour { poll_interval_s: 1, slow_down: 0, ..Behaviour::default() });
    let tenant = format!("--tenant-id={}", entra.authority.tenant());
    let running = entra.fixture.azuring().start(["login", &tenant]);
    let code = user_code(&entra.authority);
    assert!(entra.authority.approve_device(&code));
    let login = running.wait().unwrap();
    login.expect_code(0);
    assert!(format!("{}{}", login.stdout, login.stderr).contains(&code), "{} {}", login.stdout, login.stderr);
    everything_works(&entra);
    // Two hours later the first token has expired, and the refresh token brings another.
    let before = given(&entra.authority);
    entra.authority.advance(Duration::from_secs(7200));
    entra.fixture.run(["list", &entra.url(""), &entra.trusted()]).expect_code(0);
    assert_eq!(given(&entra.authority), before + 1);
    assert_eq!(entra.authority.requests().last().unwrap().grant, "refresh_token");
    entra.assert_protocol();
}

#[test]
fn a_person_who_declines_is_not_logged_in() {
    let entra = Entra::new(azuring!());
    let public = "579a7132-0e58-4d80-b1e1-7a1e2d337859";
    entra.authority.register(Application::new(public).public());
    entra.authority.set_behaviour(Behaviour { poll_interval_s: 1, ..Behaviour::default() });
    let tenant = format!("--tenant-id={}", entra.authority.tenant());
    let running = entra.fixture.azuring().start(["login", &tenant]);
    assert!(entra.authority.decline_device(&user_code(&entra.authority)));
    let login = running.wait().unwrap();
    assert!(login.expect_code(3).stderr.contains("declined"), "{}", login.stderr);
    entra.fixture.run(["login", "status"]).expect_code(1);
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
    let work = format!("env > {seen}.new; mv {seen}.new {seen}; exec 3> {pipe}; sleep 20; echo survived >&3");
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
        let begun = Instant::now();
        while !file("seen").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "az does not begin");
            std::thread::sleep(Duration::from_millis(5));
        }
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
fn many_processes_ask_for_one_token() {
    let entra = Entra::service_principal(azuring!(), Role::Reader);
    let behaviour = Behaviour { delay: Duration::from_millis(300), ..Behaviour::default() };
    entra.authority.set_behaviour(behaviour);
    let (url, trusted) = (entra.url(""), entra.trusted());
    let running: Vec<_> = (0..8).map(|_| entra.fixture.azuring().start(["list", &url, &trusted])).collect();
    for process in running {
        process.wait().unwrap().expect_code(0);
    }
    assert_eq!(given(&entra.authority), 1);
}

#[test]
fn a_token_goes_over_https_to_trusted_hosts_and_nowhere_else() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    let outcome = entra.fixture.run(["copy", "/etc/hostname", &entra.url("")]);
    assert!(outcome.expect_code(3).stderr.contains("--trusted-microsoft-suffixes"), "{}", outcome.stderr);
    let other = entra.fixture.run([
        "copy",
        "/etc/hostname",
        &entra.url(""),
        "--trusted-microsoft-suffixes=*.example.org",
    ]);
    other.expect_code(3);
    let plain = entra.url("").replace("https://", "http://");
    let plain = entra.fixture.run(["copy", "/etc/hostname", &plain, &entra.trusted()]);
    assert!(plain.expect_code(3).stderr.contains("https only"), "{}", plain.stderr);
    assert_eq!((entra.authority.requests().len(), entra.fixture.server().stats().requests), (0, 0));
    // An answer that sends it elsewhere is an error: nothing is sent again.
    let everything = NameMatch::Contains(String::new());
    let rule = Rule {
        name: everything,
        operation: None,
        fault: Fault::error(307, "Moved"),
        skip: 0,
        count: u64::MAX,
    };
    entra.fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let moved =
        entra.fixture.run(["copy", "/etc/hostname", &entra.url("x"), &entra.trusted(), "--retry-failed=0"]);
    assert!(moved.code != Some(0) && moved.stderr.contains("307"), "{}", moved.stderr);
    assert_eq!(entra.fixture.server().stats().requests, 1);
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
fn a_busy_authority_is_asked_again() {
    let entra = Entra::service_principal(azuring!(), Role::Reader);
    let troubles = vec![Trouble::TenantThrottled, Trouble::Unavailable(Some(1)), Trouble::ServerError];
    entra.authority.set_behaviour(Behaviour { troubles, ..Behaviour::default() });
    entra.fixture.run(["list", &entra.url(""), &entra.trusted()]).expect_code(0);
    assert_eq!((entra.authority.requests().len(), given(&entra.authority)), (4, 1));
}

#[test]
fn a_token_that_is_refused_in_the_middle_of_a_job_is_renewed() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    for n in 0..400 {
        entra.fixture.file(&format!("tree/{n}"), format!("{n}").as_bytes());
    }
    let latency = Duration::from_millis(20);
    entra.fixture.server().set_faults(Faults { latency, ..Faults::default() });
    let tree = entra.fixture.path().join("tree");
    // One attempt per request: a renewal is none.
    let args = [
        "copy",
        tree.to_str().unwrap(),
        &entra.url(""),
        &entra.trusted(),
        "--recursive",
        "--concurrency=4",
        "--max-tries=1",
        "--retry-failed=0",
    ];
    let running = entra.fixture.azuring().start(args);
    let begun = Instant::now();
    for done in [40, 200] {
        while entra.names().len() < done {
            assert!(begun.elapsed() < Duration::from_secs(60), "the job does not go on");
            std::thread::sleep(Duration::from_millis(5));
        }
        // All tokens of now have expired, and their holder does not know.
        entra.authority.advance(Duration::from_secs(7200));
    }
    let outcome = running.wait().unwrap();
    outcome.expect_code(0);
    assert_eq!(outcome.field("Number of File Transfers Completed"), Some("400"), "{}", outcome.stdout);
    assert_eq!(given(&entra.authority), 3, "one renewal for all requests that were refused");
    entra.assert_protocol();
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

#[test]
fn an_identity_logs_in_by_flags() {
    let (client, object, resource) = ("c11e", "b0b1", "/subscriptions/s/id");
    for (flag, id) in [
        ("--identity-client-id", client),
        ("--identity-object-id", object),
        ("--identity-resource-id", resource),
        ("--login-type", "msi"),
    ] {
        let with = |azuring: Azuring, authority: &Authority| {
            azuring.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url())
        };
        let entra = Entra::with(azuring!(), |authority| authority, with);
        entra.authority.register_identity(ManagedIdentity::system("5a5a").role(Role::Contributor));
        let user = ManagedIdentity::user(client, resource).object_id(object).role(Role::Contributor);
        entra.authority.register_identity(user);
        let login = entra.fixture.run(["login", "--identity", &format!("{flag}={id}")]);
        assert!(login.expect_code(0).stdout.contains("Login with identity succeeded"), "{}", login.stdout);
        everything_works(&entra);
        let asked = entra.authority.requests();
        let named = if id == "msi" { "" } else { id };
        assert!(asked.iter().all(|request| request.client == named), "{asked:?}");
    }
}

#[test]
fn a_login_trusts_the_authorities_it_is_given() {
    let authority = Authority::builder().start().unwrap();
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["t".to_owned()]).unwrap().self_signed(&key).unwrap();
    authority.register(Application::new(APPLICATION).certificate_pem(&certificate.pem()).role(Role::Reader));
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).to_str().unwrap().to_owned()
    };
    let ca = write("ca.pem", authority.ca_pem().unwrap());
    let both = write("both.pem", &format!("{}{}", key.serialize_pem(), certificate.pem()));
    let azuring = azuring!();
    let login = |more: &[&str]| {
        let mut args = vec!["login".to_owned(), "--login-type=spn".to_owned()];
        args.push(format!("--aad-endpoint={}", authority.url()));
        args.push(format!("--tenant-id={}", authority.tenant()));
        args.push(format!("--application-id={APPLICATION}"));
        args.push(format!("--certificate-path={both}"));
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        azuring.run(args)
    };
    let untrusted = login(&[]);
    assert!(
        untrusted.code != Some(0) && untrusted.stderr.contains("authority this machine trusts"),
        "{}",
        untrusted.stderr
    );
    let ca_file = format!("--ca-file={ca}");
    assert!(login(&[&ca_file]).expect_code(0).stdout.contains("SPN Auth via cert succeeded"));
    azuring.run(["login", "status", &ca_file]).expect_code(0);
}

#[test]
fn a_login_without_the_key_ring_outlives_it() {
    let with = |azuring: Azuring, _: &Authority| azuring.env("AZCOPY_SPA_CLIENT_SECRET", CLIENT_SECRET);
    let entra = Entra::with(azuring!(), |authority| authority, with);
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Contributor));
    let tenant = format!("--tenant-id={}", entra.authority.tenant());
    let application = format!("--application-id={APPLICATION}");
    entra.fixture.run(["login", "--service-principal", &application, &tenant, "--no-keyring"]).expect_code(0);
    // Copied to another home, as after a restart of the machine: what is in the file is all there is.
    let kept = fs::read(entra.fixture.azuring().home().join(".azuring/identity")).unwrap();
    let other = azuring!().trust(&entra.fixture.ca_file());
    fs::create_dir(other.home().join(".azuring")).unwrap();
    fs::write(other.home().join(".azuring/identity"), kept).unwrap();
    fs::set_permissions(other.home().join(".azuring/identity"), fs::Permissions::from_mode(0o600)).unwrap();
    other.run(["list", &entra.url(""), &entra.trusted()]).expect_code(0);
}

#[test]
fn status_asks_though_a_token_is_kept() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    entra.fixture.run(["list", &entra.url(""), &entra.trusted()]).expect_code(0);
    entra.fixture.run(["login", "status"]).expect_code(0);
    assert_eq!(given(&entra.authority), 2);
    entra.authority.register(Application::new(APPLICATION).secret("another"));
    let status = entra.fixture.run(["login", "status"]);
    assert!(status.expect_code(1).stderr.contains("AADSTS7000215"), "{}", status.stderr);
}

#[test]
fn a_login_of_which_the_key_is_elsewhere_stops_nobody_with_a_name() {
    // As it is on another machine, or in a container, with the same home.
    let sealed = r#"{"format":1,"login":true,"sealed":""}"#;
    let keep = |azuring: &Azuring| {
        let file = azuring.home().join(".azuring/identity");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, sealed).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        file
    };
    let with = |azuring: Azuring, authority: &Authority| {
        keep(&azuring);
        azuring
            .env("AZURE_TENANT_ID", authority.tenant())
            .env("AZURE_CLIENT_ID", APPLICATION)
            .env("AZURE_CLIENT_SECRET", CLIENT_SECRET)
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Contributor));
    let listed = entra.fixture.run(["list", &entra.url(""), &entra.trusted()]);
    assert!(listed.expect_code(0).stderr.contains("the login that is kept is not used"), "{}", listed.stderr);
    let file = entra.fixture.azuring().home().join(".azuring/identity");
    assert_eq!(fs::read_to_string(file).unwrap(), sealed, "it is whole where its key is");
    // Nobody else is taken in its place.
    let other = azuring!();
    keep(&other);
    let refused = other.run(["list", "https://a.blob.core.windows.net/container"]);
    assert!(refused.expect_code(3).stderr.contains("log in again"), "{}", refused.stderr);
}

#[test]
fn what_is_typed_goes_before_what_is_set() {
    let client = "9f6f3a30-0000-4000-8000-00000000c11e";
    let with = |azuring: Azuring, authority: &Authority| {
        azuring
            .env("AZCOPY_MSI_OBJECT_ID", "other")
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", authority.imds_url())
            .env("AZCOPY_SPA_CERT_PATH", "/nowhere.pem")
            .env("AZCOPY_SPA_CLIENT_SECRET", CLIENT_SECRET)
            .env("AZURE_CLIENT_ID", "other")
    };
    let entra = Entra::with(azuring!(), |authority| authority, with);
    entra.authority.register_identity(ManagedIdentity::user(client, "/s").role(Role::Contributor));
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET));
    let flag = format!("--identity-client-id={client}");
    entra.fixture.run(["login", "--identity", &flag]).expect_code(0);
    let both = entra.fixture.run(["login", "--identity", &flag, "--identity-object-id=o"]);
    let said = "--identity-client-id and --identity-object-id exclude each other";
    assert!(both.expect_code(2).stderr.contains(said), "{}", both.stderr);
    let application = format!("--application-id={APPLICATION}");
    let tenant = format!("--tenant-id={}", entra.authority.tenant());
    entra.fixture.run(["login", "--service-principal", &application, &tenant]).expect_code(0);
}

#[test]
fn nobody_enters_a_code_for_a_login_that_cannot_be_kept() {
    let entra = Entra::new(azuring!());
    fs::write(entra.fixture.azuring().home().join(".azuring"), "in the way").unwrap();
    for command in ["login", "logout"] {
        let refused = entra.fixture.run([command]);
        assert!(
            refused.code != Some(0) && refused.stderr.contains(".azuring cannot be used"),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(entra.authority.requests().len(), 0);
}

#[test]
fn a_login_without_the_key_ring_stays_without() {
    let entra = Entra::new(azuring!());
    let public = "579a7132-0e58-4d80-b1e1-7a1e2d337859";
    entra.authority.register(Application::new(public).public().role(Role::Contributor));
    entra.authority.set_behaviour(Behaviour { poll_interval_s: 1, ..Behaviour::default() });
    let tenant = format!("--tenant-id={}", entra.authority.tenant());
    let running = entra.fixture.azuring().start(["login", &tenant, "--no-keyring"]);
    assert!(entra.authority.approve_device(&user_code(&entra.authority)));
    running.wait().unwrap().expect_code(0);
    let file = entra.fixture.azuring().home().join(".azuring/identity");
    let before = fs::read_to_string(&file).unwrap();
    entra.fixture.run(["list", &entra.url(""), &entra.trusted()]).expect_code(0);
    let after = fs::read_to_string(&file).unwrap();
    assert!(before != after && after.contains("outlive a restart"), "{}", after.len());
    let status = entra.fixture.run(["login", "status"]);
    assert!(status.expect_code(0).stderr.contains("without encryption"), "{}", status.stderr);
}

#[test]
fn a_blob_that_no_token_helps_fails_alone() {
    let entra = Entra::service_principal(azuring!(), Role::Owner);
    for n in 0..20 {
        entra.fixture.file(&format!("tree/{n}"), b"1");
    }
    entra.fixture.file("tree/poison", b"1");
    let (tree, url, trusted) = (entra.fixture.path().join("tree"), entra.url(""), entra.trusted());
    let upload = ["copy", tree.to_str().unwrap(), &url, &trusted, "--recursive"];
    entra.fixture.run(upload).expect_code(0);
    let name = NameMatch::Contains("poison".to_owned());
    let rule = Rule {
        name,
        operation: None,
        fault: Fault::error(401, "InvalidAuthenticationInfo"),
        skip: 0,
        count: u64::MAX,
    };
    entra.fixture.server().set_faults(Faults { rules: vec![rule], ..Faults::default() });
    let removed = entra.fixture.run(["remove", &url, &trusted, "--recursive", "--retry-failed=0"]);
    assert_eq!(
        removed.expect_code(1).field("Number of File Transfers Failed"),
        Some("1"),
        "{}",
        removed.stdout
    );
    assert_eq!(entra.names(), ["tree/poison"]);
    entra.fixture.run(upload).expect_code(1);
    // Some renewals, for it might have helped; no storm of them.
    assert!(given(&entra.authority) <= 12, "{}", given(&entra.authority));
}

#[test]
fn a_job_whose_login_ends_stops_and_says_so_once() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    for n in 0..400 {
        entra.fixture.file(&format!("tree/{n}"), format!("{n}").as_bytes());
    }
    let latency = Duration::from_millis(20);
    entra.fixture.server().set_faults(Faults { latency, ..Faults::default() });
    let tree = entra.fixture.path().join("tree");
    let args =
        ["copy", tree.to_str().unwrap(), &entra.url(""), &entra.trusted(), "--recursive", "--concurrency=4"];
    let running = entra.fixture.azuring().start(args);
    let begun = Instant::now();
    while entra.names().len() < 40 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the job does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    entra.authority.register(Application::new(APPLICATION).secret("changed").role(Role::Contributor));
    entra.authority.advance(Duration::from_secs(7200));
    let outcome = running.wait().unwrap();
    outcome.expect_code(3);
    let stopped = outcome.stderr.lines().filter(|line| line.contains("the job was stopped")).count();
    assert_eq!(stopped, 1, "{}", outcome.stderr);
    for part in ["AADSTS7000215", "azuring jobs resume"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    let failed: u64 = outcome.field("Number of File Transfers Failed").unwrap().parse().unwrap();
    assert!(failed <= 8, "{failed}: only what was under way");
    // With the right secret it goes on.
    entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Contributor));
    let id = outcome.stdout.split_whitespace().nth(1).unwrap().to_owned();
    entra.fixture.run(["jobs", "resume", &id]).expect_code(0);
    assert_eq!(entra.names().len(), 400);
}

#[test]
fn a_signal_ends_the_wait_for_a_token() {
    let entra = Entra::service_principal(azuring!(), Role::Contributor);
    entra.authority.set_behaviour(Behaviour { delay: Duration::from_secs(60), ..Behaviour::default() });
    let running = entra.fixture.azuring().start(["copy", "/etc/hostname", &entra.url(""), &entra.trusted()]);
    let begun = Instant::now();
    // A request that waits for its answer is in no list: the connection is what can be seen.
    let asks = || {
        fs::read_dir(format!("/proc/{}/task", running.id())).is_ok_and(|threads| {
            threads.flatten().any(|thread| {
                fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "identity")
            })
        })
    };
    while !asks() {
        assert!(begun.elapsed() < Duration::from_secs(30), "no token is asked for");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.interrupt();
    running.wait().unwrap().expect_code(6);
    assert!(begun.elapsed() < Duration::from_secs(30), "it did not wait for the answer");
}
