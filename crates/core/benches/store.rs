//! How fast the store is, with `b3sum` beside it where that is installed (`cargo install b3sum`).
//!
//! `cargo bench -p sconce-core --bench store`; the folder of the data is below `TMPDIR`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use sconce_core::key::KeyParts;
use sconce_core::store::GcLimits;
use sconce_core::store::Receipt;
use sconce_core::{CellId, Coordinates, Device, Digest, Store};
use serde_json::json;

const RECEIPTS: u64 = 200;
const FILES: usize = 10_000;
const FILE_SIZE: usize = 4096;
const LARGE: usize = 1 << 30;

/// One folder for all benchmarks of the process.
static ROOT: OnceLock<tempfile::TempDir> = OnceLock::new();

fn main() {
    divan::main();
    // Nothing drops a static, and more than 1 GiB is in it.
    if let Some(root) = ROOT.get() {
        std::fs::remove_dir_all(root.path()).unwrap();
    }
}

fn place(name: &str) -> PathBuf {
    let root =
        ROOT.get_or_init(|| tempfile::Builder::new().prefix("sconce-bench").tempdir().unwrap());
    root.path().join(name)
}

fn parts(number: u64) -> KeyParts {
    let run = format!("echo {number} > out.txt");
    KeyParts::of("command", 1, json!({ "run": run, "outputs": ["out.txt"], "c": 0.5 }))
}

fn commit(store: &Store, number: u64) -> Receipt {
    let parts = parts(number);
    let key = parts.key();
    let scratch = store.scratch(&key).unwrap();
    std::fs::write(scratch.path().join("out.txt"), format!("{number}\n")).unwrap();
    let output = store.import(scratch.path()).unwrap();
    let receipt = Receipt {
        key,
        parts,
        cell: CellId { stage: format!("stage{number}"), coordinates: Coordinates::none() },
        pipeline: "bench".to_owned(),
        outputs: BTreeMap::from([("out".to_owned(), output.record("files", false))]),
        metrics: BTreeMap::new(),
        device: Device::Cpu,
        threads: 1,
        started: 1_700_000_000,
        seconds: 0.25,
        sconce: "0.1.0".to_owned(),
    };
    store.put_receipt(&receipt).unwrap();
    receipt
}

/// A store of [`RECEIPTS`] finished cells: its place and the keys.
fn cells() -> &'static (PathBuf, Vec<Receipt>) {
    static CELLS: OnceLock<(PathBuf, Vec<Receipt>)> = OnceLock::new();
    CELLS.get_or_init(|| {
        let root = place("cells");
        let store = Store::open(&root).unwrap();
        let receipts = (0..RECEIPTS).map(|number| commit(&store, number)).collect();
        (root, receipts)
    })
}

/// [`FILES`] small files, old enough for their stats to be trusted.
fn small_files() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = place("small");
        for number in 0..FILES {
            let sub = folder.join(format!("class{:02}", number % 20));
            std::fs::create_dir_all(&sub).unwrap();
            let mut bytes: Vec<u8> = (0..FILE_SIZE).map(|i| (i * 7 + number * 31) as u8).collect();
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            std::fs::write(sub.join(format!("image_{number:05}.jpg")), bytes).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
        folder
    })
}

fn large_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = place("large");
        let block: Vec<u8> = (0..LARGE).map(|i| (i >> 3) as u8 ^ (i >> 13) as u8).collect();
        std::fs::write(&path, block).unwrap();
        path
    })
}

/// A store that holds [`small_files`].
fn imported() -> &'static Store {
    static STORE: OnceLock<Store> = OnceLock::new();
    STORE.get_or_init(|| {
        let store = Store::open(&place("imported")).unwrap();
        let snapshot = store.snapshot(small_files(), false).unwrap();
        store.import_snapshot(small_files(), &snapshot).unwrap();
        store
    })
}

#[divan::bench]
fn open_and_read_200_receipts(bencher: Bencher<'_, '_>) {
    let (root, receipts) = cells();
    bencher.bench_local(|| {
        let store = Store::open(root).unwrap();
        for receipt in receipts {
            assert!(black_box(store.receipt(&receipt.key).unwrap()).is_some());
        }
    });
}

#[divan::bench]
fn commit_one_cell(bencher: Bencher<'_, '_>) {
    let store = Store::open(&place("commits")).unwrap();
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        commit(&store, number)
    });
}

#[divan::bench]
fn snapshot_10000_unchanged(bencher: Bencher<'_, '_>) {
    let store = imported();
    bencher.bench_local(|| store.snapshot(small_files(), false).unwrap());
}

