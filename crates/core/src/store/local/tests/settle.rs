//! Results that become durable together, and what is believed of them before.

use super::blobs::{Look, Mark, set_mark};
use super::*;
use crate::Member;

/// The looks at a receipt's manifest and files.
fn looks(store: &Store, receipt: &Receipt) -> Vec<Look> {
    let tree = tree_of(receipt);
    let text = std::fs::read(store.blob(&tree)).unwrap();
    let members = Store::members_of(&text).unwrap();
    let own = Member { digest: tree, size: text.len() as u64 };
    let look = |member: &Member| store.look(&member.digest, member.size).unwrap();
    [own].iter().chain(&members).map(look).collect()
}

const FILES: [(&str, &str); 2] = [("a", "alpha"), ("deep/b", "beta")];

#[test]
fn small_results_are_pending_until_they_are_settled() {
    let (_folder, store) = fresh();
    let deferring = store.deferring();
    let one = commit(&deferring, 1, &FILES);
    assert_eq!(looks(&store, &one), [Look::Pending; 3]);
    // They can be used, and who defers leaves the wait to another.
    assert_eq!(deferring.receipt(&one.key).unwrap().as_ref(), Some(&one));
    assert_eq!(deferring.files(&tree_of(&one)).unwrap().len(), 2);
    assert_eq!(commit(&deferring, 1, &FILES), one);
    assert_eq!(looks(&store, &one), [Look::Pending; 3]);
    store.settle(std::slice::from_ref(&one)).unwrap();
    assert_eq!(looks(&store, &one), [Look::Unchanged; 3]);
    assert_eq!(store.take_damage(), []);
}

#[test]
fn many_are_settled_at_once() {
    let (_folder, store) = fresh();
    let deferring = store.deferring();
    let commit = |number: u64| {
        let text = number.to_string();
        commit(&deferring, number, &[("own", &text), ("shared", "the same")])
    };
    let receipts: Vec<_> = (0..30).map(commit).collect();
    store.settle(&receipts).unwrap();
    for receipt in &receipts {
        assert_eq!(looks(&store, receipt), [Look::Unchanged; 3]);
    }
}

#[test]
fn the_next_reader_waits_for_what_a_kill_left_pending() {
    let (_folder, store) = fresh();
    let receipt = commit(&store.deferring(), 1, &FILES);
    let again = Store::open(store.root()).unwrap();
    assert_eq!(again.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
    // Who reads a manifest hashes it in any case.
    assert_eq!(looks(&again, &receipt)[1..], [Look::Unchanged; 2]);
}

/// What a disk may hold after a loss of power: names and times, but other bytes.
#[test]
fn nothing_is_believed_that_was_not_on_the_disk() {
    for (name, text) in FILES {
        let (_folder, store) = fresh();
        let receipt = commit(&store.deferring(), 1, &FILES);
        let digest = Digest::of(text.as_bytes());
        let path = store.blob(&digest);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, vec![0; text.len()]).unwrap();
        set_mark(&std::fs::File::open(&path).unwrap(), Mark::Pending, &digest).unwrap();
        assert_eq!(store.look(&digest, text.len() as u64).unwrap(), Look::Pending);
        assert_eq!(store.receipt(&receipt.key).unwrap(), None, "{name}");
        assert_eq!(store.take_damage().len(), 1);
        // Computed once more, it is right.
        assert_eq!(commit(&store, 1, &FILES), receipt);
        assert_eq!(store.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
    }
    for left in [0, 1, 100] {
        let (_folder, store) = fresh();
        let receipt = commit(&store.deferring(), 1, &FILES);
        let path = store.receipt_path(&receipt.key);
        std::fs::File::options().write(true).open(&path).unwrap().set_len(left).unwrap();
        assert_eq!(store.receipt(&receipt.key).unwrap(), None, "{left} bytes");
        assert_eq!(commit(&store, 1, &FILES), receipt);
    }
}

/// Larger files may be linked to where their times count.
#[test]
fn large_and_many_files_are_waited_for_at_once() {
    let (_folder, store) = fresh();
    let large = "x".repeat(1 << 20) + "y";
    let receipt = commit(&store.deferring(), 1, &[("large", &large)]);
    assert_eq!(looks(&store, &receipt), [Look::Unchanged; 2]);
    let names: Vec<String> = (0..65).map(|number| number.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let receipt = commit(&store.deferring(), 2, &many);
    assert_eq!(looks(&store, &receipt), [Look::Unchanged; 66]);
}

#[test]
fn what_is_gone_by_the_time_is_no_error() {
    let (_folder, store) = fresh();
    let receipts = [1, 2].map(|number| {
        let text = number.to_string();
        commit(&store.deferring(), number, &[("own", &text)])
    });
    std::fs::remove_file(store.blob(&tree_of(&receipts[0]))).unwrap();
    std::fs::remove_file(store.blob(&Digest::of(b"2"))).unwrap();
    store.settle(&receipts).unwrap();
}

#[test]
fn what_a_deferring_reader_finds_pending_is_settled_with_the_next() {
    let (_folder, store) = fresh();
    let receipt = commit(&store.deferring(), 1, &FILES);
    let again = Store::open(store.root()).unwrap();
    assert!(again.deferring().receipt(&receipt.key).unwrap().is_some());
    again.deferring().files(&tree_of(&receipt)).unwrap();
    assert_eq!(looks(&again, &receipt), [Look::Pending; 3]);
    again.settle(&[]).unwrap();
    assert_eq!(looks(&again, &receipt)[1..], [Look::Unchanged; 2]);
}
