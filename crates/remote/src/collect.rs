//! Making room: old results, and chunks that no result names.
//!
//! What is younger than an hour stays, and what is younger than the oldest living claim: somebody may be about to name
//! it. Results go before what they name, so that a collection that is killed leaves nothing half.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sconce_core::{Digest, Result};

use crate::bucket::{AT_ONCE, Bucket, CHUNKS_AT_ONCE, Listed, Trouble, at_once};
use crate::claim::Lease;
use crate::index;
use crate::link::{Link, now};
use crate::record::Record;
use crate::shared::Access;

/// What is younger is not looked at.
const YOUNG: Duration = Duration::from_secs(3600);
/// Objects of a kind at most.
const ALL: usize = usize::MAX;

/// What may go.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Results that were put longer ago go.
    pub max_age: Option<Duration>,
    /// Results that stay, beside those that are pinned.
    pub keep: BTreeSet<Digest>,
    /// Only tell what would go.
    pub dry_run: bool,
}

/// So many objects, so large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// How many.
    pub number: usize,
    /// Bytes.
    pub bytes: u64,
}

impl Size {
    fn of<'a>(objects: impl IntoIterator<Item = &'a Listed>) -> Self {
        let mut size = Self::default();
        for object in objects {
            size.number += 1;
            size.bytes += object.size;
        }
        size
    }
}

/// What went, or would go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Results by themselves.
    pub results: Size,
    /// Bundles of results, with their indices.
    pub bundles: Size,
    /// Chunks of content.
    pub chunks: Size,
    /// Claims that ended long ago.
    pub claims: Size,
    /// What stays.
    pub left: Size,
}

fn key_of(object: &Listed) -> Option<Digest> {
    let hex = object.name.rsplit('/').next()?;
    format!("blake3:{hex}").parse().ok()
}

/// Removes what the limits let go.
pub(crate) fn collect(inner: &Link, limits: &Limits) -> Result<Collected> {
    if inner.access == Access::ReadOnly && !limits.dry_run {
        return Err(
            inner.error(&Trouble::Refused("it is only read (--read-only-remote)".to_owned()))
        );
    }
    let collect = || -> Result<Collected, Trouble> {
        let bucket = inner.ready()?;
        Collection::begin(bucket, limits)?.all()
    };
    collect().map_err(|trouble| inner.error(&trouble))
}

struct Collection<'a> {
    bucket: &'a Bucket,
    limits: &'a Limits,
    keep: BTreeSet<Digest>,
    /// What was put since stays.
    cutoff: SystemTime,
    /// Claims that ended a day ago.
    dead: Vec<Listed>,
}

impl<'a> Collection<'a> {
    fn begin(bucket: &'a Bucket, limits: &'a Limits) -> Result<Self, Trouble> {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut cutoff = at(now()) - YOUNG;
        let mut keep = limits.keep.clone();
        for pin in bucket.list("pins", ALL)? {
            let pinned = bucket.get(&pin.name)?.unwrap_or_default();
            let keys: Option<Vec<Digest>> = serde_json::from_slice(&pinned).ok();
            // Nothing goes while it is not known what stays.
            keep.extend(keys.ok_or_else(|| {
                Trouble::Refused(format!(
                    "{} is damaged: pin it anew with `sconce push --pin`",
                    pin.name
                ))
            })?);
        }
        let claims = bucket.list("claims", ALL)?;
        let leases = at_once(AT_ONCE, &claims, |claim| bucket.get(&claim.name));
        let mut dead = Vec::new();
        for (claim, lease) in claims.into_iter().zip(leases) {
            let lease: Option<Lease> = serde_json::from_slice(&lease?.unwrap_or_default()).ok();
            let until = lease.as_ref().map_or(0, |lease| lease.until);
            if until > now() {
                cutoff = cutoff.min(at(lease.map_or(0, |lease| lease.since)));
                keep.extend(key_of(&claim));
            } else if until + 24 * 3600 < now() {
                dead.push(claim);
            }
        }
        Ok(Self { bucket, limits, keep, cutoff, dead })
    }

