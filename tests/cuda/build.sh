#!/usr/bin/env bash
# Builds `sconce` with the features `cuda` and `cudnn`. Where nvcc is on PATH, with that and the CUDA around it; else (x86-64, Linux) with
# nvcc from Python packages, 100 MB, and libraries that are looked for when the program runs. Neither needs a GPU. Ten minutes on two
# cores. CUDA_COMPUTE_CAP is the oldest generation it runs on: 80 (Ampere), 90 (Hopper).
#
# With `--kit FOLDER` first, the tests and benchmarks, too, which lie there with the program for a machine with a GPU and no compiler:
# tests/gpu.sh takes them.
set -euo pipefail
kit_folder=
if [ "${1:-}" = --kit ]; then kit_folder=$(realpath -m "${2:?expected a folder behind --kit}"); shift 2; fi
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}/cuda
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-80}
if ! command -v nvcc > /dev/null; then
    kit=$PWD/${CUDA_KIT:-target/cuda-kit} root=${CUDA_KIT:-target/cuda-kit}/nvidia/cu13
    if [ ! -e "$kit/complete" ]; then
        rm -rf "$kit"
        python3 -m pip install --quiet --no-deps --no-compile --only-binary=:all: --target "$kit" \
            nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
        ln -sfn lib "$root/lib64"
        # candle's kernels link the runtime by this name: the static one, so that none has to be there.
        echo 'INPUT ( libcudart_static.a )' > "$root/lib/libcudart.so"
        sources=$(cargo metadata --format-version 1 --features sconce/cuda,sconce/cudnn | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(one["manifest_path"]) for one in packages if one["name"] == "cudarc"))')
        python3 tests/cuda/lazy.py "$sources/src" "$root/lib/stubs"
        touch "$kit/complete"
    fi
    export CUDA_HOME=$PWD/$root NVCC=$PWD/$root/bin/nvcc CUDARC_CUDA_VERSION=13000
fi
export CARGO_TARGET_DIR=$target
cargo build --release --package sconce --features cuda,cudnn "$@"
echo "$target/release/sconce"
if [ -n "$kit_folder" ]; then
    mkdir -p "$kit_folder"
    cp "$target/release/sconce" "$kit_folder/"
    { cargo test --release --package sconce --package sconce-ops --package sconce-models --features cuda,cudnn --lib --no-run "$@" \
        --message-format json
      cargo build --release --package sconce --package sconce-models --package sconce-adaptation --features cuda,cudnn "$@" \
        --bench networks --bench vada --message-format json; } | python3 -c '
import json, shutil, sys
for line in sys.stdin:
    one = json.loads(line)
    if one.get("executable") and one["reason"] == "compiler-artifact":
        name, kind = one["target"]["name"].replace("_", "-"), one["target"]["kind"]
        shutil.copy(one["executable"], sys.argv[1] + "/" + (name if kind == ["bench"] else name + "-tests"))' "$kit_folder"
    strip "$kit_folder"/{sconce,sconce-tests,sconce-ops-tests,sconce-models-tests,networks,vada}
    ls -sh "$kit_folder"
fi
