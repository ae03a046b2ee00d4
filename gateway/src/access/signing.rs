//! The key that the gateway signs with.

use rand::{TryRng, rngs::SysRng};

use super::{Access, AccessError};
use crate::store::SigningKey;

impl Access {
    /// What this data folder's gateway signs with, always the same; made when it is first asked for.
    pub async fn signing_key(&self) -> Result<SigningKey, AccessError> {
        let mut random = [0; 32];
        SysRng.try_fill_bytes(&mut random).map_err(|_| AccessError::Random)?;
        Ok(self.inner.store.signing_key(SigningKey::from_bytes(random)).await?)
    }
}
