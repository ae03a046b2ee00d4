//! What makes things durable: they go from memory into the backing folder.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{self as unix, PermissionsExt as _},
    path::PathBuf,
};

use fuser::Errno;

use crate::{
    change::{Change, Place},
    node::{Kind, Rights},
    world::{ROOT, World},
};

impl World {
    /// `fsync` of a file: its bytes and rights, and its creation.
    pub(crate) fn sync_file(&mut self, number: u64) -> Result<(), Errno> {
        self.node(number)?;
        self.figures.file_syncs += 1;
        if self.lies {
            return Ok(());
        }
        self.make_durable(number)
    }

    /// `fsync` of a folder: the names in it, and its creation.
    pub(crate) fn sync_folder(&mut self, number: u64) -> Result<(), Errno> {
        self.node(number)?;
        self.figures.folder_syncs += 1;
        if self.lies {
            return Ok(());
        }
        let changes = self.pending.take(|change| change.is_in(number) || change.makes(number));
        self.apply(changes)?;
        self.keep_rights(number)
    }

    /// Makes everything durable, as unmounting does; after a power failure there is nothing to make durable.
    pub(crate) fn sync_all(&mut self) -> Result<(), Errno> {
        if self.failed {
            return Ok(());
        }
        let changes = self.pending.take(|_| true);
        self.apply(changes)?;
        let numbers: Vec<u64> = self.nodes.keys().copied().collect();
        numbers.into_iter().try_for_each(|number| self.make_durable(number))
    }

    /// Makes changes of names in the backing folder, where what they build on was made before.
    pub(super) fn apply(&mut self, changes: Vec<Change>) -> Result<(), Errno> {
        changes.into_iter().try_for_each(|change| match change {
            Change::Made { node, place } => self.apply_made(node, place),
            Change::Removed { node, place } => {
                let path = self.path(&place)?;
                match self.node(node)?.kind {
                    Kind::Folder(_) => fs::remove_dir(path)?,
                    Kind::File(_) => fs::remove_file(path)?,
                }
                self.node_mut(node)?.kept = None;
                Ok(())
            }
            Change::Moved { node, from, to, replaced } => {
                fs::rename(self.path(&from)?, self.path(&to)?)?;
                if let Some(replaced) = replaced {
                    self.node_mut(replaced)?.kept = None;
                }
                self.node_mut(node)?.kept = Some(to);
                Ok(())
            }
        })
    }

    fn apply_made(&mut self, number: u64, place: Place) -> Result<(), Errno> {
        let path = self.path(&place)?;
        let node = self.node_mut(number)?;
        match &mut node.kind {
            Kind::Folder(_) => fs::create_dir(path)?,
            Kind::File(content) => {
                content.attach(File::options().read(true).write(true).create_new(true).open(path)?);
            }
        }
        node.kept = Some(place);
        node.rights_changed = true;
        self.keep_rights(number)
    }

    /// Bytes, rights and creation; of what was removed before it was ever durable, nothing.
    fn make_durable(&mut self, number: u64) -> Result<(), Errno> {
        let node = self.node(number)?;
        if node.kept.is_none() && node.place.is_some() {
            let changes = self.pending.take(|change| change.makes(number));
            self.apply(changes)?;
        }
        if let Kind::File(content) = &mut self.node_mut(number)?.kind {
            self.figures.synced_bytes += content.sync()?;
        }
        self.keep_rights(number)
    }

    fn keep_rights(&mut self, number: u64) -> Result<(), Errno> {
        let node = self.node(number)?;
        let on_disk = number == ROOT || node.kept.is_some();
        if !node.rights_changed || !on_disk {
            return Ok(());
        }
        match (&node.kind, &node.kept) {
            (Kind::File(content), _) => content.disk().map_or(Ok(()), |disk| set_file(disk, node.rights))?,
            (Kind::Folder(_), Some(place)) => set_folder(self.path(place)?, node.rights)?,
            (Kind::Folder(_), None) => set_folder(self.backing.clone(), node.rights)?,
        }
        self.node_mut(number)?.rights_changed = false;
        Ok(())
    }

    /// Where a place is in the backing folder.
    fn path(&self, place: &Place) -> Result<PathBuf, Errno> {
        let (mut names, mut folder) = (vec![&place.name], place.folder);
        while folder != ROOT {
            let above = self.node(folder)?.kept.as_ref().ok_or(Errno::EIO)?;
            names.push(&above.name);
            folder = above.folder;
        }
        let mut path = self.backing.clone();
        path.extend(names.into_iter().rev());
        Ok(path)
    }
}

fn set_file(disk: &File, rights: Rights) -> io::Result<()> {
    // The owner first, because changing it clears bits of the mode.
    unix::fchown(disk, Some(rights.uid), Some(rights.gid))?;
    disk.set_permissions(Permissions::from_mode(rights.mode))
}

fn set_folder(path: PathBuf, rights: Rights) -> io::Result<()> {
    unix::chown(&path, Some(rights.uid), Some(rights.gid))?;
    fs::set_permissions(path, Permissions::from_mode(rights.mode))
}
