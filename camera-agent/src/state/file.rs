//! Small files that are whole or not there, whatever is cut off when.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use super::{StateError, failed};

/// The text of a file; none when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, StateError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed(path)(e)),
    }
}

/// Replaces a file, readable by its owner alone; when this returns the new content survives a power cut.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let temporary = path.with_added_extension("tmp");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary).map_err(failed(&temporary))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed(&temporary))?;
    rename(&temporary, path)
}

/// Renames a file for good.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StateError> {
    fs::rename(from, to).map_err(failed(to))?;
    sync_folder(to)
}

/// Removes a file for good, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed(path)(e)),
        Ok(()) => sync_folder(path),
    }
}

/// Makes a folder and those above it, for good.
pub(super) fn make_folder(path: &Path) -> Result<(), StateError> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path).map_err(failed(path))?;
    missing.into_iter().try_for_each(sync_folder)
}

/// Makes a folder readable by its owner alone.
pub(super) fn private_folder(path: &Path) -> Result<(), StateError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed(path))?;
    }
    Ok(())
}

/// A rename is durable only when its folder is.
fn sync_folder(path: &Path) -> Result<(), StateError> {
    match path.parent() {
        Some(folder) if cfg!(unix) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
        }
        _ => Ok(()),
    }
}
