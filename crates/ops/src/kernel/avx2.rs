//! The loops with AVX2 and FMA: 12 of the 16 registers hold sums.

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

/// Calls `$f::<rows, vectors>` with the numbers as constants, so that sums stay in registers.
macro_rules! with_constants {
    ($f:ident, $t:expr, $rows:expr, $vectors:expr, $($v:literal: $($r:literal)*);*) => {
        match ($rows, $vectors) {
            $($(($r, $v) => $f::<$r, $v>($t),)*)*
            (rows, vectors) => unreachable!("no block of {rows} rows and {vectors} vectors"),
        }
    };
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

/// Safety: see [`Kernel::block`]; `R` and `V` are the block's rows and vectors.
#[target_feature(enable = "avx2,fma")]
unsafe fn block_of<const R: usize, const V: usize>(t: &Block<f32>) {
    let mut acc = [[_mm256_setzero_ps(); V]; R];
    // SAFETY: `c` has R rows of V vectors and `bias`, if any, R elements.
    unsafe {
        if t.accumulate {
            for (r, row) in acc.iter_mut().enumerate() {
                for (v, s) in row.iter_mut().enumerate() {
                    *s = _mm256_loadu_ps(t.c.add(r * t.ldc + v * LANES));
                }
            }
        } else if !t.bias.is_null() {
            for (r, row) in acc.iter_mut().enumerate() {
                *row = [_mm256_set1_ps(*t.bias.add(r)); V];
            }
        }
    }
    let (mut a, mut b) = (t.a, t.b);
    for _ in 0..t.depth {
        // SAFETY: `a` has `depth` groups of R elements and `b` of V vectors.
        unsafe {
            let mut x = [_mm256_setzero_ps(); V];
            for (v, x) in x.iter_mut().enumerate() {
                *x = _mm256_loadu_ps(b.add(v * LANES));
            }
            for (r, row) in acc.iter_mut().enumerate() {
                let w = _mm256_set1_ps(*a.add(r));
                for (s, x) in row.iter_mut().zip(x) {
                    *s = _mm256_fmadd_ps(w, x, *s);
                }
            }
            a = a.add(R);
            b = b.add(V * LANES);
        }
    }
    let zero = _mm256_setzero_ps();
    for (r, row) in acc.iter().enumerate() {
        for (v, &s) in row.iter().enumerate() {
            let s = if t.add {
                // SAFETY: `c` has R rows of V vectors.
                _mm256_add_ps(unsafe { _mm256_loadu_ps(t.c.add(r * t.ldc + v * LANES)) }, s)
            } else {
                s
            };
            // the second operand is what a NaN becomes: kept
            let s = if t.relu { _mm256_max_ps(zero, s) } else { s };
            // SAFETY: `c` has R rows of V vectors.
            unsafe { _mm256_storeu_ps(t.c.add(r * t.ldc + v * LANES), s) };
        }
    }
}

/// Safety: see [`Kernel::correlate`]; `R` and `V` are the numbers of rows and vectors.
#[target_feature(enable = "avx2,fma")]
unsafe fn correlate_of<const R: usize, const V: usize>(t: &Correlation<f32>) {
    let mut acc = [[_mm256_setzero_ps(); V]; R];
    let mut x = [t.x; R];
    for (r, (row, x)) in acc.iter_mut().zip(&mut x).enumerate() {
        // SAFETY: each row starts inside `x`, `c` has its group of V vectors and `bias`, if any, one.
        unsafe {
            *x = x.add(t.from[r]);
            for (v, s) in row.iter_mut().enumerate() {
                if t.accumulate {
                    *s = _mm256_loadu_ps(t.c.add((t.to[r] * V + v) * LANES));
                } else if !t.bias.is_null() {
                    *s = _mm256_loadu_ps(t.bias.add(v * LANES));
                }
            }
        }
    }
    let [images, rows, columns] = t.count;
    for n in 0..images {
        for i in 0..rows {
            let mut at = n * t.x_steps[0] + i * t.x_steps[1];
            // SAFETY: `g` has V vectors for each column that is counted, and the caller's steps stay inside `x`.
            unsafe {
                let mut g = t.g.add(n * t.g_steps[0] + i * t.g_steps[1]);
                for _ in 0..columns {
                    let mut y = [_mm256_setzero_ps(); V];
                    for (v, y) in y.iter_mut().enumerate() {
                        *y = _mm256_loadu_ps(g.add(v * LANES));
                    }
                    for (row, x) in acc.iter_mut().zip(x) {
                        let x = _mm256_set1_ps(*x.add(at));
                        for (s, y) in row.iter_mut().zip(y) {
                            *s = _mm256_fmadd_ps(x, y, *s);
                        }
                    }
                    at += t.x_steps[2];
                    g = g.wrapping_add(V * LANES);
                }
            }
        }
    }
    let zero = _mm256_setzero_ps();
    for (r, row) in acc.iter().enumerate() {
        for (v, &s) in row.iter().enumerate() {
            // the second operand is what a NaN becomes: kept
            let s = if t.relu { _mm256_max_ps(zero, s) } else { s };
            // SAFETY: as above.
            unsafe { _mm256_storeu_ps(t.c.add((t.to[r] * V + v) * LANES), s) };
        }
    }
}

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
