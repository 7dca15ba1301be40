//! How fast images are decoded and resized, and archives unpacked.
//!
//! `cargo bench -p sconce-data --bench images`. Beside it Pillow, where `python3` has it.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and fails aloud"
)]

use std::io::Write;
use std::process::Command;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use rayon::prelude::*;
use sconce_data::resize::{Filter, resize};
use sconce_data::{Color, Image, archive};

const PHOTOGRAPH: &[u8] = include_bytes!("../assets/photographs/coffee.jpg");

/// The same work, one thread: the fastest of 200, to be held against divan's `fastest`.
const PILLOW: &str = r#"
import io, sys, time
from PIL import Image
data = open(sys.argv[1], "rb").read()
def measure(name, work, n=200):
    best = float("inf")
    for _ in range(n):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    print(f"Pillow {name}: {best * 1e3:.3f} ms an image")
measure("decode 480x320", lambda: Image.open(io.BytesIO(data)).convert("RGB"))
image = Image.open(io.BytesIO(data)).convert("RGB")
measure("resize to 227x227", lambda: image.resize((227, 227), Image.BILINEAR))
"#;

fn main() {
    let photograph = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/photographs/coffee.jpg");
    let peer = Command::new("python3").args(["-c", PILLOW, photograph]).output();
    match peer {
        Ok(peer) if peer.status.success() => print!("{}", String::from_utf8_lossy(&peer.stdout)),
        _ => println!("Pillow: not measured (python3 has no PIL)"),
    }
    divan::main();
}

#[divan::bench]
fn decode_480x320(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::of_slice(PHOTOGRAPH))
        .bench(|| Image::decode(black_box(PHOTOGRAPH), Color::Rgb).unwrap());
}

#[divan::bench]
fn resize_480x320_to_227x227(bencher: Bencher<'_, '_>) {
    let image = Image::decode(PHOTOGRAPH, Color::Rgb).unwrap();
    bencher
        .counter(BytesCount::of_slice(image.samples()))
        .bench(|| resize(black_box(&image), 227, 227, Filter::Bilinear).unwrap());
}

#[divan::bench]
fn decode_and_resize_64_in_parallel(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(64_usize)).bench(|| {
        (0..64)
            .into_par_iter()
            .map(|_| {
                let image = Image::decode(PHOTOGRAPH, Color::Rgb).unwrap();
                resize(&image, 227, 227, Filter::Bilinear).unwrap()
            })
            .collect::<Vec<_>>()
    });
}

#[divan::bench(sample_count = 10)]
fn unpack_tar_gz_of_32_mib(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tar.gz");
    let file = std::fs::File::create(&path).unwrap();
    let gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    let data: Vec<u8> = (0..32_768_u32).map(|i| (i * i / 7 % 97) as u8).collect();
    for i in 0..1024 {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("{}/{i}", i % 16), data.as_slice()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap().flush().unwrap();
    bencher.counter(BytesCount::new(32_usize << 20)).bench(|| {
        let to = tempfile::tempdir_in(folder.path()).unwrap();
        let limits = archive::Limits::default();
        archive::unpack(&path, "a.tar.gz", None, false, &to.path().join("x"), limits).unwrap()
    });
}
