//! Reading the backing folder: after a cut nothing else is known.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::Path,
};

use crate::{
    change::Place,
    content::Content,
    node::{Kind, Node},
    world::{ROOT, World},
};

impl World {
    /// Forgets all files and folders and reads them anew, under numbers that were never used.
    pub(super) fn scan(&mut self) -> io::Result<()> {
        self.nodes.clear();
        let found = fs::metadata(&self.backing)?;
        self.nodes.insert(ROOT, Node::on_disk(None, &found, Kind::Folder(BTreeMap::new())));
        self.next = self.next.max(ROOT + 1);
        let mut folders = vec![(ROOT, self.backing.clone())];
        while let Some((folder, path)) = folders.pop() {
            let mut entries = BTreeMap::new();
            let mut paths =
                fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            // So that equal folders get equal numbers, and a seed tears equally.
            paths.sort();
            for path in paths {
                let name = path.file_name().unwrap_or_default().to_owned();
                let node = node_at(&path, Place { folder, name: name.clone() })?;
                let is_folder = matches!(node.kind, Kind::Folder(_));
                let number = self.add(node);
                entries.insert(name, number);
                if is_folder {
                    folders.push((number, path));
                }
            }
            if let Some(node) = self.nodes.get_mut(&folder) {
                node.kind = Kind::Folder(entries);
            }
        }
        Ok(())
    }
}

/// The file or folder at `path`, which is `place`; a folder without what is in it.
fn node_at(path: &Path, place: Place) -> io::Result<Node> {
    let found = fs::symlink_metadata(path)?;
    let kind = if found.is_dir() {
        Kind::Folder(BTreeMap::new())
    } else if found.is_file() {
        Kind::File(Content::on_disk(File::options().read(true).write(true).open(path)?, found.len()))
    } else {
        let why = format!("{} is neither a file nor a folder", path.display());
        return Err(io::Error::new(io::ErrorKind::Unsupported, why));
    };
    Ok(Node::on_disk(Some(place), &found, kind))
}
