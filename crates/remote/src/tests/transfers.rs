//! What goes over, and how many calls that takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use sconce_core::key::KeyParts;
use sconce_core::store::{Receipt, Remote};
use sconce_core::{CellId, Coordinates, Device, Digest, Store};

use super::Machine;
use crate::Pushed;
use crate::bucket::Bucket;

/// A result with these files, in a store.
pub(super) fn commit(store: &Store, name: &str, files: &[(&str, Vec<u8>)]) -> Receipt {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let imported = store.import(folder.path()).unwrap();
    let parts = KeyParts::of("test", 1, serde_json::json!({ "name": name }));
    let receipt = Receipt {
        key: parts.key(),
        parts,
        cell: CellId { stage: name.to_owned(), coordinates: Coordinates::none() },
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

pub(super) fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// Bytes that do not compress.
pub(super) fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

#[test]
fn a_small_result_is_one_object_and_a_look_brings_all_of_it() {
    let service = memory();
    let (one, two) = (Machine::at(&service), Machine::at(&service));
    let receipt = commit(&one.store, "small", &[("a", b"alpha".to_vec()), ("b", Vec::new())]);
    one.shared.push(std::slice::from_ref(&receipt), false).unwrap();
    let names: Vec<String> = Bucket::new(Arc::clone(&service), "group")
        .list("results", 10)
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(two.store.receipt(&receipt.key).unwrap(), Some(receipt.clone()));
    let calls = two.shared.calls();
    assert_eq!(
        (calls.gets, calls.puts, calls.lists),
        (2, 0, 1),
        "the format, the result, the indices"
    );
    assert!(two.store.alone().receipt(&receipt.key).unwrap().is_some(), "its content is here");
    assert_eq!(two.store.receipt(&receipt.key).unwrap(), Some(receipt));
    assert_eq!(two.shared.calls(), calls, "what is here is not asked for");
}

#[test]
fn many_small_results_travel_together() {
    let service = memory();
    let (one, two) = (Machine::at(&service), Machine::at(&service));
    let made: Vec<Receipt> = (0..300)
        .map(|n| {
            commit(&one.store, &format!("r{n}"), &[("f", format!("content {n}").into_bytes())])
        })
        .collect();
    let pushed = one.shared.push(&made, false).unwrap();
    assert_eq!((pushed.results, pushed.there), (300, 0));
    let calls = one.shared.calls();
    assert!(calls.puts <= 4, "{calls:?}");
    let keys: Vec<Digest> = made.iter().map(|receipt| receipt.key).collect();
    two.store.ask_ahead(&keys).unwrap();
    for receipt in &made {
        assert_eq!(two.store.alone().receipt(&receipt.key).unwrap().as_ref(), Some(receipt));
    }
    let calls = two.shared.calls();
    assert!(calls.gets + calls.lists <= 5, "{calls:?}");
    let again = one.shared.push(&made, false).unwrap();
    assert_eq!((again.results, again.there), (0, 300));
    let third = Machine::at(&service);
    for receipt in &made[..40] {
        commit(
            &third.store,
            &receipt.cell.stage,
            &[("f", format!("content {}", &receipt.cell.stage[1..]).into_bytes())],
        );
    }
    let pushed = third.shared.push(&made[..40], false).unwrap();
    assert_eq!((pushed.results, pushed.there), (0, 40), "another machine's are not put again");
}

#[test]
fn large_content_goes_in_chunks_is_deflated_where_that_pays_and_goes_on_where_it_was() {
    let service = memory();
    let bucket = Bucket::new(Arc::clone(&service), "group");
    let (one, two) = (Machine::at(&service), Machine::at(&service));
    let files = [
        ("noise", noise(20 << 20, 7)),
        ("text", b"the same again and again ".repeat(400_000)),
        ("small", noise(100_000, 9)),
        ("empty", Vec::new()),
    ];
    let receipt = commit(&one.store, "large", &files);
    one.shared.push(std::slice::from_ref(&receipt), false).unwrap();
    let chunks = bucket.list("chunks", 100).unwrap();
    assert_eq!(chunks.len(), 3 + 2 + 1, "{chunks:?}");
    assert_eq!(chunks.iter().filter(|chunk| chunk.name.ends_with(".z")).count(), 2);
    assert_eq!(two.store.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
    assert!(!two.store.is_here(&receipt), "nothing is brought before it is read");
    let tree = &receipt.outputs["out"].digest;
    // One chunk is gone for a while: what came before it stays.
    let lost =
        chunks.iter().find(|chunk| !chunk.name.ends_with(".z") && chunk.size == 8 << 20).unwrap();
    let bytes = bucket.get(&lost.name).unwrap().unwrap();
    bucket.delete(&lost.name).unwrap();
    assert!(two.store.files(tree).is_err());
    bucket.put(&lost.name, bytes).unwrap();
    let before = two.shared.calls();
    assert_eq!(two.store.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
    let found = two.store.files(tree).unwrap();
    for (name, bytes) in &files {
        assert_eq!(&found.read(name).unwrap(), bytes, "{name}");
    }
    let received = two.shared.calls().received - before.received;
    assert!(received < 20 << 20, "chunks that were there are not asked for again: {received}");
}

#[test]
fn the_first_of_two_results_of_a_key_stays_unless_it_is_replaced() {
    let service = memory();
    let (one, two) = (Machine::at(&service), Machine::at(&service));
    let first = commit(&one.store, "twice", &[("f", b"first".to_vec())]);
    let second = commit(&two.store, "twice", &[("f", b"second".to_vec())]);
    assert_eq!(first.key, second.key);
    one.shared.push(std::slice::from_ref(&first), false).unwrap();
    two.shared.push(std::slice::from_ref(&second), false).unwrap();
    let found = |machine: &Machine| machine.store.receipt(&first.key).unwrap().unwrap();
    assert_eq!(found(&Machine::at(&service)), first);
    assert_eq!(found(&two), second, "each goes on with its own");
    two.shared.push(std::slice::from_ref(&second), true).unwrap();
    assert_eq!(found(&Machine::at(&service)), second);
}

#[test]
fn what_is_offered_is_there_at_the_end() {
    let service = memory();
    let (one, two) = (Machine::at(&service), Machine::at(&service));
    let made: Vec<Receipt> = (0..40)
        .map(|n| commit(&one.store, &format!("r{n}"), &[("f", noise(300_000 + n, 3))]))
        .collect();
    for receipt in &made {
        one.shared.offer(receipt, false);
    }
    let pushed = one.shared.finish();
    assert_eq!((pushed.results, pushed.failed, one.shared.waiting()), (40, 0, 0));
    for receipt in &made {
        assert_eq!(two.store.receipt(&receipt.key).unwrap().as_ref(), Some(receipt));
        assert_eq!(two.store.files(&receipt.outputs["out"].digest).unwrap().len(), 1);
    }
}

#[test]
fn what_an_earlier_process_did_not_put_there_a_later_one_does() {
    let service = memory();
    let (one, two) = (Machine::at(&service), Machine::at(&service));
    let made: Vec<Receipt> = (0..3)
        .map(|n| commit(&one.store, &format!("r{n}"), &[("f", noise(300_000 + n, 5))]))
        .collect();
    // One was put by somebody, and another's receipt was never written.
    one.shared.push(&made[..1], false).unwrap();
    one.shared.owe(&Digest::of(b"no receipt"));
    one.shared.offer_owed().unwrap();
    let pushed = one.shared.finish();
    assert_eq!((pushed.results, pushed.failed), (2, 0));
    for receipt in &made {
        assert_eq!(two.store.receipt(&receipt.key).unwrap().as_ref(), Some(receipt));
    }
    one.shared.offer_owed().unwrap();
    assert_eq!(one.shared.finish(), Pushed::default(), "nothing is owed any more");
}
