//! Which of the processor's instruction sets the kernels use: the best that there is, with the same bits on each.

use crate::cpu::kernel;

/// For tests of whole programs: keeps to `portable`, `avx2`, `avx512` or `neon`, as if the processor had no better one. False
/// where it has not even that, or where another was kept to before. candle's own operations are not held by it.
pub fn keep_to(instructions: &str) -> bool {
    kernel::keep_to(instructions)
}

/// The instruction set that kernels are used for: `AVX-512`, `AVX2`, `NEON`, or `portable` where a processor has none of them or a
/// program [keeps to](keep_to) less.
pub fn instructions() -> &'static str {
    kernel::level().name()
}

#[cfg(test)]
mod tests;
