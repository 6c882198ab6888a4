//! Tokens that are kept fresh, sent to a storage server that judges them, and shared between processes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, dead_code, reason = "it is a test")]

mod kit;

use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use azsim::{Application, Authority, Behaviour, Role, Server, Tls, Trouble};
use azuring_azure::{
    Bearer, BlobClient, BlobProperties, BlobUrl, Course, Credential, DEVSTORE_ACCOUNT, ListRequest,
    RequestError, Target, TrustedSuffixes,
};
use azuring_identity::{
    AccessToken, Cache, CacheOptions, Cancel, Clock, IdentityError, Login, LoginKind, Network, PUBLIC_CLIENT,
    STORAGE_SCOPE, keep,
};
use azuring_link::Links;
use kit::{CLIENT, SECRET, assert_strict, network, wait_until, with_secret};

struct World {
    authority: Arc<Authority>,
    server: Server,
    network: Network,
}

/// A second of tokens passes when a test says so.
fn world() -> World {
    let authority = Authority::builder().speed(0).start().unwrap();
    authority.register(Application::new(CLIENT).secret(SECRET).role(Role::Reader));
    authority.register(Application::new(PUBLIC_CLIENT).public().role(Role::Reader));
    let server = Server::builder().tls(Tls::SelfSigned).authority(&authority).threads(1).start().unwrap();
    server.create_container(DEVSTORE_ACCOUNT, "cont");
    let pem = format!("{}{}", authority.ca_pem().unwrap(), server.ca_pem().unwrap());
    let network = network(&pem, &[]);
    World { authority: Arc::new(authority), server, network }
}

impl World {
    fn login(&self) -> Login {
        with_secret(&self.authority, SECRET)
    }

    fn keep(&self, login: Login, clock: Clock, first: Option<AccessToken>) -> Result<Bearer, IdentityError> {
        keep(login, self.network.clone(), STORAGE_SCOPE, clock, first, Cache::none())
    }

    /// Lists the container with this token, through `work`, which may do so again and again.
    fn with_client(&self, bearer: Bearer, work: impl AsyncFnOnce(&BlobClient)) {
        let url = BlobUrl::parse(&format!("{}/cont", self.server.url(DEVSTORE_ACCOUNT))).unwrap();
        let trusted = TrustedSuffixes::default().with("127.0.0.1");
        let credential = Credential::token(&url, bearer, &trusted).unwrap();
        let target = Target::new(url, credential, &BlobProperties::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let links = Links::new(target.url().endpoint(), self.network.links.clone());
            work(&BlobClient::new(Rc::new(target), links)).await;
        });
    }

    fn asked(&self) -> usize {
        self.authority.requests().len()
    }

    /// Lets time pass on both sides, once the thread that keeps the token waits for it.
    fn pass(&self, clock: &Clock, span: Duration) {
        wait_until(|| clock.sleepers() == 1);
        // First where tokens are issued: who is woken finds the new time there.
        self.authority.advance(span);
        clock.advance(span);
    }
}

