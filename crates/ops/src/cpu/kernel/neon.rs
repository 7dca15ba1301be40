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

loops!("neon", zero, vld1q_f32, vst1q_f32, splat, fused, vaddq_f32, vmaxq_f32);

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
