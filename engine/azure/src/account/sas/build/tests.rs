use super::*;
use crate::account::sas::{SasKind, SasResource};
use crate::account::secret::Secret;
use std::time::UNIX_EPOCH;

/// 2026-11-22T04:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_320_000)
}

fn days(count: u64) -> SystemTime {
    now() + Duration::from_secs(count * 86_400)
}

fn key() -> AccountKey {
    AccountKey::new("acc", &Secret::new("a2V5")).unwrap()
}

fn delegation() -> UserDelegationKey {
    let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid>\
               <SignedStart>2026-11-22T04:00:00Z</SignedStart><SignedExpiry>2026-11-28T04:00:00Z</SignedExpiry>\
               <SignedService>b</SignedService><SignedVersion>2025-07-05</SignedVersion><New/><Value>c2VjcmV0</Value></UserDelegationKey>";
    UserDelegationKey::parse(xml.as_bytes()).unwrap()
}

/// That the signatures are right, Microsoft's library says in `tests/behaviour/signatures.rs`.
#[test]
fn letters_and_fields_stand_in_their_order() {
    let builder = SasBuilder::new("lwrr").expires_at(days(1));
    let sas = builder.clone().starts_at(now()).ip("10.0.0.1 - 10.0.0.9").account(&key(), "fb", "oc").unwrap();
    let signed = sas.expose().split_once("&sig=").unwrap().0;
    assert_eq!(
        signed,
        "sv=2025-07-05&ss=bf&srt=co&spr=https&st=2026-11-22T04%3A00%3A00Z&se=2026-11-23T04%3A00%3A00Z&sip=10.0.0.1-10.0.0.9&sp=rwl"
    );
    let sas = builder.allow_http().policy("the one").container(&key(), "cont").unwrap();
    let signed = sas.expose().split_once("&sig=").unwrap().0;
    assert_eq!(signed, "sv=2025-07-05&spr=https%2Chttp&se=2026-11-23T04%3A00%3A00Z&si=the%20one&sr=c&sp=rwl");
    assert_eq!(sas.facts().kind, SasKind::Service(SasResource::Container));
    // A policy may say all.
    let sas = SasBuilder::new("").policy("all").blob(&key(), "cont", "a b").unwrap();
    assert_eq!((sas.facts().permissions, sas.expires()), (None, None));
    let sas =
        SasBuilder::new("wr").expires_at(days(6)).delegated("acc", &delegation(), "cont", None).unwrap();
    assert_eq!((sas.facts().start, sas.expires()), (Some(now()), Some(days(6))));
}

#[test]
fn what_cannot_be_made_is_said() {
    let told = |made: Result<Sas, SasBuildError>| made.unwrap_err().to_string();
    let builder = SasBuilder::new("rw").expires_at(days(1));
    assert_eq!(
        told(SasBuilder::new("rl").expires_at(days(1)).blob(&key(), "c", "b")),
        "`l` is no letter of sp here; there are racwdxtmeiy"
    );
    assert_eq!(
        told(SasBuilder::new("").expires_at(days(1)).container(&key(), "c")),
        "a SAS needs permissions (sp)"
    );
    assert_eq!(told(SasBuilder::new("r").container(&key(), "c")), "a SAS needs an expiry (se)");
    assert_eq!(told(builder.account(&key(), "", "o")), "a SAS needs services (ss)");
    assert_eq!(told(builder.account(&key(), "b", "")), "a SAS needs resource types (srt)");
    assert_eq!(told(builder.account(&key(), "b", "b")), "`b` is no letter of srt here; there are sco");
    assert_eq!(
        told(builder.clone().starts_at(days(1)).container(&key(), "c")),
        "the SAS would end at 2026-11-23T04:00:00Z, which is not after its beginning at 2026-11-23T04:00:00Z"
    );
    for ip in ["localhost", "10.0.0.9-10.0.0.1", "10.0.0.0/8", "::1", "1.2.3.4-"] {
        assert_eq!(builder.clone().ip(ip).container(&key(), "c"), Err(SasBuildError::Ip(ip.to_owned())));
    }
    let delegated = |builder: &SasBuilder| told(builder.delegated("acc", &delegation(), "c", None));
    assert!(
        delegated(&builder.clone().expires_at(days(8)))
            .contains("7 days at most: it would end at 2026-11-30")
    );
    assert!(delegated(&builder.clone().expires_at(days(7))).contains("to 2026-11-28T04:00:00Z"));
    assert!(delegated(&builder.clone().policy("p")).contains("stored policy"));
    assert!(told(builder.policy("p").account(&key(), "b", "o")).contains("stored policy"));
}

#[test]
fn a_key_hides_its_value_and_wants_to_be_whole() {
    let shown = format!("{:?}", delegation());
    assert!(shown.contains("oid") && !shown.contains("c2VjcmV0") && !shown.contains("secret"), "{shown}");
    for (document, told) in [
        ("<UserDelegationKey><Value>c2VjcmV0</Value></UserDelegationKey>", "no SignedOid"),
        ("<UserDelegationKey><SignedOid>o</SignedOid><Value>!</Value></UserDelegationKey>", "not base64"),
        ("<Key/>", "no UserDelegationKey"),
    ] {
        let reason = UserDelegationKey::parse(document.as_bytes()).unwrap_err();
        assert!(reason.contains(told), "{document}: {reason}");
    }
}
