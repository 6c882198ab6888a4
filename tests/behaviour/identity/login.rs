//! `azuring login`: kept, shown, used, forgotten.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use azsim::{Application, Authority, Behaviour, ManagedIdentity, Role};
use azuring_tests::entra::{APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::{Azuring, azuring, wait_until};

use super::{everything_works, given};

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
    wait_until("a code is asked for", || !authority.user_codes().is_empty());
    authority.user_codes()[0].clone()
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
    assert!(listed.expect_code(0).stderr.contains("the stored login is not used"), "{}", listed.stderr);
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
