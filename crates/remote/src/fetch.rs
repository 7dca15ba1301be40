//! Looking results up, and bringing their content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use sconce_core::error::IoResultExt;
use sconce_core::{Digest, Error, Member, Result, Store};

use crate::bucket::{AT_ONCE, Bucket, CHUNKS_AT_ONCE, Trouble, at_once};
use crate::chunk::{Chunk, Cut, LARGE, Piece, cut};
use crate::index::{Place, bundle_name, ranges};
use crate::link::{Link, relock};
use crate::record::{Record, Tree};

/// The results of these keys, in their order, as far as they are there and nothing is known to be bad.
pub(crate) fn records(
    inner: &Link,
    store: &Store,
    keys: &[Digest],
) -> Result<Vec<Option<Record>>, Trouble> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let bucket = inner.ready()?;
    let places = inner.places(store, false)?;
    let bundled: BTreeMap<Digest, Place> =
        keys.iter().filter_map(|key| Some((*key, *places.get(key)?))).collect();
    let mut found = from_bundles(inner, bucket, &bundled)?;
    // A result whose copy in a bundle is bad may have been put anew by itself.
    let alone: Vec<Digest> = keys.iter().filter(|key| !found.contains_key(key)).copied().collect();
    let get = |key: &Digest| bucket.get(&Record::name(key));
    for (key, bytes) in alone.iter().zip(at_once(AT_ONCE, &alone, get)) {
        let Some(bytes) = bytes? else { continue };
        match Record::decode(key, &bytes) {
            Some(record) => _ = found.insert(*key, record),
            None => inner.found_damaged(key, &Record::name(key)),
        }
    }
    let bad = store.remote_notes(&inner.id, "bad");
    if !bad.is_empty() {
        forget_bad(inner, store, bucket, &mut found)?;
    }
    Ok(keys.iter().map(|key| found.remove(key)).collect())
}

fn from_bundles(
    inner: &Link,
    bucket: &Bucket,
    places: &BTreeMap<Digest, Place>,
) -> Result<BTreeMap<Digest, Record>, Trouble> {
    let mut by_bundle: BTreeMap<Digest, Vec<(Digest, Place)>> = BTreeMap::new();
    for (key, place) in places {
        by_bundle.entry(place.bundle).or_default().push((*key, *place));
    }
    let end = |place: &Place| place.from + u64::from(place.size);
    let mut asked = Vec::new();
    for (digest, results) in by_bundle {
        let wanted = results.iter().map(|(_, place)| (place.from, end(place))).collect();
        for range in ranges(wanted) {
            let inside = |(_, place): &&(Digest, Place)| {
                range.start <= place.from && end(place) <= range.end
            };
            let inside: Vec<_> = results.iter().filter(inside).copied().collect();
            asked.push((digest, range, inside));
        }
    }
    let get = |(digest, range, _): &(Digest, std::ops::Range<u64>, Vec<_>)| {
        bucket.get_range(&bundle_name(digest), range.clone())
    };
    let mut found = BTreeMap::new();
    for ((digest, range, results), bytes) in asked.iter().zip(at_once(CHUNKS_AT_ONCE, &asked, get))
    {
        let bytes = match bytes {
            Ok(bytes) => bytes.unwrap_or_default(),
            // A bundle that is shorter than its index says is a bad one, and no reason to stop.
            Err(Trouble::Down(_)) if bucket.modified("format").is_ok() => Bytes::new(),
            Err(trouble) => return Err(trouble),
        };
        for (key, place) in results {
            let from = (place.from - range.start) as usize;
            let to = from + place.size as usize;
            let record = (to <= bytes.len()).then(|| bytes.slice(from..to));
            match record.and_then(|bytes| Record::decode(key, &bytes)) {
                Some(record) => _ = found.insert(*key, record),
                None => inner.found_damaged(key, &bundle_name(digest)),
            }
        }
    }
    Ok(found)
}

