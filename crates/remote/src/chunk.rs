//! Chunks: how content is cut, named and packed.
//!
//! The content of a tree is its manifest and its files, each content once. Small ones lie behind one
//! another in chunks, in the manifest's order; a large one has chunks of its own, of equal size but the
//! last. How it is cut follows from the sizes alone, so that a result names its chunks and nothing else.

use std::collections::BTreeSet;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use sconce_core::{Digest, Member};
use serde::{Deserialize, Serialize};

/// Bytes of a chunk at most.
pub(crate) const CHUNK: u64 = 8 << 20;
/// From this size on, content has chunks of its own.
pub(crate) const LARGE: u64 = 2 << 20;
/// A sample of so many bytes tells whether deflating pays.
const SAMPLE: usize = 64 << 10;

/// A piece of some content, and its place in a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) content: Digest,
    /// Where the piece begins in the content.
    pub(crate) from: u64,
    pub(crate) size: u64,
    /// The size of the whole content.
    pub(crate) whole: u64,
}

/// What one chunk holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) size: u64,
}

/// Cuts a tree's content. The chunks of the manifest come first.
pub(crate) fn cut(manifest: Member, members: impl IntoIterator<Item = Member>) -> Vec<Cut> {
    let mut seen = BTreeSet::new();
    let (mut first, mut small, mut large) = (Vec::new(), Vec::new(), Vec::new());
    let mut open = Cut::default();
    for (number, member) in std::iter::once(manifest).chain(members).enumerate() {
        // Empty content needs nobody to bring it.
        if member.size == 0 || !seen.insert(member.digest) {
            continue;
        }
        let piece = |from: u64| Piece {
            content: member.digest,
            from,
            size: CHUNK.min(member.size - from),
            whole: member.size,
        };
        if member.size >= LARGE {
            let place = if number == 0 { &mut first } else { &mut large };
            place.extend((0..member.size).step_by(CHUNK as usize).map(|from| {
                let piece = piece(from);
                Cut { pieces: vec![piece], size: piece.size }
            }));
            continue;
        }
        if open.size + member.size > CHUNK {
            small.push(std::mem::take(&mut open));
        }
        open.pieces.push(piece(0));
        open.size += member.size;
    }
    if open.size > 0 {
        small.push(open);
    }
    first.into_iter().chain(small).chain(large).collect()
}

/// A chunk by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chunk {
    /// The digest of its bytes, not deflated.
    pub(crate) digest: Digest,
    /// How many those are.
    pub(crate) size: u64,
    /// Whether it is stored deflated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deflated: bool,
}

impl Chunk {
    /// The chunk of these bytes, and what is stored of it.
    pub(crate) fn pack(bytes: Vec<u8>) -> (Self, Bytes) {
        let digest = Digest::of(&bytes);
        let size = bytes.len() as u64;
        match deflate(&bytes) {
            Some(deflated) => (Self { digest, size, deflated: true }, deflated.into()),
            None => (Self { digest, size, deflated: false }, bytes.into()),
        }
    }

    /// The bytes of what was stored; none when it is not this chunk.
    pub(crate) fn unpack(&self, stored: Bytes) -> Option<Bytes> {
        let bytes = match self.deflated {
            true => Bytes::from(inflate(&stored, self.size)?),
            false => stored,
        };
        (bytes.len() as u64 == self.size && Digest::of(&bytes) == self.digest).then_some(bytes)
    }

    /// The object's name.
    pub(crate) fn name(&self) -> String {
        let hex = self.digest.hex();
        format!("chunks/{}/{hex}{}", &hex[..2], if self.deflated { ".z" } else { "" })
    }
}

/// The bytes deflated, where a sample says that this saves a tenth or more.
pub(crate) fn deflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let middle = bytes.len().saturating_sub(SAMPLE) / 2;
    let sample = &bytes[middle..(middle + SAMPLE).min(bytes.len())];
    let pays = |from: &[u8], to: &[u8]| to.len() < from.len() - from.len() / 10;
    if bytes.len() > 4 * SAMPLE && !pays(sample, &deflated(sample)?) {
        return None;
    }
    deflated(bytes).filter(|deflated| pays(bytes, deflated))
}

fn deflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::new(3));
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// The bytes that were deflated, if they are exactly so many.
pub(crate) fn inflate(deflated: &[u8], size: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(CHUNK)).ok()?);
    DeflateDecoder::new(deflated).take(size + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == size).then_some(bytes)
}
