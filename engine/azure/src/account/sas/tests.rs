use super::*;
use std::time::{Duration, UNIX_EPOCH};

const SIG: &str = "sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D";

/// 2026-11-22T04:00:00Z.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_320_000)
}

fn sas(query: &str) -> Sas {
    Sas::parse(&format!("sv=2025-07-05&{query}&{SIG}")).unwrap()
}

fn reason(query: &str) -> String {
    match Sas::parse(query) {
        Err(UrlError::Sas { reason }) => reason,
        other => panic!("{query} must be refused, got {other:?}"),
    }
}

#[test]
fn a_whole_sas_is_kept_as_it_is_and_hidden() {
    let query = format!("sv=2024-11-04&ss=b&srt=co&sp=rwl&se=2030-01-01T00%3A00%3A00Z&{SIG}");
    let sas = Sas::parse(&query).unwrap();
    assert_eq!(sas.expose(), query);
    assert!(!format!("{sas:?} {:?}", sas.facts()).contains("AAAA"));
}

#[test]
fn what_is_missing_is_named() {
    assert!(reason("sv=2024-11-04").contains("no signature"));
    assert!(reason(&format!("se=2030&{SIG}")).contains("no version"));
    assert!(reason(&format!("sv=2024&{SIG}")).contains("neither an expiry"));
    assert!(reason("sv=2024&se=2030&sig=AAAA").contains("32 bytes"));
    assert!(reason("sv=2024&se=2030&sig=%%%").contains("not base64"));
    assert!(reason("nonsense").contains("no `=`"));
}

#[test]
fn a_sas_tells_what_it_is() {
    let account =
        sas("ss=bf&srt=sco&sp=rwl&st=2026-11-22&se=2026-11-23T04%3A00%3A00Z&spr=https&sip=10.0.0.1-10.0.0.9");
    let facts = account.facts();
    let (services, resource_types) = ("bf".to_owned(), "sco".to_owned());
    assert_eq!(facts.kind, SasKind::Account { services, resource_types });
    assert_eq!((facts.version.as_str(), facts.permissions.as_deref()), ("2025-07-05", Some("rwl")));
    assert_eq!(facts.start, Some(now() - Duration::from_secs(4 * 3600)));
    assert_eq!(account.expires(), Some(now() + Duration::from_secs(86_400)));
    assert_eq!((facts.allows_http, facts.ip.as_deref()), (false, Some("10.0.0.1-10.0.0.9")));

    let policy = sas("sr=c&si=read%20only&spr=https,http").facts();
    assert_eq!(
        (policy.kind, policy.policy.as_deref()),
        (SasKind::Service(SasResource::Container), Some("read only"))
    );
    assert_eq!((policy.permissions, policy.expiry, policy.allows_http), (None, None, true));

    let delegated =
        sas("skoid=id&sktid=t&skt=2026-11-21&ske=2026-11-24&sks=b&skv=2025-07-05&sr=bv&sp=r&se=2026-11-30")
            .facts();
    let (resource, object_id) = (SasResource::Version, "id".to_owned());
    assert_eq!(delegated.kind, SasKind::UserDelegation { resource, object_id });
    assert_eq!(delegated.expiry, date::read("2026-11-24"), "the key ends first");
    assert_eq!(delegated.start, date::read("2026-11-21"));
    for (letters, resource) in
        [("b", SasResource::Blob), ("d", SasResource::Directory), ("bs", SasResource::Snapshot)]
    {
        assert_eq!(sas(&format!("sr={letters}&se=2030-01-01")).facts().kind, SasKind::Service(resource));
    }
}

fn check(query: &str, operations: &[SasOperation], tls: bool, one_blob: bool) -> String {
    let want = SasNeeds { tls, one_blob, operations };
    sas(query).check(&want, now()).err().map_or_else(|| "can".to_owned(), |fault| fault.to_string())
}

use SasOperation::*;

