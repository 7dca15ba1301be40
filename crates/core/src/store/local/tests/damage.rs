//! Bad content is found, moved away, told, and never served.

use std::time::SystemTime;

use super::*;

/// Writes over the file, as a user with all rights could.
fn overwrite(path: &Path, bytes: &[u8]) {
    let _ = std::fs::remove_file(path);
    std::fs::write(path, bytes).unwrap();
}

/// Flips one bit and puts the modification time back, as a rotten disk would.
fn flip(path: &Path) {
    let before = path.metadata().unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    overwrite(path, &bytes);
    File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
}

fn quarantined(store: &Store) -> usize {
    std::fs::read_dir(store.root().join("quarantine")).unwrap().count()
}

#[test]
fn a_flipped_byte_in_a_member_is_never_served_and_a_rebuild_mends_it() {
    let (_folder, store) = fresh();
    let files = [("good", "good"), ("bad", "some bytes"), ("worse", "other bytes")];
    let receipt = commit(&store, 1, &files);
    let tree = tree_of(&receipt);
    flip(&store.blob(&Digest::of(b"some bytes")));
    flip(&store.blob(&Digest::of(b"other bytes")));
    // The stat shows nothing; the bytes do.
    assert!(store.receipt(&receipt.key).unwrap().is_some());
    let error = store.files(&tree).unwrap_err();
    assert!(matches!(error, Error::Damaged { digest, .. } if digest == Digest::of(b"some bytes")));
    let damage = store.take_damage();
    assert_eq!(damage.len(), 2, "{damage:?}");
    assert_eq!(quarantined(&store), 2);
    for one in &damage {
        let to = one.moved_to.as_ref().unwrap();
        assert!(to.starts_with(store.root().join("quarantine")) && to.exists());
        assert!(one.to_string().contains("its bytes have digest blake3:"), "{one}");
    }
    assert_eq!(store.receipt(&receipt.key).unwrap(), None);
    store.take_damage();
    assert_eq!(tree_of(&commit(&store, 1, &files)), tree);
    assert!(store.receipt(&receipt.key).unwrap().is_some());
    assert_eq!(store.files(&tree).unwrap().read("bad").unwrap(), b"some bytes");
    assert_eq!(store.take_damage(), []);
}

#[test]
fn a_write_to_a_blob_shows_in_its_stat() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a", "some bytes")]);
    overwrite(&store.blob(&Digest::of(b"some bytes")), b"same bytes");
    assert_eq!(store.receipt(&receipt.key).unwrap(), None);
    assert_eq!(store.take_damage().len(), 1);
    assert_eq!(quarantined(&store), 1);
}

#[test]
fn a_blob_that_lost_its_time_is_hashed_and_marked_again() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a", "some bytes")]);
    let member = crate::Member { digest: Digest::of(b"some bytes"), size: 10 };
    let blob = store.blob(&member.digest);
    File::open(&blob).unwrap().set_modified(SystemTime::now()).unwrap();
    assert_eq!(store.look(&member.digest, 10).unwrap(), blobs::Look::Changed);
    assert!(store.receipt(&receipt.key).unwrap().is_some());
    assert_eq!(store.look(&member.digest, 10).unwrap(), blobs::Look::Unchanged);
    assert_eq!(store.take_damage(), []);
}

#[test]
fn a_flipped_byte_in_a_manifest_is_found_by_the_receipt() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a", "some bytes")]);
    let tree = tree_of(&receipt);
    flip(&store.blob(&tree));
    assert_eq!(store.receipt(&receipt.key).unwrap(), None);
    let damage = store.take_damage();
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].digest, Some(tree));
    assert!(matches!(store.files(&tree), Err(Error::Damaged { .. })));
    assert!(store.recorded(&receipt.key).unwrap().is_some());
}

#[test]
fn a_missing_blob_makes_no_hit() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a", "some bytes")]);
    std::fs::remove_file(store.blob(&Digest::of(b"some bytes"))).unwrap();
    assert_eq!(store.receipt(&receipt.key).unwrap(), None);
    let damage = store.take_damage();
    assert_eq!(damage[0].moved_to, None);
    assert!(damage[0].to_string().ends_with(": is missing"));
}

