//! The store as its users see it.

mod crash;
mod damage;
mod export;
mod gc;
mod runs;
mod settle;
mod snapshot;
mod unlocked;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::key::KeyParts;
use crate::store::Receipt;
use crate::{Coordinates, Device};

/// A store in a fresh folder, and room beside it.
fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join(".sconce")).unwrap();
    (folder, store)
}

fn put(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Commits files as a cell would.
fn commit(store: &Store, number: u64, files: &[(&str, &str)]) -> Receipt {
    let parts = KeyParts::of("test", 1, serde_json::json!({ "number": number }));
    let key = parts.key();
    let scratch = store.scratch(&key).unwrap();
    put(scratch.path(), files);
    let output = store.import(scratch.path()).unwrap();
    let receipt = Receipt {
        key,
        parts,
        cell: CellId { stage: "stage".to_owned(), coordinates: Coordinates::none() },
        pipeline: "test".to_owned(),
        outputs: BTreeMap::from([("out".to_owned(), output.record("files", false))]),
        metrics: BTreeMap::from([("accuracy".to_owned(), 0.1 + number as f64)]),
        device: Device::Cpu,
        threads: 2,
        started: 1_700_000_000,
        seconds: 0.25,
        sconce: "0.1.0".to_owned(),
    };
    store.put_receipt(&receipt).unwrap();
    receipt
}

fn tree_of(receipt: &Receipt) -> Digest {
    receipt.outputs["out"].digest
}

/// Names and texts of all files below a folder.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let files = walk::walk(folder, walk::Links::Refuse, |_, _| false).unwrap().files;
    let text = |(name, _): (String, _)| {
        let text = std::fs::read_to_string(folder.join(&name)).unwrap();
        (name, text)
    };
    files.into_iter().map(text).collect()
}

fn named(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    files.iter().map(own).collect()
}

/// Runs one test of this binary in a process of its own, which sees `folder` and `argument`.
fn child(test: &str, folder: &Path, argument: &str) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::local::tests::{test}"), "--nocapture"])
        .env("SCONCE_TEST_CHILD", folder)
        .env("SCONCE_TEST_ARGUMENT", argument)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// In a process made by [`child`]: its folder and argument.
fn as_child() -> Option<(PathBuf, String)> {
    let folder = std::env::var_os("SCONCE_TEST_CHILD")?;
    Some((folder.into(), std::env::var("SCONCE_TEST_ARGUMENT").ok()?))
}

/// Waits until a child says `word` on a line of its own.
fn wait_for(child: &mut std::process::Child, word: &str) {
    use std::io::BufRead;
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    assert!(out.lines().any(|line| line.unwrap().ends_with(word)));
}

#[test]
fn what_was_committed_comes_back() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[("a.txt", "alpha"), ("deep/b ü", "beta")]);
    let tree = tree_of(&receipt);
    let again = Store::open(store.root()).unwrap();
    assert_eq!(again.receipt(&receipt.key).unwrap().as_ref(), Some(&receipt));
    let files = again.files(&tree).unwrap();
    assert_eq!(files.digest(), tree);
    assert_eq!(files.read("deep/b ü").unwrap(), b"beta");
    assert_eq!(files.size(), receipt.outputs["out"].size);
    assert_eq!(again.take_damage(), []);
    assert_eq!(again.receipt(&Digest::of(b"other")).unwrap(), None);
    assert_eq!(again.keys().unwrap(), [receipt.key]);
}

#[test]
fn an_empty_output_is_a_tree_too() {
    let (_folder, store) = fresh();
    let receipt = commit(&store, 1, &[]);
    assert!(store.receipt(&receipt.key).unwrap().is_some());
    assert!(store.files(&tree_of(&receipt)).unwrap().is_empty());
}

#[test]
fn import_gives_the_digest_of_the_folder_and_moves_only_what_has_one_name() {
    let (folder, store) = fresh();
    let out = folder.path().join("out");
    let large = "0123456789abcdef".repeat(100_000);
    put(&out, &[("one", "1"), ("same", "1"), ("sub/large", &large)]);
    std::fs::hard_link(out.join("one"), folder.path().join("users")).unwrap();
    let wanted = crate::Files::from_folder(&out).unwrap();
    let imported = store.import(&out).unwrap();
    assert_eq!(imported.digest, wanted.digest());
    assert_eq!((imported.files, imported.size), (3, wanted.size()));
    assert_eq!(store.files(&imported.digest).unwrap().digest(), wanted.digest());
    // Writing through the other name does not reach the store.
    std::fs::write(folder.path().join("users"), "2").unwrap();
    assert_eq!(store.files(&imported.digest).unwrap().read("one").unwrap(), b"1");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let blob = store.blob(&Digest::of(large.as_bytes()));
        assert_eq!(blob.metadata().unwrap().permissions().mode() & 0o777, 0o444);
    }
}

#[test]
fn many_files_are_committed_together() {
    let (folder, store) = fresh();
    let out = folder.path().join("out");
    let texts: Vec<_> =
        (0..90).map(|i| (format!("d{}/{i}", i % 7), format!("{}", i % 70))).collect();
    let files: Vec<_> = texts.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    put(&out, &files);
    let wanted = crate::Files::from_folder(&out).unwrap().digest();
    assert_eq!(store.import(&out).unwrap().digest, wanted);
    assert_eq!(store.files(&wanted).unwrap().len(), 90);
    assert_eq!(store.usage().unwrap().blobs.number, 71);
}

