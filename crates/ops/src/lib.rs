//! Tensor operations that candle lacks or is slow at, with gradients.
//!
//! Each function takes and returns plain candle tensors. On the CPU it runs a kernel of this crate as a candle
//! custom operation; elsewhere it composes candle's own operations in a way whose gradient is right.
//! Results on the CPU do not depend on the number of threads.
//!
//! # How a convolution is computed
//!
//! Everything ends in one small loop, a *block*: some rows times some columns of a matrix product, with all sums in
//! registers (14 × 32 with AVX-512, 6 × 16 with AVX2, 4 × 8 in portable Rust; chosen when the program runs). An element's
//! sum is one chain of multiply-adds in a fixed order, so that no cut into blocks or tasks changes a bit. Around it:
//!
//! | method | for |
//! |---|---|
//! | Winograd's method, `winograd.rs` | 3×3 and 5×5 filters of stride 1 and their input gradients, in f32, where the shape makes it pay: F(4×4, 3×3) with 36 products for 16 results in place of 144, F(2×2, 5×5) with 36 for 4 in place of 100; F(2×2, 3×3), which rounds less, with 16 for 4 in place of 36 where an image's gradient depends on the values |
//! | patches gathered panel by panel, `direct.rs` | every other convolution, 1×1 filters (nothing is gathered twice), input gradients of stride 1, f64 |
//! | product first, then added where each tap puts it, `scatter.rs` | transposed convolutions and input gradients with a stride; of small images each task adds its own products, still in its cache |
//! | products of the input, read where it lies, `weight.rs` | gradients of weights |
//!
//! Bias and rectifier are applied while a result is still in registers, or in the first-level cache. Working memory stays
//! with its thread between calls. Nothing is computed for an input that needs no gradient; what the kernels make of a
//! weight that never changes is kept ([`conv::FrozenConv2d`]). [`conv::set_exact`] keeps to the direct sums.
//!
//! # Speed
//!
//! `just bench-networks` times whole networks beside PyTorch and sets PyTorch up; `benches/layers.py` does so layer by layer.
//!
//! A program adds two things: [`memory::Reusing`] as its allocator, without which page faults take up to a third of a training
//! step, and [`threads::let_candle_sleep`].
//!
//! # Unsafe code
//!
//! It is in the allocator (lists of freed blocks), in the blocks (pointers into slices that the caller cut to size), where tasks write their own parts of one result
//! through a shared pointer, in buffers that are not zeroed first, and in the call of `gemm`. `just check-unsafe` runs
//! the portable path under Miri and the vector paths under the address sanitizer; both need a nightly compiler.

pub mod activation;
pub mod conv;
mod cpu;
pub mod dropout;
mod kernel;
pub mod linear;
pub mod loss;
pub mod memory;
pub mod norm;
pub mod pool;
pub mod reversal;
mod scratch;
pub mod separable;
mod slices;
#[cfg(test)]
mod testing;
pub mod threads;
