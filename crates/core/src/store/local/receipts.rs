//! Receipts: what is recorded of finished cells.
//!
//! A file is one line of JSON, `{"checksum":"…","receipt":{…}}`; the checksum is the BLAKE3 of
//! the receipt's text.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Store, manifest};
use crate::store::Receipt;
use crate::{Digest, Error, Result};

const BEFORE_SUM: &[u8] = br#"{"checksum":""#;
const AFTER_SUM: &[u8] = br#"","receipt":"#;
const END: &[u8] = b"}\n";

/// A receipt that was used is marked so at most this often, for `gc` by age.
const TOUCH: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// The receipt of `key`, if there is one and all its outputs are in the store.
    ///
    /// Manifests are hashed, files are checked by their stat and hashed where that is off. What
    /// is bad goes to the quarantine, and the answer is none; [`Store::take_damage`] tells it.
    ///
    /// Where there is a remote store, content may still be there ([`Store::with_remote`]).
    pub fn receipt(&self, key: &Digest) -> Result<Option<Receipt>> {
        let receipt = self.read_receipt(key, true)?;
        let Some(receipt) = receipt else { return self.find(key) };
        let mut text = Vec::new();
        let mut whole = true;
        for output in receipt.outputs.values() {
            whole &= match &self.remote {
                None => self.holds_tree(&output.digest, &mut text)?,
                // What is not here and was never brought is no damage.
                Some(remote) => {
                    (self.blob(&output.digest).exists()
                        && self.holds_tree(&output.digest, &mut text)?)
                        || remote.has(&self.alone(), &output.digest)
                }
            };
        }
        if whole { Ok(Some(receipt)) } else { self.find(key) }
    }

    /// Whether all of a tree is there; `text` is room for its manifest.
    pub(super) fn holds_tree(&self, tree: &Digest, text: &mut Vec<u8>) -> Result<bool> {
        match self.read_manifest(tree, text) {
            Err(Error::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => match manifest::entries(text) {
                Some(members) => self.holds_all(&members),
                None => Ok(false),
            },
        }
    }

    /// The receipt of `key` as it was recorded, whether or not its outputs are still there: for
    /// reasons and for showing. One that cannot be read is quarantined.
    pub fn recorded(&self, key: &Digest) -> Result<Option<Receipt>> {
        self.read_receipt(key, false)
    }

    /// Whether the receipt of `key`, or content that it names, was found bad and has not been put
    /// again.
    pub fn is_damaged(&self, key: &Digest) -> Result<bool> {
        if self.remote.as_ref().is_some_and(|remote| remote.is_damaged(&self.alone(), key)) {
            return Ok(true);
        }
        if self.quarantined()?.is_empty() {
            return Ok(false);
        }
        let lost = |digest: &Digest, path: &Path| -> Result<bool> {
            Ok(!path.exists() && self.is_quarantined(digest)?)
        };
        if lost(key, &self.receipt_path(key))? {
            return Ok(true);
        }
        let Some(receipt) = self.read_receipt(key, false)? else { return Ok(false) };
        let mut text = Vec::new();
        for output in receipt.outputs.values() {
            let manifest = self.blob(&output.digest);
            if lost(&output.digest, &manifest)? {
                return Ok(true);
            }
            if !manifest.exists() || self.read_manifest(&output.digest, &mut text).is_err() {
                continue;
            }
            for (_, member) in manifest::entries(&text).unwrap_or_default() {
                if lost(&member.digest, &self.blob(&member.digest))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Reads a receipt; `used` tells whether that counts as a use.
    pub(super) fn read_receipt(&self, key: &Digest, used: bool) -> Result<Option<Receipt>> {
        let path = self.receipt_path(key);
        let mut bytes = Vec::new();
        let Some((file, metadata)) = self.read_file(Some(key), &path, &mut bytes)? else {
            return Ok(None);
        };
        let receipt = match decode(&bytes) {
            Ok(receipt) if receipt.key == *key => receipt,
            Ok(_) => {
                self.quarantine(Some(key), &path, "the receipt is another key's")?;
                return Ok(None);
            }
            Err(reason) => {
                self.quarantine(Some(key), &path, &reason)?;
                return Ok(None);
            }
        };
        let age = metadata.modified().ok().and_then(|time| time.elapsed().ok());
        if used && age.is_some_and(|age| age > TOUCH) {
            // Not possible in a store of another user; then its owner's runs count.
            let _ = file.set_modified(SystemTime::now());
        }
        Ok(Some(receipt))
    }

    /// Records a finished cell. Its outputs have been imported before. A receipt that was torn, since someone
    /// else was to wait for the disk and the power went first, does not have its checksum.
    pub fn put_receipt(&self, receipt: &Receipt) -> Result<()> {
        // First, so that no result is without the note, whenever this process is killed.
        if let Some(remote) = &self.remote {
            remote.owe(&receipt.key);
        }
        self.write(&self.receipt_path(&receipt.key), &encode(receipt)?)
    }

    /// The keys of all receipts, sorted.
    pub fn keys(&self) -> Result<Vec<Digest>> {
        let mut keys = Vec::new();
        self.each_named("receipts", |name, _| {
            keys.extend(name.strip_suffix(".json").and_then(parse_hex));
        })?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// Calls `found` with the names and places in the folders of `blobs` or `receipts`.
    pub(super) fn each_named(
        &self,
        folder: &str,
        mut found: impl FnMut(&str, &Path),
    ) -> Result<()> {
        let root = self.root().join(folder);
        for outer in super::walk::names(&root)? {
            let path = root.join(&outer);
            for name in super::walk::names(&path)? {
                found(&name, &path.join(&name));
            }
        }
        Ok(())
    }
}

/// The digest with these 64 hexadecimal digits.
pub(super) fn parse_hex(hex: &str) -> Option<Digest> {
    let hash = blake3::Hash::from_hex(hex).ok()?;
    Some(Digest::from_bytes(*hash.as_bytes()))
}

pub(super) fn encode(receipt: &Receipt) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(receipt)?;
    let sum = Digest::of(&json).hex();
    Ok([BEFORE_SUM, sum.as_bytes(), AFTER_SUM, &json, END].concat())
}

fn decode(bytes: &[u8]) -> Result<Receipt, String> {
    let parts = || {
        let rest = bytes.strip_prefix(BEFORE_SUM)?;
        let (sum, rest) = rest.split_at_checked(64)?;
        let json = rest.strip_prefix(AFTER_SUM)?.strip_suffix(END)?;
        Some((sum, json))
    };
    let (sum, json) = parts().ok_or("the receipt is cut short or was written over")?;
    if Digest::of(json).hex().as_bytes() != sum {
        return Err("the receipt does not have its checksum".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| format!("the receipt cannot be read: {error}"))
}
