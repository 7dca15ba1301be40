//! Putting results there: first their chunks, then the results, many in a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sconce_core::store::Receipt;
use sconce_core::{Digest, Error, Member, Result, Store};

use crate::bucket::{AT_ONCE, Bucket, CHUNKS_AT_ONCE, Created, Trouble, at_once};
use crate::chunk::{Chunk, Cut, cut};
use crate::fetch::{bad_note, noted};
use crate::index::{BUNDLE, MOST, bundle};
use crate::link::{Link, now};
use crate::record::{Head, Record, Tree};
use crate::shared::Access;

/// Content of a tree up to so many bytes lies in the result itself.
const INSIDE: u64 = 256 << 10;
/// From so many on, results are bundled.
const MANY: usize = 16;

/// What was put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Results that are there now.
    pub results: usize,
    /// Results that were there already.
    pub there: usize,
    /// Results whose content is not on this machine, or bad.
    pub missing: usize,
    /// Results that could not be put.
    pub failed: usize,
}

impl Pushed {
    pub(crate) fn add(&mut self, other: Self) {
        self.results += other.results;
        self.there += other.there;
        self.missing += other.missing;
        self.failed += other.failed;
    }
}

/// Puts results there, in place of what is there where `replace`.
pub(crate) fn push(inner: &Link, receipts: &[Receipt], replace: bool) -> Result<Pushed> {
    if inner.access == Access::ReadOnly {
        return Err(
            inner.error(&Trouble::Refused("it is only read (--read-only-remote)".to_owned()))
        );
    }
    let _span = tracing::debug_span!("push", results = receipts.len()).entered();
    let mut pushed = Pushed::default();
    let fresh = match replace {
        true => receipts.iter().collect(),
        false => unknown(inner, receipts)?,
    };
    pushed.there = receipts.len() - fresh.len();
    for some in fresh.chunks(MOST) {
        pushed.add(push_some(inner, some, replace)?);
    }
    inner.settle(receipts);
    Ok(pushed)
}

fn push_some(inner: &Link, receipts: &[&Receipt], replace: bool) -> Result<Pushed> {
    let trouble = |trouble: Trouble| inner.error(&trouble);
    let bucket = inner.ready().map_err(trouble)?;
    // Tells where there are no conditions, and marks the format.
    let conditions = inner.keeps_conditions().map_err(trouble)?;
    let prepare = |receipt: &&Receipt| prepare(inner, bucket, receipt);
    let most = if receipts.len() < MANY { 2 } else { CHUNKS_AT_ONCE };
    let mut records = Vec::with_capacity(receipts.len());
    let mut pushed = Pushed::default();
    for (receipt, bytes) in receipts.iter().zip(at_once(most, receipts, prepare)) {
        match bytes? {
            Some(bytes) => records.push((receipt.key, bytes)),
            None => pushed.missing += 1,
        }
    }
    let keys: Vec<u8> = records.iter().flat_map(|(key, _)| *key.as_bytes()).collect();
    let places = inner.places(&inner.store, false).map_err(trouble)?;
    // What replaces a bundled result has to be bundled later.
    let is_bundled = |(key, _): &(Digest, Bytes)| replace && places.contains_key(key);
    pushed.results += records.len();
    if records.len() >= MANY || records.iter().any(is_bundled) {
        put_bundles(bucket, &records).map_err(trouble)?;
        inner.places(&inner.store, true).map_err(trouble)?;
    } else {
        let put =
            |(key, bytes): &(Digest, Bytes)| put_alone(bucket, key, bytes, replace, conditions);
        at_once(AT_ONCE, &records, put).into_iter().collect::<Result<(), _>>().map_err(trouble)?;
    }
    for (key, _) in &records {
        inner.was_put(key);
    }
    inner.store.add_to_remote_note(&inner.id, "known", &keys)?;
    Ok(pushed)
}

fn put_alone(
    bucket: &Bucket,
    key: &Digest,
    bytes: &Bytes,
    replace: bool,
    conditions: bool,
) -> Result<(), Trouble> {
    let name = Record::name(key);
    // Without conditions a look comes first: whoever comes between is replaced by what is as right.
    let there = match conditions {
        true => match bucket.create(&name, bytes)? {
            Created::Ours => return Ok(()),
            Created::Theirs(there) => Some(there),
        },
        false => bucket.get(&name)?,
    };
    let good = there.and_then(|there| Record::decode(key, &there));
    match good {
        // The first of two stays: others go on from it.
        Some(_) if !replace => Ok(()),
        _ => bucket.put(&name, bytes.clone()),
    }
}

fn put_bundles(bucket: &Bucket, records: &[(Digest, Bytes)]) -> Result<(), Trouble> {
    let mut groups: Vec<&[(Digest, Bytes)]> = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (to, (_, bytes)) in records.iter().enumerate() {
        if to > from && size + bytes.len() > BUNDLE {
            groups.push(&records[from..to]);
            (from, size) = (to, 0);
        }
        size += bytes.len();
    }
    groups.push(&records[from..]);
    let put = |group: &&[(Digest, Bytes)]| {
        let bundle = bundle(group, now());
        bucket.put(&bundle.name, bundle.bytes)?;
        // With the index it is there.
        bucket.put(&bundle.index_name, bundle.index)
    };
    at_once(CHUNKS_AT_ONCE, &groups, put).into_iter().collect()
}

