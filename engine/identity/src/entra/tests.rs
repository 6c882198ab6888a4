use azuring_azure::Clock;
use azuring_link::LinkSettings;

use super::*;
use crate::cache::Cache;
use crate::keep::keep;
use crate::login::LoginKind;
use crate::network::{Network, in_runtime};
use crate::one_answer::answers;

const ENDLESS: [&str; 2] = [r#""expires_in":9223372036854775807"#, r#""expires_on":"18446744073709551615""#];

#[test]
fn the_library_is_shown_no_answer() {
    for life in ENDLESS {
        let (url, _) = answers(format!(r#"{{"access_token":"hunter2","token_type":"Bearer",{life}}}"#));
        let network = Network::new(LinkSettings::default());
        in_runtime(&network, async |wire| {
            let courier = Courier::new(wire, 1000);
            let request = Request::new(url, azure_core::http::Method::Get);
            let (_, _, body) = courier.carry(&request).await?;
            assert_eq!(body, SHOWN);
            let noted = courier.noted.lock().unwrap().take().unwrap()?;
            assert_eq!(noted.secret.expose(), "hunter2");
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_token_for_ever_is_kept_for_a_while() {
    for life in ENDLESS {
        let mut login = Login::new(LoginKind::DeviceCode { refresh: Some(Secret::new("r")) });
        let (url, _) = answers(format!(r#"{{"access_token":"t",{life}}}"#));
        login.authority = url.origin().ascii_serialization();
        let network = Network::new(LinkSettings::default());
        let bearer = keep(login, network, "s/.default", Clock::system(), None, Cache::none()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(bearer.ready()).unwrap();
    }
}
