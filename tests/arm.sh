#!/usr/bin/env bash
# A command of cargo for 64-bit ARM on another Linux, with Debian's cross compiler and qemu-user: tests/arm.sh test --lib -p sconce-ops
set -euo pipefail
cd "$(dirname "$0")/.."
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
command=${1:?expected a command of cargo, such as test}
shift
exec cargo "$command" --release --target aarch64-unknown-linux-gnu --target-dir target/arm "$@"