/// Lists once; a token that was renewed meanwhile is another try.
async fn list(client: &BlobClient) -> Result<(), RequestError> {
    loop {
        match client.list_blobs(&ListRequest::default(), &mut Course::default()).await {
            Ok(_) => return Ok(()),
            Err(RequestError::TokenRenewed { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

#[test]
fn a_job_outlives_many_tokens() {
    // Renewed at four fifths of their life, never sent when they have expired.
    let world = world();
    world.authority.set_behaviour(Behaviour { lifetime_s: Some(60), ..Behaviour::default() });
    let clock = Clock::standing();
    let bearer = world.keep(world.login(), clock.clone(), None).unwrap();
    world.with_client(bearer, async |client| {
        for token in 1..6 {
            assert_eq!(world.asked(), token);
            list(client).await.unwrap();
            world.pass(&clock, Duration::from_secs(47));
            list(client).await.unwrap();
            world.pass(&clock, Duration::from_secs(1));
            wait_until(|| world.asked() > token);
        }
    });
    assert_eq!(world.server.stats().errors, Default::default(), "no request was refused");
    assert_strict(&world.authority);
}

#[test]
fn what_is_refused_is_renewed_at_once() {
    let world = world();
    let bearer = world.keep(world.login(), Clock::system(), None).unwrap();
    world.with_client(bearer, async |client| {
        list(client).await.unwrap();
        assert_eq!(world.asked(), 1);
        world.authority.advance(Duration::from_secs(7200));
        list(client).await.unwrap();
        assert_eq!(world.asked(), 2);
        // The service takes it no more, and nobody gives another.
        world.authority.advance(Duration::from_secs(7200));
        world.authority.register(Application::new(CLIENT).secret("another").role(Role::Reader));
        let error = list(client).await.unwrap_err().to_string();
        assert!(
            error.contains("AADSTS7000215") && error.contains(CLIENT) && !error.contains(SECRET),
            "{error}"
        );
        // It goes on trying: when the secret is valid again, so is the job.
        world.authority.register(Application::new(CLIENT).secret(SECRET).role(Role::Reader));
        while list(client).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    assert_strict(&world.authority);
}

#[test]
fn a_busy_authority_does_not_end_a_job() {
    let world = world();
    world.authority.set_behaviour(Behaviour { lifetime_s: Some(120), ..Behaviour::default() });
    let clock = Clock::standing();
    let bearer = world.keep(world.login(), clock.clone(), None).unwrap();
    let troubles = vec![Trouble::TenantThrottled, Trouble::ServerError, Trouble::TooManyRequests(Some(1))];
    world.authority.set_behaviour(Behaviour { troubles, ..Behaviour::default() });
    world.with_client(bearer, async |client| {
        world.pass(&clock, Duration::from_secs(96));
        for asked in 2..6 {
            wait_until(|| world.asked() >= asked);
            list(client).await.unwrap();
            // The longest pause is the third, of two seconds and the one that was asked for.
            world.pass(&clock, Duration::from_secs(3));
        }
        list(client).await.unwrap();
    });
    assert_eq!(world.asked(), 5);
    assert_strict(&world.authority);
}

#[test]
fn a_job_waits_for_an_authority_that_is_gone_but_not_for_ever() {
    let World { authority, network, .. } = world();
    authority.set_behaviour(Behaviour { lifetime_s: Some(600), ..Behaviour::default() });
    let (login, clock) = (with_secret(&authority, SECRET), Clock::standing());
    let bearer = keep(login, network, STORAGE_SCOPE, clock.clone(), None, Cache::none()).unwrap();
    let (begun, second) = (clock.now(), Duration::from_secs(1));
    drop(authority);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(async {
        loop {
            tokio::select! {
                biased;
                ready = bearer.ready() => if let Err(error) = ready { break error.to_string() },
                () = tokio::task::yield_now() => {}
            }
            // Each attempt to connect takes its own time; the clock goes on when the next one is waited for.
            if clock.sleepers() == 1 {
                clock.advance(second);
            } else {
                std::thread::yield_now();
            }
        }
    });
    assert!(error.contains("cannot be asked for a token: cannot connect"), "{error}");
    // It has asked since four fifths of the token's life, for ten minutes at least.
    let waited = (clock.now() - begun).as_secs();
    assert!(waited > 480 + 600, "{waited} s");
}

#[test]
fn without_a_first_token_there_is_no_bearer() {
    let world = world();
    let wrong = with_secret(&world.authority, "wrong");
    let error = world.keep(wrong, Clock::system(), None).unwrap_err();
    assert!(matches!(error, IdentityError::Refused { .. }), "{error:?}");
    // A token that is there needs no question.
    let first = world.login().token(&world.network, STORAGE_SCOPE).unwrap();
    let asked = world.asked();
    let bearer = world.keep(world.login(), Clock::system(), Some(first)).unwrap();
    world.with_client(bearer, async |client| list(client).await.unwrap());
    assert_eq!(world.asked(), asked);
}

#[test]
fn many_jobs_ask_once() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let delay = Duration::from_millis(50);
    world.authority.set_behaviour(Behaviour { delay, ..Behaviour::default() });
    let together = Barrier::new(12);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let cache = Cache::open(dir.path(), CacheOptions::default().keyring(false)).unwrap();
                let network = world.network.clone();
                together.wait();
                keep(world.login(), network, STORAGE_SCOPE, Clock::system(), None, cache).unwrap();
            });
        }
    });
    assert_eq!(world.asked(), 1);
    // What the service refuses is asked for anew, though the cache has it.
    let cache = Cache::open(dir.path(), CacheOptions::default().keyring(false)).unwrap();
    let bearer =
        keep(world.login(), world.network.clone(), STORAGE_SCOPE, Clock::system(), None, cache).unwrap();
    world.authority.advance(Duration::from_secs(7200));
    world.with_client(bearer, async |client| list(client).await.unwrap());
    assert_eq!(world.asked(), 2);
    assert_strict(&world.authority);
}

/// Has a person log in.
fn log_in(world: &World) -> Login {
    let person = Login::new(LoginKind::DeviceCode { refresh: None });
    let person = person.with_authority("", &world.authority.url()).unwrap();
    let approve = |prompt: &azuring_identity::DevicePrompt| {
        assert!(world.authority.approve_device(&prompt.user_code));
    };
    let authority = Arc::clone(&world.authority);
    let (clock, cancel) = (Clock::moved_by_sleep(move |by| authority.advance(by)), Cancel::default());
    person.with_device_code(&world.network, STORAGE_SCOPE, &clock, &approve, &cancel).unwrap().0
}

#[test]
fn a_refresh_token_that_is_replaced_is_written_back() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), CacheOptions::default().keyring(false)).unwrap();
    let login = log_in(&world);
    cache.save_login(&login).unwrap();
    let saved = || cache.login().unwrap().unwrap();
    assert_eq!(saved(), login);
    let clock = Clock::standing();
    let bearer = keep(saved(), world.network.clone(), STORAGE_SCOPE, clock, None, cache.clone()).unwrap();
    world.with_client(bearer, async |client| list(client).await.unwrap());
    assert_ne!(saved(), login);
    saved().token(&world.network, STORAGE_SCOPE).unwrap();
    assert_strict(&world.authority);
}

