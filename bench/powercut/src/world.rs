//! Files and folders as programs see them, and what they do with them; all in memory.

mod cut;
mod scan;
mod sync;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    time::SystemTime,
};

use fuser::{Errno, FileAttr, FileType};
use rand::{SeedableRng as _, rngs::SmallRng};

use crate::{
    change::{Change, Pending, Place},
    content::Content,
    figures::Figures,
    node::{Kind, Node, Rights},
};

/// The number of the uppermost folder, for the kernel too.
const ROOT: u64 = 1;

/// Everything at the mountpoint.
#[derive(Debug)]
pub(crate) struct World {
    backing: PathBuf,
    /// Files and folders by their numbers; what was removed stays until the next cut, for those that have it open.
    nodes: BTreeMap<u64, Node>,
    /// The number of the next file or folder. No number is used twice: after a cut, what programs or the kernel remember of before leads nowhere.
    next: u64,
    pending: Pending,
    chance: SmallRng,
    figures: Figures,
    lies: bool,
    /// Whether the power has failed and was not cut yet: nothing can be read or written, or become durable.
    failed: bool,
}

/// What is to change of a file or folder, as far as it is to change.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// The bits of `chmod`.
    pub(crate) mode: Option<u32>,
    /// The owner.
    pub(crate) uid: Option<u32>,
    /// The group.
    pub(crate) gid: Option<u32>,
    /// The length in bytes.
    pub(crate) size: Option<u64>,
    /// When it was last read.
    pub(crate) read_at: Option<SystemTime>,
    /// When it was last changed.
    pub(crate) changed_at: Option<SystemTime>,
}

impl World {
    /// What the folder `backing` holds; if it `lies` it is a disk that says that it synced and does not.
    pub(crate) fn new(backing: PathBuf, seed: u64, lies: bool) -> io::Result<Self> {
        let mut world = Self {
            backing,
            nodes: BTreeMap::new(),
            next: ROOT,
            pending: Pending::default(),
            chance: SmallRng::seed_from_u64(seed),
            figures: Figures::default(),
            lies,
            failed: false,
        };
        world.scan()?;
        Ok(world)
    }

    /// What programs have done so far.
    pub(crate) fn figures(&self) -> Figures {
        self.figures
    }

    /// The folder that is the disk.
    pub(crate) fn backing(&self) -> &PathBuf {
        &self.backing
    }

    /// What `stat` says of a file or folder.
    pub(crate) fn attr(&self, number: u64) -> Result<FileAttr, Errno> {
        Ok(self.node(number)?.attr(number))
    }

    /// Finds a name in a folder.
    pub(crate) fn lookup(&self, folder: u64, name: &OsStr) -> Result<FileAttr, Errno> {
        self.attr(self.find(folder, name)?)
    }

    /// What is in a folder, with itself and the one above.
    pub(crate) fn list(&self, folder: u64) -> Result<Vec<(u64, FileType, OsString)>, Errno> {
        let above = self.node(folder)?.place.as_ref().map_or(ROOT, |place| place.folder);
        let mut list =
            vec![(folder, FileType::Directory, ".".into()), (above, FileType::Directory, "..".into())];
        for (name, number) in self.entries(folder)? {
            list.push((*number, self.attr(*number)?.kind, name.clone()));
        }
        Ok(list)
    }

    /// Makes an empty file or folder.
    pub(crate) fn make(&mut self, place: Place, rights: Rights, kind: Kind) -> Result<FileAttr, Errno> {
        if self.entries(place.folder)?.contains_key(&place.name) {
            return Err(Errno::EEXIST);
        }
        let number = self.add(Node::new(rights, kind));
        self.appear(number, &place)?;
        self.pending.push(Change::Made { node: number, place });
        self.attr(number)
    }

    /// Removes a file or an empty folder.
    pub(crate) fn remove(&mut self, place: Place) -> Result<(), Errno> {
        let node = self.find(place.folder, &place.name)?;
        self.must_be_removable(node)?;
        self.vanish(&place)?;
        self.pending.push(Change::Removed { node, place });
        Ok(())
    }