/// Leaves out results of which a chunk was found bad, unless it was put anew since.
fn forget_bad(
    inner: &Link,
    store: &Store,
    bucket: &Bucket,
    found: &mut BTreeMap<Digest, Record>,
) -> Result<(), Trouble> {
    let mut bad_keys = Vec::new();
    for (key, record) in &*found {
        for chunk in record.head.trees.values().flat_map(|tree| &tree.chunks) {
            let Some(note) = store.remote_note(&inner.id, &bad_note(chunk)) else { continue };
            if mark(bucket.modified(&chunk.name())?) == note {
                bad_keys.push((*key, chunk.name()));
            } else {
                store.forget_remote_note(&inner.id, &bad_note(chunk));
            }
        }
    }
    for (key, name) in bad_keys {
        found.remove(&key);
        inner.found_damaged(&key, &name);
    }
    Ok(())
}

pub(crate) fn bad_note(chunk: &Chunk) -> String {
    format!("bad/{}", chunk.digest.hex())
}

/// Tells one state of an object from another.
fn mark(modified: Option<SystemTime>) -> Vec<u8> {
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or("gone".to_owned(), |since| since.as_nanos().to_string()).into_bytes()
}

/// Notes results in the store of this machine: small content, where other content is, then the receipts.
pub(crate) fn keep(inner: &Link, store: &Store, records: &[Record]) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let mut contents: BTreeMap<Digest, Bytes> = BTreeMap::new();
    let mut receipts = Vec::with_capacity(records.len());
    for record in records {
        let mut whole = true;
        for (digest, tree) in &record.head.trees {
            let inside = record.inside.get(digest).map(|stored| (stored, tree.chunks.first()));
            match inside {
                Some((stored, Some(chunk))) => match contents_inside(digest, tree, chunk, stored) {
                    Some(content) => contents.extend(content),
                    None => whole = false,
                },
                _ => note(inner, store, digest, tree)?,
            }
        }
        if whole {
            receipts.push(record.head.receipt.clone());
        }
    }
    let is_new = |(digest, bytes): &(&Digest, &Bytes)| {
        !store.has_content(digest, bytes.len() as u64).unwrap_or(false)
    };
    let fresh: Vec<(Digest, &[u8])> =
        contents.iter().filter(is_new).map(|(digest, bytes)| (*digest, &bytes[..])).collect();
    store.adopt(&fresh)?;
    store.put_receipts(&receipts)?;
    let keys: Vec<u8> = receipts.iter().flat_map(|one| *one.key.as_bytes()).collect();
    store.add_to_remote_note(&inner.id, "known", &keys)
}

/// The content that lies in the result itself, the manifest last.
fn contents_inside(
    digest: &Digest,
    tree: &Tree,
    chunk: &Chunk,
    stored: &Bytes,
) -> Option<Vec<(Digest, Bytes)>> {
    let bytes = chunk.unpack(stored.clone())?;
    let manifest = bytes.get(..usize::try_from(tree.manifest).ok()?)?;
    if Digest::of(manifest) != *digest {
        return None;
    }
    let members = Store::members_of(manifest)?;
    let empty = members.iter().any(|member| member.size == 0);
    let cuts = cut(Member { digest: *digest, size: tree.manifest }, members);
    let [Cut { pieces, size }] = &cuts[..] else { return None };
    if *size != bytes.len() as u64 {
        return None;
    }
    let mut at = 0;
    let mut contents = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let to = at + piece.size as usize;
        contents.push((piece.content, bytes.slice(at..to)));
        at = to;
    }
    contents.extend(empty.then(|| (Digest::of(b""), Bytes::new())));
    Some(contents)
}

fn note_name(tree: &Digest) -> String {
    let hex = tree.hex();
    format!("trees/{}/{hex}", &hex[..2])
}

fn note(inner: &Link, store: &Store, digest: &Digest, tree: &Tree) -> Result<()> {
    store.note_remote(&inner.id, &note_name(digest), &serde_json::to_vec(tree)?)
}

