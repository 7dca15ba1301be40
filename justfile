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

# The engine beside make, doit, snakemake and dvc, where they are installed
bench *ARGS:
    cargo build --release --package sconce
    python3 crates/cli/benches/engine.py {{ ARGS }}

# The JSON Schema of pipeline files, for editors
schema FILE="target/sconce.schema.json":
    cargo sconce schema > {{ FILE }}
    @echo "wrote {{ FILE }}"
