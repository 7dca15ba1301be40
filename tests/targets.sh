#!/usr/bin/env bash
# Are the types right on the systems that this machine is not? All of the program for Windows, and for macOS with Metal. Needs no other
# system, compiler or SDK: the standard libraries come from rustup, and for the C code of dependencies (blake3, ring, mimalloc)
# `tests/targets/cc` stands in. Further arguments go to cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
stand_in="$PWD/tests/targets/cc"

check() { # TARGET ARGUMENT...
    local target=$1 name=${1//-/_}
    shift
    if ! rustup target list --installed 2> /dev/null | grep -qx "$target" && ! rustup target add "$target"; then
        echo "$target: skipped: its standard library could not be added"
        return
    fi
    # macOS: no question to Xcode where its headers are.
    env "CC_$name=$stand_in" "AR_$name=$stand_in" SDKROOT=/ cargo check --package sconce --target "$target" \
        --config 'profile.dev.package."*".opt-level=0' "$@"
}

check x86_64-pc-windows-gnu "$@"
check aarch64-apple-darwin --features metal "$@"