/// Where a tree is, as an earlier look found it.
pub(crate) fn noted(inner: &Link, store: &Store, tree: &Digest) -> Option<Tree> {
    serde_json::from_slice(&store.remote_note(&inner.id, &note_name(tree))?).ok()
}

/// Brings what this machine lacks of a tree.
pub(crate) fn bring(inner: &Link, store: &Store, digest: &Digest) -> Result<()> {
    let damaged = || Error::Damaged { digest: *digest, path: PathBuf::from(inner.place()) };
    let tree = noted(inner, store, digest).ok_or_else(damaged)?;
    let bucket = match inner.ready() {
        Ok(bucket) => bucket,
        Err(trouble) => return inner.without(&trouble).and_then(|()| Err(damaged())),
    };
    let span = tracing::debug_span!("bring", tree = %digest.short());
    let _span = span.enter();
    let fetch = Fetch { inner, store, bucket, tree: digest };
    match fetch.all(&tree) {
        Ok(()) => Ok(()),
        Err(Failed::Trouble(trouble)) => inner.without(&trouble).and_then(|()| Err(damaged())),
        Err(Failed::Bad(name)) => {
            store.forget_remote_note(&inner.id, &note_name(digest));
            inner.tell_damage(&name);
            Err(damaged())
        }
        Err(Failed::Other(error)) => Err(error),
    }
}

enum Failed {
    Trouble(Trouble),
    /// A chunk that is not what its name says, or not there.
    Bad(String),
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

struct Fetch<'a> {
    inner: &'a Link,
    store: &'a Store,
    bucket: &'a Bucket,
    tree: &'a Digest,
}

