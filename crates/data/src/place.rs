//! Putting files in their place.

use std::path::Path;

use sconce_core::Result;
use sconce_core::error::IoResultExt;

/// Copies a file, sharing its blocks where the file system can; folders are made as needed.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).at(parent)?;
    }
    reflink_copy::reflink_or_copy(from, to).at(to)?;
    Ok(())
}
