//! A tenant of Entra ID, an account over TLS that takes its tokens, and azuring between them.

use std::fs;

use azsim::{Application, Authority, AuthorityBuilder, Role, ServerBuilder, Tls};

use crate::{Azuring, CONTAINER, DEVSTORE_ACCOUNT, DEVSTORE_KEY, Fixture};

/// The application of [`Entra::service_principal`].
pub const APPLICATION: &str = "0a1b2c3d-1111-4222-8333-444455556666";
/// Its secret, which is looked for wherever something is written.
pub const CLIENT_SECRET: &str = "Canary~Secret.Of-The_Application8Q";

/// The account, whose key nobody publishes: azuring would use that of the emulators' account.
pub const ACCOUNT: &str = "entraaccount";

/// [`Fixture`] whose server trusts an [`Authority`]; azuring trusts the certificates of both, and nothing tells it who
/// it is but what the test sets.
#[derive(Debug)]
pub struct Entra {
    /// Who issues tokens.
    pub authority: Authority,
    /// The account, the program, the files.
    pub fixture: Fixture,
}

impl Entra {
    /// `azuring` is [`azuring!()`](crate::azuring).
    #[must_use]
    pub fn new(azuring: Azuring) -> Self {
        Self::with(azuring, |authority| authority, |azuring, _| azuring)
    }

    /// As a service principal that is `role`, by AzCopy's variables.
    #[must_use]
    pub fn service_principal(azuring: Azuring, role: Role) -> Self {
        let entra = Self::with(azuring, |authority| authority, Self::as_service_principal);
        entra.authority.register(Application::new(APPLICATION).secret(CLIENT_SECRET).role(role));
        entra
    }

    /// AzCopy's variables for [`APPLICATION`].
    #[must_use]
    pub fn as_service_principal(azuring: Azuring, authority: &Authority) -> Azuring {
        azuring
            .env("AZCOPY_AUTO_LOGIN_TYPE", "SPN")
            .env("AZCOPY_TENANT_ID", authority.tenant())
            .env("AZCOPY_SPA_APPLICATION_ID", APPLICATION)
            .env("AZCOPY_SPA_CLIENT_SECRET", CLIENT_SECRET)
    }

    /// With other settings of the authority, and an environment that may name it.
    ///
    /// # Panics
    /// When a server does not start.
    #[must_use]
    pub fn with(
        azuring: Azuring,
        settings: impl FnOnce(AuthorityBuilder) -> AuthorityBuilder,
        environment: impl FnOnce(Azuring, &Authority) -> Azuring,
    ) -> Self {
        Self::with_accounts(azuring, settings, environment, |server| server)
    }

    /// And with other settings of the accounts' server.
    ///
    /// # Panics
    /// When a server does not start.
    #[must_use]
    pub fn with_accounts(
        azuring: Azuring,
        settings: impl FnOnce(AuthorityBuilder) -> AuthorityBuilder,
        environment: impl FnOnce(Azuring, &Authority) -> Azuring,
        accounts: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> Self {
        let authority = settings(Authority::builder()).start().unwrap();
        let azuring = azuring.env("AZCOPY_ACTIVE_DIRECTORY_ENDPOINT", authority.url());
        let azuring = environment(azuring, &authority);
        let fixture = Fixture::with(azuring, |server| {
            let server = server.tls(Tls::SelfSigned).authority(&authority);
            accounts(server.account(DEVSTORE_ACCOUNT, DEVSTORE_KEY).account(ACCOUNT, DEVSTORE_KEY))
        });
        assert!(fixture.server().create_container(ACCOUNT, CONTAINER));
        let both = [fs::read_to_string(fixture.ca_file()).unwrap(), authority.ca_pem().unwrap().to_owned()];
        fs::write(fixture.ca_file(), both.concat()).unwrap();
        Self { authority, fixture }
    }

    /// The URL of [`CONTAINER`], or of a blob in it, without a credential.
    #[must_use]
    pub fn url(&self, blob: &str) -> String {
        let slash = if blob.is_empty() { "" } else { "/" };
        format!("{}/{CONTAINER}{slash}{blob}", self.fixture.server().url(ACCOUNT))
    }

    /// Names of the committed blobs of [`CONTAINER`].
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.fixture.server().blobs(ACCOUNT, CONTAINER).into_iter().map(|blob| blob.name).collect()
    }

    /// What makes azuring trust the account's host.
    #[must_use]
    pub fn trusted(&self) -> String {
        format!("--trusted-microsoft-suffixes={}", self.fixture.server().addr())
    }

    /// Asserts that every request of a token was as the protocol has it.
    ///
    /// # Panics
    /// With the deviations.
    #[track_caller]
    pub fn assert_protocol(&self) {
        assert_eq!(self.authority.deviations(), Vec::<String>::new());
    }
}
