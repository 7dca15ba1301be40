# Sconce: `just` lists the recipes.

_list:
    @just --list --unsorted

# Run a pipeline: just run pipelines/transfer.toml [--profile scenes] [--set stage.svm.c=10]
run FILE *ARGS:
    cargo sconce run {{ FILE }} {{ ARGS }}

# All tests
test *ARGS:
    cargo test --release {{ ARGS }}

# Formatting, clippy and docs, as CI wants them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Everything that CI does
ci:
    bash .ci/run

# All benchmarks beside others' programs
bench: bench-engine bench-networks

# The networks beside PyTorch, which it installs outside the repository: [--threads 2 1] [--only vgg16] [--memory]
bench-networks *ARGS:
    python3 crates/models/benches/networks.py {{ ARGS }}

# The linear SVM beside scikit-learn, with a python3 that has it: [--features FOLDER] [--raw]
bench-svm *ARGS:
    python3 crates/transfer/benches/grid_search.py {{ ARGS }}

# The engine beside make, doit, snakemake and dvc, where they are installed
bench-engine *ARGS:
    cargo build --release --package sconce
    python3 crates/cli/benches/engine.py {{ ARGS }}

# The README's pictures, from the base profiles as they were last run; --check and --locked fail where one is stale
pictures *ARGS:
    python3 tests/pictures.py {{ ARGS }}

# The remote store beside DVC, on moto's server; both are installed outside the repository: [--files 1000]
bench-remote *ARGS:
    cargo build --release --package sconce
    python3 crates/cli/benches/remote.py {{ ARGS }}

# Calls, bytes and money of a million cells that are shared, from what some take of moto's server: [--cells 40] [--put 5] [--get 0.4]
bench-cost *ARGS:
    cargo build --release --package sconce
    python3 crates/cli/benches/remote_cost.py {{ ARGS }}

# A cell on a real Slurm of one node, beside a bare `sbatch --wait`: [--cells 500] [--group 50]
bench-slurm *ARGS:
    cargo build --release --package sconce
    python3 tests/slurm_bench.py target/release/sconce {{ ARGS }}

# A training that comes to its time limit on a real Slurm, goes on from its checkpoint, and has the same bits; some minutes: [--epochs 10]
check-resume *ARGS:
    cargo build --release --package sconce
    python3 tests/slurm_resume.py target/release/sconce {{ ARGS }}

# Do two versions, or two processors, give the same results? record PROGRAM FILE at each commit, then compare FILE FILE; docs/processors.md
digests *ARGS:
    python3 tests/digests.py {{ ARGS }}

# The JSON Schema of pipeline files, for editors
schema FILE="target/sconce.schema.json":
    cargo sconce schema > {{ FILE }}
    @echo "wrote {{ FILE }}"

# The operations' unsafe code, with vectors, under the address sanitizer: any stable compiler for Linux on x86-64 that is
# allowed its unstable flags (RUSTC_BOOTSTRAP). Builds candle anew into target/sanitizer, about 2 GB.
check-unsafe:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" cargo test --release -p sconce-ops --lib \
        --target x86_64-unknown-linux-gnu --target-dir target/sanitizer

# The same code's portable path under Miri: a nightly compiler with the components `miri` and `rust-src`
check-unsafe-miri:
    MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks" RAYON_NUM_THREADS=2 \
        cargo +nightly miri test -p sconce-ops --lib -- kernel:: conv::

# Operations and networks on a 64-bit ARM processor, NEON and portable, which QEMU plays, and the results that pin kinds' versions:
# `rustup target add aarch64-unknown-linux-gnu`, and Debian's g++-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user. Builds all anew
check-arm *ARGS:
    bash tests/arm.sh test --lib -p sconce-ops -p sconce-models {{ ARGS }}
    bash tests/arm.sh test --lib -p sconce-transfer -p sconce-interpretation -p sconce-adaptation -p sconce-generation -- versions

# The program for 64-bit ARM, built here: target/arm/aarch64-unknown-linux-gnu/release/sconce
build-arm:
    bash tests/arm.sh build --package sconce

# Do the real tools open what `sconce export` writes? Installs TensorBoard, MLflow and rocrate-validator outside the repository: [--only mlflow]
check-exports *ARGS:
    cargo build --package sconce --no-default-features
    python3 tests/exports.py {{ ARGS }}

# Is `sconce ui` used as people use it? A real browser (Debian's chromium; skipped without it): [--pictures DIR]
check-page *ARGS:
    cargo build --package sconce --no-default-features
    mkdir -p target/page && npm install --silent --prefix target/page playwright-core@1.65.1
    node tests/page.mjs --modules target/page {{ ARGS }}

# Are the types right with the features `cuda` and `cudnn`? Needs neither a GPU nor CUDA
check-cuda *ARGS:
    bash tests/cuda/check.sh {{ ARGS }}

# Are the types right on Windows, and on macOS with Metal? Needs neither system, compiler nor SDK: [a cargo argument …]
check-targets *ARGS:
    bash tests/targets.sh {{ ARGS }}

# On a machine with a GPU: do operations, networks and pipelines run there, and agree? [FOLDER for logs]
check-gpu *ARGS:
    bash tests/gpu.sh {{ ARGS }}

# A program for NVIDIA's GPUs, built with or without one: target/cuda/release/sconce. docs/devices.md says what it needs
build-cuda *ARGS:
    bash tests/cuda/build.sh {{ ARGS }}