#[test]
fn a_cut_manifest_is_as_none() {
    let (_folder, store) = fresh();
    let files = [("a", "1"), ("b", "2"), ("c", "3")];
    let receipt = commit(&store, 1, &files);
    let path = store.blob(&tree_of(&receipt));
    let bytes = std::fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(13) {
        overwrite(&path, &bytes[..cut]);
        assert_eq!(store.receipt(&receipt.key).unwrap(), None, "{cut}");
        assert_eq!(store.take_damage().len(), 1, "{cut}");
        assert!(!path.exists());
    }
    commit(&store, 1, &files);
    assert!(store.receipt(&receipt.key).unwrap().is_some());
}

#[test]
fn a_receipt_that_is_cut_or_changed_is_as_none_and_told() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a", "1")]);
    let path = store.receipt_path(&receipt.key);
    let bytes = std::fs::read(&path).unwrap();
    let mut bad: Vec<Vec<u8>> = (0..bytes.len()).step_by(29).map(|n| bytes[..n].to_vec()).collect();
    for place in (0..bytes.len()).step_by(17) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        bad.push(changed);
    }
    for bytes in &bad {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(store.receipt(&receipt.key).unwrap(), None);
        let damage = store.take_damage();
        assert_eq!(damage.len(), 1);
        assert_eq!((damage[0].digest, &damage[0].path), (Some(receipt.key), &path));
    }
    assert_eq!(quarantined(&store), bad.len());
    // A whole receipt of another key.
    let other = commit(&store, 2, &[("a", "1")]);
    std::fs::copy(store.receipt_path(&other.key), &path).unwrap();
    assert_eq!(store.receipt(&receipt.key).unwrap(), None);
    assert!(store.take_damage()[0].reason.contains("another key"));
}

