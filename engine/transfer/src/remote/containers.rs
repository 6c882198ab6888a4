//! Whole accounts: their containers are found, and made at the destination.
//!
//! In an account names of blobs begin with those of their containers, at either end. So a listing is one tree, whose
//! first level is the containers, a hundred at a time; what the job knows of an account is no more than that.

use azuring_azure::{ListItem, ServiceError};
use azuring_job::failure::{Failure, FailureKind, Side};
use azuring_lane::client::Client;
use azuring_lane::join::join_all;
use azuring_lane::request::{Begin, GaveUp, request};
use tokio::sync::Semaphore;

use crate::scan::{Halt, Met};

use super::{Remote, RemoteSource};

/// Containers that are made at a time.
const AT_ONCE: usize = 8;

/// What a job has to do with containers, and not only with what is in one.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    /// The source is an account.
    pub(crate) is_account: bool,
    /// Containers of it that are not wanted.
    pub(crate) left_out: Vec<String>,
    /// Which are made at the destination.
    pub(crate) makes: Makes,
}

/// Containers that are made at the destination, where they are not there.
#[derive(Debug, Default)]
pub(crate) enum Makes {
    /// None: nothing is written to one.
    #[default]
    None,
    /// The one that the URL of the destination names. If it cannot be, that is told by what is written to it.
    Named,
    /// This one.
    One(String),
    /// Each that is found at the source.
    Each,
}

impl RemoteSource {
    /// The path that filters look at: without the container, where the source is an account.
    pub(super) fn inside<'p>(&self, relative: &'p str) -> &'p str {
        if !self.containers.is_account {
            return relative;
        }
        relative.split_once('/').map_or("", |(_, inside)| inside)
    }
}

