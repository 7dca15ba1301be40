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
