//! Tensor operations that candle lacks or is slow at, with gradients.
//!
//! Each function takes and returns plain candle tensors (those of [`rows`] slices). On the CPU it runs a kernel of this crate as a candle
//! custom operation; elsewhere it composes candle's own operations in a way whose gradient is right.
//! Results on the CPU do not depend on the number of threads, nor on the instruction set or the caches (`docs/processors.md`).
//!
//! # Where things are
//!
//! One file holds an operation's contract (what it computes, shapes, errors), its composition from candle's operations, and
//! the choice between that and a device's own code: `conv.rs`, `pool.rs`, `norm.rs`, `linear.rs`, `activation.rs`, `loss.rs`,
//! `separable.rs`, `dropout.rs`, `reversal.rs`, `sum.rs`, `transposed.rs`. The processor's code is in `cpu/`, in files of the same names. On CUDA and Metal
//! operations are composed (`conv/composed.rs` tells how convolutions reach cuDNN); [`device::composed`] does so on the CPU, for
//! tests. `docs/devices.md` has the tolerances.
//!
//! # How a convolution is computed on the processor
//!
//! The files are in `cpu/conv/`.
//!
//! Everything ends in one of two small loops with all sums in registers, for AVX-512, AVX2, NEON or portable Rust, chosen when
//! the program runs. A *correlation* has outputs side by side and reads the input where it lies, by a pointer for each row of
//! sums (8 × 48 or 6 × 64 with AVX-512); a *block* is a part of a matrix product of packed sides (14 × 32). An element's sum is
//! one chain of multiply-adds in a fixed order, so that no cut into blocks or tasks changes a bit. Around them:
//!
//! | method | for |
//! |---|---|
//! | correlations, `indirect.rs` | filters larger than 1×1 of any stride, forwards, transposed and for input gradients: no patches, no padding |
//! | correlations over images and windows, `weight.rs` | gradients of weights |
//! | Winograd's method, `winograd.rs` | 3×3 filters of stride 1 and their input gradients, in f32, where the shape makes it pay: F(4×4, 3×3) with 36 products for 16 results in place of 144; F(2×2, 3×3), which rounds less, with 16 for 4 in place of 36 where an image's gradient depends on the values |
//! | patches gathered panel by panel, `direct.rs` | 1×1 filters (nothing is gathered twice) and outputs too few for a vector |
//! | product first, then added where each tap puts it, `scatter.rs` | the same, transposed, where it gathers less |
//!
//! [`conv::conv2d_max_pool2d`] pools by 2×2 while the convolution's result is in the cache, and keeps only where the largest
//! elements were. [`conv::FrozenConv2d::forward_side_by_side`] writes the results of several convolutions into one tensor.
//!
//! Bias and rectifier are applied while a result is still in registers, or in the first-level cache. Working memory stays
//! with its thread between calls. Nothing is computed for an input that needs no gradient; what the kernels make of a
//! weight that never changes is kept ([`conv::FrozenConv2d`]). [`conv::set_exact`] keeps to the direct sums.
//!
//! # Speed
//!
//! `just bench-networks` times whole networks beside PyTorch and sets PyTorch up; `benches/layers.py` does so layer by layer.
//!
//! Loops are shared by a [`team`] of threads that stay awake from one loop of a step to the next.
//!
//! A program adds two things: an allocator that keeps large blocks for the next step (mimalloc), without which page faults
//! take up to a third of a training step, and [`threads::let_candle_sleep`].
//!
//! # Unsafe code
//!
//! It is in the blocks (pointers into slices that the caller cut to size), where tasks write their own parts of one result
//! through a shared pointer, in the team's loops, and in buffers that are not zeroed first. `just check-unsafe` runs
//! the tests under the address sanitizer, `just check-unsafe-miri` the portable path under Miri, which needs a nightly compiler;
//! `just check-arm` runs them on a 64-bit ARM processor that QEMU plays.

pub mod activation;
pub mod channels;
pub mod conv;
mod cpu;
pub mod device;
pub mod dropout;
pub mod elementary;
pub mod linear;
pub mod loss;
pub mod norm;
pub mod pool;
pub mod processor;
pub mod reversal;
pub mod rows;
pub mod separable;
mod slices;
pub mod sum;
pub mod tape;
#[cfg(test)]
mod testing;
pub mod transposed;

pub use cpu::{team, threads};
