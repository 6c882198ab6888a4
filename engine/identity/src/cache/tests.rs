use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use azuring_azure::Secret;

use super::*;
use crate::login::{LoginKind, ManagedIdentity};

const CANARY: &str = "hunter2-canary";

fn secret_login() -> Login {
    let login = Login::new(LoginKind::ServicePrincipalSecret { secret: Secret::new(CANARY) });
    login.with_tenant("", "2222").unwrap().with_client("", "1111").unwrap()
}

fn token(text: &str, lifetime_s: u64) -> AccessToken {
    AccessToken::new(Secret::new(text), Duration::from_secs(lifetime_s))
}

fn unsealed(dir: &Path) -> Cache {
    Cache::open(dir, CacheOptions { keyring: false }).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_login_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let cache = unsealed(&dir.path().join("a/b"));
    assert_eq!((cache.login(), cache.check()), (Ok(None), Ok(None)));
    let managed = LoginKind::ManagedIdentity;
    for kind in [
        LoginKind::DeviceCode { refresh: Some(Secret::new("r")) },
        LoginKind::ServicePrincipalCertificate { path: "/c".into(), password: Some(Secret::new("p")) },
        managed(ManagedIdentity::System),
        managed(ManagedIdentity::ClientId("1".into())),
        managed(ManagedIdentity::ObjectId("1".into())),
        managed(ManagedIdentity::ResourceId("/1".into())),
        LoginKind::AzureCli,
        LoginKind::PowerShell,
        LoginKind::WorkloadIdentity { token_file: "/t".into() },
    ] {
        let login = Login::new(kind).with_authority("", "https://login.own:444").unwrap();
        cache.save_login(&login).unwrap();
        assert_eq!(cache.login(), Ok(Some(login)));
    }
    cache.save_login(&secret_login()).unwrap();
    assert_eq!(cache.login(), Ok(Some(secret_login())));
    let given = LoginKind::Given { token: token("t", 1), refresh: None };
    assert!(cache.save_login(&Login::new(given)).is_err());
    assert_eq!(cache.forget(), Ok(true));
    assert_eq!((cache.login(), cache.forget()), (Ok(None), Ok(false)));
}

#[test]
fn only_the_owner_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("logins");
    let cache = unsealed(&place);
    let protection = cache.save_login(&secret_login()).unwrap();
    assert_eq!(
        protection,
        CacheProtection::FileOnly { reason: "it was asked to outlive a restart".to_owned() }
    );
    assert_eq!(cache.check(), Ok(Some(protection)));
    assert_eq!(mode(&place), 0o700);
    for entry in std::fs::read_dir(&place).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    std::fs::set_permissions(place.join("identity"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = cache.login().unwrap_err().to_string();
    assert!(error.ends_with("others may read or change it: remove it, and log in again"), "{error}");
}

#[test]
fn a_place_where_others_write_is_no_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let said = |dir| Cache::open(dir, CacheOptions::default()).unwrap_err().to_string();
    assert!(said(dir.path()).ends_with("everybody may write into it: chmod 700"));
    // Root's, unless root tests: then somebody else's.
    let other = Path::new("/");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(1), None).unwrap();
    }
    let other = if rustix::process::geteuid().is_root() { dir.path() } else { other };
    assert!(said(other).ends_with("it belongs to somebody else"));
}

