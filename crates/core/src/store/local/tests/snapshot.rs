//! Local files by content.

use std::time::Duration;

use super::*;

/// Longer than a tick of the clock of file times, so that stats can be trusted.
fn settle() {
    std::thread::sleep(Duration::from_millis(70));
}

#[test]
fn content_counts_and_nothing_else() {
    let (folder, store) = fresh();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let files = [("x y/ü.txt", "1"), (".hidden", "2"), ("x/a", "3"), ("x-a", "4"), ("x", "")];
    put(&a, &files[..2]);
    put(&b, &files[..2]);
    std::fs::create_dir(b.join("empty")).unwrap();
    let snapshot = store.snapshot(&a, false).unwrap();
    assert_eq!(snapshot.digest, store.snapshot(&b, false).unwrap().digest);
    let plain = crate::Files::from_folder(&a).unwrap();
    assert_eq!((snapshot.digest, snapshot.size), (plain.digest(), plain.size()));
    // Names sort by their bytes, folders or not, as the digest of the tree wants.
    put(&a, &files[2..4]);
    let plain = crate::Files::from_folder(&a).unwrap();
    assert_eq!(store.snapshot(&a, false).unwrap().digest, plain.digest());
}

#[test]
fn unchanged_files_are_not_read() {
    let (folder, store) = fresh();
    let data = folder.path().join("data");
    put(&data, &[("a", "alpha"), ("b", "beta")]);
    settle();
    let honest = store.snapshot(&data, false).unwrap();
    // Poison what the index says: only a snapshot that does not read believes it.
    let path = store.index_path("stat-index", &std::fs::canonicalize(&data).unwrap());
    let bytes = std::fs::read(&path).unwrap();
    let mut index = stat_index::decode(&bytes).unwrap();
    let lie = Digest::of(b"lie");
    index.tree = lie;
    index.entries[0].1.digest = lie;
    std::fs::write(&path, stat_index::encode(&lie, index.entries.into_iter())).unwrap();
    let believed = store.snapshot(&data, false).unwrap();
    assert_eq!((believed.digest, believed.members["a"].digest), (lie, lie));
    // A torn index is as none.
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 10, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert_eq!(store.snapshot(&data, false).unwrap(), honest);
    }
}

#[test]
fn changes_are_seen_and_named() {
    let (folder, store) = fresh();
    let data = folder.path().join("data");
    put(&data, &[("a", "1"), ("b", "2"), ("sub/c", "3")]);
    settle();
    let before = store.snapshot(&data, false).unwrap();
    let changes = || {
        let now = store.snapshot(&data, false).unwrap();
        let plain = crate::Files::from_folder(&data).unwrap();
        assert_eq!(now.digest, plain.digest());
        store.changes(&before.digest, &now).unwrap()
    };
    assert_eq!(changes(), None);
    store.import_snapshot(&data, &before).unwrap();
    assert_eq!(changes(), Some(Changes::default()));
    put(&data, &[("b", "20"), ("d", "4")]);
    std::fs::remove_file(data.join("sub/c")).unwrap();
    let wanted = Changes {
        changed: vec!["b".to_owned()],
        added: vec!["d".to_owned()],
        removed: vec!["sub/c".to_owned()],
    };
    assert_eq!(changes(), Some(wanted));
    assert_eq!(store.take_damage(), []);
}

#[cfg(unix)]
#[test]
fn a_change_of_the_same_size_and_modification_time_is_seen() {
    let (folder, store) = fresh();
    let file = folder.path().join("file");
    std::fs::write(&file, "aaaa").unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    settle();
    let before = store.snapshot(&file, false).unwrap();
    std::fs::write(&file, "bbbb").unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
    let after = store.snapshot(&file, false).unwrap();
    assert_ne!(before.digest, after.digest);
    assert_eq!(after.members["file"].digest, Digest::of(b"bbbb"));
}

#[test]
fn writes_faster_than_the_clock_of_file_times_are_seen() {
    let (folder, store) = fresh();
    let file = folder.path().join("file");
    for number in 1000..1100 {
        let text = number.to_string();
        std::fs::write(&file, &text).unwrap();
        let snapshot = store.snapshot(&file, false).unwrap();
        assert_eq!(snapshot.members["file"].digest, Digest::of(text.as_bytes()));
    }
}

#[test]
fn version_control_and_stores_are_passed_over_and_told() {
    let (folder, _) = fresh();
    let data = folder.path().join("data");
    let store = Store::open(&data.join("cache")).unwrap();
    put(&data, &[("a", "1"), (".git/HEAD", "x"), ("sub/.sconce/format", "1"), (".gitignore", "")]);
    let snapshot = store.snapshot(&data, false).unwrap();
    assert_eq!(snapshot.ignored, [".git", "cache", "sub/.sconce"]);
    let names: Vec<_> = snapshot.members.keys().collect();
    assert_eq!(names, [".gitignore", "a"]);
}

