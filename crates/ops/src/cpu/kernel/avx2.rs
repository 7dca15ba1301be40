//! The loops with AVX2 and FMA: 12 of the 16 registers hold sums.

use super::loops::{loops, with_constants};
use super::{Block, Correlation, Kernel, Level, Vectorized};
use std::arch::x86_64::*;

const LANES: usize = 8;

pub(super) const KERNEL: Kernel<f32> = Kernel {
    lanes: LANES,
    vectors: 2,
    rows: 6,
    block,
    correlation_rows: &[8, 6],
    correlate,
    transpose,
    level: Level::Avx2,
};

/// Runs plain loops compiled with these instructions.
///
/// Safety: the processor has them.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn vectorized<V: Vectorized>(loops: V) {
    loops.run();
}

/// Safety: see [`Kernel::block`].
unsafe fn block(t: &Block<f32>) {
    // SAFETY: the caller's.
    unsafe { with_constants!(block_of, t, t.rows, t.vectors, 1: 1 2 3 4 5 6; 2: 1 2 3 4 5 6) }
}

/// Safety: see [`Kernel::correlate`].
unsafe fn correlate(t: &Correlation<f32>) {
    // SAFETY: the caller's.
    unsafe {
        with_constants!(correlate_of, t, t.from.len(), t.vectors, 1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6)
    }
}

loops!(
    "avx2,fma",
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_max_ps
);

/// Safety: see [`Kernel::transpose`].
#[target_feature(enable = "avx2,fma")]
unsafe fn transpose(from: *const f32, from_pitch: usize, to: *mut f32, to_pitch: usize) {
    let mut x = [_mm256_setzero_ps(); LANES];
    for (i, x) in x.iter_mut().enumerate() {
        // SAFETY: `from` has 8 rows of 8.
        *x = unsafe { _mm256_loadu_ps(from.add(i * from_pitch)) };
    }
    // 4 × 4 elements within each half of four rows
    let mut y = x;
    for i in [0, 4] {
        let (a, b) = (_mm256_unpacklo_ps(x[i], x[i + 1]), _mm256_unpackhi_ps(x[i], x[i + 1]));
        let (c, d) =
            (_mm256_unpacklo_ps(x[i + 2], x[i + 3]), _mm256_unpackhi_ps(x[i + 2], x[i + 3]));
        y[i] = _mm256_shuffle_ps::<0x44>(a, c);
        y[i + 1] = _mm256_shuffle_ps::<0xee>(a, c);
        y[i + 2] = _mm256_shuffle_ps::<0x44>(b, d);
        y[i + 3] = _mm256_shuffle_ps::<0xee>(b, d);
    }
    // 2 × 2 halves
    for j in 0..4 {
        x[j] = _mm256_permute2f128_ps::<0x20>(y[j], y[4 + j]);
        x[4 + j] = _mm256_permute2f128_ps::<0x31>(y[j], y[4 + j]);
    }
    for (i, &x) in x.iter().enumerate() {
        // SAFETY: likewise `to`.
        unsafe { _mm256_storeu_ps(to.add(i * to_pitch), x) };
    }
}
