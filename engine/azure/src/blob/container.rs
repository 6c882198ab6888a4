//! The container itself.

use azuring_link::Payload;

use crate::exchange::client::{ANSWER_LIMIT_BYTES, BlobClient, Head};
use crate::exchange::error::RequestError;
use crate::exchange::operation::Operation;

impl BlobClient {
    /// Create Container.
    ///
    /// # Errors
    /// [`RequestError`]; 409 `ContainerAlreadyExists` when it exists.
    pub async fn create_container(&self) -> Result<(), RequestError> {
        let query = vec![("restype", "container")];
        let head = Head::put(Operation::CreateContainer, "", query, self.target().common.clone());
        self.exchange(head, Payload::default(), ANSWER_LIMIT_BYTES).await?;
        Ok(())
    }
}
