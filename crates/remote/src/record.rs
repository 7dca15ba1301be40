//! What lies in the bucket of one result: its receipt, its chunks, and small content itself.
//!
//! An object: a line that names the format, the length of the head (u32, little-endian), of the head not
//! deflated (u32), the head (JSON, deflated), stored content, and the BLAKE3 of all before.

use std::collections::BTreeMap;

use bytes::Bytes;
use sconce_core::store::Receipt;
use sconce_core::{Digest, Result};
use serde::{Deserialize, Serialize};

use crate::chunk::{Chunk, inflate};

const MAGIC: &[u8; 16] = b"sconce result 1\n";
const SUM: usize = 32;

/// Where the content of a tree is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    /// The size of its manifest.
    pub(crate) manifest: u64,
    /// Its chunks, as [`cut`](crate::chunk::cut) cuts it.
    pub(crate) chunks: Vec<Chunk>,
    /// How many bytes of the result's own content its only chunk has, stored; none where its chunks are
    /// objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) inside: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) receipt: Receipt,
    /// Where the content is, by the digests of the outputs' trees.
    pub(crate) trees: BTreeMap<Digest, Tree>,
}

/// One result as it lies in the bucket.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) head: Head,
    /// Stored content of the trees that lie inside, in their order.
    pub(crate) inside: BTreeMap<Digest, Bytes>,
}

impl Record {
    pub(crate) fn encode(&self) -> Result<Bytes> {
        let json = serde_json::to_vec(&self.head)?;
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        std::io::Write::write_all(&mut encoder, &json).map_err(sconce_core::Error::other)?;
        let head = encoder.finish().map_err(sconce_core::Error::other)?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(sconce_core::Error::other);
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&length(&head)?.to_le_bytes());
        bytes.extend_from_slice(&length(&json)?.to_le_bytes());
        bytes.extend_from_slice(&head);
        for content in self.inside.values() {
            bytes.extend_from_slice(content);
        }
        bytes.extend_from_slice(Digest::of(&bytes).as_bytes());
        Ok(bytes.into())
    }

    /// The result in `bytes`, if it is whole and that of `key`.
    pub(crate) fn decode(key: &Digest, bytes: &Bytes) -> Option<Self> {
        let (record, size) = Self::first(bytes)?;
        (record.head.receipt.key == *key && size == bytes.len()).then_some(record)
    }

    /// The result that `bytes` begin with, if it is whole, and how long it is.
    pub(crate) fn first(bytes: &Bytes) -> Option<(Self, usize)> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if bytes.get(..MAGIC.len())? != MAGIC {
            return None;
        }
        let (stored, size) = (number(MAGIC.len())? as usize, number(MAGIC.len() + 4)?);
        let from = MAGIC.len() + 8;
        let head = inflate(bytes.get(from..from + stored)?, u64::from(size))?;
        let head: Head = serde_json::from_slice(&head).ok()?;
        let mut place = from + stored;
        let mut inside = BTreeMap::new();
        for (digest, tree) in &head.trees {
            let Some(size) = tree.inside else { continue };
            let to = place.checked_add(usize::try_from(size).ok()?)?;
            if to > bytes.len() {
                return None;
            }
            inside.insert(*digest, bytes.slice(place..to));
            place = to;
        }
        let size = place.checked_add(SUM)?;
        if Digest::of(&bytes[..place]).as_bytes()[..] != *bytes.get(place..size)? {
            return None;
        }
        let names_all =
            head.receipt.outputs.values().all(|output| head.trees.contains_key(&output.digest));
        names_all.then_some((Self { head, inside }, size))
    }

    /// The object's name.
    pub(crate) fn name(key: &Digest) -> String {
        let hex = key.hex();
        format!("results/{}/{hex}", &hex[..2])
    }
}