#[test]
fn check_finds_all_that_is_bad() {
    let (_folder, store) = fresh();
    let good = commit(&store, 1, &[("a", "alpha")]);
    let bad = commit(&store, 2, &[("b", "beta"), ("c", "gamma")]);
    flip(&store.blob(&Digest::of(b"beta")));
    std::fs::write(store.receipt_path(&bad.key), "{}").unwrap();
    let seen = AtomicU64::new(0);
    let report = store
        .check(|done, all| {
            assert!(done <= all);
            seen.fetch_max(done, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(report.blobs.number, 5);
    assert_eq!(seen.into_inner(), report.blobs.size);
    assert_eq!(report.receipts, 2);
    assert_eq!(report.damage.len(), 2, "{:?}", report.damage);
    assert_eq!(store.check(|_, _| ()).unwrap().damage, []);
    assert!(store.receipt(&good.key).unwrap().is_some());
    assert_eq!(store.usage().unwrap().quarantine.number, 2);
}

/// Puts a pipe where nothing is.
#[cfg(target_os = "linux")]
fn pipe(path: &Path) {
    let (mode, kind) = (rustix::fs::Mode::RWXU, rustix::fs::FileType::Fifo);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// Makes something where nothing is.
#[cfg(target_os = "linux")]
type Make = fn(&Path);

/// What may stand in the place of a file: name and how it is made.
#[cfg(target_os = "linux")]
const OTHERS: [(&str, Make); 5] = [
    ("folder", |path| put(path, &[("inside", "x")])),
    ("empty folder", |path| std::fs::create_dir(path).unwrap()),
    ("pipe", pipe),
    ("socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    ("link to itself", |path| std::os::unix::fs::symlink(path, path).unwrap()),
];

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_goes_to_the_quarantine_and_is_rebuilt() {
    for (what, make) in OTHERS {
        let (folder, store) = fresh();
        // Paths of sockets are short.
        let to = folder.path().join("v");
        let files = [("a", "some bytes"), ("b", "others")];
        let receipt = commit(&store, 1, &files);
        let tree = tree_of(&receipt);
        store.export(&tree, &to).unwrap();
        store.set_last("p", &BTreeMap::from([("cell".to_owned(), receipt.key)])).unwrap();
        store.snapshot(&to, false).unwrap();
        let instead = |path: PathBuf| {
            std::fs::remove_file(&path).unwrap();
            if what.starts_with("link") {
                return make(&path);
            }
            // The name of a socket may have 108 bytes: made elsewhere, and moved.
            let short = folder.path().join("x");
            make(&short);
            std::fs::rename(short, path).unwrap();
        };
        let healed = |place: &str| {
            assert!(store.receipt(&receipt.key).unwrap().is_none(), "{what} for {place}");
            let damage = store.take_damage();
            assert_eq!(damage.len(), 1, "{what} for {place}: {damage:?}");
            assert!(damage[0].to_string().contains(", and no file"), "{}", damage[0]);
            assert_eq!(commit(&store, 1, &files), receipt);
            assert_eq!(store.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
            assert_eq!(store.take_damage(), [], "{what} for {place}");
        };
        instead(store.blob(&Digest::of(b"some bytes")));
        healed("blob");
        instead(store.blob(&tree));
        healed("manifest");
        instead(store.receipt_path(&receipt.key));
        healed("receipt");

        instead(store.root().join("last/p.json"));
        assert_eq!(store.last("p").unwrap(), BTreeMap::new(), "{what}");
        store.set_last("p", &BTreeMap::from([("other".to_owned(), receipt.key)])).unwrap();
        assert_eq!(store.last("p").unwrap().len(), 1);
        instead(store.root().join("last/p.json"));
        assert!(store.last_keys().unwrap().is_empty(), "{what}");

        instead(store.index_path("stat-index", &to));
        assert_eq!(store.snapshot(&to, false).unwrap().digest, tree, "{what}");
        instead(store.index_path("views", &to));
        store.export(&tree, &to).unwrap();
        assert!(!store.export(&tree, &to).unwrap(), "{what}");
        let log = store.log_path("p", &receipt.cell);
        std::fs::write(&log, "log").unwrap();
        instead(log);
        std::fs::write(store.log_path("p", &receipt.cell), "log").unwrap();
        store.take_damage();

        instead(store.blob(&Digest::of(b"others")));
        instead(store.receipt_path(&receipt.key));
        assert_eq!(store.check(|_, _| ()).unwrap().damage.len(), 2, "{what}");
        assert_eq!(store.check(|_, _| ()).unwrap().damage.len(), 0, "{what}");
        store.take_damage();
        assert_eq!(commit(&store, 1, &files), receipt);
        let limits = GcLimits { max_age: Some(std::time::Duration::ZERO), ..GcLimits::default() };
        std::thread::sleep(std::time::Duration::from_millis(20));
        store.gc(&[receipt.key].into(), &limits).unwrap();
        assert_eq!(quarantined(&store), 0, "{what}");
        assert!(store.receipt(&receipt.key).unwrap().is_some());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_in_place_of_a_folder_is_moved_away() {
    let (_folder, store) = fresh();
    let files = [("a", "some bytes")];
    let receipt = commit(&store, 1, &files);
    let blob = store.blob(&Digest::of(b"some bytes"));
    for place in [blob, store.receipt_path(&receipt.key)] {
        let folder = place.parent().unwrap();
        for make in [pipe, |path: &Path| std::fs::write(path, "x").unwrap()] {
            std::fs::remove_dir_all(folder).unwrap();
            make(folder);
            assert_eq!(store.receipt(&receipt.key).unwrap(), None);
            assert!(store.take_damage()[0].to_string().contains(", and no folder"));
            commit(&store, 1, &files);
            assert!(store.receipt(&receipt.key).unwrap().is_some());
            std::fs::remove_dir_all(folder).unwrap();
            make(folder);
            assert_eq!(store.check(|_, _| ()).unwrap().damage.len(), 1);
            commit(&store, 1, &files);
        }
    }
    for area in ["last", "stat-index", "views"] {
        std::fs::remove_dir_all(store.root().join(area)).unwrap();
        pipe(&store.root().join(area));
    }
    store.set_last("p", &BTreeMap::from([("cell".to_owned(), receipt.key)])).unwrap();
    assert_eq!(store.last("p").unwrap().len(), 1);
}

#[test]
fn what_was_damaged_is_never_told_to_be_missing() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a", "some bytes")]);
    flip(&store.blob(&Digest::of(b"some bytes")));
    assert!(store.files(&tree_of(&receipt)).is_err());
    store.take_damage();
    let other = Store::open(store.root()).unwrap();
    assert_eq!(other.receipt(&receipt.key).unwrap(), None);
    let told = other.take_damage()[0].to_string();
    assert!(told.ends_with(": was damaged, and is in quarantine"), "{told}");
    assert!(other.is_damaged(&receipt.key).unwrap());
}
