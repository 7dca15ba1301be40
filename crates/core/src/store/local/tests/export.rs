//! The human view.

use super::*;

/// A tree with these files.
fn tree(store: &Store, files: &[(&str, &str)]) -> Digest {
    tree_of(&commit(store, 0, files))
}

#[test]
fn a_view_follows_the_trees_and_costs_nothing_when_it_shows_them() {
    let (folder, store) = fresh();
    let to = folder.path().join("artifacts/p/s");
    let large = "x".repeat(3 << 20);
    let one = tree(&store, &[("a", "1"), ("sub/b ü", "2"), ("sub/deep/c", "3"), ("large", &large)]);
    assert!(store.export(&one, &to).unwrap());
    assert!(!store.export(&one, &to).unwrap());
    let shown = [("a", "1"), ("sub/b ü", "2"), ("sub/deep/c", "3"), ("large", &large)];
    assert_eq!(texts(&to), named(&shown));
    let two = tree(&store, &[("a", "10"), ("sub/b ü", "2"), ("new", "n")]);
    assert!(store.export(&two, &to).unwrap());
    assert_eq!(texts(&to), named(&[("a", "10"), ("sub/b ü", "2"), ("new", "n")]));
    assert!(!to.join("sub/deep").exists());
    assert!(store.export(&one, &to).unwrap());
    assert_eq!(texts(&to), named(&shown));
    // Writing to a small file of the view does not reach the store.
    std::fs::write(to.join("a"), "mine").unwrap();
    assert!(store.export(&one, &to).unwrap());
    assert_eq!(texts(&to), named(&shown));
    std::fs::remove_file(to.join("sub/b ü")).unwrap();
    assert!(store.export(&one, &to).unwrap());
    assert_eq!(texts(&to), named(&shown));
    store.files(&one).unwrap();
    assert_eq!(store.take_damage(), []);
}

#[test]
fn a_file_becomes_a_folder_and_back() {
    let (folder, store) = fresh();
    let to = folder.path().join("view");
    let file = tree(&store, &[("a", "1"), ("b", "2")]);
    let below = tree(&store, &[("a/x", "1"), ("a/y/z", "3"), ("b", "2")]);
    for _ in 0..2 {
        store.export(&file, &to).unwrap();
        assert_eq!(texts(&to), named(&[("a", "1"), ("b", "2")]));
        store.export(&below, &to).unwrap();
        assert_eq!(texts(&to), named(&[("a/x", "1"), ("a/y/z", "3"), ("b", "2")]));
    }
}

#[test]
fn the_users_own_files_stay() {
    let (folder, store) = fresh();
    let to = folder.path().join("view");
    put(&to, &[("notes.md", "mine"), ("sub/mine", "mine"), ("a", "1")]);
    let one = tree(&store, &[("a", "1"), ("sub/b", "2"), ("c", "3")]);
    let before = to.join("a").metadata().unwrap().modified().unwrap();
    store.export(&one, &to).unwrap();
    // The same content was there already: it is left alone.
    assert_eq!(to.join("a").metadata().unwrap().modified().unwrap(), before);
    std::fs::write(to.join("c"), "edited").unwrap();
    let two = tree(&store, &[("d", "4")]);
    store.export(&two, &to).unwrap();
    let wanted = [("notes.md", "mine"), ("sub/mine", "mine"), ("c", "edited"), ("d", "4")];
    assert_eq!(texts(&to), named(&wanted));
    // A folder of the user's where a file has to be.
    let three = tree(&store, &[("sub", "file")]);
    let error = store.export(&three, &to).unwrap_err().to_string();
    let path = to.join("sub");
    assert_eq!(
        error,
        format!("{}: something of yours is where a file has to be; move it away", path.display())
    );
    assert!(to.join("sub/mine").exists());
    // A file of the user's where a folder has to be.
    let four = tree(&store, &[("notes.md/x", "1")]);
    let error = store.export(&four, &to).unwrap_err().to_string();
    assert!(error.ends_with("something of yours is where a folder has to be; move it away"));
    assert_eq!(std::fs::read_to_string(to.join("notes.md")).unwrap(), "mine");
}