#[test]
fn a_job_stays_who_it_is_when_somebody_else_logs_in() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), CacheOptions::default().keyring(false)).unwrap();
    let (one, other) = (log_in(&world), log_in(&world));
    let begin = |login: &Login| {
        cache.save_login(login).unwrap();
        let (network, clock) = (world.network.clone(), Clock::standing());
        keep(login.clone(), network, STORAGE_SCOPE, clock, None, cache.clone()).unwrap()
    };
    let job = begin(&one);
    let _others_job = begin(&other);
    let (others, asked) = (cache.login().unwrap(), world.asked());
    // The token of the job is refused: it gets one by its own refresh token, not the one that the other login has kept.
    world.authority.advance(Duration::from_secs(7200));
    world.with_client(job, async |client| list(client).await.unwrap());
    assert_eq!((world.asked(), cache.login().unwrap()), (asked + 1, others));
    assert_strict(&world.authority);
}

#[test]
fn a_job_does_not_undo_a_logout() {
    let world = world();
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path(), CacheOptions::default().keyring(false)).unwrap();
    cache.save_login(&world.login()).unwrap();
    let (network, clock) = (world.network.clone(), Clock::standing());
    let job = keep(world.login(), network, STORAGE_SCOPE, clock, None, cache.clone()).unwrap();
    assert_eq!(cache.forget(), Ok(true));
    world.authority.advance(Duration::from_secs(7200));
    world.with_client(job, async |client| list(client).await.unwrap());
    assert_eq!((world.asked(), cache.check()), (2, Ok(None)));
}
