//! The canary: signatures and keys are given in every way, everything fails in every way, and nothing that is written
//! anywhere has them.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use azsim::{Application, Behaviour, Fault, Faults, NameMatch, Operation, Rate, Role, Tls, Trouble};
use azuring_tests::entra::{APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::hostile::{Answer, Hostile, Rule};
use azuring_tests::{Fixture, azuring};

/// A key that a customer provides.
const CPK: &str = "BwgJBwgJBwgJBwgJBwgJBwgJBwgJBwgJBwgJBwgJBwg=";

/// A signature that is not right, and easily found; with what is encoded in URLs, and with a blank.
const FORGED: &str = "CanarySingsLoud+And/ClearInTheMineshafts120=";
const BLANK: &str = "Canary SingsLoudAndClearly";

/// What must never be seen: the halves of each secret, as it is and percent-encoded.
fn forms(secrets: impl Iterator<Item = String>) -> Vec<String> {
    let forms = |secret: String| {
        let plain = secret.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=").replace("%20", " ");
        let encoded = encoded(&plain);
        let halves = |text: &str| {
            let (a, b) = text.split_at(text.len() / 2);
            [a.to_owned(), b.to_owned()]
        };
        [halves(&plain), halves(&encoded)]
    };
    secrets.flat_map(forms).flatten().collect()
}

fn encoded(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").replace(' ', "%20")
}

fn signature(url: &str) -> Option<String> {
    Some(url.split_once("sig=")?.1.split('&').next()?.to_owned())
}

/// The URL with another signature.
fn signed(url: &str, signature: &str) -> String {
    let (before, rest) = url.split_once("sig=").unwrap();
    let tail = rest.split_once('&').map_or(String::new(), |(_, tail)| format!("&{tail}"));
    format!("{before}sig={signature}{tail}")
}

/// Which secret is in a text.
fn shown<'a>(secrets: &'a [String], text: &[u8]) -> Option<&'a String> {
    secrets.iter().find(|secret| text.windows(secret.len()).any(|part| part == secret.as_bytes()))
}

/// Runs a command in each form of output: no stream shows a secret. Returns how it ended.
#[track_caller]
fn tells_none(fixture: &Fixture, command: &[&str], secrets: &[String]) -> [Option<i32>; 3] {
    FORMS.map(|form| tells_none_as(form, fixture, command, secrets))
}

/// The forms of output.
const FORMS: [&str; 3] = ["text", "json", "ndjson"];

/// The same in one of the forms.
#[track_caller]
fn tells_none_as(form: &str, fixture: &Fixture, command: &[&str], secrets: &[String]) -> Option<i32> {
    let more = ["--log-level=debug", "--output-type", form];
    let outcome = fixture.run(command.iter().copied().chain(more));
    for stream in [&outcome.stdout, &outcome.stderr] {
        assert_eq!(shown(secrets, stream.as_bytes()), None, "{command:?} as {form}:\n{stream}");
    }
    outcome.code
}

/// The files below a directory, with what is in them.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap().to_owned();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((name, fs::read(&path).unwrap()));
        }
    }
    all
}

/// `tree` with two files, one that fails, and a link that is left out.
fn tree(fixture: &Fixture) -> String {
    fixture.file("tree/a b", b"12345");
    fixture.file("tree/sub/c", b"1");
    fixture.file(&format!("tree/{}", "long/".repeat(260) + "x"), b"1234567");
    symlink("a b", fixture.path().join("tree/link")).unwrap();
    fixture.path().join("tree").to_str().unwrap().to_owned()
}

/// Ways in which the service fails: not at all, for one object, for all.
fn faults() -> [Faults; 3] {
    let refused = azsim::Rule {
        name: NameMatch::Contains("c".to_owned()),
        operation: None,
        fault: Fault::error(403, "AuthorizationFailure"),
        skip: 0,
        count: u64::MAX,
    };
    [
        Faults::default(),
        Faults { rules: vec![refused], ..Faults::default() },
        Faults { reset: Rate::Probability(0.5), cut_body: Rate::Probability(0.3), ..Faults::default() },
    ]
}

