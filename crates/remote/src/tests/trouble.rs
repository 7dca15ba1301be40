//! What goes wrong: damage, a service that is down, and what must not be written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sconce_core::Digest;
use sconce_core::store::{Receipt, Remote, Results};

use super::Machine;
use super::transfers::{commit, memory, noise};
use crate::Access;
use crate::bucket::{Bucket, Trouble};

#[test]
fn every_flipped_byte_is_found_and_what_was_lost_is_put_anew() {
    let service = memory();
    let bucket = Bucket::new(Arc::clone(&service), "group");
    let one = Machine::at(&service);
    let files = |n: usize| {
        vec![
            ("f", noise(if n < 3 { 300_000 } else { 500 }, n as u64 + 1)),
            ("g", format!("{n}").into_bytes()),
        ]
    };
    let made: Vec<Receipt> =
        (0..20).map(|n| commit(&one.store, &format!("r{n}"), &files(n))).collect();
    // Some by themselves, some in a bundle.
    for receipt in &made[..4] {
        one.shared.push(std::slice::from_ref(receipt), false).unwrap();
    }
    one.shared.push(&made[4..], false).unwrap();
    let objects: Vec<_> = ["results", "chunks", "bundles", "index"]
        .iter()
        .flat_map(|folder| bucket.list(folder, 1000).unwrap())
        .collect();
    assert!(objects.len() > 6);
    let mut random = noise(16 * 50, 99).into_iter();
    for turn in 0..50 {
        let mut number = || random.by_ref().take(4).fold(0_usize, |n, byte| n << 8 | byte as usize);
        let object = &objects[number() % objects.len()];
        let good = bucket.get(&object.name).unwrap().unwrap();
        let mut bad = good.to_vec();
        let at = number() % bad.len();
        bad[at] ^= 1 << (turn % 8);
        bucket.put(&object.name, bad.into()).unwrap();
        // A machine that never saw it: whatever it takes is right, and what it misses it puts anew.
        let two = Machine::at(&service);
        let mut lost = Vec::new();
        for (n, receipt) in made.iter().enumerate() {
            let whole = two.store.receipt(&receipt.key).unwrap().is_some_and(|found| {
                assert_eq!(found, *receipt);
                two.store.have(&found).unwrap()
            });
            if whole {
                let found = two.store.files(&receipt.outputs["out"].digest).unwrap();
                assert_eq!(found.read("f").unwrap(), files(n)[0].1);
            } else {
                assert_eq!(two.store.receipt(&receipt.key).unwrap(), None, "{}", object.name);
                commit(&two.store, &format!("r{n}"), &files(n));
                lost.push(receipt.clone());
            }
        }
        let told = two.shared.take_told();
        assert!(!told.is_empty(), "byte {at} of {} was not found", object.name);
        for receipt in &lost {
            two.shared.push(std::slice::from_ref(receipt), false).unwrap();
        }
        let three = Machine::at(&service);
        for receipt in &made {
            let found = three.store.receipt(&receipt.key).unwrap();
            assert_eq!(found.as_ref(), Some(receipt), "after byte {at} of {}", object.name);
            assert!(three.store.have(receipt).unwrap());
        }
        // Whatever was put beside it, the next turn begins with good ones.
        bucket.put(&object.name, good).unwrap();
    }
}

#[test]
fn a_service_that_is_down_is_told_once_and_taken_up_again() {
    let service = memory();
    let one = Machine::at(&service);
    let made = commit(&one.store, "result", &[("f", noise(400_000, 5))]);
    one.shared.push(std::slice::from_ref(&made), false).unwrap();
    let down = Arc::new(AtomicBool::new(true));
    let (is_down, inner) = (Arc::clone(&down), Arc::clone(&service));
    let two = Machine::with(Access::Full, move || match is_down.load(Ordering::SeqCst) {
        true => Err(Trouble::Down("no route".to_owned())),
        false => Ok(Bucket::new(Arc::clone(&inner), "group")),
    });
    for n in 0..5_u8 {
        assert_eq!(two.store.receipt(&Digest::of(&[n])).unwrap(), None);
    }
    assert!(two.claim(&made.key).unwrap().is_some());
    let told = two.shared.take_told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("does not answer: no route; going on without it"), "{told:?}");
    two.shared.offer(&made, false);
    assert_eq!(two.shared.finish().failed, 1, "it is told what is not there");
}

#[test]
fn nothing_is_put_where_results_are_only_read() {
    let service = memory();
    let one = Machine::at(&service);
    let made = commit(&one.store, "result", &[("f", b"x".to_vec())]);
    one.shared.push(std::slice::from_ref(&made), false).unwrap();
    let inner = Arc::clone(&service);
    let two = Machine::with(Access::ReadOnly, move || Ok(Bucket::new(Arc::clone(&inner), "group")));
    assert_eq!(two.store.receipt(&made.key).unwrap(), Some(made.clone()));
    let own = commit(&two.store, "own", &[("f", b"y".to_vec())]);
    two.shared.offer(&own, false);
    two.shared.finish();
    assert!(two.claim(&Digest::of(b"key")).unwrap().is_some());
    let error = two.shared.push(&[own], false).unwrap_err();
    assert!(error.to_string().contains("only read"), "{error}");
    let calls = two.shared.calls();
    assert_eq!((calls.puts, calls.deletes), (0, 0));
}

#[test]
fn a_newer_format_is_refused() {
    let service = memory();
    Bucket::new(Arc::clone(&service), "group").put("format", "sconce remote 2\n".into()).unwrap();
    let error = Machine::at(&service).store.receipt(&Digest::of(b"key")).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
}
