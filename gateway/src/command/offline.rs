//! Work on a gateway's data folder without the gateway, for the first key and the first code.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use oriel_gateway::{
    access::{Access, AccessError},
    clock,
    store::{EnrollmentRecord, FILE_NAME, KeyRecord, Store},
};
use oriel_proto::Timestamp;
use serde_json::{Value, json};

use super::Failure;

/// An opened data folder.
#[derive(Debug)]
pub(super) struct Offline {
    store: Store,
    /// Makes and checks credentials in it.
    pub(super) access: Access,
}

impl Offline {
    /// Opens the folder, making it when it is missing.
    pub(super) async fn open(folder: &Path) -> Result<Self, Failure> {
        let store = Store::open_beside(folder).map_err(AccessError::from)?;
        Ok(Self { access: Access::open(store.clone()).await?, store })
    }

    /// Opens a folder that a gateway has used before.
    pub(super) async fn open_existing(folder: &Path) -> Result<Self, Failure> {
        if folder.join(FILE_NAME).is_file() {
            Self::open(folder).await
        } else {
            Err(Failure::usage(format!("{} is not the data folder of a gateway", folder.display())))
        }
    }

    /// Finishes what is queued and closes the folder.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

/// A key as the API shows it.
pub(super) fn key_json(key: &KeyRecord) -> Value {
    json!({
        "id": key.id, "name": key.name, "role": key.role, "cameras": key.scope.cameras, "tags": key.scope.tags,
        "all": key.scope.all, "created_at": clock::format(key.created_at), "expires_at": key.expires_at.map(clock::format),
    })
}

/// An open code, without the code, as the API shows it.
pub(super) fn enrollment_json(enrollment: &EnrollmentRecord) -> Value {
    json!({
        "id": enrollment.id, "cameras": enrollment.cameras, "new_cameras": enrollment.new_cameras,
        "created_at": clock::format(enrollment.created_at), "expires_at": clock::format(enrollment.expires_at),
    })
}

/// The time `span` from now.
pub(super) fn in_future(span: Duration) -> Timestamp {
    Timestamp::from(SystemTime::now()).after(span)
}