#[test]
fn what_a_killed_export_put_is_known_for_ours() {
    let (folder, store) = fresh();
    let to = folder.path().join("view");
    let one = tree(&store, &[("a", "1"), ("b/c", "2")]);
    // As if it was killed between putting the files and the record of their stats.
    let record = store.index_path("views", &to);
    let member = |text: &str| stat_index::Known {
        stat: walk::Stat { size: 1, ..walk::Stat::default() },
        digest: Digest::of(text.as_bytes()),
        settled: true,
    };
    let planned = [("a", member("0")), ("a", member("1")), ("b/c", member("2"))];
    let nothing = Digest::of(b"");
    store.write_cache(&record, &stat_index::encode(&nothing, planned.into_iter())).unwrap();
    put(&to, &[("a", "1"), ("b/c", "2")]);
    let two = tree(&store, &[("d", "4")]);
    store.export(&two, &to).unwrap();
    assert_eq!(texts(&to), named(&[("d", "4")]));
    store.export(&one, &to).unwrap();
    assert_eq!(texts(&to), named(&[("a", "1"), ("b/c", "2")]));
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    let (folder, store) = fresh();
    let to = folder.path().join("view");
    let outside = folder.path().join("outside");
    put(&outside, &[("a", "theirs")]);
    std::fs::create_dir(&to).unwrap();
    std::os::unix::fs::symlink(&outside, to.join("sub")).unwrap();
    std::os::unix::fs::symlink(outside.join("a"), to.join("a")).unwrap();
    let error = store.export(&tree(&store, &[("sub/a", "1")]), &to).unwrap_err();
    assert!(error.to_string().contains("has to be"), "{error}");
    store.export(&tree(&store, &[("a", "1")]), &to).unwrap();
    assert_eq!(std::fs::read_to_string(to.join("a")).unwrap(), "1");
    assert_eq!(texts(&outside), named(&[("a", "theirs")]));
}

#[test]
fn damaged_content_is_not_shown() {
    let (folder, store) = fresh();
    let to = folder.path().join("view");
    let one = tree(&store, &[("a", "1"), ("b", "2")]);
    let blob = store.blob(&Digest::of(b"2"));
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, "3").unwrap();
    assert!(matches!(store.export(&one, &to), Err(Error::Damaged { .. })));
    assert_eq!(texts(&to), named(&[("a", "1")]));
    assert_eq!(store.take_damage().len(), 1);
}

/// Flips a bit and keeps size, time and number of the file, as a rotten disk would.
fn rot(path: &Path) {
    use std::io::Write;
    let before = path.metadata().unwrap().modified().unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut permissions = path.metadata().unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "the test's own file")]
    permissions.set_readonly(false);
    std::fs::set_permissions(path, permissions).unwrap();
    let mut file = File::options().write(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
    file.set_modified(before).unwrap();
}

#[test]
fn a_link_to_damaged_content_is_replaced_when_that_is_rebuilt() {
    let (folder, store) = fresh();
    let large = "large ".repeat(1 << 19);
    let files = [("large", large.as_str()), ("small", "s")];
    let one = tree(&store, &files);
    let views = ["p/s", "q/s"].map(|name| folder.path().join(name));
    for to in &views {
        store.export(&one, to).unwrap();
    }
    rot(&store.blob(&Digest::of(large.as_bytes())));
    let other = Store::open(store.root()).unwrap();
    // Links shows what the store has; the stat is what it was.
    assert!(!store.export(&one, &views[0]).unwrap());
    assert!(other.files(&one).is_err(), "found by another process");
    // While it is shown it stays, so that the next run knows.
    drop(other);
    let limits = GcLimits { max_age: Some(std::time::Duration::ZERO), ..GcLimits::default() };
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(
        store.gc(&store.keys().unwrap().into_iter().collect(), &limits).unwrap().quarantine.number,
        0
    );
    assert_eq!(tree(&store, &files), one);
    for to in &views {
        assert!(store.export(&one, to).unwrap());
        assert_eq!(texts(to), named(&files));
        assert!(!store.export(&one, to).unwrap());
    }
    // A link that is not to be shown any more is still known for ours.
    rot(&store.blob(&Digest::of(large.as_bytes())));
    assert!(store.files(&one).is_err());
    let two = tree(&store, &[("small", "s")]);
    store.export(&two, &views[0]).unwrap();
    assert_eq!(texts(&views[0]), named(&[("small", "s")]));
}

