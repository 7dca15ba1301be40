#!/usr/bin/env bash
# What is to be run where a GPU is at hand: does the program see it, do operations and networks agree with the processor, and does the
# quick profile of each pipeline run there? Builds first, which takes longer than the rest; that takes 8 minutes at most.
#
#   tests/gpu.sh [FOLDER]       logs and results go to FOLDER, or target/gpu
set -uo pipefail
cd "$(dirname "$0")/.."
folder=${1:-target/gpu}
mkdir -p "$folder"
if ! command -v nvcc > /dev/null; then
    echo "expected nvcc on PATH: the tests are built here, with the CUDA of this machine"; exit 2
fi
target=${CARGO_TARGET_DIR:-target}/cuda
build() { CARGO_TARGET_DIR=$target cargo "$@"; }
build build --release --package sconce --features cuda,cudnn || exit 1
build test --release --package sconce --package sconce-ops --package sconce-models --features cuda,cudnn --lib --no-run || exit 1
sconce=$target/release/sconce

SECONDS=0 failed=0
left() { echo $((480 - SECONDS)); }
step() {
    local name=$1; shift
    if [ "$(left)" -le 0 ]; then echo "$name: no time left"; failed=1; return; fi
    local begin=$SECONDS
    if timeout "$(left)" "$@" > "$folder/$name.log" 2>&1; then
        echo "$name: well, in $((SECONDS - begin)) s"
    else
        echo "$name: FAILED, in $((SECONDS - begin)) s; $folder/$name.log"; failed=1
    fi
}
"$sconce" doctor | tee "$folder/doctor.log"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv > "$folder/device.csv" 2>&1
# The whole tests read, in their logs: a device that is not seen makes them say "skipped: no device".
step operations build test --release --package sconce --package sconce-ops --package sconce-models \
    --features cuda,cudnn --lib -- device::tests --nocapture
step networks build test --release --package sconce --package sconce-ops --package sconce-models \
    --features cuda,cudnn --lib -- device_tests --nocapture
if grep -q "skipped: no device" "$folder"/operations.log "$folder"/networks.log; then
    echo "the tests saw no device"; failed=1
fi
for pipeline in pipelines/*.toml; do
    name=$(basename "$pipeline" .toml)
    step "$name" "$sconce" --store "$folder/store" --artifacts "$folder/artifacts" run "$pipeline" --profile quick --device cuda
    # Once more, on the processor: what is apart, and by how much. A training is not expected to be near; nothing fails here.
    timeout "$(( $(left) > 1 ? $(left) : 1 ))" "$sconce" --store "$folder/store" verify "$pipeline" --profile quick --device cpu \
        > "$folder/$name-verify.log" 2>&1 || echo "$name: not all within the tolerance of two classes: $folder/$name-verify.log"
done
exit $failed
