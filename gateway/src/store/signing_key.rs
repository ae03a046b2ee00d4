//! What the gateway signs with: the one secret that is kept as it is, because nobody could sign with its hash.

use std::fmt;

use rusqlite::{Connection, OptionalExtension};

use super::{Store, StoreError};

/// 32 random bytes that this data folder's gateway signs with; never shown.
#[derive(Clone, Copy)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// From 32 random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for who signs.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl Store {
    /// The key that is kept here; where there is none yet, `fresh` is kept from now on.
    pub async fn signing_key(&self, fresh: SigningKey) -> Result<SigningKey, StoreError> {
        let keep = move |db: &Connection| {
            let kept = db.prepare_cached("SELECT key FROM signing_key")?.query_row((), |row| row.get(0));
            if let Some(kept) = kept.optional()? {
                return Ok(SigningKey(kept));
            }
            db.prepare_cached("INSERT INTO signing_key (one, key) VALUES (1, ?1)")?.execute([&fresh.0])?;
            Ok(fresh)
        };
        self.writer.run(keep, |_| ()).await
    }
}
