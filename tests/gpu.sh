#!/usr/bin/env bash
# What is to be run where a GPU is at hand: does the program see it, do operations and networks agree with the processor, does the
# quick profile of each pipeline run there, and how fast is a step beside PyTorch? 8 minutes at most, and building first.
#
#   tests/gpu.sh [--kit KIT] [FOLDER]       logs and results go to FOLDER, or target/gpu
#
# KIT is what `tests/cuda/build.sh --kit KIT` made, here or on a machine without a GPU; without it, it is built now. PyTorch is taken
# from python3, or from GPU_PYTHON; without it that part is left out.
set -uo pipefail
kit=
if [ "${1:-}" = --kit ]; then kit=$(realpath -m "${2:?expected a folder behind --kit}"); shift 2; fi
folder=${1:+$(realpath -m "$1")}
cd "$(dirname "$0")/.."
folder=${folder:-$PWD/target/gpu}
python=${GPU_PYTHON:-python3}
mkdir -p "$folder"
if [ -z "$kit" ]; then
    kit=${CARGO_TARGET_DIR:-target}/cuda/kit
    tests/cuda/build.sh --kit "$kit" || exit 1
fi
kit=$(realpath "$kit")
sconce=$kit/sconce
if [ ! -x "$sconce" ]; then echo "expected a program $sconce: tests/cuda/build.sh --kit makes it"; exit 2; fi
# CUDA's libraries may be Python packages.
libraries=$("$python" -c 'import glob, nvidia; print(":".join(glob.glob(list(nvidia.__path__)[0] + "/*/lib")))' 2> /dev/null)
if [ -n "$libraries" ]; then export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}; fi

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
# Numbers of f32 are compared, which the libraries would otherwise round to TF32. A device that is not seen makes tests say "skipped".
for crate in sconce sconce-ops sconce-models; do
    step "$crate" env NVIDIA_TF32_OVERRIDE=0 "$kit/$crate-tests" device --nocapture
done
if grep -q "skipped: no device" "$folder"/sconce*.log; then
    echo "the tests saw no device"; failed=1
fi
for pipeline in pipelines/*.toml; do
    name=$(basename "$pipeline" .toml)
    step "$name" "$sconce" --store "$folder/store" --artifacts "$folder/artifacts" run "$pipeline" --profile quick --device cuda
    # Once more, on the processor: what is apart, and by how much. A training is not expected to be near; nothing fails here.
    timeout "$(( $(left) > 1 ? $(left) : 1 ))" "$sconce" --store "$folder/store" verify "$pipeline" --profile quick --device cpu \
        > "$folder/$name-verify.log" 2>&1 || echo "$name: not all within the tolerance of two classes: $folder/$name-verify.log"
done
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
    step networks "$python" crates/models/benches/networks.py --device cuda --programs "$kit" --steps 5
    grep "|" "$folder/networks.log"
else
    echo "networks: left out, $python has no PyTorch that sees a GPU"
fi
exit $failed
