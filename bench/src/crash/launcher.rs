//! A program that is the gateway's with another data folder than the one that it is told, so that its data lies on a disk of its own.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    failure::{Failure, Result},
    gateway::beside,
};

/// Writes it into `folder`: it runs `program`, or the gateway beside this program, whose data will be in `data`.
pub(super) fn write(folder: &Path, program: Option<PathBuf>, data: &Path) -> Result<PathBuf> {
    let program = program.map_or_else(|| beside("oriel"), Ok)?;
    let (program, data) = (quoted(&program)?, quoted(data)?);
    let path = folder.join("oriel");
    // The first three words are `serve --data FOLDER`; the others are kept as they are.
    fs::write(&path, format!("#!/bin/sh\nshift 3\nexec {program} serve --data {data} \"$@\"\n"))?;
    fs::set_permissions(&path, Permissions::from_mode(0o700))?;
    Ok(path)
}

/// A path as a word of the shell.
fn quoted(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Failure::new(format!("{} is not text", path.display())))?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_data_folder_is_replaced_and_all_else_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let launcher = write(folder.path(), Some("/bin/echo".into()), Path::new("/a disk's/data")).unwrap();
        // By the shell's name: a test beside this one may be starting a process, to which the file is open for writing still.
        let words = ["serve", "--data", "other", "--listen", "a b"];
        let said = Command::new("/bin/sh").arg(launcher).args(words).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        assert_eq!(said, "serve --data /a disk's/data --listen a b\n");
    }
}