#[test]
fn no_command_shows_a_secret_whatever_becomes_of_it() {
    let azuring = azuring!().env("AZURE_STORAGE_KEY", azsim::DEVSTORE_KEY).env("CPK_ENCRYPTION_KEY", CPK);
    let fixture = Fixture::with(azuring, |server| server.tls(Tls::SelfSigned));
    let tree = tree(&fixture);
    let good = fixture.url();
    let by_key = good.split_once('?').unwrap().0;
    let (encoded, raw, blank) =
        (signed(&good, &encoded(FORGED)), signed(&good, FORGED), signed(&good, BLANK));
    let gone = fixture.url_of("gone", "");
    let cut_off = &good[..good.len() - 3];
    let unreachable = good.replacen(&fixture.server().addr().to_string(), "127.0.0.1:1", 1);
    let urls = [&*good, by_key, &*encoded, &*raw, &*blank, &*gone, cut_off, &*unreachable];
    let keys = [azsim::DEVSTORE_KEY.to_owned(), CPK.to_owned()];
    let secrets = forms(urls.iter().filter_map(|url| signature(url)).chain(keys));
    assert_eq!(secrets.len(), 4 * (7 + 2));
    assert!(shown(&secrets, raw.as_bytes()).is_some() && shown(&secrets, by_key.as_bytes()).is_none());

    let down = fixture.path().join("down");
    let down = down.to_str().unwrap();
    let [none, one, all] = faults();
    let mut codes = BTreeSet::new();
    let mut runs: Vec<_> = urls.iter().map(|url| (*url, &none)).collect();
    runs.extend([(&*good, &one), (by_key, &all)]);
    for (url, faults) in runs {
        fixture.server().set_faults(faults.clone());
        for command in [
            &["copy", &tree, url, "--recursive", "--dry-run"][..],
            &["copy", &tree, url, "--recursive", "--max-tries=2"],
            &["copy", &tree, url, "--recursive", "--cpk-by-value", "--max-tries=2"],
            &["copy", url, down, "--recursive", "--max-tries=2"],
            &["copy", url, "-", "--max-tries=2"],
            &["list", url, "--max-tries=2"],
            &["make", url, "--max-tries=2"],
            &["set-properties", url, "--recursive", "--metadata=a=b", "--max-tries=2"],
            &["remove", url, "--recursive", "--dry-run", "--max-tries=2"],
            &["remove", url, "--recursive", "--max-tries=2"],
            &["list", "--location", url],
            &["copy", url, url],
            &["copy", &tree, url, "--no-such-flag", url],
            &["env"],
        ] {
            codes.extend(tells_none(&fixture, command, &secrets));
        }
    }
    // It was not one and the same end every time.
    assert!([0, 1, 2, 3, 4, 5].iter().all(|code| codes.contains(&Some(*code))), "{codes:?}");
    let shown_to = fixture.run(["env", "--show-sensitive"]);
    assert!(shown_to.stdout.contains(azsim::DEVSTORE_KEY), "but who asks for it is shown it");

    let kept = files(fixture.azuring().home());
    for (name, content) in &kept {
        assert_eq!(shown(&secrets, content), None, "{name}:\n{}", String::from_utf8_lossy(content));
    }
    let logs: String = kept.iter().map(|(_, content)| String::from_utf8_lossy(content)).collect();
    for part in ["?REDACTED", " DEBUG done: ", " ERROR failed: ", "; request id ", "AuthenticationFailed"] {
        assert!(logs.contains(part), "{part} is in one of {} files", kept.len());
    }
}

#[test]
fn other_users_do_not_see_the_signature_of_a_running_job() {
    let fixture = Fixture::new(azuring!());
    let file = fixture.file("file.bin", b"content");
    let stalled = azsim::Rule {
        name: NameMatch::Contains("file.bin".to_owned()),
        operation: Some(Operation::PutBlob),
        fault: Fault::Stall,
        skip: 0,
        count: 1,
    };
    fixture.server().set_faults(Faults { rules: vec![stalled], ..Faults::default() });
    let url = fixture.url();
    let secrets = forms(signature(&url).into_iter());
    let args = ["copy", file.to_str().unwrap(), &url, "--stall-seconds=600"];
    let running = fixture.azuring().start(args);
    fixture.wait_for_requests(1);
    let line = fs::read(format!("/proc/{}/cmdline", running.id())).unwrap();
    running.kill();
    let line = String::from_utf8(line).unwrap();
    assert_eq!(shown(&secrets, line.as_bytes()), None, "{line}");
    assert!(line.contains("?REDACTED") && line.contains("--stall-seconds=600"), "{line}");
}

