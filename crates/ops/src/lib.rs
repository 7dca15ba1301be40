//! Tensor operations that candle lacks or is slow at, with gradients.
//!
//! Each function takes and returns plain candle tensors. On the CPU it runs a kernel of this crate as a candle
//! custom operation; elsewhere it composes candle's own operations in a way whose gradient is right.
//! Results on the CPU do not depend on the number of threads.

pub mod activation;
pub mod conv;
mod cpu;
pub mod dropout;
mod kernel;
pub mod linear;
pub mod loss;
pub mod norm;
pub mod pool;
pub mod reversal;
mod scratch;
pub mod separable;
mod slices;
#[cfg(test)]
mod testing;
