//! The loops with AVX-512: 28 of the 32 registers hold sums.

use super::loops::{loops, with_constants};
use super::{Block, Correlation, Kernel, Level, Vectorized};
use std::arch::x86_64::*;

const LANES: usize = 16;

pub(super) const KERNEL: Kernel<f32> = Kernel {
    lanes: LANES,
    vectors: 2,
    rows: 14,
    block,
    correlation_rows: &[8, 8, 8, 6],
    correlate,
    transpose,
    level: Level::Avx512,
};

/// Runs plain loops compiled with these instructions.
///
/// Safety: the processor has them.
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) unsafe fn vectorized<V: Vectorized>(loops: V) {
    loops.run();
}

/// Safety: see [`Kernel::block`].
unsafe fn block(t: &Block<f32>) {
    // SAFETY: the caller's.
    unsafe {
        with_constants!(block_of, t, t.rows, t.vectors, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    }
}

/// Safety: see [`Kernel::correlate`].
unsafe fn correlate(t: &Correlation<f32>) {
    // SAFETY: the caller's.
    unsafe {
        with_constants!(correlate_of, t, t.from.len(), t.vectors, 1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8; 4: 1 2 3 4 5 6)
    }
}

loops!(
    "avx512f",
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_max_ps
);

/// Safety: see [`Kernel::transpose`].
#[target_feature(enable = "avx512f")]
unsafe fn transpose(from: *const f32, from_pitch: usize, to: *mut f32, to_pitch: usize) {
    let mut x = [_mm512_setzero_ps(); LANES];
    for (i, x) in x.iter_mut().enumerate() {
        // SAFETY: `from` has 16 rows of 16.
        *x = unsafe { _mm512_loadu_ps(from.add(i * from_pitch)) };
    }
    // 4 × 4 elements within each quarter of four rows
    let mut y = x;
    for i in (0..LANES).step_by(4) {
        let (a, b) = (_mm512_unpacklo_ps(x[i], x[i + 1]), _mm512_unpackhi_ps(x[i], x[i + 1]));
        let (c, d) =
            (_mm512_unpacklo_ps(x[i + 2], x[i + 3]), _mm512_unpackhi_ps(x[i + 2], x[i + 3]));
        let [a, b, c, d] = [a, b, c, d].map(|v| _mm512_castps_pd(v));
        y[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        y[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        y[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        y[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    // 4 × 4 quarters
    for j in 0..4 {
        let a = _mm512_shuffle_f32x4::<0x88>(y[j], y[4 + j]);
        let b = _mm512_shuffle_f32x4::<0x88>(y[8 + j], y[12 + j]);
        let c = _mm512_shuffle_f32x4::<0xdd>(y[j], y[4 + j]);
        let d = _mm512_shuffle_f32x4::<0xdd>(y[8 + j], y[12 + j]);
        x[j] = _mm512_shuffle_f32x4::<0x88>(a, b);
        x[4 + j] = _mm512_shuffle_f32x4::<0x88>(c, d);
        x[8 + j] = _mm512_shuffle_f32x4::<0xdd>(a, b);
        x[12 + j] = _mm512_shuffle_f32x4::<0xdd>(c, d);
    }
    for (i, &x) in x.iter().enumerate() {
        // SAFETY: likewise `to`.
        unsafe { _mm512_storeu_ps(to.add(i * to_pitch), x) };
    }
}
