//! Making room.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Three cells, used 30, 20 and 10 days ago; the second and third share a file.
fn three(store: &Store) -> [Receipt; 3] {
    let text = |number: usize| format!("{number}").repeat(1000);
    let [one, two, three] = [1, 2, 3].map(text);
    let receipts = [
        commit(store, 1, &[("a", &one)]),
        commit(store, 2, &[("a", &two), ("shared", "shared")]),
        commit(store, 3, &[("a", &three), ("shared", "shared")]),
    ];
    for (receipt, days) in receipts.iter().zip([30, 20, 10]) {
        let file = File::options().write(true).open(store.receipt_path(&receipt.key)).unwrap();
        file.set_modified(SystemTime::now() - DAY * days).unwrap();
    }
    receipts
}

/// Which of them are still hits. Asking counts as a use, so this comes last.
fn hits(store: &Store, receipts: &[Receipt]) -> Vec<bool> {
    let hit = |receipt: &Receipt| store.receipt(&receipt.key).unwrap().is_some();
    let hits = receipts.iter().map(hit).collect();
    assert_eq!(store.take_damage(), []);
    hits
}

fn none() -> BTreeSet<Digest> {
    BTreeSet::new()
}

#[test]
fn without_limits_only_what_no_receipt_names_goes() {
    let (_folder, store) = fresh();
    let receipts = three(&store);
    let scratch = store.scratch(&Digest::of(b"x")).unwrap();
    put(scratch.path(), &[("orphan", "orphan")]);
    store.import(scratch.path()).unwrap();
    let error = store.gc(&none(), &GcLimits::default()).unwrap_err().to_string();
    assert!(error.contains("in use"), "a cell is being computed: {error}");
    drop(scratch);
    let dry = GcLimits { dry_run: true, ..GcLimits::default() };
    let told = store.gc(&none(), &dry).unwrap();
    assert_eq!((told.receipts.number, told.blobs.number), (0, 2));
    assert!(store.blob(&Digest::of(b"orphan")).exists());
    assert_eq!(store.gc(&none(), &GcLimits::default()).unwrap(), told);
    assert!(!store.blob(&Digest::of(b"orphan")).exists());
    assert_eq!(store.gc(&none(), &dry).unwrap().size(), 0);
    let usage = store.usage().unwrap();
    assert_eq!(told.left, usage.blobs.size + usage.receipts.size);
    assert_eq!(hits(&store, &receipts), [true; 3]);
}

#[test]
fn age_takes_what_was_not_used_and_keep_saves_it() {
    let (_folder, store) = fresh();
    let receipts = three(&store);
    let limits = GcLimits { max_age: Some(DAY * 15), ..GcLimits::default() };
    let keep = BTreeSet::from([receipts[0].key]);
    let report = store.gc(&keep, &limits).unwrap();
    assert_eq!(report.keys, [receipts[1].key]);
    // Its manifest and its own file; what is shared stays.
    assert_eq!(report.blobs.number, 2);
    assert_eq!(hits(&store, &receipts), [true, false, true]);
    // Asking was a use: nothing is old now.
    assert_eq!(store.gc(&none(), &limits).unwrap().receipts.number, 0);
}

#[test]
fn size_takes_the_least_recently_used_first() {
    let (_folder, store) = fresh();
    let receipts = three(&store);
    let usage = store.usage().unwrap();
    let all = usage.blobs.size + usage.receipts.size;
    let limit = |size| GcLimits { max_size: Some(size), ..GcLimits::default() };
    assert_eq!(store.gc(&none(), &limit(all)).unwrap().receipts.number, 0);
    let dry = GcLimits { dry_run: true, ..limit(all - 1) };
    assert_eq!(store.gc(&none(), &dry).unwrap().keys, [receipts[0].key]);
    let report = store.gc(&none(), &limit(all - 1)).unwrap();
    assert_eq!(report.keys, [receipts[0].key]);
    assert_eq!(report.left, all - report.size());
    // In use: the limit cannot be met, and that is said.
    let keep = BTreeSet::from([receipts[1].key]);
    let report = store.gc(&keep, &limit(10)).unwrap();
    assert_eq!(report.keys, [receipts[2].key]);
    assert!(report.over);
    assert_eq!(hits(&store, &receipts), [false, true, false]);
}

#[test]
fn checkpoints_logs_quarantine_and_scratch_go_in_their_time() {
    let (_folder, store) = fresh();
    let receipts = three(&store);
    let unfinished = Digest::of(b"unfinished");
    let wanted = Digest::of(b"wanted");
    put(&store.checkpoint(&receipts[2].key), &[("epoch", "1234")]);
    put(&store.checkpoint(&unfinished), &[("epoch", "12345")]);
    put(&store.checkpoint(&wanted), &[("epoch", "123456")]);
    put(&store.root().join("logs"), &[("p/cell.log", "log")]);
    put(&store.root().join("quarantine"), &[("blob", "bad")]);
    put(&store.root().join("scratch"), &[("dead/file", "left")]);
    drop(store.lock_key(&unfinished).unwrap());
    let keep = BTreeSet::from([wanted]);
    let report = store.gc(&keep, &GcLimits::default()).unwrap();
    // A finished cell's goes at once; the others wait for their age.
    assert_eq!(report.checkpoints, Count { number: 1, size: 4 });
    assert_eq!(report.scratch, Count { number: 1, size: 4 });
    assert_eq!((report.logs.number, report.quarantine.number), (0, 0));
    std::thread::sleep(Duration::from_millis(20));
    let limits = GcLimits { max_age: Some(Duration::from_millis(10)), ..GcLimits::default() };
    let report = store.gc(&keep, &limits).unwrap();
    assert_eq!(report.checkpoints, Count { number: 1, size: 5 });
    assert_eq!(report.logs, Count { number: 1, size: 3 });
    assert_eq!(report.quarantine, Count { number: 1, size: 3 });
    assert!(store.checkpoint(&wanted).exists());
    assert!(!store.root().join("locks").join(unfinished.hex()).exists());
    assert_eq!(store.usage().unwrap().blobs.number, 0);
}

#[test]
fn a_journal_goes_with_its_result_and_without_one_when_it_is_old() {
    let (_folder, store) = fresh();
    let receipts = three(&store);
    let told = |key: &Digest, days: u32, how| {
        let mut writer = store.write_journal(key, "p", "a");
        let values = vec![("loss".to_owned(), 1.0)];
        writer.tell(&crate::Update::Point { step: 1, epoch: None, values });
        writer.end(how, String::new());
        let file = File::options().write(true).open(store.journal_path(key)).unwrap();
        file.set_modified(SystemTime::now() - DAY * days).unwrap();
    };
    use crate::store::Ending::{Done, Failed};
    let [old_result, _, result] = receipts.map(|receipt| receipt.key);
    let [old_failure, failure, in_use] = [b"a", b"b", b"c"].map(|text| Digest::of(text));
    told(&old_result, 30, Done);
    told(&result, 30, Done);
    told(&old_failure, 30, Failed);
    told(&failure, 2, Failed);
    told(&in_use, 30, Failed);
    let limits = GcLimits { max_age: Some(DAY * 25), ..GcLimits::default() };
    let report = store.gc(&BTreeSet::from([in_use]), &limits).unwrap();
    assert_eq!((report.receipts.number, report.journals.number), (1, 2));
    let left: BTreeSet<_> = store.journals().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, BTreeSet::from([result, failure, in_use]));
}
