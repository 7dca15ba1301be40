//! The loops over vectors, written once for all instruction sets: a macro, since intrinsics are functions of their own for
//! each width of vector.

/// Calls `$f::<rows, vectors>` with the numbers as constants, so that sums stay in registers.
macro_rules! with_constants {
    ($f:ident, $t:expr, $rows:expr, $vectors:expr, $($v:literal: $($r:literal)*);*) => {
        match ($rows, $vectors) {
            $($(($r, $v) => $f::<$r, $v>($t),)*)*
            (rows, vectors) => unreachable!("no block of {rows} rows and {vectors} vectors"),
        }
    };
}

/// Defines `block_of` and `correlate_of` for an element type with the intrinsics that are named; `LANES` is in scope.
macro_rules! loops {
    ($features:literal, $t:ty, $zero:ident, $load:ident, $store:ident, $splat:ident, $fma:ident, $add:ident, $max:ident) => {
        /// Safety: see [`Kernel::block`]; `R` and `V` are the block's rows and vectors.
        #[target_feature(enable = $features)]
        unsafe fn block_of<const R: usize, const V: usize>(t: &Block<$t>) {
            let mut acc = [[$zero(); V]; R];
            // SAFETY: `c` has R rows of V vectors and `bias`, if any, R elements.
            unsafe {
                if t.accumulate {
                    for (r, row) in acc.iter_mut().enumerate() {
                        for (v, s) in row.iter_mut().enumerate() {
                            *s = $load(t.c.add(r * t.ldc + v * LANES));
                        }
                    }
                } else if !t.bias.is_null() {
                    for (r, row) in acc.iter_mut().enumerate() {
                        *row = [$splat(*t.bias.add(r)); V];
                    }
                }
            }
            let (mut a, mut b) = (t.a, t.b);
            for _ in 0..t.depth {
                // SAFETY: `a` has `depth` groups of R elements and `b` of V vectors.
                unsafe {
                    let mut x = [$zero(); V];
                    for (v, x) in x.iter_mut().enumerate() {
                        *x = $load(b.add(v * LANES));
                    }
                    for (r, row) in acc.iter_mut().enumerate() {
                        let w = $splat(*a.add(r));
                        for (s, x) in row.iter_mut().zip(x) {
                            *s = $fma(w, x, *s);
                        }
                    }
                    a = a.add(R);
                    b = b.add(V * LANES);
                }
            }
            let nothing = $zero();
            for (r, row) in acc.iter().enumerate() {
                for (v, &s) in row.iter().enumerate() {
                    let s = if t.add {
                        // SAFETY: `c` has R rows of V vectors.
                        $add(unsafe { $load(t.c.add(r * t.ldc + v * LANES)) }, s)
                    } else {
                        s
                    };
                    // the second operand is what a NaN becomes: kept
                    let s = if t.relu { $max(nothing, s) } else { s };
                    // SAFETY: `c` has R rows of V vectors.
                    unsafe { $store(t.c.add(r * t.ldc + v * LANES), s) };
                }
            }
        }

        /// Safety: see [`Kernel::correlate`]; `R` and `V` are the numbers of rows and vectors.
        #[target_feature(enable = $features)]
        unsafe fn correlate_of<const R: usize, const V: usize>(t: &Correlation<$t>) {
            let mut acc = [[$zero(); V]; R];
            let mut x = [t.x; R];
            for (r, (row, x)) in acc.iter_mut().zip(&mut x).enumerate() {
                // SAFETY: each row starts inside `x`, `c` has its group of V vectors and `bias`, if any, one.
                unsafe {
                    *x = x.add(t.from[r]);
                    for (v, s) in row.iter_mut().enumerate() {
                        if t.accumulate {
                            *s = $load(t.c.add((t.to[r] * V + v) * LANES));
                        } else if !t.bias.is_null() {
                            *s = $load(t.bias.add(v * LANES));
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
                            let mut y = [$zero(); V];
                            for (v, y) in y.iter_mut().enumerate() {
                                *y = $load(g.add(v * LANES));
                            }
                            for (row, x) in acc.iter_mut().zip(x) {
                                let x = $splat(*x.add(at));
                                for (s, y) in row.iter_mut().zip(y) {
                                    *s = $fma(x, y, *s);
                                }
                            }
                            at += t.x_steps[2];
                            g = g.wrapping_add(V * LANES);
                        }
                    }
                }
            }
            let nothing = $zero();
            for (r, row) in acc.iter().enumerate() {
                for (v, &s) in row.iter().enumerate() {
                    // the second operand is what a NaN becomes: kept
                    let s = if t.relu { $max(nothing, s) } else { s };
                    // SAFETY: as above.
                    unsafe { $store(t.c.add((t.to[r] * V + v) * LANES), s) };
                }
            }
        }
    };
}

pub(super) use {loops, with_constants};
