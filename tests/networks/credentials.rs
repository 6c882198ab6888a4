//! Each kind of credential on each side, on both ways.

use azsim::{Application, Authority, Network, PublicAccess, Role};
use azuring_tests::entra::{APPLICATION, CLIENT_SECRET, Entra};
use azuring_tests::{CONTAINER, azuring};

use super::scene::{Azure, FROM, KEYS, PUBLIC, TO, assert_relayed};
use super::{HUB_FROM, HUB_TO, SPOKE_FROM};

#[test]
fn each_kind_of_credential_does_on_each_side() {
    for from in ["SAS", "key", "token", "public"] {
        for to in ["SAS", "key", "token"] {
            let azure = Azure::with(|fabric| {
                let listen = (PUBLIC, 0).into();
                let authority = fabric.within(|| Authority::builder().listen(listen).start()).unwrap();
                authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(Role::Owner));
                let mut azuring = azuring!().env("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", authority.url());
                if [from, to].contains(&"token") {
                    azuring = Entra::as_service_principal(azuring, &authority);
                }
                for (end, account, name, key) in [
                    (from, FROM, "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY"),
                    (to, TO, "", "AZURE_STORAGE_CONNECTION_STRING"),
                ] {
                    let secret = KEYS.into_iter().find(|(name, _)| *name == account).unwrap().1;
                    azuring = match (end, name) {
                        ("key", "") => azuring.env(key, format!("AccountName={account};AccountKey={secret}")),
                        ("key", name) => azuring.env(name, account).env(key, secret),
                        _ => azuring,
                    };
                }
                (azuring, Some(authority))
            });
            azure.hub.route("203.0.113.0/24", "10.1.0.1");
            azure.peer();
            let ca = azure.fixture.ca_file();
            let both =
                std::fs::read_to_string(&ca).unwrap() + azure.authority.as_ref().unwrap().ca_pem().unwrap();
            std::fs::write(&ca, both).unwrap();
            let server = azure.fixture.server();
            if from == "public" {
                server.set_acl(FROM, CONTAINER, PublicAccess::Container, "").unwrap();
            }
            let hosts = [HUB_FROM, HUB_TO, SPOKE_FROM].map(|host| format!("{host}:{}", server.addr().port()));
            let hosts = format!("--trusted-microsoft-suffixes={}", hosts.join(";"));
            let url = |kind, address, account| match kind {
                "SAS" => azure.at(address, account),
                _ => azure.bare(address, account),
            };
            azure.restrict(TO, Network::closed().private_endpoint(HUB_TO, "hub"));
            for (address, network) in [(SPOKE_FROM, "spoke"), (HUB_FROM, "hub")] {
                azure.restrict(FROM, Network::closed().private_endpoint(address, network));
                let ends = (url(from, address, FROM), url(to, HUB_TO, TO));
                let asked = azure.asked().len();
                let outcome = azure.copy(&azure.hub, (&ends.0, &ends.1), &[&hosts]);
                assert_eq!(
                    outcome.code,
                    Some(0),
                    "{from} {to} {network}: {} {}",
                    outcome.stdout,
                    outcome.stderr
                );
                azure.assert_same();
                if network == "spoke" {
                    assert_relayed(&outcome);
                } else {
                    assert_eq!(azure.asked().len() - asked, 18, "{from} {to}");
                }
            }
        }
    }
}