/// A password of all the rest.
const PASSWORD: &str = "CanaryPassword0fCertificatesAndProxies";

/// How every token of Entra ID begins: the JSON object of its header, in base64.
const TOKEN: &str = "eyJ";

#[test]
fn no_command_shows_a_token_or_what_gets_one() {
    let entra = Entra::with(
        azuring!(),
        |authority| authority,
        |azuring, authority| {
            Entra::as_service_principal(azuring, authority)
                .env("AZURE_CLIENT_SECRET", CLIENT_SECRET)
                .env("AZURE_CLIENT_CERTIFICATE_PASSWORD", PASSWORD)
                .env("IDENTITY_HEADER", PASSWORD)
                .env("HTTPS_PROXY", format!("http://me:{PASSWORD}@127.0.0.1:1"))
        },
    );
    let fixture = &entra.fixture;
    let mut secrets = forms([CLIENT_SECRET, PASSWORD].map(str::to_owned).into_iter());
    secrets.push(TOKEN.to_owned());
    let tree = tree(fixture);
    let (url, trusted) = (entra.url(""), entra.trusted());
    let (down, public) = (fixture.path().join("down"), "579a7132-0e58-4d80-b1e1-7a1e2d337859");
    let down = down.to_str().unwrap();
    let with = |secret: &str, role: Option<Role>| {
        let application = Application::new(APPLICATION).secret(secret);
        entra.authority.register(role.map_or(application.clone(), |role| application.role(role)));
    };
    let mut codes = BTreeSet::new();
    let tenant = format!("--tenant-id={}", entra.authority.tenant());
    for (secret, role, troubles) in [
        ("another", None, vec![]),
        (CLIENT_SECRET, None, vec![Trouble::ServerError]),
        (CLIENT_SECRET, Some(Role::Contributor), vec![Trouble::TenantThrottled]),
    ] {
        with(secret, role);
        let sign_in = azsim::SignIn::DeclineAfter(0);
        entra.authority.register(Application::new(public).public());
        let behaviour = Behaviour { troubles, sign_in, poll_interval_s: 1, ..Behaviour::default() };
        entra.authority.set_behaviour(behaviour);
        for command in [
            &["login", "--login-type=spn"][..],
            &["login", &tenant],
            &["login", "status", "--tenant", "--endpoint", "--method"],
            &["copy", &tree, &url, "--recursive", &trusted, "--max-tries=2"],
            &["copy", &tree, &url, "--recursive", "--max-tries=2"],
            &["copy", &url, down, "--recursive", &trusted, "--max-tries=2"],
            &["copy", &url, "-", &trusted, "--no-cache"],
            &["list", &url, &trusted],
            &["set-properties", &url, "--recursive", "--blob-tags=a=b", &trusted, "--max-tries=2"],
            &["remove", &url, "--recursive", &trusted],
            &["make", &url, &trusted],
            &["sas", &url, &trusted, "--user-delegation", "--permissions=z", "--expiry=1h"],
            &["env"],
            &["jobs", "list"],
        ] {
            codes.extend(tells_none(fixture, command, &secrets));
        }
    }
    assert!([0, 1, 3].iter().all(|code| codes.contains(&Some(*code))), "{codes:?}");
    let status = fixture.run(["login", "status"]);
    let is_sealed = status.expect_code(0).stderr.contains("encrypted with a key");
    assert!(is_sealed || status.stderr.contains("without encryption"), "{}", status.stderr);
    let kept = files(fixture.azuring().home());
    assert!(kept.iter().any(|(name, _)| name.ends_with("/identity")) && kept.len() > 10, "{}", kept.len());
    for (name, content) in &kept {
        // Without a key ring the file's mode is what protects it, and `login status` says so.
        if is_sealed || !name.ends_with("/identity") {
            assert_eq!(shown(&secrets, content), None, "{name}:\n{}", String::from_utf8_lossy(content));
        }
    }
}

