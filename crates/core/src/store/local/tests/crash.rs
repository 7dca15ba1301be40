//! Processes that are killed, and processes that work at once.

use std::time::Duration;

use super::*;

/// The files of cell `number`: a shared one, one of its own, a large one.
fn content(number: u64) -> Vec<(String, String)> {
    let large = format!("{number} ").repeat(40_000);
    vec![
        ("shared".to_owned(), "the same in every cell".to_owned()),
        (format!("own/{number}"), format!("cell {number}")),
        ("large".to_owned(), large),
    ]
}

fn commit_numbered(store: &Store, number: u64) -> Receipt {
    let content = content(number);
    let files: Vec<_> = content.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    commit(store, number, &files)
}

/// Where the children show their last cell.
fn view(store: &Store) -> PathBuf {
    store.root().with_file_name("view")
}

/// Commits and shows cell after cell until it is killed.
#[test]
fn child_that_commits() {
    let Some((folder, first)) = as_child() else {
        return;
    };
    let mut store = Store::open(&folder).unwrap();
    // As workers do, whose run waits for the disk.
    if first.ends_with("50") {
        store = store.deferring();
    }
    println!("\nready");
    for number in first.parse::<u64>().unwrap().. {
        let receipt = commit_numbered(&store, number);
        store.export(&tree_of(&receipt), &view(&store)).unwrap();
    }
}

/// Every file under a final name is whole; every receipt's content verifies.
fn assert_whole(store: &Store) {
    store
        .each_named("blobs", |name, path| {
            let digest = receipts::parse_hex(name).unwrap_or_else(|| panic!("{}", path.display()));
            assert_eq!(hash::of_path(path).unwrap().0, digest, "{}", path.display());
        })
        .unwrap();
    store
        .each_named("receipts", |name, path| {
            let key = name.strip_suffix(".json").and_then(receipts::parse_hex);
            let key = key.unwrap_or_else(|| panic!("{}", path.display()));
            let receipt = store.receipt(&key).unwrap().unwrap_or_else(|| panic!("{name}"));
            let files = store.files(&tree_of(&receipt)).unwrap();
            assert_eq!(files.len(), 3);
        })
        .unwrap();
    assert_eq!(store.take_damage(), []);
}

#[test]
fn killed_at_any_moment_nothing_is_half_written() {
    let (_folder, store) = fresh();
    std::fs::create_dir(view(&store)).unwrap();
    for round in 0..20_u64 {
        let mut one = child("crash::child_that_commits", store.root(), &(round * 50).to_string());
        wait_for(&mut one, "ready");
        std::thread::sleep(Duration::from_millis(round * 37 % 41));
        // However slow the machine: one of them gets so far as to finish a cell.
        while round == 19 && store.keys().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        one.kill().unwrap();
        one.wait().unwrap();
        assert_whole(&store);
        // Of the view, any file may be any cell's, but is whole.
        for (name, text) in texts(&view(&store)) {
            let number = match name.strip_prefix("own/") {
                Some(number) => number.parse().unwrap(),
                None => text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0),
            };
            assert!(content(number).contains(&(name, text)));
        }
    }
    // What the killed ones left in scratch goes when the store is opened next.
    let again = Store::open(store.root()).unwrap();
    assert_eq!(again.usage().unwrap().scratch, Count::default());
    let left = std::fs::read_dir(store.root().join("scratch")).unwrap().count();
    assert_eq!(left, 0);
    // Nothing of what the killed ones showed is taken for the user's.
    let shown = commit_numbered(&again, 7);
    again.export(&tree_of(&shown), &view(&store)).unwrap();
    assert_eq!(texts(&view(&store)), content(7).into_iter().collect());
    // The rest of the work gives what an undisturbed run gives.
    let (_other, undisturbed) = fresh();
    for number in [0, 50, 51] {
        let receipt = commit_numbered(&again, number);
        assert_eq!(receipt, commit_numbered(&undisturbed, number));
    }
}

#[test]
fn two_processes_commit_the_same_content_at_once() {
    let (_folder, store) = fresh();
    let mut both = [0, 0].map(|_| child("crash::child_that_commits", store.root(), "0"));
    both.iter_mut().for_each(|one| wait_for(one, "ready"));
    std::thread::sleep(Duration::from_millis(100));
    for one in &mut both {
        one.kill().unwrap();
        one.wait().unwrap();
    }
    assert_whole(&store);
    assert!(store.receipt(&commit_numbered(&store, 0).key).unwrap().is_some());
}

#[test]
fn threads_commit_the_same_content_at_once() {
    let (_folder, store) = fresh();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|number| drop(commit_numbered(&store, number))));
        }
    });
    assert_eq!(store.keys().unwrap().len(), 10);
    assert_whole(&store);
}

/// Takes the lock of a key and keeps it until it is killed.
#[test]
fn child_that_locks() {
    let Some((folder, text)) = as_child() else {
        return;
    };
    let store = Store::open(&folder).unwrap();
    let _lock = store.lock_key(&Digest::of(text.as_bytes())).unwrap();
    println!("\nlocked");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn locks_die_with_their_process() {
    let (_folder, store) = fresh();
    let key = Digest::of(b"key");
    let mut one = child("crash::child_that_locks", store.root(), "key");
    wait_for(&mut one, "locked");
    assert!(store.try_lock_key(&key).unwrap().is_none());
    assert!(store.try_lock_key(&Digest::of(b"other")).unwrap().is_some());
    let error = store.gc(&Default::default(), &GcLimits::default()).unwrap_err().to_string();
    assert!(error.contains("is in use by a run; nothing was removed"), "{error}");
    one.kill().unwrap();
    one.wait().unwrap();
    let lock = store.try_lock_key(&key).unwrap().unwrap();
    assert!(store.try_lock_key(&key).unwrap().is_none());
    drop(lock);
    assert!(store.try_lock_key(&key).unwrap().is_some());
    store.gc(&Default::default(), &GcLimits::default()).unwrap();
}

#[test]
fn scratch_of_the_living_stays_and_is_removed_at_its_end() {
    let (_folder, store) = fresh();
    let scratch = store.scratch(&Digest::of(b"key")).unwrap();
    put(scratch.path(), &[("a", "1")]);
    // A second process, as far as locks go.
    let other = Store::open(store.root()).unwrap();
    let second = other.scratch(&Digest::of(b"key")).unwrap();
    assert_ne!(scratch.path(), second.path());
    assert!(scratch.path().join("a").exists());
    let path = scratch.path().to_owned();
    drop(scratch);
    assert!(!path.exists());
}
