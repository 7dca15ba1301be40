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
    deinterleave,
    interleave,
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
    f32,
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

/// Elements of two vectors, as numbers of what both hold together, begun at `first` and `step` apart.
const fn every(first: i32, step: i32) -> [i32; LANES] {
    let mut out = [0; LANES];
    let mut i = 0;
    while i < LANES {
        out[i] = first + step * i as i32;
        i += 1;
    }
    out
}

/// An element of the one vector, from `first` on, and one of the other, in turn.
const fn in_turn(first: i32) -> [i32; LANES] {
    let mut out = [0; LANES];
    let mut i = 0;
    while i < LANES {
        out[i] = first + (i / 2) as i32 + if i % 2 == 1 { LANES as i32 } else { 0 };
        i += 1;
    }
    out
}

/// Elements of `a` and `b` by their numbers.
#[inline]
#[target_feature(enable = "avx512f")]
fn choose(a: __m512, numbers: [i32; LANES], b: __m512) -> __m512 {
    // SAFETY: the array has the vector's size.
    let numbers = unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) };
    _mm512_permutex2var_ps(a, numbers, b)
}

/// Safety: see [`Kernel::deinterleave`].
#[target_feature(enable = "avx512f")]
unsafe fn deinterleave(parts: usize, from: *const f32, to: *mut f32, pitch: usize) {
    // SAFETY: `from` has `parts` vectors, `to` as many rows of one.
    unsafe {
        let x = |i: usize| _mm512_loadu_ps(from.add(i * LANES));
        let store = |row: usize, v| _mm512_storeu_ps(to.add(row * pitch), v);
        let (even, odd) = (every(0, 2), every(1, 2));
        let (a, b) = (x(0), x(1));
        if parts == 2 {
            store(0, choose(a, even, b));
            store(1, choose(a, odd, b));
            return;
        }
        let (c, d) = (x(2), x(3));
        let (evens, odds) = (choose(a, even, b), choose(a, odd, b));
        let (more_evens, more_odds) = (choose(c, even, d), choose(c, odd, d));
        store(0, choose(evens, even, more_evens));
        store(1, choose(odds, even, more_odds));
        store(2, choose(evens, odd, more_evens));
        store(3, choose(odds, odd, more_odds));
    }
}

/// Safety: see [`Kernel::interleave`].
#[target_feature(enable = "avx512f")]
unsafe fn interleave(parts: usize, from: *const f32, pitch: usize, to: *mut f32) {
    // SAFETY: `from` has `parts` rows of one vector, `to` as many vectors.
    unsafe {
        let x = |row: usize| _mm512_loadu_ps(from.add(row * pitch));
        let store = |i: usize, v| _mm512_storeu_ps(to.add(i * LANES), v);
        let (low, high) = (in_turn(0), in_turn(LANES as i32 / 2));
        if parts == 2 {
            store(0, choose(x(0), low, x(1)));
            store(1, choose(x(0), high, x(1)));
            return;
        }
        let (even_low, even_high) = (choose(x(0), low, x(2)), choose(x(0), high, x(2)));
        let (odd_low, odd_high) = (choose(x(1), low, x(3)), choose(x(1), high, x(3)));
        store(0, choose(even_low, low, odd_low));
        store(1, choose(even_low, high, odd_low));
        store(2, choose(even_high, low, odd_high));
        store(3, choose(even_high, high, odd_high));
    }
}

/// The loops for f64.
pub(super) mod double {
    use super::super::loops::{loops, with_constants};
    use super::super::{Block, Correlation, Kernel, Level, portable};
    use std::arch::x86_64::*;

    const LANES: usize = 8;

    pub(in super::super) const KERNEL: Kernel<f64> = Kernel {
        lanes: LANES,
        vectors: 2,
        rows: 14,
        block,
        correlation_rows: &[8, 8, 8, 6],
        correlate,
        transpose: portable::transpose::<f64, LANES>,
        deinterleave: portable::deinterleave::<f64, LANES>,
        interleave: portable::interleave::<f64, LANES>,
        level: Level::Avx512,
    };

    /// Safety: see [`Kernel::block`].
    unsafe fn block(t: &Block<f64>) {
        // SAFETY: the caller's.
        unsafe {
            with_constants!(block_of, t, t.rows, t.vectors, 1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
        }
    }

    /// Safety: see [`Kernel::correlate`].
    unsafe fn correlate(t: &Correlation<f64>) {
        // SAFETY: the caller's.
        unsafe {
            with_constants!(correlate_of, t, t.from.len(), t.vectors, 1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8; 4: 1 2 3 4 5 6)
        }
    }

    loops!(
        "avx512f",
        f64,
        _mm512_setzero_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_set1_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd,
        _mm512_max_pd
    );
}
