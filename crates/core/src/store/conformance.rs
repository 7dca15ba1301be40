//! What every implementation of [`Results`] has to do, whatever it is made of. The crate of the remote
//! store takes this file into its own tests.

use std::collections::BTreeMap;

use sconce_core::key::KeyParts;
use sconce_core::store::{Receipt, Results};
use sconce_core::{CellId, Coordinates, Device, Digest, Error};

/// A store that can be opened more than once, as by two machines.
pub(crate) struct Subject<'a> {
    pub(crate) open: &'a dyn Fn() -> Box<dyn Results>,
    /// Makes the content of this digest bad where all see it.
    pub(crate) spoil: &'a dyn Fn(&Digest),
    /// Whether all see the same place. Otherwise each goes on with what it has itself: of two results of
    /// one key both are right.
    pub(crate) is_one_place: bool,
    /// Whether claims of one keep out others.
    pub(crate) has_claims: bool,
}

impl Subject<'_> {
    fn open(&self) -> Box<dyn Results> {
        (self.open)()
    }

    /// Runs all tests.
    pub(crate) fn conforms(&self) {
        self.what_was_put_is_there_for_all();
        self.the_same_content_is_one();
        self.a_receipt_needs_its_content();
        self.bad_content_is_never_handed_out();
        if self.has_claims {
            self.a_claim_is_one_s_alone();
        }
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
        let found = one.receipt(&receipt.key).unwrap().unwrap();
        assert!(found == again || (!self.is_one_place && found == receipt), "the last one counts");
        assert_eq!(self.open().receipt(&receipt.key).unwrap(), Some(again));
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
        let mut receipt = made(&*store, "whole", &[("a", "whole")]);
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
        // Where content is, is known by its receipt.
        let _ = other.receipt(&receipt.key).unwrap();
        let bad = other.files(&receipt.outputs["out"].digest).unwrap_err();
        assert!(matches!(bad.root(), Error::Damaged { .. }), "{bad}");
        assert_eq!(other.receipt(&receipt.key).unwrap(), None);
        assert!(other.is_damaged(&receipt.key).unwrap());
        assert!(!self.is_one_place || store.is_damaged(&receipt.key).unwrap());
        let mended = commit(&*other, "spoilt", &files);
        assert_eq!(store.receipt(&receipt.key).unwrap(), Some(mended));
        assert!(!store.is_damaged(&receipt.key).unwrap());
        assert!(!other.is_damaged(&receipt.key).unwrap());
        let third = self.open();
        assert_eq!(
            third
                .files(&third.receipt(&receipt.key).unwrap().unwrap().outputs["out"].digest)
                .unwrap()
                .len(),
            2
        );
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
        let other = self.open();
        let found = other.receipt(&receipts[0].key).unwrap().unwrap();
        assert_eq!(other.files(&found.outputs["out"].digest).unwrap().len(), 30);
    }
}

/// Puts files as the output of a cell, and its receipt.
fn commit(store: &dyn Results, name: &str, files: &[(&str, &str)]) -> Receipt {
    let receipt = made(store, name, files);
    store.put_receipt(&receipt).unwrap();
    receipt
}

/// Puts files as the output of a cell; its receipt is still to be put.
fn made(store: &dyn Results, name: &str, files: &[(&str, &str)]) -> Receipt {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let imported = store.import(folder.path()).unwrap();
    let parts = KeyParts::of("test", 1, serde_json::json!({ "name": name }));
    Receipt {
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
    }
}
