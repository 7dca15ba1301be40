use super::*;
use std::cell::Cell;

thread_local! {
    pub(super) static FORCED: Cell<Option<Level>> = const { Cell::new(None) };
}

/// Calls `f` once for each instruction set of this processor, with kernels of that one on this thread.
pub(crate) fn at_each_level<E>(f: impl Fn(Level) -> Result<(), E>) -> Result<(), E> {
    let result = levels().iter().try_for_each(|&level| {
        FORCED.set(Some(level));
        f(level)
    });
    FORCED.set(None);
    result
}

fn values(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64 + seed) * 12.9898).sin()).collect()
}

/// Every size of block, from and beyond one vector, against plain sums.
fn check<T: Element>(tolerance: f64) {
    let narrow = |v: &[f64]| v.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    for &level in levels() {
        let kernel = T::kernel_at(level);
        assert!(kernel.rows <= MAX_ROWS && kernel.columns() <= MAX_COLUMNS);
        for rows in 1..=kernel.rows {
            for vectors in 1..=kernel.vectors {
                let (n, depth, ldc) = (vectors * kernel.lanes, 7, vectors * kernel.lanes + 3);
                let (a, b, c0) =
                    (values(depth * rows, 0.1), values(depth * n, 0.7), values(rows * ldc, 0.3));
                let bias = values(rows, 0.9);
                for (accumulate, add, with_bias, relu) in [
                    (false, false, false, false),
                    (true, false, false, true),
                    (false, true, false, true),
                    (false, false, true, false),
                    (false, false, true, true),
                ] {
                    let (ta, tb, tbias, mut c) =
                        (narrow(&a), narrow(&b), narrow(&bias), narrow(&c0));
                    let block = Block {
                        rows,
                        vectors,
                        depth,
                        a: ta.as_ptr(),
                        b: tb.as_ptr(),
                        c: c.as_mut_ptr(),
                        ldc,
                        accumulate,
                        add,
                        bias: if with_bias { tbias.as_ptr() } else { std::ptr::null() },
                        relu,
                    };
                    // SAFETY: the vectors have the sizes that the block names.
                    unsafe { (kernel.block)(&block) };
                    for r in 0..rows {
                        for j in 0..ldc {
                            let mut want = c0[r * ldc + j];
                            if j < n {
                                want = if accumulate || add { want } else { 0.0 }
                                    + if with_bias { bias[r] } else { 0.0 };
                                want +=
                                    (0..depth).map(|k| a[k * rows + r] * b[k * n + j]).sum::<f64>();
                                want = if relu { want.max(0.0) } else { want };
                            }
                            let got = c[r * ldc + j].to_f64();
                            assert!(
                                (got - want).abs() < tolerance,
                                "{level:?} {rows}x{vectors} {got} {want}"
                            );
                        }
                    }
                }
            }
        }
        for (vectors, &most) in (1..).zip(kernel.correlation_rows) {
            for rows in 1..=most {
                correlate::<T>(level, rows, vectors, tolerance);
            }
        }
    }
}