#[test]
fn views_that_are_no_longer_shown_go_and_what_is_the_user_s_stays() {
    let (folder, store) = fresh();
    let root = folder.path().join("artifacts/p");
    let one = tree(&store, &[("a", "1"), ("deep/b", "2")]);
    for name in ["s/c=1", "s/c=2", "old", "outputs/one", "outputs/two", "now"] {
        store.export(&one, &root.join(name)).unwrap();
    }
    put(&root, &[("notes.md", "mine"), ("s/c=2/mine", "mine"), ("users/a", "1")]);
    std::fs::write(root.join("outputs/two/a"), "edited").unwrap();
    let remove = |names: &[&str]| {
        let shown = names.iter().map(PathBuf::from).collect();
        let gone = store.remove_stale_views(&root, &shown).unwrap();
        gone.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>()
    };
    let all = ["s/c=1", "s/c=2", "old", "outputs/one", "outputs/two", "now"];
    assert_eq!(remove(&all), [""; 0]);
    assert_eq!(remove(&["s/c=1", "now", "new"]), ["old", "outputs/one", "outputs/two", "s/c=2"]);
    let left = [
        ("s/c=1/a", "1"),
        ("s/c=1/deep/b", "2"),
        ("s/c=2/mine", "mine"),
        ("notes.md", "mine"),
        ("users/a", "1"),
        ("outputs/two/a", "edited"),
        ("now/a", "1"),
        ("now/deep/b", "2"),
    ];
    assert_eq!(texts(&root), named(&left));
    assert!(!root.join("old").exists() && !root.join("outputs/one").exists());
    assert_eq!(remove(&["s/c=1", "now", "new"]), [""; 0]);
    // Several outputs, then one that is shown in the folder above theirs, and back.
    let inner = tree(&store, &[("a", "1")]);
    let outer = tree(&store, &[("x/a", "1"), ("y", "2")]);
    store.export(&inner, &root.join("now/x")).unwrap();
    store.export(&outer, &root.join("now")).unwrap();
    assert_eq!(remove(&["now"]), ["now/x", "s/c=1"]);
    assert_eq!(std::fs::read_to_string(root.join("now/x/a")).unwrap(), "1");
    store.export(&inner, &root.join("now/x")).unwrap();
    assert_eq!(remove(&["now/x"]), ["now"]);
    assert_eq!(std::fs::read_to_string(root.join("now/x/a")).unwrap(), "1");
    assert!(!root.join("now/y").exists());
}

#[test]
fn a_store_that_cannot_be_written_shows_copies() {
    let (folder, store) = fresh();
    let large = "large ".repeat(1 << 19);
    let files = [("large", large.as_str()), ("deep/small", "s")];
    let one = tree(&store, &files);
    let mut store = store;
    Arc::get_mut(&mut store.inner).unwrap().writable = false;
    let to = folder.path().join("view");
    put(&to, &[("mine", "mine")]);
    assert!(store.export(&one, &to).unwrap());
    let shown = [&files[..], &[("mine", "mine")]].concat();
    assert_eq!(texts(&to), named(&shown));
    assert!(!store.export(&one, &to).unwrap());
    // Copies: writing to one does not reach the store.
    std::fs::write(to.join("large"), "changed").unwrap();
    assert!(store.export(&one, &to).unwrap());
    assert_eq!(texts(&to), named(&shown));
    assert_eq!(store.read_index(&store.index_path("views", &to)).unwrap(), [0; 0]);
    store.set_last("p", &BTreeMap::from([("cell".to_owned(), one)])).unwrap();
    assert!(store.last("p").unwrap().is_empty());
    store.snapshot(&to, false).unwrap();
    assert_eq!(std::fs::read_dir(store.root().join("stat-index")).unwrap().count(), 0);
}