/// What can do the job passes, also where it is not certain.
#[test]
fn a_sas_that_can_is_never_refused() {
    for (query, operations, one_blob) in [
        ("sr=c&sp=c&se=2030-01-01", &[WriteBlob][..], false),
        ("sr=c&sp=w&se=2030-01-01", &[WriteBlob, Append, SetProperties, WritePages], false),
        ("sr=c&sp=ac&se=2030-01-01", &[WriteBlob, Append], false),
        (
            "sr=c&sp=racwdxltmeiy&se=2030-01-01",
            &[List, Read, Delete, DeleteVersion, DeletePermanently, Tags, Batch],
            false,
        ),
        ("sr=d&sdd=1&sp=rl&se=2030-01-01", &[List, Read], false),
        ("sr=b&sp=rw&se=2030-01-01", &[Read, WriteBlob], true),
        ("sr=bs&sp=rd&se=2030-01-01", &[Read, Delete], true),
        ("sr=bv&sp=rxt&se=2030-01-01", &[Read, DeleteVersion, Tags], true),
        ("sr=c&si=policy", &[List, Read, WriteBlob, Delete], false),
        ("sr=c&si=policy&se=2030-01-01", &[List], false),
        ("sr=c&sp=r&se=sometime", &[Read], false),
        ("sr=new&sp=r&se=2030-01-01", &[Read], false),
        ("sp=r&se=2030-01-01", &[Read], false),
        ("ss=b&srt=co&sp=rwl&se=2030-01-01", &[List, Read, WriteBlob, CreateContainer, Batch], false),
        ("ss=qbt&srt=o&sp=rw&se=2030-01-01", &[Read, WriteBlob, Batch], false),
        ("ss=b&srt=c&sp=l&se=2030-01-01", &[List], false),
        // Within what the clocks may differ by.
        ("sr=c&sp=r&se=2026-11-22T03:50Z", &[Read], false),
        ("sr=c&sp=r&st=2026-11-22T04:10Z&se=2030-01-01", &[Read], false),
        ("sr=c&sp=r&sip=1.2.3.4&se=2030-01-01", &[Read], false),
    ] {
        assert_eq!(check(query, operations, true, one_blob), "can", "{query}");
    }
    assert_eq!(check("sr=c&sp=r&spr=https,http&se=2030-01-01", &[Read], false, false), "can");
}

#[test]
fn what_a_sas_cannot_do_is_said_with_the_letter() {
    for (query, operations, one_blob, told) in [
        (
            "sr=c&sp=rl&se=2026-11-20",
            &[Read][..],
            false,
            "the SAS has expired: it was valid until 2026-11-20T00:00:00Z (se), 2 days ago by this machine's clock",
        ),
        (
            "sr=c&sp=rl&se=2026-11-22T03:43Z",
            &[Read],
            false,
            "the SAS has expired: it was valid until 2026-11-22T03:43:00Z (se), 17 minutes ago by this machine's clock",
        ),
        (
            "sr=c&sp=rl&st=2026-11-22T07:00Z&se=2030-01-01",
            &[Read],
            false,
            "the SAS is not valid yet: it begins at 2026-11-22T07:00:00Z (st), in 3 hours by this machine's clock",
        ),
        (
            "sr=c&si=p&se=2026-11-20",
            &[Read],
            false,
            "the SAS has expired: it was valid until 2026-11-20T00:00:00Z (se), 2 days ago by this machine's clock",
        ),
        (
            "sr=c&sp=rl&se=2030-01-01",
            &[Read, WriteBlob, Delete],
            false,
            "the SAS has sp=rl: writing needs `c` or `w`, deleting needs `d`",
        ),
        ("sr=c&sp=rw&se=2030-01-01", &[List, Read], false, "the SAS has sp=rw: listing needs `l`"),
        (
            "sr=c&sp=c&se=2030-01-01",
            &[Append, SetProperties],
            false,
            "the SAS has sp=c: appending needs `a` or `w`, changing metadata, properties or tiers needs `w`",
        ),
        (
            "sr=c&sp=dxw&se=2030-01-01",
            &[DeleteVersion, DeletePermanently, Tags],
            false,
            "the SAS has sp=dxw: deleting for good needs `y`, reading and writing tags needs `t`",
        ),
        (
            "sr=b&sp=rl&se=2030-01-01",
            &[List],
            true,
            "a SAS with sr=b cannot be used for listing: it needs one for the container (sr=c)",
        ),
        (
            "sr=b&sp=rw&se=2030-01-01",
            &[WriteBlob],
            false,
            "the SAS is for one blob (sr=b), and this needs one for the container (sr=c)",
        ),
        (
            "sr=bs&sp=rw&se=2030-01-01",
            &[WriteBlob],
            true,
            "a SAS with sr=bs cannot be used for writing: it needs one for the container (sr=c)",
        ),
        (
            "sr=c&sp=rcw&se=2030-01-01",
            &[CreateContainer],
            false,
            "a SAS with sr=c cannot be used for creating the container: it needs an account SAS, or the account's key",
        ),
        ("sr=s&sp=rw&se=2030-01-01", &[WriteBlob], false, "the SAS is not for blobs: sr=s"),
        ("ss=fq&srt=sco&sp=rw&se=2030-01-01", &[WriteBlob], false, "the SAS is not for blobs: ss=fq"),
        (
            "ss=b&srt=o&sp=rwl&se=2030-01-01",
            &[Read, List],
            false,
            "the SAS has srt=o: listing needs `c` in it",
        ),
        ("ss=b&srt=sc&sp=rwl&se=2030-01-01", &[Read], false, "the SAS has srt=sc: reading needs `o` in it"),
    ] {
        assert_eq!(check(query, operations, true, one_blob), told, "{query}");
    }
    let https = check("sr=c&sp=r&spr=https&se=2030-01-01", &[Read], false, false);
    assert_eq!(https, "the SAS allows https only (spr=https), and the URL is http");
}
