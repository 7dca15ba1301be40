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
    deinterleave,
    interleave,
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
    f32,
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

/// Every second element of `a` and `b`, and the others.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(a: __m256, b: __m256) -> [__m256; 2] {
    let of = |v: __m256| _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(_mm256_castps_pd(v)));
    [of(_mm256_shuffle_ps::<0x88>(a, b)), of(_mm256_shuffle_ps::<0xdd>(a, b))]
}

/// Elements of `a` and `b` in turn.
#[inline]
#[target_feature(enable = "avx2")]
fn in_turn(a: __m256, b: __m256) -> [__m256; 2] {
    let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
}

/// Safety: see [`Kernel::deinterleave`].
#[target_feature(enable = "avx2")]
unsafe fn deinterleave(parts: usize, from: *const f32, to: *mut f32, pitch: usize) {
    // SAFETY: `from` has `parts` vectors, `to` as many rows of one.
    unsafe {
        let x = |i: usize| _mm256_loadu_ps(from.add(i * LANES));
        let store = |row: usize, v| _mm256_storeu_ps(to.add(row * pitch), v);
        let [evens, odds] = halves(x(0), x(1));
        if parts == 2 {
            store(0, evens);
            store(1, odds);
            return;
        }
        let [more_evens, more_odds] = halves(x(2), x(3));
        let ([a, c], [b, d]) = (halves(evens, more_evens), halves(odds, more_odds));
        for (row, v) in [a, b, c, d].into_iter().enumerate() {
            store(row, v);
        }
    }
}

/// Safety: see [`Kernel::interleave`].
#[target_feature(enable = "avx2")]
unsafe fn interleave(parts: usize, from: *const f32, pitch: usize, to: *mut f32) {
    // SAFETY: `from` has `parts` rows of one vector, `to` as many vectors.
    unsafe {
        let x = |row: usize| _mm256_loadu_ps(from.add(row * pitch));
        let store = |i: usize, v| _mm256_storeu_ps(to.add(i * LANES), v);
        if parts == 2 {
            for (i, v) in in_turn(x(0), x(1)).into_iter().enumerate() {
                store(i, v);
            }
            return;
        }
        let (evens, odds) = (in_turn(x(0), x(2)), in_turn(x(1), x(3)));
        for half in 0..2 {
            for (i, v) in in_turn(evens[half], odds[half]).into_iter().enumerate() {
                store(2 * half + i, v);
            }
        }
    }
}

/// The loops for f64.
pub(super) mod double {
    use super::super::loops::{loops, with_constants};
    use super::super::{Block, Correlation, Kernel, Level, portable};
    use std::arch::x86_64::*;

    const LANES: usize = 4;

    pub(in super::super) const KERNEL: Kernel<f64> = Kernel {
        lanes: LANES,
        vectors: 2,
        rows: 6,
        block,
        correlation_rows: &[8, 6],
        correlate,
        transpose: portable::transpose::<f64, LANES>,
        deinterleave: portable::deinterleave::<f64, LANES>,
        interleave: portable::interleave::<f64, LANES>,
        level: Level::Avx2,
    };

    /// Safety: see [`Kernel::block`].
    unsafe fn block(t: &Block<f64>) {
        // SAFETY: the caller's.
        unsafe { with_constants!(block_of, t, t.rows, t.vectors, 1: 1 2 3 4 5 6; 2: 1 2 3 4 5 6) }
    }

    /// Safety: see [`Kernel::correlate`].
    unsafe fn correlate(t: &Correlation<f64>) {
        // SAFETY: the caller's.
        unsafe {
            with_constants!(correlate_of, t, t.from.len(), t.vectors, 1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6)
        }
    }

    loops!(
        "avx2,fma",
        f64,
        _mm256_setzero_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_set1_pd,
        _mm256_fmadd_pd,
        _mm256_add_pd,
        _mm256_max_pd
    );
}