impl Fetch<'_> {
    fn all(&self, tree: &Tree) -> Result<(), Failed> {
        let bad = || Failed::Bad(format!("results of tree {}", self.tree.short()));
        let head = Member { digest: *self.tree, size: tree.manifest };
        // The manifest tells what the chunks hold.
        let mut first = None;
        let manifest = if self.store.has_content(self.tree, tree.manifest)? {
            self.store.manifest(self.tree)?
        } else if tree.manifest >= LARGE {
            let mut manifest = Vec::new();
            for (chunk, _) in tree.chunks.iter().zip(cut(head.clone(), [])) {
                manifest.extend_from_slice(&self.chunk(chunk)?);
            }
            manifest
        } else {
            let bytes = self.chunk(tree.chunks.first().ok_or_else(bad)?)?;
            let manifest = bytes.get(..tree.manifest as usize).ok_or_else(bad)?.to_vec();
            first = Some(bytes);
            manifest
        };
        let members = Store::members_of(&manifest)
            .filter(|_| Digest::of(&manifest) == *self.tree)
            .ok_or_else(bad)?;
        let cuts = cut(head, members.iter().cloned());
        let fits = |(cut, chunk): (&Cut, &Chunk)| cut.size == chunk.size;
        if cuts.len() != tree.chunks.len() || !cuts.iter().zip(&tree.chunks).all(fits) {
            return Err(bad());
        }
        let mut missing = BTreeSet::new();
        for member in &members {
            if !self.store.has_content(&member.digest, member.size)? {
                missing.insert(member.digest);
            }
        }
        let is_wanted = |piece: &Piece| missing.contains(&piece.content);
        let wanted: Vec<(usize, (&Cut, &Chunk))> = cuts
            .iter()
            .zip(&tree.chunks)
            .enumerate()
            .filter(|(_, (cut, _))| cut.pieces.iter().any(is_wanted))
            .collect();
        let expected: u64 = wanted.iter().map(|(_, (cut, _))| cut.size).sum();
        self.inner.expected.fetch_add(expected, Ordering::Relaxed);
        let parts = self.begin(wanted.iter().map(|(_, (cut, _))| *cut))?;
        let take = |(number, (cut, chunk)): &(usize, (&Cut, &Chunk))| -> Result<(), Failed> {
            let ready = first.as_ref().filter(|_| *number == 0).cloned();
            self.take(cut, chunk, ready, &missing, &parts)?;
            self.inner.moved.fetch_add(cut.size, Ordering::Relaxed);
            Ok(())
        };
        at_once(CHUNKS_AT_ONCE, &wanted, take).into_iter().collect::<Result<(), _>>()?;
        for (content, (_, path)) in parts {
            match self.store.adopt_file(&content, path.clone()) {
                Ok(()) => {}
                Err(Error::Damaged { .. }) => {
                    // Every chunk was good, so the result names wrong ones.
                    let _ = std::fs::remove_file(&path);
                    return Err(Failed::Bad(format!("results with content {}", content.short())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let empty = missing.contains(&Digest::of(b"")).then_some((Digest::of(b""), &b""[..]));
        // With the manifest the tree is there.
        let last: Vec<(Digest, &[u8])> =
            empty.into_iter().chain([(*self.tree, &manifest[..])]).collect();
        Ok(self.store.adopt(&last)?)
    }

    /// Makes room for the large ones among what is wanted.
    fn begin<'c>(
        &self,
        cuts: impl Iterator<Item = &'c Cut>,
    ) -> Result<BTreeMap<Digest, (Mutex<File>, PathBuf)>> {
        let mut parts = BTreeMap::new();
        for piece in cuts.flat_map(|cut| &cut.pieces).filter(|piece| piece.whole >= LARGE) {
            if piece.content == *self.tree || parts.contains_key(&piece.content) {
                continue;
            }
            let path = self.store.unfinished(&piece.content)?;
            let file = open_part(&path)?;
            file.set_len(piece.whole).at(&path)?;
            parts.insert(piece.content, (Mutex::new(file), path));
        }
        Ok(parts)
    }

    /// Takes in what is wanted of a chunk.
    fn take(
        &self,
        cut: &Cut,
        chunk: &Chunk,
        ready: Option<Bytes>,
        missing: &BTreeSet<Digest>,
        parts: &BTreeMap<Digest, (Mutex<File>, PathBuf)>,
    ) -> Result<(), Failed> {
        if let [piece] = &cut.pieces[..]
            && let Some((file, path)) = parts.get(&piece.content)
        {
            // An earlier try may have brought it.
            let mut bytes = vec![0; piece.size as usize];
            read_at(file, piece.from, &mut bytes).at(path)?;
            if Digest::of(&bytes) == chunk.digest {
                return Ok(());
            }
            let bytes = self.chunk(chunk)?;
            write_at(file, piece.from, &bytes).at(path)?;
            return Ok(());
        }
        let bytes = match ready {
            Some(bytes) => bytes,
            None => self.chunk(chunk)?,
        };
        let mut at = 0;
        let mut contents = Vec::with_capacity(cut.pieces.len());
        for piece in &cut.pieces {
            let to = at + piece.size as usize;
            if missing.contains(&piece.content) {
                contents.push((piece.content, &bytes[at..to]));
            }
            at = to;
        }
        match self.store.adopt(&contents) {
            Err(Error::Damaged { .. }) => Err(Failed::Bad(chunk.name())),
            other => Ok(other?),
        }
    }

    fn chunk(&self, chunk: &Chunk) -> Result<Bytes, Failed> {
        let stored = self.bucket.get(&chunk.name()).map_err(Failed::Trouble)?;
        if let Some(bytes) = stored.and_then(|stored| chunk.unpack(stored)) {
            return Ok(bytes);
        }
        let modified = self.bucket.modified(&chunk.name()).map_err(Failed::Trouble)?;
        self.store.note_remote(&self.inner.id, &bad_note(chunk), &mark(modified))?;
        Err(Failed::Bad(chunk.name()))
    }
}

fn open_part(path: &Path) -> Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path).at(path)
}

fn read_at(file: &Mutex<File>, from: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    let mut file = relock(file);
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(bytes)
}

fn write_at(file: &Mutex<File>, from: u64, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = relock(file);
    file.seek(SeekFrom::Start(from))?;
    file.write_all(bytes)
}
