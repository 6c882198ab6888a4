//! What the service has of a blob, where an answer that was lost, or an earlier run, leaves it open.

use azuring_azure::{BlobFacts, Delete, Get, Which};
use azuring_job::end_error::EndError;
use azuring_job::failure::{Failure, FailureKind};
use azuring_link::Payload;
use azuring_plan::blocks::BlockId;

use super::client::Client;
use super::request::{Begin, GaveUp, Sender, request};

/// Bytes that are compared at a time; whole pages.
const COMPARED_BYTES: usize = 64 << 10;
/// A page that was not written to.
const ZEROS: [u8; 512] = [0; 512];

/// Asks about one blob. Its requests are sent although the job stops: they say what is true of it.
pub(crate) struct Look<'a> {
    pub(crate) client: &'a Client,
    pub(crate) sender: Sender<'a>,
    /// The blob's name, percent-encoded.
    pub(crate) blob: &'a str,
    /// Which state of it.
    pub(crate) which: Which<'a>,
}

/// How the service's bytes are to agree with those that are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agree {
    /// All of them.
    Whole,
    /// Page by page: each is the same, or was not written to.
    Pages,
}

impl Look<'_> {
    /// What the service knows of the blob.
    pub(crate) async fn facts(&self) -> Result<BlobFacts, GaveUp> {
        let head = async |_| self.client.facts(self.blob, self.which).await;
        request(&self.sender, 0, Begin::Always, head).await
    }

    /// Whether the blob has the bytes of `payload` at `at`. `etag`: in this state of it; another one is an error.
    pub(crate) async fn has(
        &self,
        at: u64,
        payload: &Payload,
        etag: Option<&str>,
        agree: Agree,
    ) -> Result<bool, GaveUp> {
        if payload.is_empty() {
            return Ok(true);
        }
        let range = Some((at, at + payload.len() - 1));
        let get = Get { range, which: self.which, if_match: etag, ..Get::default() };
        request(&self.sender, 0, Begin::Always, async |_| {
            let mut reply = match self.client.open(self.blob, &get).await {
                // It is shorter.
                Err(error) if error.behind_end() => return Ok(false),
                reply => reply?,
            };
            let mut buffer = vec![0; COMPARED_BYTES];
            for part in payload.parts() {
                for ours in part.chunks(COMPARED_BYTES) {
                    let theirs = &mut buffer[..ours.len()];
                    let mut filled = 0;
                    while filled < theirs.len() {
                        match reply.read(&mut theirs[filled..]).await? {
                            0 => return Ok(false),
                            got => filled += got,
                        }
                    }
                    let mut pages = ours.chunks(ZEROS.len()).zip(theirs.chunks(ZEROS.len()));
                    let same = match agree {
                        Agree::Whole => ours == theirs,
                        Agree::Pages => {
                            pages.all(|(ours, theirs)| ours == theirs || ZEROS.starts_with(theirs))
                        }
                    };
                    if !same {
                        return Ok(false);
                    }
                }
            }
            // The end of the body frees the connection.
            Ok::<_, EndError>(reply.read(&mut [0]).await? == 0)
        })
        .await
    }

    /// Whether the blob consists of just these blocks. Their names are this job's, so that nobody else's blob does.
    pub(crate) async fn consists_of(&self, ids: impl Iterator<Item = String>) -> Result<bool, GaveUp> {
        let ask = async |_| Ok::<_, EndError>(self.client.blob()?.get_block_list(self.blob).await?);
        let lists = request(&self.sender, 0, Begin::Always, ask).await?;
        Ok(lists.committed.into_iter().map(|block| block.id).eq(ids))
    }

    /// Removes the blob, if it is still the one that `only` names; one that is not there is removed.
    ///
    /// # Errors
    /// Why it is still there, for the failure of the object.
    pub(crate) async fn remove(&self, only: &Delete<'_>) -> Result<(), Left> {
        if only.if_match.is_none() && only.lease.is_none() {
            return Err(Left::Unknown);
        }
        let delete = async |_| self.client.delete(self.blob, only).await;
        match request(&self.sender, 0, Begin::Always, delete).await {
            Ok(()) => Ok(()),
            Err(gave_up) if gave_up.not_found() => Ok(()),
            Err(gave_up) if gave_up.is_of_another() => Err(Left::Another),
            Err(_) => Err(Left::Refused),
        }
    }

    /// Discards the blocks under this name that nobody has committed, if there is no blob of the name and all of them
    /// are of runs of this program: they were cut off and not resumed. An empty blob is there for a moment. `force`:
    /// whatever is there is removed first.
    ///
    /// # Errors
    /// What the service says. `Ok(false)`: they are not to be discarded.
    pub(crate) async fn discard_blocks(&self, force: bool) -> Result<bool, GaveUp> {
        let sender = &self.sender;
        if force {
            let whole = Delete::default();
            let delete = async |_| self.client.delete(self.blob, &whole).await;
            match request(sender, 0, Begin::UnlessStopping, delete).await {
                // Blocks that wait for a list went with the blob. What waits by now, other lanes have sent since then.
                Ok(()) => return Ok(true),
                Err(gave_up) if gave_up.not_found() => {}
                Err(gave_up) => return Err(gave_up),
            }
        }
        let ask = async |_| Ok::<_, EndError>(self.client.blob()?.get_block_list(self.blob).await?);
        let lists = match request(sender, 0, Begin::UnlessStopping, ask).await {
            Ok(lists) => lists,
            Err(gave_up) if gave_up.not_found() => return Ok(true),
            Err(gave_up) => return Err(gave_up),
        };
        let is_ours = |id: &str| BlockId::is_ours(id);
        if !force
            && (!lists.committed.is_empty() || !lists.uncommitted.iter().all(|block| is_ours(&block.id)))
        {
            return Ok(false);
        }
        if !lists.committed.is_empty() || lists.uncommitted.is_empty() {
            return Ok(lists.committed.is_empty());
        }
        let new = azuring_azure::Body { if_none_match_any: true, ..Default::default() };
        let make = async |_| Ok::<_, EndError>(self.client.blob()?.make_empty_blob(self.blob, new).await?);
        let made = request(sender, 0, Begin::UnlessStopping, make).await?;
        // Another writer's since then stays.
        let only = Delete { if_match: made.etag.as_deref(), ..Delete::default() };
        let _ = self.remove(&only).await;
        Ok(true)
    }
}

/// Why something of a blob that will not be complete is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is another writer's by now.
    Another,
    /// Whose it is cannot be known.
    Unknown,
    /// It could not be removed.
    Refused,
}

impl Left {
    fn told(self) -> &'static str {
        match self {
            Self::Another => "the blob of this name is another writer's and was left as it is",
            Self::Unknown => {
                "a blob of this name, incomplete or another writer's, was left: look at it before you remove it"
            }
            Self::Refused => "an incomplete blob of this name was left, since it could not be removed",
        }
    }

    /// Adds it to the failure of the object.
    pub(crate) fn tell(self, failure: &mut Failure) {
        // Said already.
        if self != Self::Another || failure.kind != FailureKind::Service {
            failure.reason = format!("{}; {}", failure.reason, self.told());
        }
    }
}