    fn all(self) -> Result<Collected, Trouble> {
        let bucket = self.bucket;
        let (results, old_results) = self.part(bucket.list("results", ALL)?, |object| {
            key_of(object).is_some_and(|key| !self.keep.contains(&key))
        });
        let indices = bucket.list("index", ALL)?;
        let loaded: Result<Vec<_>, Trouble> =
            at_once(AT_ONCE, &indices, |index| bucket.get(&index.name)).into_iter().collect();
        let mut named = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for (object, bytes) in indices.iter().zip(loaded?) {
            let places = index::decode(&bytes.unwrap_or_default()).unwrap_or_default();
            if places.iter().any(|(key, _)| self.keep.contains(key)) {
                kept.insert(object.name.clone());
            }
            let bundles = places.iter().map(|(_, place)| index::bundle_name(&place.bundle));
            named.extend(bundles.map(|bundle| (bundle, object.name.clone())));
        }
        let (indices, old_indices) = self.part(indices, |index| !kept.contains(&index.name));
        let live: BTreeSet<&str> = indices.iter().map(|index| &*index.name).collect();
        let used: BTreeSet<&str> = named
            .iter()
            .filter(|(_, by)| live.contains(&**by))
            .map(|(bundle, _)| &**bundle)
            .collect();
        let (bundles, old_bundles) =
            self.unused(bucket.list("bundles", ALL)?, |bundle| !used.contains(&*bundle.name));
        // The list of chunks comes first: what is named after it was put after it.
        let chunks = bucket.list("chunks", ALL)?;
        let mut needed = self.chunks_of(&results, AT_ONCE)?;
        needed.extend(self.chunks_of(&bundles, CHUNKS_AT_ONCE)?);
        let (chunks, old_chunks) = self.unused(chunks, |chunk| !needed.contains(&chunk.name));
        let old_bundles: Vec<_> = old_indices.into_iter().chain(old_bundles).collect();
        let collected = Collected {
            results: Size::of(&old_results),
            bundles: Size::of(&old_bundles),
            chunks: Size::of(&old_chunks),
            claims: Size::of(&self.dead),
            left: Size::of(results.iter().chain(&indices).chain(&bundles).chain(&chunks)),
        };
        if !self.limits.dry_run {
            // Others forget what they knew to be there.
            bucket.put("collected", Bytes::from(now().to_string()))?;
            for gone in [&old_results, &old_bundles, &old_chunks, &self.dead] {
                let remove = |object: &Listed| bucket.delete(&object.name);
                at_once(AT_ONCE, gone, remove).into_iter().collect::<Result<(), _>>()?;
            }
        }
        Ok(collected)
    }

    /// What stays, and what is old and may go.
    fn part(
        &self,
        objects: Vec<Listed>,
        may_go: impl Fn(&Listed) -> bool,
    ) -> (Vec<Listed>, Vec<Listed>) {
        let Some(max_age) = self.limits.max_age else { return (objects, Vec::new()) };
        let oldest = SystemTime::UNIX_EPOCH + Duration::from_secs(now()) - max_age;
        self.unused(objects, |object| object.modified < oldest && may_go(object))
    }

    /// What stays, and what nobody needs and is not young.
    fn unused(
        &self,
        objects: Vec<Listed>,
        is_unused: impl Fn(&Listed) -> bool,
    ) -> (Vec<Listed>, Vec<Listed>) {
        objects.into_iter().partition(|object| object.modified >= self.cutoff || !is_unused(object))
    }

    /// The names of the chunks that these results, or bundles of results, name.
    fn chunks_of(&self, objects: &[Listed], most: usize) -> Result<BTreeSet<String>, Trouble> {
        let read = |object: &Listed| -> Result<Vec<String>, Trouble> {
            let mut bytes = self.bucket.get(&object.name)?.unwrap_or_default();
            let mut names = Vec::new();
            while let Some((record, size)) = Record::first(&bytes) {
                let outside = record.head.trees.values().filter(|tree| tree.inside.is_none());
                names.extend(outside.flat_map(|tree| &tree.chunks).map(crate::chunk::Chunk::name));
                bytes = bytes.slice(size..);
            }
            Ok(names)
        };
        let mut all = BTreeSet::new();
        for names in at_once(most, objects, read) {
            all.extend(names?);
        }
        Ok(all)
    }
}
