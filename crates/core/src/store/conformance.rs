//! What every implementation of [`Results`] has to do, whatever it is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{Claim, Imported, OutputRecord, Receipt, Results, Store};
use crate::key::KeyParts;
use crate::{CellId, Coordinates, Device, Digest, Error, Files, Member, Result};

/// A store that can be opened more than once, as by two machines.
struct Subject<'a> {
    open: &'a dyn Fn() -> Box<dyn Results>,
    /// Makes the content of this digest bad.
    spoil: &'a dyn Fn(&Digest),
}

impl Subject<'_> {
    fn open(&self) -> Box<dyn Results> {
        (self.open)()
    }

    /// Runs all tests.
    fn conforms(&self) {
        self.what_was_put_is_there_for_all();
        self.the_same_content_is_one();
        self.a_receipt_needs_its_content();
        self.bad_content_is_never_handed_out();
        self.a_claim_is_one_s_alone();
        self.many_put_the_same_at_once();
    }

    fn what_was_put_is_there_for_all(&self) {
        let (one, two) = (self.open(), self.open());
        let receipt =
            commit(&*one, "shared", &[("a", "alpha"), ("deep/b ü", "beta"), ("empty", "")]);
        assert_eq!(two.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
        assert_eq!(two.recorded(&receipt.key).unwrap().as_ref(), Some(&receipt));
        let files = two.files(&receipt.outputs["out"].digest).unwrap();
        assert_eq!(files.read("deep/b ü").unwrap(), b"beta");
        assert_eq!((files.len(), files.size()), (3, receipt.outputs["out"].size));
        assert_eq!(files.digest(), receipt.outputs["out"].digest);
        assert_eq!(two.receipt(&Digest::of(b"unknown")).unwrap(), None);
        assert_eq!(two.recorded(&Digest::of(b"unknown")).unwrap(), None);
        let again = Receipt { seconds: 9.0, ..receipt.clone() };
        two.put_receipt(&again).unwrap();
        assert_eq!(one.receipt(&receipt.key).unwrap(), Some(again), "the last one counts");
    }

    fn the_same_content_is_one(&self) {
        let store = self.open();
        let one = commit(&*store, "one", &[("a", "same")]);
        let two = commit(&*store, "two", &[("a", "same")]);
        assert_eq!(one.outputs, two.outputs);
        let names = commit(&*store, "names", &[("b", "same")]);
        assert_ne!(one.outputs["out"].digest, names.outputs["out"].digest, "names count");
    }

    fn a_receipt_needs_its_content(&self) {
        let store = self.open();
        let mut receipt = commit(&*store, "whole", &[("a", "whole")]);
        receipt.outputs.get_mut("out").unwrap().digest = Digest::of(b"not there");
        store.put_receipt(&receipt).unwrap();
        assert_eq!(store.receipt(&receipt.key).unwrap(), None);
        assert!(store.recorded(&receipt.key).unwrap().is_some());
        assert!(!store.is_damaged(&receipt.key).unwrap(), "what is gone is not damaged");
        let missing = store.files(&Digest::of(b"not there")).unwrap_err();
        assert!(matches!(missing.root(), Error::Damaged { .. }), "{missing}");
    }

    fn bad_content_is_never_handed_out(&self) {
        let store = self.open();
        let files = [("a", "to be spoilt"), ("b", "good")];
        let receipt = commit(&*store, "spoilt", &files);
        (self.spoil)(&Digest::of(b"to be spoilt"));
        let other = self.open();
        let bad = other.files(&receipt.outputs["out"].digest).unwrap_err();
        assert!(matches!(bad.root(), Error::Damaged { .. }), "{bad}");
        assert_eq!(other.receipt(&receipt.key).unwrap(), None);
        assert!(store.is_damaged(&receipt.key).unwrap());
        let mended = commit(&*other, "spoilt", &files);
        assert_eq!(store.receipt(&receipt.key).unwrap(), Some(mended));
        assert!(!store.is_damaged(&receipt.key).unwrap());
        assert_eq!(store.files(&receipt.outputs["out"].digest).unwrap().len(), 2);
    }

    fn a_claim_is_one_s_alone(&self) {
        let (one, two) = (self.open(), self.open());
        let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
        let claim = one.claim(&key).unwrap().unwrap();
        assert!(one.claim(&key).unwrap().is_none() && two.claim(&key).unwrap().is_none());
        assert!(two.claim(&other).unwrap().is_some());
        drop(claim);
        assert!(two.claim(&key).unwrap().is_some());
    }

    fn many_put_the_same_at_once(&self) {
        let texts: Vec<_> = (0..30).map(|number| format!("text {}", number % 7)).collect();
        let names: Vec<_> = (0..30).map(|number| format!("d{}/{number}", number % 3)).collect();
        let files: Vec<_> =
            names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let stores: Vec<_> = (0..4).map(|_| self.open()).collect();
        let receipts: Vec<Receipt> = std::thread::scope(|scope| {
            let files = &files;
            let put = |store| scope.spawn(move || commit(store, "at once", files));
            let threads: Vec<_> = stores.iter().map(|store| put(&**store)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
        assert_eq!(self.open().files(&receipts[0].outputs["out"].digest).unwrap().len(), 30);
    }
}

/// Puts files as the output of a cell, and its receipt.
fn commit(store: &dyn Results, name: &str, files: &[(&str, &str)]) -> Receipt {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let imported = store.import(folder.path()).unwrap();
    let parts = KeyParts::of("test", 1, serde_json::json!({ "name": name }));
    let receipt = Receipt {
        key: parts.key(),
        parts,
        cell: CellId { stage: "stage".to_owned(), coordinates: Coordinates::none() },
        pipeline: "test".to_owned(),
        outputs: BTreeMap::from([("out".to_owned(), imported.record("files", false))]),
        metrics: BTreeMap::new(),
        device: Device::Cpu,
        threads: 1,
        started: 1,
        seconds: 0.5,
        sconce: "0".to_owned(),
    };
    store.put_receipt(&receipt).unwrap();
    receipt
}

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
    Subject { open: &|| Box::new(Store::open(&root).unwrap()), spoil: &spoil }.conforms();
}

#[test]
fn the_smallest_store_conforms() {
    let memory = Memory::default();
    let spoil = |digest: &Digest| {
        memory.0.lock().unwrap().files.insert(*digest, b"bad".to_vec());
    };
    Subject { open: &|| Box::new(memory.clone()), spoil: &spoil }.conforms();
}
