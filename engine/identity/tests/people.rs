//! Device codes and refresh tokens against an authority that checks every request, and how often it is asked.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(missing_docs, unreachable_pub, dead_code, reason = "it is a test")]

mod kit;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use azsim::{Application, Authority, Behaviour, SignIn, Trouble};
use azuring_azure::Secret;
use azuring_identity::{
    AccessToken, Cache, Cancel, Clock, DevicePrompt, IdentityError, Login, LoginKind, PUBLIC_CLIENT,
    STORAGE_SCOPE, keep,
};
use kit::{assert_strict, network_of, refused, wait_until};

/// The minutes of people pass when somebody sleeps, or when a test says so.
fn authority(behaviour: Behaviour) -> Arc<Authority> {
    let authority = Authority::builder().speed(0).start().unwrap();
    authority.register(Application::new(PUBLIC_CLIENT).public());
    authority.set_behaviour(behaviour);
    Arc::new(authority)
}

fn person(authority: &Authority) -> Login {
    Login::new(LoginKind::DeviceCode { refresh: None }).with_authority("", &authority.url()).unwrap()
}

fn log_in(
    authority: &Arc<Authority>,
    prompt: impl Fn(&DevicePrompt) + Sync,
) -> Result<(Login, AccessToken), IdentityError> {
    let moved = Arc::clone(authority);
    let clock = Clock::moved_by_sleep(move |by| moved.advance(by));
    let cancel = Cancel::default();
    person(authority).with_device_code(&network_of(authority), STORAGE_SCOPE, &clock, &prompt, &cancel)
}

#[test]
fn a_person_enters_the_code_and_stays_logged_in() {
    let authority = authority(Behaviour { slow_down: 1, ..Behaviour::default() });
    let shown = Mutex::new(None);
    let prompt = |prompt: &DevicePrompt| {
        assert!(authority.approve_device(&prompt.user_code));
        *shown.lock().unwrap() = Some(prompt.clone());
    };
    let (login, token) = log_in(&authority, prompt).unwrap();
    let shown = shown.into_inner().unwrap().unwrap();
    assert_eq!(shown.verification_uri, "https://microsoft.com/devicelogin");
    assert_eq!(shown.expires_in, Duration::from_secs(900));
    assert!(shown.message.contains(&shown.user_code));
    assert_eq!(token.lifetime, Duration::from_secs(3599));
    let network = network_of(&authority);
    login.token(&network, STORAGE_SCOPE).unwrap();
    let grants: Vec<_> = authority.requests().into_iter().map(|request| request.grant).collect();
    assert_eq!(grants, ["", "device_code", "device_code", "refresh_token"]);
    authority.revoke_refresh_tokens();
    let said = refused(&login, &network);
    assert!(said.ends_with("log in again with `azuring login`"), "{said}");
    assert_strict(&authority);
}

#[test]
fn pending_is_waited_for_and_a_break_of_the_service_too() {
    let sign_in = SignIn::ApproveAfter(2);
    let authority = authority(Behaviour { sign_in, ..Behaviour::default() });
    let prompt = |_: &DevicePrompt| {
        let troubles = vec![Trouble::ServerError, Trouble::Unavailable(None)];
        authority.set_behaviour(Behaviour { troubles, sign_in, ..Behaviour::default() });
    };
    log_in(&authority, prompt).unwrap();
    let statuses: Vec<_> = authority.requests().into_iter().map(|request| request.status).collect();
    assert_eq!(statuses, [200, 500, 503, 400, 400, 200]);
    assert_strict(&authority);
}

#[test]
fn declined_and_expired_codes_end_the_login() {
    for (sign_in, reason) in [
        (SignIn::DeclineAfter(1), "the login was declined"),
        (SignIn::ExpireAfter(1), "the code was not entered in time"),
    ] {
        let authority = authority(Behaviour { sign_in, ..Behaviour::default() });
        let error = log_in(&authority, |_| {}).unwrap_err();
        assert_eq!(error, IdentityError::NotLoggedIn { reason: reason.to_owned() });
        assert_strict(&authority);
    }
    // The client does not ask longer than the code lives either.
    let authority = authority(Behaviour { device_lifetime_s: 12, ..Behaviour::default() });
    let error = log_in(&authority, |_| {}).unwrap_err();
    assert!(matches!(error, IdentityError::NotLoggedIn { .. }), "{error:?}");
    assert_strict(&authority);
}

#[test]
fn a_login_can_be_cancelled() {
    let authority = authority(Behaviour::default());
    let (cancel, clock) = (Cancel::default(), Clock::standing());
    let prompt = |_: &DevicePrompt| cancel.cancel();
    let login = person(&authority);
    let ended = login.with_device_code(&network_of(&authority), STORAGE_SCOPE, &clock, &prompt, &cancel);
    assert_eq!(ended.unwrap_err(), IdentityError::Cancelled);
}

#[test]
fn a_token_handed_down_is_used_and_then_renewed() {
    let authority = authority(Behaviour::default());
    let (login, _) =
        log_in(&authority, |prompt| assert!(authority.approve_device(&prompt.user_code))).unwrap();
    let LoginKind::DeviceCode { refresh } = login.kind else { panic!("{login:?}") };
    let network = network_of(&authority);
    let given = |lifetime_s, refresh: Option<Secret>| {
        let token = AccessToken::new(Secret::new("from the parent"), Duration::from_secs(lifetime_s));
        let given = Login::new(LoginKind::Given { token, refresh });
        given.with_authority("", &authority.url()).unwrap()
    };
    let asked = authority.requests().len();
    let token = given(60, refresh.clone()).token(&network, STORAGE_SCOPE).unwrap();
    assert_eq!((token.secret.expose(), authority.requests().len()), ("from the parent", asked));
    let token = given(0, refresh.clone()).token(&network, STORAGE_SCOPE).unwrap();
    assert_ne!(token.secret.expose(), "from the parent");
    // A job begins with the parent's token, and gets its own when that nears its end.
    let asked = authority.requests().len();
    let clock = Clock::standing();
    let first = given(60, refresh);
    let bearer = keep(first, network.clone(), STORAGE_SCOPE, clock.clone(), None, Cache::none()).unwrap();
    wait_until(|| clock.sleepers() == 1);
    assert_eq!(authority.requests().len(), asked);
    clock.advance(Duration::from_secs(48));
    wait_until(|| authority.requests().len() > asked);
    drop(bearer);
    assert_eq!(authority.requests().last().unwrap().grant, "refresh_token");
    assert_eq!(
        refused(&given(0, None), &network),
        "the token that the parent process handed down has expired"
    );
    assert_strict(&authority);
}

#[test]
fn who_has_not_logged_in_is_told_to() {
    let authority = authority(Behaviour::default());
    let said = refused(&person(&authority), &network_of(&authority));
    assert!(said.ends_with("log in again with `azuring login`"), "{said}");
    assert_eq!(authority.requests(), []);
}