#[test]
fn a_key_of_the_kernel_hides_it_where_there_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), CacheOptions::default()).unwrap();
    let protection = cache.save_login(&secret_login()).unwrap();
    cache.put_token("k", &token(CANARY, 3600)).unwrap();
    assert_eq!(cache.login(), Ok(Some(secret_login())));
    assert_eq!(cache.token("k").unwrap().secret.expose(), CANARY);
    let text = std::fs::read_to_string(dir.path().join("identity")).unwrap();
    let sealed = protection == CacheProtection::Keyring;
    assert_eq!(text.contains(CANARY), !sealed);
    if sealed {
        // The key goes, as it does when the machine restarts.
        keyring::remove(&cache.place.as_ref().unwrap().key_name());
        let lost = cache.login().unwrap_err();
        assert!(matches!(&lost, IdentityError::NotLoggedIn { .. }), "{lost:?}");
        assert_eq!(cache.token("k"), None);
        // Where its key is, the login is whole: nothing is written over it here, and nobody waits for what is not kept.
        let there = std::fs::read(dir.path().join("identity")).unwrap();
        cache.put_token("k", &token("t2", 3600)).unwrap();
        cache.renew_login(&secret_login()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("identity")).unwrap(), there);
        let asking = cache.place.as_ref().unwrap().lock_file(&asking("k")).unwrap();
        asking.lock().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(matches!(runtime.block_on(cache.turn("k", || None)), Turn::Mine(None)));
        assert_eq!(cache.login(), Err(lost));
        cache.save_login(&secret_login()).unwrap();
        assert_eq!(cache.login(), Ok(Some(secret_login())));
        // Tokens alone are kept again without more ado.
        keyring::remove(&cache.place.as_ref().unwrap().key_name());
        cache.forget().unwrap();
        cache.put_token("k", &token("t2", 3600)).unwrap();
        keyring::remove(&cache.place.as_ref().unwrap().key_name());
        cache.put_token("k", &token("t3", 3600)).unwrap();
        assert_eq!(cache.token("k").unwrap().secret.expose(), "t3");
    }
    assert_eq!(cache.forget(), Ok(true));
    assert_eq!(keyring::find(&cache.place.as_ref().unwrap().key_name()), None);
}

#[test]
fn who_logs_in_chooses_the_protection() {
    let dir = tempfile::tempdir().unwrap();
    let person = |refresh: &str| Login::new(LoginKind::DeviceCode { refresh: Some(Secret::new(refresh)) });
    unsealed(dir.path()).save_login(&person("r1")).unwrap();
    // Commands open it as usual.
    let cache = Cache::open(dir.path(), CacheOptions::default()).unwrap();
    let protection = cache.check();
    cache.renew_login(&person("r2")).unwrap();
    cache.put_token("k", &token("t", 3600)).unwrap();
    assert_eq!((cache.login(), cache.check()), (Ok(Some(person("r2"))), protection.clone()));
    assert!(matches!(protection, Ok(Some(CacheProtection::FileOnly { .. }))), "{protection:?}");
    // Nobody else's token goes there, and a login that was forgotten does not come back.
    let mut next = person("r3");
    next.session = Some("the next person of the same tenant".to_owned());
    for other in [person("r3").with_tenant("", "2222").unwrap(), next] {
        cache.renew_login(&other).unwrap();
        cache.put_token_of(Some(&other), "k2", &token("t", 3600)).unwrap();
        assert_eq!((cache.login(), cache.token("k2")), (Ok(Some(person("r2"))), None));
    }
    cache.put_token_of(Some(&person("r1")), "k2", &token("t", 3600)).unwrap();
    assert!(cache.token("k2").is_some());
    cache.forget().unwrap();
    cache.renew_login(&person("r4")).unwrap();
    cache.put_token_of(Some(&person("r4")), "k", &token("t", 3600)).unwrap();
    assert_eq!((cache.check(), cache.login()), (Ok(None), Ok(None)));
}

#[test]
fn a_process_that_was_stopped_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut cache = unsealed(dir.path());
    let place = cache.place.as_mut().unwrap();
    place.patience = Duration::ZERO;
    let held = place.lock().unwrap();
    let said = cache.put_token("k", &token("t", 3600)).unwrap_err().to_string();
    assert!(said.ends_with("another process does not let go of identity.lock"), "{said}");
    assert!(cache.save_login(&secret_login()).is_err() && cache.check_writable().is_err());
    drop(held);
    cache.check_writable().unwrap();
    cache.put_token("k", &token("t", 3600)).unwrap();
    cache.forget().unwrap();
    // Nobody is at the other end of these.
    for name in ["identity", "identity.lock"] {
        let path = dir.path().join(name);
        let _ = std::fs::remove_file(&path);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    }
    assert!(cache.check().unwrap_err().to_string().ends_with("it is no file: remove it, and log in again"));
    assert!(cache.save_login(&secret_login()).is_err());
}

#[test]
fn a_place_that_cannot_be_written_is_known_before() {
    let dir = tempfile::tempdir().unwrap();
    let cache = unsealed(dir.path());
    cache.check_writable().unwrap();
    assert_eq!(cache.check(), Ok(None));
    // As root may write everywhere: a directory where the file is to be made.
    std::fs::create_dir_all(dir.path().join("identity.new/in the way")).unwrap();
    assert!(cache.check_writable().is_err());
}

