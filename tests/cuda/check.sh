#!/usr/bin/env bash
# Are the types right where the features `cuda` and `cudnn` are on? Needs neither a GPU nor CUDA: beside the sources only a compiler
# for build scripts is missing, for which `tests/cuda/nvcc` stands in. What is checked lies apart, so that no real build finds it;
# `--target-dir DIR` puts it elsewhere, into a folder in which nobody builds for CUDA.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/tests/cuda:$PATH" CUDA_COMPUTE_CAP=90 CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/check-cuda"
unset NVCC CUDA_HOME CUDA_PATH CUDA_ROOT
exec cargo check --package sconce --features cuda,cudnn "$@"
