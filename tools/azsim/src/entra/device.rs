//! Device codes: RFC 8628 and <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code>.

use std::sync::Arc;

use serde_json::json;

use super::answer::{EntraError, Failure, Reply};
use super::model::{Application, SignIn, TokenRequest};
use super::state::{Device, Seen, Shared};
use super::{random, token};

/// What `slow_down` adds to the interval (RFC 8628, 3.5).
const SLOW_DOWN_S: u32 = 5;
/// By how much a poll may come early: what rounding to milliseconds costs.
const TOLERANCE_MS: u64 = 5;

/// Hands out a device code.
pub(super) fn code(
    shared: &Shared,
    request: &Seen<'_>,
    tenant: &str,
    log: &mut TokenRequest,
) -> Result<Reply, Failure> {
    let form = request.form()?;
    form.value("client_id").clone_into(&mut log.client);
    form.expect(&["client_id", "scope"], &[]).map_err(Failure::Deviation)?;
    shared.trouble(true)?;
    let application = token::application(shared, tenant, form.value("client_id"), true)?;
    if !application.public {
        let text =
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        return Err(EntraError::client(7_000_218, text).into());
    }
    let consent = token::consent(shared, &application, form.value("scope"))?;
    let (code, user_code) = (random::secret(), random::user_code());
    let now_ms = shared.issuer.clock.now_ms();
    let mut state = shared.state();
    let (interval_s, lifetime_s) = (state.behaviour.poll_interval_s, state.behaviour.device_lifetime_s);
    state.devices.push(Device {
        code: code.clone(),
        user_code: user_code.clone(),
        consent,
        expires_ms: now_ms + u64::from(lifetime_s) * 1000,
        interval_s,
        next_poll_ms: 0,
        polls: 0,
        answer: None,
    });
    let page = "https://microsoft.com/devicelogin";
    Ok(Reply::ok(json!({
        "device_code": code,
        "user_code": user_code,
        "verification_uri": page,
        "expires_in": lifetime_s,
        "interval": interval_s,
        "message": format!(
            "To sign in, use a web browser to open the page {page} and enter the code {user_code} to authenticate."
        ),
    })))
}

/// Answers a client that asks whether the user has signed in.
pub(super) fn poll(shared: &Shared, application: &Arc<Application>, code: &str) -> Result<Reply, Failure> {
    let slow_down = || EntraError::bad("slow_down", 70_016, "Too many requests: poll more slowly.");
    let expired = || {
        let text = "Verification code expired. Have the user retry the sign-in.";
        EntraError::bad("expired_token", 70_019, text)
    };
    let now_ms = shared.issuer.clock.now_ms();
    let mut state = shared.state();
    let found = state.devices.iter().position(|d| d.code == code);
    let found = found.filter(|at| Arc::ptr_eq(&state.devices[*at].consent.application, application));
    let Some(at) = found else {
        let text = "The device_code is not known.";
        return Err(EntraError::bad("bad_verification_code", 70_018, text).into());
    };
    let planned_slow_down = state.behaviour.slow_down > 0;
    let device = &mut state.devices[at];
    if now_ms >= device.expires_ms {
        return Err(expired().into());
    }
    let early_ms = device.next_poll_ms.saturating_sub(now_ms);
    let early = early_ms > TOLERANCE_MS;
    if early || planned_slow_down {
        device.interval_s += SLOW_DOWN_S;
    }
    device.next_poll_ms = now_ms + u64::from(device.interval_s) * 1000;
    if early {
        state.deviations.push(format!("the device code was polled {early_ms} ms too early"));
        return Err(slow_down().into());
    }
    if planned_slow_down {
        state.behaviour.slow_down -= 1;
        return Err(slow_down().into());
    }
    device.polls += 1;
    let (polls, mut answer) = (device.polls, device.answer);
    match state.planned(polls) {
        Some(SignIn::ApproveAfter(_)) => answer = Some(true),
        Some(SignIn::DeclineAfter(_)) => answer = Some(false),
        Some(SignIn::ExpireAfter(_)) => return Err(expired().into()),
        Some(SignIn::Wait) | None => {}
    }
    match answer {
        None => {
            let text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
            Err(EntraError::bad("authorization_pending", 70_016, text).into())
        }
        Some(false) => {
            let text = "User declined to consent to access the app.";
            Err(EntraError::bad("authorization_declined", 65_004, text).into())
        }
        Some(true) => {
            // A code is good for one sign-in.
            let device = state.devices.swap_remove(at);
            drop(state);
            Ok(token::for_user(shared, &device.consent))
        }
    }
}
