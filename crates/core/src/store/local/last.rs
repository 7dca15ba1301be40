//! The last key of each cell of a pipeline: what reasons compare with.

use std::collections::{BTreeMap, BTreeSet};

use super::{Store, file_name, walk};
use crate::{Digest, Result};

impl Store {
    /// The last key of each cell of a pipeline. Empty when it never ran, or when the file cannot
    /// be read as what it is: it only serves reasons.
    pub fn last(&self, pipeline: &str) -> Result<BTreeMap<String, Digest>> {
        let mut bytes = Vec::new();
        self.read_file(None, &self.last_path(pipeline), &mut bytes)?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Notes the keys of `cells`; other cells keep theirs. Writes nothing when nothing changes, or
    /// when the store cannot be written.
    pub fn set_last(&self, pipeline: &str, cells: &BTreeMap<String, Digest>) -> Result<()> {
        let noted = |last: &BTreeMap<String, Digest>| {
            cells.iter().all(|(cell, key)| last.get(cell) == Some(key))
        };
        if !self.inner.writable || noted(&self.last(pipeline)?) {
            return Ok(());
        }
        let _lock = self.lock_name(&format!("last-{}", file_name(pipeline)))?;
        let mut last = self.last(pipeline)?;
        if noted(&last) {
            return Ok(());
        }
        last.extend(cells.iter().map(|(cell, key)| (cell.clone(), *key)));
        self.write(&self.last_path(pipeline), &serde_json::to_vec_pretty(&last)?)
    }

    /// The last keys of all pipelines: what [`Store::gc`] is mostly told to keep.
    pub fn last_keys(&self) -> Result<BTreeSet<Digest>> {
        let mut keys = BTreeSet::new();
        let folder = self.root().join("last");
        for name in walk::names(&folder)? {
            let mut bytes = Vec::new();
            self.read_file(None, &folder.join(name), &mut bytes)?;
            let last: BTreeMap<String, Digest> = serde_json::from_slice(&bytes).unwrap_or_default();
            keys.extend(last.into_values());
        }
        Ok(keys)
    }

    fn last_path(&self, pipeline: &str) -> std::path::PathBuf {
        self.root().join("last").join(format!("{}.json", file_name(pipeline)))
    }
}
