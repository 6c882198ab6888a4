//! What the roles of a principal allow, for tokens and for signatures made with a user delegation key.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-calling-data-operations>
//! and the definitions of the built-in roles.

use crate::entra::Role;
use crate::error::{AUTHORIZATION_PERMISSION_MISMATCH, Result};
use crate::route::Operation;

/// Checks an operation.
pub(super) fn authorize(roles: &[Role], operation: Operation) -> Result<()> {
    if roles.iter().any(|role| allows(*role, operation)) {
        Ok(())
    } else {
        Err(AUTHORIZATION_PERMISSION_MISMATCH.into())
    }
}

/// Whether the roles include what a letter of `sp` stands for.
pub(super) fn may(roles: &[Role], letter: u8) -> bool {
    let allows = |role: &Role| match (role, letter) {
        (Role::Owner, _) => true,
        // Versions by their id, permanent deletion and tags have actions of their own, which only owners have.
        (Role::Contributor, b'x' | b'y' | b't' | b'f') => false,
        (Role::Contributor, _) => true,
        (Role::Reader, _) => matches!(letter, b'r' | b'l'),
        (Role::Delegator, _) => false,
    };
    roles.iter().any(allows)
}

fn allows(role: Role, operation: Operation) -> bool {
    use Operation as O;
    match operation {
        O::ListContainers | O::GetContainerProperties | O::ListBlobs | O::GetAccountInformation => {
            role != Role::Delegator
        }
        O::GetBlob | O::GetBlobProperties | O::GetBlockList | O::GetPageRanges => role != Role::Delegator,
        O::GetUserDelegationKey => true,
        O::SetBlobTags | O::GetBlobTags | O::GetContainerAcl | O::SetContainerAcl => role == Role::Owner,
        // An action of the management plane, which no role for data has.
        O::GetServiceProperties => false,
        O::FindBlobs | O::FindBlobsInContainer => role == Role::Owner,
        O::SetContainerMetadata | O::LeaseContainer | O::LeaseBlob | O::UndeleteBlob => {
            matches!(role, Role::Contributor | Role::Owner)
        }
        O::CreateContainer | O::DeleteContainer => matches!(role, Role::Contributor | Role::Owner),
        O::PutBlob | O::PutBlock | O::PutBlockList | O::AppendBlock | O::SealAppendBlob | O::PutPage => {
            matches!(role, Role::Contributor | Role::Owner)
        }
        O::PutBlobFromUrl | O::PutBlockFromUrl | O::AppendBlockFromUrl | O::PutPageFromUrl => {
            matches!(role, Role::Contributor | Role::Owner)
        }
        O::CopyBlob | O::CopyBlobFromUrl | O::AbortCopyBlob => {
            matches!(role, Role::Contributor | Role::Owner)
        }
        O::DeleteBlob | O::SnapshotBlob | O::SetBlobTier | O::SetBlobMetadata | O::SetBlobProperties => {
            matches!(role, Role::Contributor | Role::Owner)
        }
        // The parts of a batch are judged one by one.
        O::BlobBatch | O::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_belong_to_roles() {
        let letters = |roles: &[Role]| -> String {
            b"racwdxylt".iter().filter(|l| may(roles, **l)).map(|l| char::from(*l)).collect()
        };
        assert_eq!(letters(&[]), "");
        assert_eq!(letters(&[Role::Delegator]), "");
        assert_eq!(letters(&[Role::Delegator, Role::Reader]), "rl");
        assert_eq!(letters(&[Role::Contributor]), "racwdl");
        assert_eq!(letters(&[Role::Owner]), "racwdxylt");
    }
}