/// What a no-op pays for a cell whose output is a large folder.
#[divan::bench]
fn receipt_of_10000_files(bencher: Bencher<'_, '_>) {
    let store = imported();
    let snapshot = store.snapshot(small_files(), false).unwrap();
    let output = store.import_snapshot(small_files(), &snapshot).unwrap();
    let mut receipt = commit(store, 0);
    receipt.outputs.insert("out".to_owned(), output.record("files", false));
    store.put_receipt(&receipt).unwrap();
    bencher.bench_local(|| assert!(store.receipt(&receipt.key).unwrap().is_some()));
}

#[divan::bench]
fn snapshot_and_import_10000_one_changed(bencher: Bencher<'_, '_>) {
    let store = imported();
    let mut number = 0_u64;
    bencher
        .with_inputs(|| {
            number += 1;
            let path = small_files().join("class00/image_00000.jpg");
            std::fs::write(path, format!("{number} {:?}", SystemTime::now())).unwrap();
        })
        .bench_local_values(|()| {
            let snapshot = store.snapshot(small_files(), false).unwrap();
            store.import_snapshot(small_files(), &snapshot).unwrap()
        });
}

#[divan::bench(sample_count = 5)]
fn snapshot_and_import_10000_new(bencher: Bencher<'_, '_>) {
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            Store::open(&place(&format!("new{number}"))).unwrap()
        })
        .bench_local_values(|store| {
            let snapshot = store.snapshot(small_files(), false).unwrap();
            store.import_snapshot(small_files(), &snapshot).unwrap();
            store
        });
}

#[divan::bench]
fn verify_10000_files(bencher: Bencher<'_, '_>) {
    let store = imported();
    let tree = store.snapshot(small_files(), false).unwrap();
    store.import_snapshot(small_files(), &tree).unwrap();
    bencher.bench_local(|| store.files(&tree.digest).unwrap());
}

#[divan::bench(sample_count = 20)]
fn materialise_10000_files(bencher: Bencher<'_, '_>) {
    let store = imported();
    let tree = store.snapshot(small_files(), false).unwrap();
    store.import_snapshot(small_files(), &tree).unwrap();
    let files = store.files(&tree.digest).unwrap();
    let mut number = 0;
    bencher
        .with_inputs(|| {
            let _ = std::fs::remove_dir_all(place(&format!("inputs{number}")));
            number += 1;
            place(&format!("inputs{number}"))
        })
        .bench_local_values(|to| store.materialise(&files, &to).unwrap());
}

#[divan::bench]
fn export_200_unchanged_views(bencher: Bencher<'_, '_>) {
    let (root, receipts) = cells();
    let store = Store::open(root).unwrap();
    let export = || {
        for receipt in receipts {
            let to = place("artifacts").join(&receipt.cell.stage);
            store.export(&receipt.outputs["out"].digest, &to).unwrap();
        }
    };
    export();
    bencher.bench_local(export);
}

#[divan::bench]
fn gc_dry_run_10000_blobs(bencher: Bencher<'_, '_>) {
    let limits = GcLimits { dry_run: true, ..GcLimits::default() };
    bencher.bench_local(|| imported().gc(&Default::default(), &limits).unwrap());
}

#[divan::bench(sample_count = 10)]
fn hash_1_gib(bencher: Bencher<'_, '_>) {
    let path = large_file();
    let hash = || Digest::of_file(path).unwrap();
    bencher.counter(BytesCount::new(LARGE)).bench_local(hash);
}

#[divan::bench(sample_count = 10)]
fn hash_1_gib_b3sum(bencher: Bencher<'_, '_>) {
    let path = large_file();
    b3sum(bencher.counter(BytesCount::new(LARGE)), |command| command.arg(path));
}

/// A snapshot without an index: everything is read.
#[divan::bench(sample_count = 20)]
fn hash_10000_files(bencher: Bencher<'_, '_>) {
    let store = imported();
    let index = store.root().join("stat-index");
    bencher
        .counter(BytesCount::new(FILES * FILE_SIZE))
        .with_inputs(|| {
            for entry in std::fs::read_dir(&index).unwrap() {
                std::fs::remove_file(entry.unwrap().path()).unwrap();
            }
        })
        .bench_local_values(|()| store.snapshot(small_files(), false).unwrap());
}

#[divan::bench(sample_count = 20)]
fn hash_10000_files_b3sum(bencher: Bencher<'_, '_>) {
    let folder = small_files();
    let names: Vec<_> =
        (0..FILES).map(|number| format!("class{:02}/image_{number:05}.jpg", number % 20)).collect();
    b3sum(bencher.counter(BytesCount::new(FILES * FILE_SIZE)), |command| {
        command.current_dir(folder).args(&names)
    });
}

fn b3sum(bencher: Bencher<'_, '_>, arguments: impl Fn(&mut Command) -> &mut Command) {
    if Command::new("b3sum").arg("--version").output().is_err() {
        eprintln!("no b3sum here: cargo install b3sum");
        return;
    }
    bencher.bench_local(|| {
        let output = arguments(&mut Command::new("b3sum")).output().unwrap();
        assert!(output.status.success());
        output
    });
}