    /// Renames a file or folder, over another one only if it may replace that.
    pub(crate) fn rename(&mut self, from: Place, to: Place, may_replace: bool) -> Result<(), Errno> {
        let node = self.find(from.folder, &from.name)?;
        let replaced = self.entries(to.folder)?.get(&to.name).copied();
        if replaced.is_some() && !may_replace {
            return Err(Errno::EEXIST);
        }
        if replaced == Some(node) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            self.must_be_removable(replaced)?;
            self.vanish(&to)?;
        }
        self.vanish(&from)?;
        self.appear(node, &to)?;
        self.pending.push(Change::Moved { node, from, to, replaced });
        Ok(())
    }

    /// Up to `size` bytes of a file.
    pub(crate) fn read(&self, number: u64, offset: u64, size: u64) -> Result<Vec<u8>, Errno> {
        match &self.node(number)?.kind {
            Kind::File(content) => Ok(content.read(offset, size)?),
            Kind::Folder(_) => Err(Errno::EISDIR),
        }
    }

    /// Writes into a file.
    pub(crate) fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.content(number)?.write(offset, bytes)?;
        self.node_mut(number)?.changed_at = SystemTime::now();
        self.figures.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Changes length, rights or times.
    pub(crate) fn change(&mut self, number: u64, wish: &Wish) -> Result<FileAttr, Errno> {
        if let Some(size) = wish.size {
            self.content(number)?.resize(size);
            self.node_mut(number)?.changed_at = SystemTime::now();
        }
        let node = self.node_mut(number)?;
        let was = node.rights;
        node.rights = Rights {
            mode: wish.mode.map_or(was.mode, |mode| mode & 0o7777),
            uid: wish.uid.unwrap_or(was.uid),
            gid: wish.gid.unwrap_or(was.gid),
        };
        node.rights_changed |= node.rights != was;
        node.read_at = wish.read_at.unwrap_or(node.read_at);
        node.changed_at = wish.changed_at.unwrap_or(node.changed_at);
        Ok(node.attr(number))
    }

    fn add(&mut self, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        number
    }

    fn appear(&mut self, number: u64, place: &Place) -> Result<(), Errno> {
        self.entries_mut(place.folder)?.insert(place.name.clone(), number);
        self.node_mut(number)?.place = Some(place.clone());
        Ok(())
    }

    fn vanish(&mut self, place: &Place) -> Result<(), Errno> {
        let number = self.entries_mut(place.folder)?.remove(&place.name).ok_or(Errno::ENOENT)?;
        self.node_mut(number)?.place = None;
        Ok(())
    }

    fn must_be_removable(&self, number: u64) -> Result<(), Errno> {
        match &self.node(number)?.kind {
            Kind::Folder(entries) if !entries.is_empty() => Err(Errno::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    fn find(&self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        self.entries(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn node(&self, number: u64) -> Result<&Node, Errno> {
        if self.failed {
            return Err(Errno::EIO);
        }
        self.nodes.get(&number).ok_or(Errno::ESTALE)
    }

    fn node_mut(&mut self, number: u64) -> Result<&mut Node, Errno> {
        if self.failed {
            return Err(Errno::EIO);
        }
        self.nodes.get_mut(&number).ok_or(Errno::ESTALE)
    }

    fn entries(&self, folder: u64) -> Result<&BTreeMap<OsString, u64>, Errno> {
        match &self.node(folder)?.kind {
            Kind::Folder(entries) => Ok(entries),
            Kind::File(_) => Err(Errno::ENOTDIR),
        }
    }

    fn entries_mut(&mut self, folder: u64) -> Result<&mut BTreeMap<OsString, u64>, Errno> {
        let node = self.node_mut(folder)?;
        node.changed_at = SystemTime::now();
        match &mut node.kind {
            Kind::Folder(entries) => Ok(entries),
            Kind::File(_) => Err(Errno::ENOTDIR),
        }
    }

    fn content(&mut self, number: u64) -> Result<&mut Content, Errno> {
        match &mut self.node_mut(number)?.kind {
            Kind::File(content) => Ok(content),
            Kind::Folder(_) => Err(Errno::EISDIR),
        }
    }
}