impl Remote<'_> {
    /// Whether a listing with this prefix is of the containers of an account.
    pub(super) fn lists_containers(&self, prefix: &str) -> bool {
        self.source.containers.is_account && prefix.is_empty()
    }

    /// Of a page of containers those that are copied. They are there at the destination, where they have to be.
    pub(super) async fn containers(&self, found: Vec<ListItem>) -> Result<Vec<ListItem>, Halt> {
        let containers = &self.source.containers;
        let name = |item: &ListItem| item.name().trim_end_matches('/').to_owned();
        let wanted = found.into_iter().filter(|item| !containers.left_out.contains(&name(item)));
        let wanted: Vec<ListItem> = wanted.collect();
        if !matches!(containers.makes, Makes::Each) {
            return Ok(wanted);
        }
        let made = self.make(wanted.iter().map(name).collect()).await?;
        Ok(wanted.into_iter().zip(made).filter_map(|(item, is_there)| is_there.then_some(item)).collect())
    }

    /// Makes the one container that all goes to.
    pub(super) async fn make_first(&self) -> Result<(), Halt> {
        match &self.source.containers.makes {
            Makes::One(name) => match self.make(vec![name.clone()]).await?[..] {
                [true] => Ok(()),
                _ => Err(Halt::Stopping),
            },
            Makes::Named => self.make_named().await,
            Makes::None | Makes::Each => Ok(()),
        }
    }

    /// Makes the container of the destination's URL if it is missing, as AzCopy does. Mostly it is there.
    async fn make_named(&self) -> Result<(), Halt> {
        let session = &self.shared.session;
        if session.options.dry_run {
            return Ok(());
        }
        let client = session.destination_client();
        let Ok(blob) = client.blob() else { return Ok(()) };
        let permits = Semaphore::new(1);
        let sender = self.sender_to(Side::Destination, &permits);
        let ask = async |_| blob.look_at_container("").await;
        let is_missing = |gave_up: &GaveUp| {
            gave_up.service().is_some_and(|refusal| refusal.status == 404 && refusal.of_service)
        };
        match request(&sender, 0, Begin::UnlessStopping, ask).await {
            Err(gave_up) if is_missing(&gave_up) => {
                let ask = async |_| blob.create_container("").await;
                let _ = request(&sender, 0, Begin::UnlessStopping, ask).await;
            }
            // Nobody is there: no object finds more.
            Err(gave_up) if gave_up.service().is_none() => {
                return Err(gave_up.for_object(session, "").into());
            }
            _ => {}
        }
        if let Some(links) = client.links() {
            links.let_go();
        }
        Ok(())
    }

    /// Makes containers; of each, whether it is there. What is not was told.
    async fn make(&self, names: Vec<String>) -> Result<Vec<bool>, Halt> {
        let session = &self.shared.session;
        if session.options.dry_run {
            return Ok(vec![true; names.len()]);
        }
        let client = session.destination_client();
        let permits = Semaphore::new(AT_ONCE.min(self.source.at_once).max(1));
        let made = join_all(names.iter().map(|name| self.make_one(&client, &permits, name)).collect()).await;
        // Whatever comes next may take long.
        if let Some(links) = client.links() {
            links.let_go();
        }
        let mut there = Vec::with_capacity(made.len());
        for (name, made) in names.iter().zip(made) {
            there.push(made.is_ok());
            let Err(gave_up) = made else { continue };
            let mut failure = gave_up.for_object(session, name);
            if failure.kind == FailureKind::Interrupted {
                return Err(Halt::Stopping);
            }
            failure.destination = session.ends.to().end.url_of(name);
            failure.reason = format!("the container cannot be made: {}", failure.reason);
            self.passed_over(failure).await;
        }
        if session.verdict.stopping() { Err(Halt::Stopping) } else { Ok(there) }
    }

    /// Makes one that is not there.
    async fn make_one(&self, client: &Client, permits: &Semaphore, name: &str) -> Result<(), GaveUp> {
        let sender = self.sender_to(Side::Destination, permits);
        let ask =
            async |_| Ok::<_, azuring_job::end_error::EndError>(client.blob()?.create_container(name).await?);
        let Err(gave_up) = request(&sender, 0, Begin::UnlessStopping, ask).await else { return Ok(()) };
        let reception = &self.shared.session.ends.to().reception;
        if gave_up.service().is_some_and(|refusal| refusal.code == "ContainerAlreadyExists") {
            // The service has done all that was to be done.
            reception.accepted();
            return Ok(());
        }
        if !is_denied(&gave_up) {
            return Err(gave_up);
        }
        // Who may write blobs and make no containers: it may be there.
        let ask = async |_| {
            Ok::<_, azuring_job::end_error::EndError>(client.blob()?.look_at_container(name).await?)
        };
        match request(&sender, 0, Begin::UnlessStopping, ask).await {
            Ok(()) => Ok(()),
            Err(looked) if is_denied(&looked) => {
                if !self.told_unseen.replace(true) {
                    let text = "the credential of the destination can neither make containers nor see whether they \
                                are there: they are taken to be there";
                    self.out.give(Met::Notice(text.to_owned())).await;
                }
                Ok(())
            }
            Err(_) => Err(gave_up),
        }
    }

    /// Tells why a container is not copied, and goes on with the next, where that may be better off.
    pub(super) async fn unless_alone(&self, prefix: &str, halt: Halt) -> Result<(), Halt> {
        let of_all = |failure: &Failure| {
            matches!(failure.kind, FailureKind::Network | FailureKind::Throttled | FailureKind::Interrupted)
        };
        let name = prefix.split('/').next().unwrap_or_default();
        let is_of_account = self.source.containers.is_account && !name.is_empty();
        match halt {
            Halt::Failed(mut failure)
                if is_of_account && !of_all(&failure) && !self.shared.session.verdict.stopping() =>
            {
                failure.object = name.to_owned();
                failure.source = self.shared.session.ends.from().end.url_of(name);
                failure.reason = format!("the container cannot be listed: {}", failure.reason);
                self.passed_over(failure).await;
                Ok(())
            }
            halt => Err(halt),
        }
    }

    async fn passed_over(&self, failure: Box<Failure>) {
        self.out.give(Met::Problem(failure)).await;
    }
}

/// Whether somebody may do other things and not this. A SAS for blobs alone is refused in words of its own.
fn is_denied(gave_up: &GaveUp) -> bool {
    let other_type = |refusal: &ServiceError| refusal.code == "AuthorizationResourceTypeMismatch";
    gave_up.forbidden() || gave_up.service().is_some_and(other_type)
}