#[cfg(target_os = "linux")]
#[test]
fn links_pipes_and_odd_names_are_refused_with_their_path() {
    use std::os::unix::ffi::OsStrExt;
    let (folder, store) = fresh();
    let refused = |name: &[u8], make: &dyn Fn(&Path)| {
        let out = folder.path().join("out");
        let _ = std::fs::remove_dir_all(&out);
        std::fs::create_dir_all(out.join("sub")).unwrap();
        make(&out.join("sub").join(std::ffi::OsStr::from_bytes(name)));
        let error = store.import(&out).unwrap_err().to_string();
        assert!(store.snapshot(&out, false).is_err());
        error.replace(&*folder.path().to_string_lossy(), "…")
    };
    assert_eq!(
        refused(b"link", &|path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap()),
        "…/out/sub/link: is a symbolic link (to /etc/passwd); expected plain files and folders: \
         put the file itself there, or name its true place"
    );
    assert_eq!(
        refused(b"pipe", &|path| {
            let mode = rustix::fs::Mode::RUSR;
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        }),
        "…/out/sub/pipe: is a device, socket or pipe; expected plain files and folders"
    );
    assert_eq!(
        refused(b"bad\xff", &|path| std::fs::write(path, "x").unwrap()),
        "…/out/sub: the name \"bad\\xFF\" is not UTF-8, and only names that are can be kept; rename it"
    );
}

#[test]
fn materialised_files_have_their_names_and_bytes() {
    let (folder, store) = fresh();
    let receipt = commit(&store, 1, &[(".hidden", "h"), ("a b/ü", "u"), ("a b/c/d", "")]);
    let files = store.files(&tree_of(&receipt)).unwrap();
    let to = folder.path().join("in");
    store.materialise(&files, &to).unwrap();
    assert_eq!(texts(&to), named(&[(".hidden", "h"), ("a b/ü", "u"), ("a b/c/d", "")]));
    let error = store.materialise(&files, &to).unwrap_err().to_string();
    assert!(error.contains(".hidden"), "{error}");
}

#[test]
fn a_newer_store_is_refused() {
    let (_folder, store) = fresh();
    let format = store.root().join("format");
    std::fs::write(&format, "7\n").unwrap();
    let error = Store::open(store.root()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{}: the store has format 7, and this version of sconce reads formats up to 1: use a \
             newer sconce, or another store (SCONCE_STORE)",
            format.display()
        )
    );
    std::fs::write(&format, "x").unwrap();
    let error = Store::open(store.root()).unwrap_err().to_string();
    assert!(error.ends_with("expected the number of the store's format, found `x`"), "{error}");
}

#[test]
fn last_keys_are_merged_and_unusual_pipeline_names_are_kept_apart() {
    let (_folder, store) = fresh();
    let key = |text: &str| Digest::of(text.as_bytes());
    let cells = |cells: &[&str]| -> BTreeMap<String, Digest> {
        cells.iter().map(|cell| ((*cell).to_owned(), key(cell))).collect()
    };
    assert_eq!(store.last("p").unwrap(), BTreeMap::new());
    store.set_last("p", &cells(&["a", "b[x=1]"])).unwrap();
    store.set_last("p", &cells(&["c"])).unwrap();
    for name in ["../p", "a/b", "a_b", ".", "", "ü"] {
        store.set_last(name, &cells(&[name])).unwrap();
    }
    assert_eq!(store.last("p").unwrap(), cells(&["a", "b[x=1]", "c"]));
    assert_eq!(store.last("a/b").unwrap(), cells(&["a/b"]));
    assert_eq!(store.last("a_b").unwrap(), cells(&["a_b"]));
    assert_eq!(store.last_keys().unwrap().len(), 9);
    // Nothing new: nothing is written.
    let path = store.root().join("last/p.json");
    let before = path.metadata().unwrap().modified().unwrap();
    store.set_last("p", &cells(&["a"])).unwrap();
    assert_eq!(path.metadata().unwrap().modified().unwrap(), before);
    // It only serves reasons: a torn one is as none.
    std::fs::write(&path, "{\"a\": ").unwrap();
    assert_eq!(store.last("p").unwrap(), BTreeMap::new());
}

#[test]
fn logs_and_checkpoints_have_places() {
    let (_folder, store) = fresh();
    let cell = CellId { stage: "train".to_owned(), coordinates: Coordinates::none() };
    std::fs::write(store.log_path("my/pipeline", &cell), "log").unwrap();
    assert_eq!(store.usage().unwrap().logs, Count { number: 1, size: 3 });
    let key = Digest::of(b"key");
    put(&store.checkpoint(&key), &[("epoch3", "weights")]);
    assert_eq!(store.usage().unwrap().checkpoints, Count { number: 1, size: 7 });
    store.remove_checkpoint(&key).unwrap();
    store.remove_checkpoint(&key).unwrap();
    assert!(!store.checkpoint(&key).exists());
}
