//! Putting stored files into a folder where programs find them.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Store, parallel};
use crate::error::IoResultExt;
use crate::{Files, Result};

impl Store {
    /// Puts files below `to` under their names: hard links where possible, else copies. They are
    /// read-only and may share their bytes with the store: to be read, not written.
    ///
    /// # Errors
    /// Something of that name is there already.
    pub fn materialise(&self, files: &Files, to: &Path) -> Result<()> {
        std::fs::create_dir_all(to).at(to)?;
        let mut folders = BTreeSet::new();
        for (name, _, _) in files.iter() {
            if let Some((folder, _)) = name.rsplit_once('/')
                && folders.insert(folder)
            {
                let folder = to.join(folder);
                std::fs::create_dir_all(&folder).at(&folder)?;
            }
        }
        let files: Vec<_> = files.iter().collect();
        let place = |&(name, _, from): &(&str, _, &Path)| -> Result<()> {
            let to = to.join(name);
            match std::fs::hard_link(from, &to) {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    Err(error).at(&to)
                }
                // Another file system, or one without hard links, or too many of them.
                Err(_) => std::fs::copy(from, &to).map(drop).at(&to),
            }
        };
        parallel::map(parallel::STATS, &files, place).into_iter().collect()
    }
}