fn correlate<T: Element>(level: Level, rows: usize, vectors: usize, tolerance: f64) {
    let kernel = T::kernel_at(level);
    let n = vectors * kernel.lanes;
    let (x, g, c0) = (values(500, 0.2), values(15 * n + 4, 0.5), values((rows + 1) * n, 0.3));
    let narrow = |v: &[f64]| v.iter().map(|&x| T::from_f64(x)).collect::<Vec<T>>();
    let from: Vec<usize> = (0..rows).map(|r| r * 11 + r % 2).collect();
    // from the last group to the first but one
    let to: Vec<usize> = (0..rows).map(|r| rows - r).collect();
    let bias = values(n, 0.9);
    for (accumulate, with_bias, relu) in
        [(false, false, false), (true, false, true), (false, true, false), (false, true, true)]
    {
        let (tx, tg, tbias, mut c) = (narrow(&x), narrow(&g), narrow(&bias), narrow(&c0));
        let sum = Correlation {
            x: tx.as_ptr(),
            from: &from,
            count: [2, 2, 3],
            x_steps: [170, 10, 2],
            g: tg.as_ptr(),
            vectors,
            g_steps: [7 * n + 1, 4 * n + 2],
            c: c.as_mut_ptr(),
            to: &to,
            accumulate,
            bias: if with_bias { tbias.as_ptr() } else { std::ptr::null() },
            relu,
        };
        // SAFETY: the largest places are 7 · 11 + 1 + 170 + 10 + 4 in `x` and 14 n + 3 in `g`.
        unsafe { (kernel.correlate)(&sum) };
        let row_of = |group: usize| to.iter().position(|&t| t == group);
        for (at, got) in c.iter().enumerate() {
            let mut want = c0[at];
            if let Some(r) = row_of(at / n) {
                let term = |p: usize| {
                    let (image, i, j) = (p / 6, p / 3 % 2, p % 3);
                    x[from[r] + image * 170 + i * 10 + j * 2]
                        * g[image * (7 * n + 1) + i * (4 * n + 2) + j * n + at % n]
                };
                want = if accumulate { want } else { 0.0 } + (0..12).map(term).sum::<f64>();
                want += if with_bias { bias[at % n] } else { 0.0 };
                want = if relu { want.max(0.0) } else { want };
            }
            assert!((got.to_f64() - want).abs() < tolerance, "{level:?} {rows}x{vectors}");
        }
    }
}

#[test]
fn blocks_equal_plain_sums() {
    check::<f32>(2e-5);
    check::<f64>(1e-12);
}

fn transpose<T: Element + PartialEq>() {
    for &level in levels() {
        let kernel = T::kernel_at(level);
        let (n, from_pitch, to_pitch) = (kernel.lanes, kernel.lanes + 3, kernel.lanes + 1);
        let from: Vec<T> = (0..n * from_pitch).map(|i| T::from_f64(i as f64)).collect();
        let mut to = vec![T::from_f64(-1.0); n * to_pitch];
        // SAFETY: both have `n` rows of at least `n`.
        unsafe { (kernel.transpose)(from.as_ptr(), from_pitch, to.as_mut_ptr(), to_pitch) };
        for (at, &got) in to.iter().enumerate() {
            let (row, column) = (at / to_pitch, at % to_pitch);
            let want = if column < n { from[column * from_pitch + row] } else { T::from_f64(-1.0) };
            assert!(got == want, "{level:?} {row} {column}");
        }
    }
}

#[test]
fn rows_become_columns() {
    transpose::<f32>();
    transpose::<f64>();
}

fn interleave<T: Element + PartialEq>() {
    for &level in levels() {
        let kernel = T::kernel_at(level);
        for parts in [2, 4] {
            let (n, pitch) = (kernel.lanes, kernel.lanes + 3);
            let together: Vec<T> = (0..parts * n).map(|i| T::from_f64(i as f64)).collect();
            let mut rows = vec![T::from_f64(-1.0); parts * pitch];
            let mut back = vec![T::from_f64(-1.0); parts * n + 1];
            // SAFETY: all have room for `parts` vectors.
            unsafe {
                (kernel.deinterleave)(parts, together.as_ptr(), rows.as_mut_ptr(), pitch);
                (kernel.interleave)(parts, rows.as_ptr(), pitch, back.as_mut_ptr());
            }
            for (at, &got) in rows.iter().enumerate() {
                let (row, i) = (at / pitch, at % pitch);
                let want = if i < n { together[i * parts + row] } else { T::from_f64(-1.0) };
                assert!(got == want, "{level:?} {parts} {row} {i}");
            }
            assert!(back[..parts * n] == together && back[parts * n] == T::from_f64(-1.0));
        }
    }
}

#[test]
fn rows_are_interleaved_and_back() {
    interleave::<f32>();
    interleave::<f64>();
}

#[test]
fn row_groups_cover_all_rows() {
    let kernel = f32::kernel();
    for count in [1, 13, 14, 15, 64, 1000] {
        let groups = kernel.row_groups(count);
        assert_eq!(groups.iter().map(|g| g.len()).sum::<usize>(), count);
        assert!(groups.iter().all(|g| !g.is_empty() && g.len() <= kernel.rows));
    }
}
