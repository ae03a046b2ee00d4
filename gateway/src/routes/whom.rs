//! The cameras that a request is about: those that it names, those with a tag, or all.

use std::{collections::BTreeSet, sync::Arc};

use oriel_proto::CameraId;

use super::{App, query::Query};
use crate::{
    access::Viewer,
    problem::Problem,
    registry::{Watch, Wish},
    store::CameraRecord,
};

/// The cameras that a request is about.
#[derive(Debug)]
pub(super) struct Whom {
    /// Only these cameras; none means all of them.
    named: Option<BTreeSet<CameraId>>,
    /// Only cameras with one of these tags, where any are named.
    tags: BTreeSet<String>,
}

impl Whom {
    /// This camera alone.
    pub(super) fn of(camera: CameraId) -> Self {
        Self { named: Some(BTreeSet::from([camera])), tags: BTreeSet::new() }
    }

    /// Whom the parameters `camera` and `tag` name.
    pub(super) fn read(query: &Query) -> Result<Self, Problem> {
        let id = |name: &str| name.parse().map_err(|error| Problem::bad_request(format!("camera: {error}")));
        let named = query.all("camera").map(id).collect::<Result<BTreeSet<_>, _>>()?;
        let tags = query.all("tag").map(str::to_owned).collect();
        Ok(Self { named: Some(named).filter(|named| !named.is_empty()), tags })
    }

    /// These too, unless a tag says whom.
    pub(super) fn or_those(mut self, more: impl Iterator<Item = CameraId>) -> Self {
        if self.tags.is_empty() {
            for camera in more {
                self.named.get_or_insert_default().insert(camera);
            }
        }
        self
    }

    /// Those that are meant; one that is named and not the viewer's to see is not found.
    pub(super) fn cameras(&self, app: &App, viewer: &Viewer) -> Result<Vec<Arc<CameraRecord>>, Problem> {
        let named = self.names().map(|id| app.cameras.get(viewer, id));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        let mut records = if named.is_empty() { app.cameras.visible(viewer) } else { named };
        records.retain(|record| self.has(record));
        Ok(records)
    }

    /// The cameras that are named.
    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &CameraId> {
        const NONE: &BTreeSet<CameraId> = &BTreeSet::new();
        self.named.as_ref().unwrap_or(NONE).iter()
    }

    /// Watches those that are named and may be seen.
    pub(super) fn watch(&self, app: &App, viewer: &Viewer, wish: &Wish) -> Vec<Watch> {
        let visible = self.names().filter(|camera| app.cameras.get(viewer, camera).is_ok());
        visible.map(|camera| app.registry.watch(camera.clone(), wish.clone())).collect()
    }

    /// Whether this camera is meant.
    pub(super) fn has(&self, record: &CameraRecord) -> bool {
        self.named.as_ref().is_none_or(|named| named.contains(&record.id))
            && (self.tags.is_empty() || record.tags.iter().any(|tag| self.tags.contains(tag)))
    }

    /// The only camera that is meant; none when it may be more than one.
    pub(super) fn only(&self) -> Option<&CameraId> {
        self.named.as_ref().filter(|named| named.len() == 1)?.first()
    }
}