/// What cannot be traced cannot be dumped either: the kernel gives its files in `/proc` to root, whoever runs it. So it
/// has to be somebody else who runs it.
#[test]
fn the_process_leaves_no_core() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65534;
    let fixture = Fixture::new(azuring!());
    let stall = azsim::Rule {
        name: NameMatch::Contains(String::new()),
        operation: None,
        fault: Fault::Stall,
        skip: 0,
        count: 9,
    };
    fixture.server().set_faults(Faults { rules: vec![stall], ..Faults::default() });
    let program = fixture.path().join("azuring");
    fs::copy(env!("CARGO_BIN_EXE_azuring-under-test"), &program).unwrap();
    for path in [fixture.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = std::process::Command::new(&program);
    command.args(["list", &fixture.url()]).env_clear().current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut running = command.stdin(std::process::Stdio::null()).spawn().unwrap();
    fixture.wait_for_requests(1);
    let owner = fs::metadata(format!("/proc/{}/environ", running.id())).unwrap().uid();
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(owner, 0);
}

/// What a text would do to a terminal: control characters but ends of lines, and turns of direction.
fn spoils(text: &str) -> Option<char> {
    text.chars().find(|&c| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'))
}

/// An error page that repeats the request, as gateways and debuggers do.
fn parrot() -> Answer {
    Answer::status(400).change(|request, answer| {
        let target = &request.target;
        let decoded = percent_encoding::percent_decode_str(target).decode_utf8_lossy().into_owned();
        let again = target.replace('%', "%25");
        let html = decoded.replace('&', "&amp;amp;").replace('+', "&amp;#43;");
        let lower = target.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d");
        let all = [target, &again, &lower, &html].map(|form| form.replace('&', "&amp;")).join(" or ");
        answer.body = format!(
            "<?xml version=\"1.0\"?><Error><Code>Bad\u{1b}[31m\u{202e}Code</Code><Message>you asked \u{9b}2Jfor {all} or {}\r\
             azuring: all done\nazuring: all done</Message></Error>",
            decoded.replace('&', "&amp;"),
        )
        .into_bytes();
    })
}

#[test]
fn a_gateway_that_repeats_the_url_shows_no_signature_and_does_nothing_to_the_terminal() {
    let fixture = Fixture::new(azuring!());
    let tree = tree(&fixture);
    let down = fixture.path().join("down");
    let down = down.to_str().unwrap();
    let rules = ["GET", "HEAD", "PUT", "POST", "DELETE"].map(|method| Rule::on(method, "").answer(parrot()));
    let gateway = Hostile::before(fixture.server().addr(), rules.into());
    let url = signed(&gateway.via(&fixture.url()), &encoded(FORGED));
    let secrets = forms(signature(&url).into_iter());
    for command in [
        &["copy", &tree, &url, "--recursive", "--max-tries=1"][..],
        &["copy", &url, down, "--recursive", "--max-tries=1"],
        &["list", &url, "--max-tries=1"],
        &["make", &url, "--max-tries=1"],
        &["remove", &url, "--recursive", "--max-tries=1"],
        &["set-properties", &url, "--recursive", "--metadata=a=b", "--max-tries=1"],
    ] {
        assert!(tells_none(&fixture, command, &secrets).iter().all(|code| *code != Some(0)), "{command:?}");
        for form in ["text", "json", "ndjson"] {
            let outcome = fixture.run(command.iter().copied().chain(["--output-type", form]));
            assert_eq!(spoils(&outcome.stderr), None, "{command:?}: {}", outcome.stderr);
            assert!(
                !outcome.stderr.lines().any(|line| line.starts_with("azuring: all done")),
                "{}",
                outcome.stderr
            );
            if form != "text" {
                assert_eq!(spoils(&outcome.stdout), None, "{command:?}: {}", outcome.stdout);
                for line in outcome.stdout.lines() {
                    serde_json::from_str::<serde_json::Value>(line).unwrap();
                }
            }
        }
    }
    assert!(gateway.requests().len() > 30);
    // Whoever shows a job later knows nothing of the signature: what is kept has to be without.
    let listed = fixture.run(["jobs", "list", "--output-type=ndjson"]);
    let jobs: Vec<serde_json::Value> =
        listed.expect_code(0).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(jobs.len() > 10, "{}", listed.stdout);
    let mut failures = 0;
    for job in jobs {
        for form in ["text", "json", "ndjson"] {
            let shown_job = fixture.run([
                "jobs",
                "show",
                job["job"].as_str().unwrap(),
                "--failed",
                "--output-type",
                form,
            ]);
            failures += shown_job.stdout.matches("REDACTED").count();
            assert_eq!(shown(&secrets, shown_job.stdout.as_bytes()), None, "{}", shown_job.stdout);
        }
    }
    assert!(failures > 0, "what failed is shown with its reason");
    for (name, content) in files(fixture.azuring().home()) {
        assert_eq!(shown(&secrets, &content), None, "{name}:\n{}", String::from_utf8_lossy(&content));
    }
}

#[test]
fn a_signature_in_the_wrong_place_is_shown_nowhere() {
    let fixture = Fixture::new(azuring!());
    let tree = tree(&fixture);
    let good = fixture.url();
    let secrets = forms([FORGED.to_owned()].into_iter());
    let base = good.split_once('?').unwrap().0;
    let twice = encoded(FORGED).replace('%', "%25");
    let thrice = twice.replace('%', "%25");
    let forged = encoded(FORGED);
    let queries = [
        format!("?sv=2024-11-04&se=2099-01-01&sp=rw&sig={twice}"),
        format!("?sv=2024-11-04&se=2099-01-01&sp=rw&sig={thrice}"),
        format!("?sv=2024-11-04&se=2099-01-01&sp=rw&sig='{forged}'"),
        format!("?sv=2024-11-04&se=2099-01-01&sp=rw&\"sig\"=\"{forged}\""),
        format!("?sv=2024-11-04&se=2099-01-01&sp=rw&sgi={forged}"),
        format!("?sv=2024-11-04&se=2099-01-01&sp=rw&sig:{FORGED}"),
        format!("?sv=2024-11-04&se=2099-01-01&sp=rw&Sig={forged}"),
        format!("%3Fsv%3D2024-11-04%26sig%3D{twice}"),
        format!("%253Fsv%253D2024-11-04%2526sig%253D{thrice}"),
    ];
    for (n, query) in queries.iter().enumerate() {
        let url = format!("{base}{query}");
        let list = format!("--list-of-files={url}");
        let commands = [
            &["copy", &tree, &url, "--recursive", "--max-tries=1"][..],
            &["copy", &url, "/dev/null", "--recursive", "--max-tries=1"],
            &["list", &url, "--max-tries=1"],
            &["remove", &url, "--max-tries=1"],
            &["copy", &tree, &good, &list],
            &["copy", &good, "/dev/null", "--list-of-files", &url],
            &["copy", &url, &good],
            &["sync", &tree, &url],
            &["jobs", "resume", &url],
        ];
        // Each form meets each of them with another query.
        for (form, command) in FORMS.iter().cycle().skip(n).zip(commands) {
            tells_none_as(form, &fixture, command, &secrets);
        }
    }
    for (name, content) in files(fixture.azuring().home()) {
        assert_eq!(shown(&secrets, &content), None, "{name}:\n{}", String::from_utf8_lossy(&content));
    }
}

#[test]
fn a_proxys_password_is_shown_nowhere_whatever_characters_it_has() {
    let mut secrets = forms(["Canary#Sings".to_owned(), PASSWORD.to_owned()].into_iter());
    // What is easily taken for a host.
    secrets.push("canaryuserandsecret".to_owned());
    let proxies = [
        "http://CanaryUserAndSecret#x@127.0.0.1:1".to_owned(),
        "http://CanaryUserAndSecret:1/x@127.0.0.1:1".to_owned(),
        "http://me:Canary#Sings@127.0.0.1:1".to_owned(),
        "http://me:Canary#Sings/Loud?@127.0.0.1:1".to_owned(),
        "me:Canary#Sings@127.0.0.1:1".to_owned(),
        format!("http://me:{PASSWORD}#@127.0.0.1:1"),
        format!("http://me:{PASSWORD}@:x"),
        format!("ftp://me:{PASSWORD}@127.0.0.1:1"),
    ];
    let url =
        format!("https://account.blob.core.windows.net/cont?sv=1&se=2099-01-01&sig={}", encoded(FORGED));
    for (n, proxy) in proxies.iter().enumerate() {
        let variable = ["HTTPS_PROXY", "ALL_PROXY"][n % 2];
        let fixture = Fixture::new(azuring!().env(variable, proxy));
        let commands =
            [&["list", &url, "--max-tries=1"][..], &["env"], &["copy", &url, "/dev/null", "--max-tries=1"]];
        for (form, command) in FORMS.iter().cycle().skip(n).zip(commands) {
            tells_none_as(form, &fixture, command, &secrets);
        }
    }
}