#[test]
fn a_seal_is_broken_by_any_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity");
    let (key, other) = ([1; keyring::KEY_BYTES], [2; keyring::KEY_BYTES]);
    let mut stored = Stored::empty(true);
    stored.contents.login = record::StoredLogin::of(&secret_login());
    file::write(&path, &stored, Some(&key)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(CANARY) && !text.contains("1111"));
    let found = |key| {
        let stored = file::read(&path, move || key).map_err(|error| error.to_string())?.unwrap();
        let login = stored.contents.login.and_then(record::StoredLogin::restore);
        Ok::<_, String>((login, stored.login_lost))
    };
    assert_eq!(found(Some(key)), Ok((Some(secret_login()), false)));
    assert_eq!(found(Some(other)), Ok((None, true)));
    assert_eq!(found(None), Ok((None, true)));
    let sealed = text.split('"').find(|part| part.len() > 100).unwrap();
    let turned: String = sealed.chars().rev().collect();
    for (old, new) in [("\"login\":true", "\"login\":false"), (sealed, &sealed[4..]), (sealed, &turned)] {
        let changed = text.replace(old, new);
        assert_ne!(changed, text);
        std::fs::write(&path, changed).unwrap();
        assert!(!matches!(found(Some(key)), Ok((Some(_), _))), "{new}");
    }
    // The same contents are never sealed to the same bytes.
    file::write(&path, &stored, Some(&key)).unwrap();
    assert_ne!(std::fs::read_to_string(&path).unwrap(), text);
    // Without a key nothing is written in the clear.
    assert!(file::write(&path, &stored, None).is_err());
}

#[test]
fn a_damaged_file_is_said_and_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let cache = unsealed(dir.path());
    cache.save_login(&secret_login()).unwrap();
    let path = dir.path().join("identity");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = cache.check().unwrap_err().to_string();
    assert!(
        error.ends_with("it is damaged: remove it, or log in again") && !error.contains(CANARY),
        "{error}"
    );
    assert!(cache.login().is_err());
    assert_eq!(cache.token("k"), None);
    assert!(cache.put_token("k", &token("t", 3600)).is_err());
    cache.save_login(&secret_login()).unwrap();
    assert_eq!(cache.login(), Ok(Some(secret_login())));
    let newer = String::from_utf8(whole).unwrap().replace("\"format\":1", "\"format\":2");
    std::fs::write(&path, newer).unwrap();
    assert!(
        cache.check().unwrap_err().to_string().ends_with("of another version: remove it, or log in again")
    );
}

#[test]
fn a_token_near_its_end_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = unsealed(dir.path());
    let mut aged = token("t", 3600);
    aged.obtained = SystemTime::now() - Duration::from_secs(2870);
    cache.put_token("k", &aged).unwrap();
    assert_eq!(cache.token("k").unwrap().secret.expose(), "t");
    aged.obtained -= Duration::from_secs(20);
    cache.put_token("k", &aged).unwrap();
    assert_eq!(cache.token("k"), None);
    // From the future: the clock was set back.
    aged.obtained = SystemTime::now() + Duration::from_secs(600);
    cache.put_token("k", &aged).unwrap();
    assert_eq!(cache.token("k"), None);
    assert_eq!(cache.token("other"), None);
    assert_eq!(Cache::none().token("k"), None);
}

#[test]
fn the_oldest_tokens_go() {
    let dir = tempfile::tempdir().unwrap();
    let cache = unsealed(dir.path());
    for n in 0..MAX_TOKENS as u64 + 2 {
        let mut one = token("t", 3600);
        one.obtained -= Duration::from_secs(600 - n);
        cache.put_token(&n.to_string(), &one).unwrap();
    }
    let kept = |n: u64| cache.token(&n.to_string()).is_some();
    assert!(!kept(0) && !kept(1) && kept(2) && kept(MAX_TOKENS as u64 + 1));
}

#[test]
fn one_asks_and_the_others_find() {
    let dir = tempfile::tempdir().unwrap();
    let asked = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let cache = unsealed(dir.path());
                runtime.block_on(async {
                    let turn = cache.turn("k", || cache.token("k")).await;
                    if let Turn::Mine(lock) = turn {
                        assert!(lock.is_some());
                        asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        cache.put_token("k", &token("t", 3600)).unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(asked.into_inner(), 1);
}
