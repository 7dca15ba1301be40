//! Shown results of what a pipeline no longer has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::export::{View, read_record};
use super::{Store, walk};
use crate::error::IoResultExt;
use crate::{Digest, Result};

/// Results are shown in folders so far below a pipeline's: stage, cell, output.
const DEPTH: usize = 3;

impl Store {
    /// Removes what [`Store::export`] put into folders below `root` that are not among `shown`
    /// (relative to it), with the folders that get empty. Returns those folders, relative too.
    ///
    /// What the user put there or changed stays. When `shown` is as it was at the last call, nothing
    /// is looked at.
    ///
    /// # Errors
    /// A folder cannot be listed, or a file cannot be removed.
    pub fn remove_stale_views(
        &self,
        root: &Path,
        shown: &BTreeSet<PathBuf>,
    ) -> Result<Vec<PathBuf>> {
        let root = std::path::absolute(root).at(root)?;
        if !self.inner.writable {
            return Ok(Vec::new());
        }
        let mut marker = self.index_path("views", &root);
        marker.as_mut_os_string().push(".shown");
        let mut names = Vec::new();
        for folder in shown {
            names.extend_from_slice(folder.as_os_str().as_encoded_bytes());
            names.push(0);
        }
        let digest = Digest::of(&names);
        if self.read_index(&marker)? == digest.as_bytes() {
            return Ok(Vec::new());
        }
        let mut stale = Vec::new();
        self.find_views(&root, Path::new(""), DEPTH, shown, &mut stale)?;
        // Inner ones first, so that outer ones get empty.
        for folder in stale.iter().rev() {
            self.remove_view(&root, folder, shown)?;
        }
        self.write_cache(&marker, digest.as_bytes())?;
        Ok(stale)
    }

    /// Finds the folders that show something and are not among `shown`.
    fn find_views(
        &self,
        root: &Path,
        below: &Path,
        depth: usize,
        shown: &BTreeSet<PathBuf>,
        found: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let mut names = walk::names(&root.join(below))?;
        names.sort_unstable();
        for name in names {
            let (path, folder) = (root.join(below).join(&name), below.join(&name));
            if !path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                continue;
            }
            if !shown.contains(&folder) && self.index_path("views", &path).exists() {
                found.push(folder.clone());
            }
            if depth > 1 {
                self.find_views(root, &folder, depth - 1, shown, found)?;
            }
        }
        Ok(())
    }

    fn remove_view(&self, root: &Path, folder: &Path, shown: &BTreeSet<PathBuf>) -> Result<()> {
        let to = root.join(folder);
        let record_path = self.index_path("views", &to);
        let name = record_path.file_name().unwrap_or_default();
        let _lock = self.lock_name(&format!("view-{}", name.to_string_lossy()))?;
        let record = read_record(&self.read_index(&record_path)?);
        // Another view may show files in the same place: an output that is alone is shown in the
        // folder in which several have folders of their own.
        let mut others = BTreeSet::new();
        for outer in folder.ancestors().skip(1).filter(|outer| shown.contains(*outer)) {
            let outer = root.join(outer);
            let bytes = self.read_index(&self.index_path("views", &outer))?;
            others.extend(read_record(&bytes).into_keys().map(|name| outer.join(name)));
        }
        let stays = |name: &str| {
            let path = folder.join(name);
            path.ancestors().take_while(|inner| *inner != folder).any(|one| shown.contains(one))
                || others.contains(&root.join(&path))
        };
        let bad = self.quarantined()?;
        View { store: self, to: &to, bad: &bad }.remove_stale(&record, stays)?;
        std::fs::remove_file(&record_path).at(&record_path)?;
        for empty in to.ancestors().take_while(|folder| *folder != root) {
            if std::fs::remove_dir(empty).is_err() {
                break;
            }
        }
        Ok(())
    }
}