/// The results that are not known to be there. Results of their own are looked for by name as long as that
/// takes fewer calls than putting them again would be worth.
fn unknown<'a>(inner: &Link, receipts: &'a [Receipt]) -> Result<Vec<&'a Receipt>> {
    let trouble = |trouble: Trouble| inner.error(&trouble);
    forget_after_collection(inner)?;
    let noted = inner.store.remote_note(&inner.id, "known").unwrap_or_default();
    let digest = |key: &[u8]| key.try_into().ok().map(Digest::from_bytes);
    let mut known: BTreeSet<Digest> = noted.chunks(32).filter_map(digest).collect();
    let damaged = |key: &Digest| inner.is_found_damaged(key);
    let mut fresh: Vec<&Receipt> = receipts
        .iter()
        .filter(|receipt| !known.contains(&receipt.key) || damaged(&receipt.key))
        .collect();
    if fresh.len() < MANY {
        return Ok(fresh);
    }
    known.clear();
    known.extend(inner.places(&inner.store, true).map_err(trouble)?.keys());
    let bucket = inner.ready().map_err(trouble)?;
    for one in bucket.list("results", 20 * fresh.len()).map_err(trouble)? {
        let hex = one.name.rsplit('/').next().unwrap_or_default();
        known.extend(format!("blake3:{hex}").parse::<Digest>().ok());
    }
    let there: Vec<u8> = fresh
        .iter()
        .filter(|receipt| known.contains(&receipt.key))
        .flat_map(|receipt| *receipt.key.as_bytes())
        .collect();
    fresh.retain(|receipt| !known.contains(&receipt.key) || damaged(&receipt.key));
    inner.store.add_to_remote_note(&inner.id, "known", &there)?;
    Ok(fresh)
}

/// Forgets which results are known to be there, where some were removed since.
fn forget_after_collection(inner: &Link) -> Result<()> {
    let get = || inner.ready()?.get("collected");
    let last = get().map_err(|trouble| inner.error(&trouble))?.unwrap_or_default();
    if inner.store.remote_note(&inner.id, "collected").unwrap_or_default() != last {
        inner.store.forget_remote_note(&inner.id, "known");
        inner.store.note_remote(&inner.id, "collected", &last)?;
    }
    Ok(())
}

/// Puts the chunks of a result there; what the result itself is then. None where content is not here.
fn prepare(inner: &Link, bucket: &Bucket, receipt: &Receipt) -> Result<Option<Bytes>> {
    let mut head = Head { receipt: receipt.clone(), trees: BTreeMap::new() };
    let mut inside = BTreeMap::new();
    // Where some of a result was bad, its chunks may be, too.
    let suspect = inner.is_found_damaged(&receipt.key);
    for output in receipt.outputs.values() {
        if head.trees.contains_key(&output.digest) {
            continue;
        }
        // Every byte is hashed before it goes out.
        match inner.store.files(&output.digest) {
            Ok(_) => {}
            Err(Error::Damaged { .. }) => match noted(inner, &inner.store, &output.digest) {
                // It came from there, and was never brought.
                Some(tree) => {
                    head.trees.insert(output.digest, tree);
                    continue;
                }
                None => return Ok(None),
            },
            Err(error) => return Err(error),
        }
        let (tree, stored) = put_tree(inner, bucket, &output.digest, suspect)?;
        inside.extend(stored.map(|stored| (output.digest, stored)));
        head.trees.insert(output.digest, tree);
    }
    Record { head, inside }.encode().map(Some)
}

/// Puts a tree's chunks there; or the stored bytes of its only chunk, which is small.
fn put_tree(
    inner: &Link,
    bucket: &Bucket,
    digest: &Digest,
    suspect: bool,
) -> Result<(Tree, Option<Bytes>)> {
    let store = &inner.store;
    let manifest = store.manifest(digest)?;
    let members = Store::members_of(&manifest).unwrap_or_default();
    let size = manifest.len() as u64;
    let cuts = cut(Member { digest: *digest, size }, members);
    if let [only] = &cuts[..]
        && only.size <= INSIDE
    {
        let (chunk, stored) = Chunk::pack(read(store, only)?);
        let tree = Tree { manifest: size, chunks: vec![chunk], inside: Some(stored.len() as u64) };
        return Ok((tree, Some(stored)));
    }
    let all = cuts.iter().map(|cut| cut.size).sum();
    inner.expected.fetch_add(all, Ordering::Relaxed);
    let put = |cut: &Cut| -> Result<Chunk> {
        let (chunk, stored) = Chunk::pack(read(store, cut)?);
        put_chunk(inner, bucket, &chunk, stored, suspect)
            .map_err(|trouble| inner.error(&trouble))?;
        inner.moved.fetch_add(cut.size, Ordering::Relaxed);
        Ok(chunk)
    };
    let chunks: Result<Vec<_>> = at_once(CHUNKS_AT_ONCE, &cuts, put).into_iter().collect();
    Ok((Tree { manifest: size, chunks: chunks?, inside: None }, None))
}

/// Puts a chunk there unless it is: one that was found bad, or may be, is put in any case.
fn put_chunk(
    inner: &Link,
    bucket: &Bucket,
    chunk: &Chunk,
    stored: Bytes,
    suspect: bool,
) -> Result<(), Trouble> {
    let was_bad = suspect || inner.store.remote_note(&inner.id, &bad_note(chunk)).is_some();
    if !was_bad && bucket.modified(&chunk.name())?.is_some() {
        return Ok(());
    }
    bucket.put(&chunk.name(), stored)?;
    inner.store.forget_remote_note(&inner.id, &bad_note(chunk));
    Ok(())
}

fn read(store: &Store, cut: &Cut) -> Result<Vec<u8>> {
    let mut bytes = vec![0; cut.size as usize];
    let mut at = 0;
    for piece in &cut.pieces {
        let to = at + piece.size as usize;
        store.read_content(&piece.content, piece.from, &mut bytes[at..to])?;
        at = to;
    }
    Ok(bytes)
}
