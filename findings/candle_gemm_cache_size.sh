#!/usr/bin/env bash
# gemm 0.19.0, by which candle-core 0.11.1 multiplies matrices on the processor: the same program with the same instructions gives other
# bits where the first-level data cache has another size. Linux tells sizes of caches under /sys/devices/system/cpu; gemm cuts a sum of many
# terms into parts that fit the cache, and each part is rounded before it is added to the others. Threads change nothing, so that a test on
# one machine finds the product reproducible; a colleague's machine (32 KiB on AMD's and older Intel's, 48 KiB on newer ones) disagrees in
# the last digit of most elements. Setting seeds, one thread, or the same build does not help.
#
# Seen, 100 × 1000 times 1000 × 100 in f32, in a namespace in which the cache is said to have the size on the left:
#   32K 32K equal
#   48K 48K equal
#   32K 48K DIFFER
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/program/src"
cat > "$folder/program/Cargo.toml" <<'TOML'
[package]
name = "product"
version = "0.0.0"
edition = "2021"
[dependencies]
gemm = "=0.19.0"
gemm-common = "=0.19.0"
TOML
cat > "$folder/program/src/main.rs" <<'RUST'
fn main() {
    let (m, n, k) = (100, 100, 1000);
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let a: Vec<f32> = (0..m * k).map(|_| next()).collect();
    let b: Vec<f32> = (0..k * n).map(|_| next()).collect();
    let mut c = vec![0f32; m * n];
    // row-major, one thread
    unsafe {
        gemm::gemm(
            m, n, k, c.as_mut_ptr(), 1, n as isize, false, a.as_ptr(), 1, k as isize, b.as_ptr(), 1, n as isize,
            0f32, 1f32, false, false, false, gemm::Parallelism::None,
        );
    }
    for c in c {
        println!("{:08x}", c.to_bits());
    }
}
RUST
cargo build --quiet --release --manifest-path "$folder/program/Cargo.toml" --target-dir "$folder/target"
for size in 32K 48K; do
    # as processors have them: 64 sets of 64 bytes
    if [ $size = 32K ]; then first=8; else first=12; fi
    for index in "0 Data 1 $size $first" "2 Unified 2 1024K 16" "3 Unified 3 32768K 16"; do
        read -r number type level bytes ways <<< "$index"
        cache="$folder/$size/cpu0/cache/index$number"
        mkdir -p "$cache"
        echo "$type" > "$cache/type"; echo "$level" > "$cache/level"; echo "$bytes" > "$cache/size"
        echo "$ways" > "$cache/ways_of_associativity"; echo 64 > "$cache/coherency_line_size"; echo 0 > "$cache/shared_cpu_list"
    done
    for time in 1 2; do
        unshare --mount --map-root-user sh -c "mount --bind '$folder/$size' /sys/devices/system/cpu && '$folder/target/release/product'" \
            > "$folder/$size-$time"
    done
done
compare() { if cmp -s "$folder/$2" "$folder/$4"; then echo "$1 $3 equal"; else echo "$1 $3 DIFFER"; fi; }
found=$(compare 32K 32K-1 32K 32K-2; compare 48K 48K-1 48K 48K-2; compare 32K 32K-1 48K 48K-1)
echo "$found"
echo "elements that differ: $(paste "$folder/32K-1" "$folder/48K-1" | awk '$1 != $2' | wc -l) of $(wc -l < "$folder/32K-1")"
[ "$found" = "32K 32K equal
48K 48K equal
32K 48K DIFFER" ] || { echo "the behaviour has changed"; exit 1; }