#[cfg(unix)]
#[test]
fn the_path_itself_may_be_a_link_and_a_missing_one_is_named() {
    let (folder, store) = fresh();
    put(&folder.path().join("true"), &[("a", "1")]);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("true"), &link).unwrap();
    let snapshot = store.snapshot(&link, false).unwrap();
    assert_eq!(snapshot.members.len(), 1);
    store.import_snapshot(&link, &snapshot).unwrap();
    let missing = folder.path().join("missing");
    let error = store.snapshot(&missing, false).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
}

/// As in Hugging Face's caches: a folder of links to blobs beside it.
#[cfg(unix)]
#[test]
fn links_count_as_what_they_lead_to() {
    use std::os::unix::fs::symlink;
    let (folder, store) = fresh();
    let cache = folder.path().join("cache");
    put(&cache, &[("blobs/89a1", "cat"), ("pool/dogs/1.png", "dog")]);
    put(&cache, &[("snapshots/1/README", "x"), ("snapshots/1/train/bird/2.png", "bird")]);
    let snapshot = cache.join("snapshots/1");
    symlink("../../blobs/89a1", snapshot.join("cat.png")).unwrap();
    symlink("../../../pool/dogs", snapshot.join("train/dog")).unwrap();
    let names = |path: &Path, links| -> Result<Vec<String>> {
        Ok(store.snapshot(path, links)?.members.into_keys().collect())
    };
    let expected = ["README", "cat.png", "train/bird/2.png", "train/dog/1.png"];
    assert_eq!(names(&snapshot, true).unwrap(), expected);
    // They leave the snapshot, but not the cache.
    let error = names(&snapshot, false).unwrap_err().to_string();
    assert!(
        error.contains("leads out of the folder") && error.contains("`links = \"follow\"`"),
        "{error}"
    );
    assert_eq!(names(&cache, false).unwrap().len(), 6);
    let taken = store.snapshot(&snapshot, true).unwrap();
    let imported = store.import_snapshot(&snapshot, &taken).unwrap();
    assert_eq!(store.files(&imported.digest).unwrap().read("cat.png").unwrap(), b"cat");
    let same = folder.path().join("same");
    put(&same, &[("README", "x"), ("cat.png", "cat"), ("train/bird/2.png", "bird")]);
    put(&same, &[("train/dog/1.png", "dog")]);
    assert_eq!(store.snapshot(&same, false).unwrap().digest, taken.digest);
    // One file is known by the link's name, not by the blob's.
    assert_eq!(names(&snapshot.join("cat.png"), false).unwrap(), ["cat.png"]);
    let alone = store.snapshot(&snapshot.join("cat.png"), false).unwrap();
    store.import_snapshot(&snapshot.join("cat.png"), &alone).unwrap();

    let odd = folder.path().join("odd");
    put(&odd, &[("a/b/x", "1")]);
    symlink("..", odd.join("a/b/up")).unwrap();
    let error = names(&odd, true).unwrap_err().to_string();
    assert!(error.contains("is a symbolic link to a folder that it lies in"), "{error}");
    std::fs::remove_file(odd.join("a/b/up")).unwrap();
    put(&odd, &[("c/y", "1")]);
    symlink("../../c", odd.join("a/b/c")).unwrap();
    symlink("../a", odd.join("c/a")).unwrap();
    assert!(names(&odd, true).unwrap_err().to_string().contains("that it lies in"));
    std::fs::remove_file(odd.join("c/a")).unwrap();
    symlink("gone", odd.join("c/gone")).unwrap();
    let error = names(&odd, true).unwrap_err().to_string();
    assert!(error.contains("leads nowhere (to gone)"), "{error}");
}

#[test]
fn import_copies_what_is_missing_and_refuses_what_changed_meanwhile() {
    let (folder, store) = fresh();
    let data = folder.path().join("data");
    let large = "large ".repeat(100_000);
    put(&data, &[("a", "alpha"), ("b", "beta"), ("large", &large)]);
    let snapshot = store.snapshot(&data, false).unwrap();
    let imported = store.import_snapshot(&data, &snapshot).unwrap();
    assert_eq!((imported.digest, imported.size), (snapshot.digest, snapshot.size));
    let files = store.files(&imported.digest).unwrap();
    assert_eq!(files.read("large").unwrap(), large.as_bytes());
    // The user's files are still the user's.
    assert!(!data.join("a").metadata().unwrap().permissions().readonly());
    put(&data, &[("b", "BETA")]);
    let snapshot = store.snapshot(&data, false).unwrap();
    put(&data, &[("b", "bETA")]);
    let error = store.import_snapshot(&data, &snapshot).unwrap_err().to_string();
    let wanted = format!("{}: changed while it was read", data.join("b").display());
    assert!(error.ends_with("data/b: changed while it was read"), "{error} {wanted}");
    assert!(!store.blob(&snapshot.digest).exists());
    assert!(store.files(&imported.digest).is_ok());
}
