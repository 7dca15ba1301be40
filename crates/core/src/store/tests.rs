//! The store as its users see it.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::receipt::{KeyParts, Receipt};
use crate::{Coordinates, Device};

/// A store in a fresh folder, and room beside it.
fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join(".sconce")).unwrap();
    (folder, store)
}

fn put(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Commits files as a cell would.
fn commit(store: &Store, number: u64, files: &[(&str, &str)]) -> Receipt {
    let parts = KeyParts {
        kind: "test".to_owned(),
        version: 1,
        parameters: serde_json::json!({ "number": number }),
        inputs: BTreeMap::new(),
        seed: None,
        axes: Coordinates::none(),
        environment: BTreeMap::new(),
        content: None,
    };
    let key = parts.key();
    let scratch = store.scratch(&key).unwrap();
    put(scratch.path(), files);
    let output = store.import(scratch.path()).unwrap();
    let receipt = Receipt {
        key,
        parts,
        cell: CellId { stage: "stage".to_owned(), coordinates: Coordinates::none() },
        pipeline: "test".to_owned(),
        outputs: BTreeMap::from([("out".to_owned(), output.record("files", false))]),
        metrics: BTreeMap::from([("accuracy".to_owned(), 0.1 + number as f64)]),
        device: Device::Cpu,
        threads: 2,
        started: 1_700_000_000,
        seconds: 0.25,
        sconce: "0.1.0".to_owned(),
    };
    store.put_receipt(&receipt).unwrap();
    receipt
}

#[test]
fn what_was_committed_comes_back() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a.txt", "alpha"), ("deep/b ü", "beta")]);
    let tree = receipt.outputs["out"].digest;
    let again = Store::open(store.root()).unwrap();
    assert_eq!(again.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
    let files = again.files(&tree).unwrap();
    assert_eq!(files.digest(), tree);
    assert_eq!(files.read("deep/b ü").unwrap(), b"beta");
    assert_eq!(files.size(), receipt.outputs["out"].size);
    assert_eq!(again.take_damage(), []);
    assert_eq!(again.receipt(&Digest::of(b"other")).unwrap(), None);
}
