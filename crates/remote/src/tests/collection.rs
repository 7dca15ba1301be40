//! What `sconce gc --remote` removes, and what it does not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sconce_core::Digest;
use sconce_core::store::{Receipt, Remote, Results};

use super::Machine;
use super::transfers::{commit, noise};
use crate::bucket::Bucket;
use crate::collect::Limits;

/// A folder as a service: its files can be made old.
struct Aged(tempfile::TempDir, Arc<dyn object_store::ObjectStore>);

impl Aged {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        Self(folder, Arc::new(local))
    }

    /// All that is there was put so many days ago.
    fn age(&self, days: u64) {
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(crate::link::now())
            - Duration::from_secs(days * 24 * 3600);
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => std::fs::File::options()
                        .write(true)
                        .open(path)
                        .unwrap()
                        .set_modified(then)
                        .unwrap(),
                }
            }
        }
    }

    fn names(&self) -> BTreeSet<String> {
        let bucket = Bucket::new(Arc::clone(&self.1), "group");
        let all = ["results", "bundles", "index", "chunks", "claims"];
        all.iter()
            .flat_map(|folder| bucket.list(folder, 1000).unwrap())
            .map(|one| one.name)
            .collect()
    }
}

fn limits(days: u64, dry_run: bool) -> Limits {
    let max_age = Some(Duration::from_secs(days * 24 * 3600));
    Limits { max_age, dry_run, ..Limits::default() }
}

#[test]
fn old_results_go_with_what_they_alone_name_and_pinned_and_young_ones_stay() {
    let service = Aged::new();
    let one = Machine::at(&service.1);
    let make =
        |name: &str, seed: u64| commit(&one.store, name, &[("f", noise(400_000, 2 * seed + 1))]);
    let (old, pinned, twin) = (make("old", 1), make("pinned", 2), make("twin", 2));
    let many: Vec<Receipt> = (0..20).map(|n| make(&format!("m{n}"), n + 10)).collect();
    for receipt in [&old, &pinned, &twin] {
        one.shared.push(std::slice::from_ref(receipt), false).unwrap();
    }
    one.shared.push(&many, false).unwrap();
    one.shared.pin("study", &BTreeSet::from([pinned.key])).unwrap();
    service.age(40);
    let young = make("young", 3);
    one.shared.push(std::slice::from_ref(&young), false).unwrap();
    let before = service.names();
    let told = one.shared.collect(&limits(30, true)).unwrap();
    assert_eq!((told.results.number, told.bundles.number, told.chunks.number), (2, 2, 21));
    assert_eq!(service.names(), before, "nothing goes unless that is asked for");
    assert_eq!(one.shared.collect(&limits(60, true)).unwrap().results.number, 0);
    let kept = Limits { keep: BTreeSet::from([many[3].key]), ..limits(30, true) };
    assert_eq!(one.shared.collect(&kept).unwrap().bundles.number, 0, "a bundle stays as a whole");
    let gone = one.shared.collect(&limits(30, false)).unwrap();
    assert_eq!(gone, told);
    let two = Machine::at(&service.1);
    for receipt in [&pinned, &young] {
        assert_eq!(two.store.receipt(&receipt.key).unwrap().as_ref(), Some(receipt));
        assert!(two.store.have(receipt).unwrap());
    }
    for receipt in [&old, &twin, &many[3]] {
        assert_eq!(two.store.receipt(&receipt.key).unwrap(), None);
    }
    // Who put them knows that they are gone.
    assert_eq!(one.shared.push(std::slice::from_ref(&old), false).unwrap().results, 1);
    assert_eq!(Machine::at(&service.1).store.receipt(&old.key).unwrap(), Some(old));
}

#[test]
fn what_a_living_claim_may_be_about_to_name_stays() {
    let service = Aged::new();
    let one = Machine::at(&service.1);
    let receipt = commit(&one.store, "result", &[("f", noise(400_000, 1))]);
    one.shared.push(std::slice::from_ref(&receipt), false).unwrap();
    let bucket = Bucket::new(Arc::clone(&service.1), "group");
    // Its chunk is there, and the result is still to come.
    bucket.delete(&crate::record::Record::name(&receipt.key)).unwrap();
    service.age(2);
    let long = crate::claim::Lease {
        owner: "another".to_owned(),
        until: crate::link::now() + 60,
        since: crate::link::now() - 3 * 24 * 3600,
    };
    let claim = crate::claim::name(&Digest::of(b"long"));
    bucket.put(&claim, serde_json::to_vec(&long).unwrap().into()).unwrap();
    assert_eq!(one.shared.collect(&Limits::default()).unwrap().chunks.number, 0);
    bucket.delete(&claim).unwrap();
    assert_eq!(one.shared.collect(&Limits::default()).unwrap().chunks.number, 1);
}

#[test]
fn a_claim_of_a_killed_process_is_its_own_machines_at_once_and_others_later() {
    let service = Aged::new();
    let (one, two) = (Machine::at(&service.1), Machine::at(&service.1));
    let key = Digest::of(b"key");
    let bucket = Bucket::new(Arc::clone(&service.1), "group");
    let name = crate::claim::name(&key);
    // As a killed process leaves it.
    drop(one.claim(&key).unwrap().unwrap());
    let lease = |owner: String, until| {
        serde_json::to_vec(&crate::claim::Lease { owner, until, since: 0 }).unwrap()
    };
    let machine =
        String::from_utf8(one.store.remote_note(&one.shared.inner.id, "machine").unwrap()).unwrap();
    bucket.put(&name, lease(format!("{machine}.x"), crate::link::now() + 100).into()).unwrap();
    assert!(two.claim(&key).unwrap().is_none());
    assert!(one.claim(&key).unwrap().is_some());
    bucket.put(&name, lease("another".to_owned(), crate::link::now() - 1).into()).unwrap();
    assert!(one.shared.claim(&key).unwrap().is_some(), "it ended");
}
