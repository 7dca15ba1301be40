//! Bundles: many results in one object, and an index of each.
//!
//! An index: a line that names the format, when the bundle was put (seconds since 1970), its digest, and for
//! each result its key, where it begins and how long it is (u64, u64 and u32, little-endian), sorted by key;
//! then the BLAKE3 of all before.

use std::collections::BTreeMap;

use bytes::Bytes;
use sconce_core::{Digest, Store};

use crate::bucket::{AT_ONCE, Bucket, Trouble, at_once};

const MAGIC: &[u8; 16] = b"sconce index 1\n\0";
const ENTRY: usize = 32 + 8 + 4;
/// Bytes of a bundle at most, and results.
pub(crate) const BUNDLE: usize = 8 << 20;
pub(crate) const MOST: usize = 4096;
/// Indices at most that are looked at.
const INDICES: usize = 1 << 20;

/// Where a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) bundle: Digest,
    pub(crate) from: u64,
    pub(crate) size: u32,
    pub(crate) put: u64,
}

/// The bundled results by key.
pub(crate) type Places = BTreeMap<Digest, Place>;

/// A bundle and its index.
pub(crate) struct Bundle {
    pub(crate) bytes: Bytes,
    pub(crate) name: String,
    pub(crate) index: Bytes,
    pub(crate) index_name: String,
}

/// Puts results behind one another.
pub(crate) fn bundle(results: &[(Digest, Bytes)], now: u64) -> Bundle {
    let bytes: Bytes = results.iter().flat_map(|(_, bytes)| bytes).copied().collect();
    let digest = Digest::of(&bytes);
    let mut entries = Vec::with_capacity(results.len());
    let mut from = 0_u64;
    for (key, bytes) in results {
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        entries.push((*key, from, size));
        from += u64::from(size);
    }
    entries.sort_unstable();
    let mut index = MAGIC.to_vec();
    index.extend_from_slice(&now.to_le_bytes());
    index.extend_from_slice(digest.as_bytes());
    for (key, from, size) in entries {
        index.extend_from_slice(key.as_bytes());
        index.extend_from_slice(&from.to_le_bytes());
        index.extend_from_slice(&size.to_le_bytes());
    }
    index.extend_from_slice(Digest::of(&index).as_bytes());
    let index_name = format!("index/{}", Digest::of(&index).hex());
    Bundle { bytes, name: bundle_name(&digest), index: index.into(), index_name }
}

pub(crate) fn bundle_name(digest: &Digest) -> String {
    format!("bundles/{}", digest.hex())
}

/// The places in an index; none when it is damaged.
pub(crate) fn decode(index: &[u8]) -> Option<Vec<(Digest, Place)>> {
    let (index, sum) = index.split_last_chunk::<32>()?;
    if Digest::of(index).as_bytes() != sum {
        return None;
    }
    let (put, rest) = index.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    let (bundle, rest) = rest.split_first_chunk::<32>()?;
    let (put, bundle) = (u64::from_le_bytes(*put), Digest::from_bytes(*bundle));
    let entry = |entry: &[u8]| {
        let (key, rest) = entry.split_first_chunk::<32>()?;
        let (from, rest) = rest.split_first_chunk::<8>()?;
        let size = u32::from_le_bytes(rest.try_into().ok()?);
        let place = Place { bundle, from: u64::from_le_bytes(*from), size, put };
        Some((Digest::from_bytes(*key), place))
    };
    rest.chunks(ENTRY).map(entry).collect()
}

/// All that is bundled. Indices that were seen before are in the store's notes.
pub(crate) fn read(
    bucket: &Bucket,
    store: &Store,
    remote: &str,
) -> Result<(Places, Vec<String>), Trouble> {
    let listed = bucket.list("index", INDICES)?;
    let load = |name: &String| -> Result<Option<Vec<(Digest, Place)>>, Trouble> {
        if let Some(places) = store.remote_note(remote, name).as_deref().and_then(decode) {
            return Ok(Some(places));
        }
        let Some(bytes) = bucket.get(name)? else { return Ok(Some(Vec::new())) };
        let places = decode(&bytes);
        if places.is_some() {
            // Without the note it is read again the next time.
            let _ = store.note_remote(remote, name, &bytes);
        }
        Ok(places)
    };
    let names: Vec<String> = listed.into_iter().map(|one| one.name).collect();
    let (mut places, mut bad) = (Places::new(), Vec::new());
    for (name, loaded) in names.iter().zip(at_once(AT_ONCE, &names, load)) {
        let Some(loaded) = loaded? else {
            bad.push(name.clone());
            continue;
        };
        for (key, place) in loaded {
            let newest = places.entry(key).or_insert(place);
            if (place.put, place.bundle) > (newest.put, newest.bundle) {
                *newest = place;
            }
        }
    }
    Ok((places, bad))
}

/// The parts of a bundle to ask for: ranges with little between them are one.
pub(crate) fn ranges(mut wanted: Vec<(u64, u64)>) -> Vec<std::ops::Range<u64>> {
    const GAP: u64 = 64 << 10;
    wanted.sort_unstable();
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for (from, to) in wanted {
        match ranges.last_mut() {
            Some(last) if from <= last.end + GAP => last.end = last.end.max(to),
            _ => ranges.push(from..to),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_tells_where_each_result_is() {
        let results: Vec<_> = (0..20_u8)
            .map(|n| (Digest::of(&[n]), Bytes::from(vec![n; usize::from(n) * 7])))
            .collect();
        let bundle = bundle(&results, 77);
        let places = decode(&bundle.index).unwrap();
        assert_eq!(places.len(), 20);
        for (key, place) in places {
            let (_, bytes) = results.iter().find(|(one, _)| *one == key).unwrap();
            let from = place.from as usize;
            assert_eq!(&bundle.bytes[from..from + place.size as usize], bytes);
            assert_eq!((bundle_name(&place.bundle), place.put), (bundle.name.clone(), 77));
        }
        for at in 0..bundle.index.len() {
            let mut bad = bundle.index.to_vec();
            bad[at] ^= 4;
            assert!(decode(&bad).is_none(), "{at}");
        }
    }

    #[test]
    fn near_ranges_are_asked_for_at_once() {
        let far = 1 << 20;
        assert_eq!(
            ranges(vec![(far, far + 5), (10, 20), (0, 10), (500, 600)]),
            [0..600, far..far + 5]
        );
        assert!(ranges(Vec::new()).is_empty());
    }
}
