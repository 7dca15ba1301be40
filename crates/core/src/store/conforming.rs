//! Who conforms: the store on a file system, and the smallest one there can be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::conformance::Subject;
use super::{Claim, Imported, OutputRecord, Receipt, Results, Store};
use crate::{Digest, Error, Files, Member, Result};

/// The smallest store: as little as the contract asks for.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Shelves>>);

#[derive(Default)]
struct Shelves {
    files: BTreeMap<Digest, Vec<u8>>,
    trees: BTreeMap<Digest, BTreeMap<String, Member>>,
    receipts: BTreeMap<Digest, Receipt>,
    claims: BTreeSet<Digest>,
    /// Where files are handed out.
    out: Vec<tempfile::TempDir>,
}

struct Claimed(Memory, Digest);

impl Drop for Claimed {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().claims.remove(&self.1);
    }
}

impl Shelves {
    /// The first digest of a tree that is not there or bad.
    fn bad(&self, tree: &Digest) -> Option<Digest> {
        let Some(members) = self.trees.get(tree) else { return Some(*tree) };
        let good = |member: &&Member| {
            let bytes = self.files.get(&member.digest);
            bytes.is_some_and(|bytes| Digest::of(bytes) == member.digest)
        };
        members.values().find(|member| !good(member)).map(|member| member.digest)
    }
}

impl Results for Memory {
    fn receipt(&self, key: &Digest) -> Result<Option<Receipt>> {
        let shelves = self.0.lock().unwrap();
        let whole = |receipt: &&Receipt| {
            let mut outputs = receipt.outputs.values();
            outputs.all(|output: &OutputRecord| shelves.bad(&output.digest).is_none())
        };
        Ok(shelves.receipts.get(key).filter(whole).cloned())
    }

    fn recorded(&self, key: &Digest) -> Result<Option<Receipt>> {
        Ok(self.0.lock().unwrap().receipts.get(key).cloned())
    }

    fn is_damaged(&self, key: &Digest) -> Result<bool> {
        let shelves = self.0.lock().unwrap();
        let Some(receipt) = shelves.receipts.get(key) else { return Ok(false) };
        let mut bad = receipt.outputs.values().filter_map(|output| shelves.bad(&output.digest));
        Ok(bad.any(|digest| shelves.files.contains_key(&digest)))
    }

    fn put_receipt(&self, receipt: &Receipt) -> Result<()> {
        self.0.lock().unwrap().receipts.insert(receipt.key, receipt.clone());
        Ok(())
    }

    fn files(&self, tree: &Digest) -> Result<Files> {
        let mut shelves = self.0.lock().unwrap();
        if let Some(digest) = shelves.bad(tree) {
            return Err(Error::Damaged { digest, path: "memory".into() });
        }
        let folder = tempfile::tempdir().unwrap();
        let mut members = BTreeMap::new();
        for (name, member) in &shelves.trees[tree] {
            let path = folder.path().join(member.digest.hex());
            std::fs::write(&path, &shelves.files[&member.digest]).unwrap();
            members.insert(name.clone(), (member.clone(), path));
        }
        shelves.out.push(folder);
        Ok(Files::new(members))
    }

    fn import(&self, folder: &Path) -> Result<Imported> {
        let files = Files::from_folder(folder)?;
        let mut shelves = self.0.lock().unwrap();
        let mut members = BTreeMap::new();
        for (name, member, path) in files.iter() {
            shelves.files.insert(member.digest, std::fs::read(path).unwrap());
            members.insert(name.to_owned(), member.clone());
        }
        shelves.trees.insert(files.digest(), members);
        Ok(Imported { digest: files.digest(), size: files.size(), files: files.len() })
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>> {
        let free = self.0.lock().unwrap().claims.insert(*key);
        Ok(free.then(|| Box::new(Claimed(self.clone(), *key)) as Claim))
    }
}

#[test]
fn a_local_store_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let spoil = |digest: &Digest| {
        let path = root.join("blobs").join(&digest.hex()[..2]).join(digest.hex());
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[0] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    };
    Subject {
        open: &|| Box::new(Store::open(&root).unwrap()),
        spoil: &spoil,
        is_one_place: true,
        has_claims: !super::local::locks_are_off(),
    }
    .conforms();
}

#[test]
fn the_smallest_store_conforms() {
    let memory = Memory::default();
    let spoil = |digest: &Digest| {
        memory.0.lock().unwrap().files.insert(*digest, b"bad".to_vec());
    };
    Subject {
        open: &|| Box::new(memory.clone()),
        spoil: &spoil,
        is_one_place: true,
        has_claims: !super::local::locks_are_off(),
    }
    .conforms();
}
