//! The loops with NEON, which every 64-bit ARM processor has: 24 of the 32 registers hold sums.

use super::loops::{loops, with_constants};
use super::{Block, Correlation, Kernel, Level};
use std::arch::aarch64::*;

const LANES: usize = 4;

pub(super) const KERNEL: Kernel<f32> = Kernel {
    lanes: LANES,
    vectors: 3,
    rows: 8,
    block,
    correlation_rows: &[14, 12, 8],
    correlate,
    transpose,
    deinterleave,
    interleave,
    level: Level::Neon,
};

/// Safety: see [`Kernel::block`].
unsafe fn block(t: &Block<f32>) {
    // SAFETY: the caller's.
    unsafe {
        with_constants!(block_of, t, t.rows, t.vectors,
            1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8)
    }
}

/// Safety: see [`Kernel::correlate`].
unsafe fn correlate(t: &Correlation<f32>) {
    // SAFETY: the caller's.
    unsafe {
        with_constants!(correlate_of, t, t.from.len(), t.vectors,
            1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 2: 1 2 3 4 5 6 7 8 9 10 11 12; 3: 1 2 3 4 5 6 7 8)
    }
}

#[inline(always)]
fn zero() -> float32x4_t {
    splat(0.0)
}

#[inline(always)]
fn splat(value: f32) -> float32x4_t {
    // SAFETY: every processor of this architecture has NEON.
    unsafe { vdupq_n_f32(value) }
}

/// `a · b + c` in one rounding; the instruction takes the sum first.
#[inline(always)]
fn fused(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
    // SAFETY: as above.
    unsafe { vfmaq_f32(c, a, b) }
}

/// The first where it is larger, else the second, also where that is NaN or a zero of the other sign: as on x86.
#[inline(always)]
fn larger(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: as above.
    unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
}

loops!("neon", f32, zero, vld1q_f32, vst1q_f32, splat, fused, vaddq_f32, larger);

/// Safety: see [`Kernel::transpose`].
#[target_feature(enable = "neon")]
unsafe fn transpose(from: *const f32, from_pitch: usize, to: *mut f32, to_pitch: usize) {
    // SAFETY: `from` has 4 rows of 4.
    let x: [float32x4_t; LANES] =
        std::array::from_fn(|i| unsafe { vld1q_f32(from.add(i * from_pitch)) });
    // 2 × 2 elements, then 2 × 2 halves
    let (a, b) = (vtrn1q_f32(x[0], x[1]), vtrn2q_f32(x[0], x[1]));
    let (c, d) = (vtrn1q_f32(x[2], x[3]), vtrn2q_f32(x[2], x[3]));
    let wide = |v| vreinterpretq_f64_f32(v);
    let columns = [
        vtrn1q_f64(wide(a), wide(c)),
        vtrn1q_f64(wide(b), wide(d)),
        vtrn2q_f64(wide(a), wide(c)),
        vtrn2q_f64(wide(b), wide(d)),
    ];
    for (i, column) in columns.into_iter().enumerate() {
        // SAFETY: likewise `to`.
        unsafe { vst1q_f32(to.add(i * to_pitch), vreinterpretq_f32_f64(column)) };
    }
}

/// Safety: see [`Kernel::deinterleave`].
#[target_feature(enable = "neon")]
unsafe fn deinterleave(parts: usize, from: *const f32, to: *mut f32, pitch: usize) {
    // SAFETY: `from` has `parts` vectors, `to` as many rows of one.
    unsafe {
        let store = |row: usize, v| vst1q_f32(to.add(row * pitch), v);
        if parts == 2 {
            let float32x4x2_t(a, b) = vld2q_f32(from);
            store(0, a);
            store(1, b);
        } else {
            let float32x4x4_t(a, b, c, d) = vld4q_f32(from);
            for (row, v) in [a, b, c, d].into_iter().enumerate() {
                store(row, v);
            }
        }
    }
}

/// Safety: see [`Kernel::interleave`].
#[target_feature(enable = "neon")]
unsafe fn interleave(parts: usize, from: *const f32, pitch: usize, to: *mut f32) {
    // SAFETY: `from` has `parts` rows of one vector, `to` as many vectors.
    unsafe {
        let x = |row: usize| vld1q_f32(from.add(row * pitch));
        if parts == 2 {
            vst2q_f32(to, float32x4x2_t(x(0), x(1)));
        } else {
            vst4q_f32(to, float32x4x4_t(x(0), x(1), x(2), x(3)));
        }
    }
}

/// The loops for f64.
pub(super) mod double {
    use super::super::loops::{loops, with_constants};
    use super::super::{Block, Correlation, Kernel, Level, portable};
    use std::arch::aarch64::*;

    const LANES: usize = 2;

    pub(in super::super) const KERNEL: Kernel<f64> = Kernel {
        lanes: LANES,
        vectors: 3,
        rows: 8,
        block,
        correlation_rows: &[14, 12, 8],
        correlate,
        transpose: portable::transpose::<f64, LANES>,
        deinterleave: portable::deinterleave::<f64, LANES>,
        interleave: portable::interleave::<f64, LANES>,
        level: Level::Neon,
    };

    /// Safety: see [`Kernel::block`].
    unsafe fn block(t: &Block<f64>) {
        // SAFETY: the caller's.
        unsafe {
            with_constants!(block_of, t, t.rows, t.vectors,
                1: 1 2 3 4 5 6 7 8; 2: 1 2 3 4 5 6 7 8; 3: 1 2 3 4 5 6 7 8)
        }
    }

    /// Safety: see [`Kernel::correlate`].
    unsafe fn correlate(t: &Correlation<f64>) {
        // SAFETY: the caller's.
        unsafe {
            with_constants!(correlate_of, t, t.from.len(), t.vectors,
                1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14; 2: 1 2 3 4 5 6 7 8 9 10 11 12; 3: 1 2 3 4 5 6 7 8)
        }
    }

    #[inline(always)]
    fn zero() -> float64x2_t {
        splat(0.0)
    }

    #[inline(always)]
    fn splat(value: f64) -> float64x2_t {
        // SAFETY: every processor of this architecture has NEON.
        unsafe { vdupq_n_f64(value) }
    }

    /// `a · b + c` in one rounding.
    #[inline(always)]
    fn fused(a: float64x2_t, b: float64x2_t, c: float64x2_t) -> float64x2_t {
        // SAFETY: as above.
        unsafe { vfmaq_f64(c, a, b) }
    }

    /// As for f32.
    #[inline(always)]
    fn larger(a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: as above.
        unsafe { vbslq_f64(vcgtq_f64(a, b), a, b) }
    }

    loops!("neon", f64, zero, vld1q_f64, vst1q_f64, splat, fused, vaddq_f64, larger);
}
