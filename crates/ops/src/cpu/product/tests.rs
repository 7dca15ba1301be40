use super::*;
use crate::cpu::kernel::tests::at_each_level;

/// As many numbers, with zeros among them.
fn numbers<T: Element>(count: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let drawn = (state >> 40) as f64 / (1 << 24) as f64 - 0.5;
            T::from_f64(if state >> 33 & 7 == 0 { 0.0 } else { drawn })
        })
        .collect()
}

/// Sizes and layouts (`a` transposed, `b` transposed, distance of rows beyond their length, added) of every order.
fn cases() -> Vec<([usize; 3], [bool; 2], usize, bool)> {
    let sizes = [
        [1, 1, 1],
        [1, 1, 37],
        [3, 2, 2],
        [5, 40, 1],
        [1, 10, 100],
        [16, 10, 1100],
        [16, 16, 2049],
        [1, 300, 130],
        [300, 1, 1031],
        [40, 50, 1300],
        [70, 20, 600],
        [17, 70, 1300],
        [30, 90, 1024],
        [9, 65, 2500],
        [3, 300, 1300],
        [4, 1100, 1030],
    ];
    let mut out = vec![];
    for size in sizes {
        for layout in 0..16 {
            let bit = |i: usize| layout >> i & 1 == 1;
            out.push((size, [bit(0), bit(1)], if bit(2) { 3 } else { 0 }, bit(3)));
        }
    }
    out
}

fn with_case<T: Element, R>(
    ([m, n, k], [a_t, b_t], beyond, _): ([usize; 3], [bool; 2], usize, bool),
    f: impl FnOnce(Matrix<'_, T>, Matrix<'_, T>, Vec<T>, usize) -> R,
) -> R {
    let (x, y) = (numbers::<T>(m * k, 1), numbers::<T>(k * n, 2));
    let a = if a_t { Matrix::new(&x, k, m).t() } else { Matrix::new(&x, m, k) };
    let b = if b_t { Matrix::new(&y, n, k).t() } else { Matrix::new(&y, k, n) };
    let pitch = n + beyond;
    f(a, b, numbers(m * pitch, 3), pitch)
}

fn close_to_plain_sums<T: Element>(tolerance: f64) {
    for case in cases() {
        with_case::<T, _>(case, |a, b, before, pitch| {
            for parallel in [false, true] {
                let (mut out, add) = (before.clone(), case.3);
                product(a, b, Target { out: &mut out, pitch, add }, parallel);
                for (at, (got, before)) in out.iter().zip(&before).enumerate() {
                    let (i, j) = (at / pitch, at % pitch);
                    let mut want = if add || j >= b.columns { before.to_f64() } else { 0.0 };
                    if j < b.columns {
                        let term = |k| a.data[a.at(i, k)].to_f64() * b.data[b.at(k, j)].to_f64();
                        want += (0..a.columns).map(term).sum::<f64>();
                    }
                    assert!((got.to_f64() - want).abs() < tolerance, "{case:?} at {i}, {j}");
                }
            }
        });
    }
}

#[test]
fn equals_plain_sums() {
    close_to_plain_sums::<f32>(2e-4);
    close_to_plain_sums::<f64>(1e-12);
}

fn same_bits_at_each_level<T: Element>() {
    for case in cases() {
        with_case::<T, _>(case, |a, b, before, pitch| {
            let compute = |parallel| {
                let mut out = before.clone();
                product(a, b, Target { out: &mut out, pitch, add: case.3 }, parallel);
                out.iter().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>()
            };
            // on threads of their own, at the best level
            let want = compute(true);
            at_each_level(|level| {
                assert!(
                    compute(false) == want,
                    "{level:?} {case:?} {:?}",
                    Order::of(&a, &b, pitch)
                );
                Ok::<_, ()>(())
            })
            .unwrap();
        });
    }
}

#[test]
fn every_processor_gives_the_same_bits() {
    same_bits_at_each_level::<f32>();
    same_bits_at_each_level::<f64>();
}

/// Each of several rows has the bits that it has alone, whatever computes so many.
fn rows_by_themselves<T: Element>() {
    let bits = |v: &[T]| v.iter().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>();
    const ROWS: usize = 34;
    for (columns, depth, add) in [
        (1, 100, true),
        (10, 84, false),
        (10, 1500, true),
        (3, 2, true),
        (70, 600, false),
        (40, 2500, true),
        (1100, 200, false),
    ] {
        let (x, y) = (numbers::<T>(ROWS * depth, 1), numbers::<T>(depth * columns, 2));
        let before = numbers::<T>(ROWS * columns, 3);
        for b in [Matrix::new(&y, depth, columns), Matrix::new(&y, columns, depth).t()] {
            at_each_level(|level| {
                let rows = |first: usize, count: usize| {
                    let a = Matrix::new(&x[first * depth..][..count * depth], count, depth);
                    let mut out = before[first * columns..][..count * columns].to_vec();
                    let target = Target { out: &mut out, pitch: columns, add };
                    product_in(Order::of_each_row(&a, &b), a, b, target, false);
                    bits(&out)
                };
                let all = rows(0, ROWS);
                for count in [1, 3, 5, 30] {
                    let some: Vec<u64> =
                        (0..ROWS / count).flat_map(|at| rows(at * count, count)).collect();
                    assert!(
                        some == all[..some.len()],
                        "{level:?}, {count} rows at a time, {columns} columns, depth {depth}"
                    );
                }
                Ok::<_, ()>(())
            })
            .unwrap();
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    rows_by_themselves::<f32>();
    rows_by_themselves::<f64>();
}

/// What made these products before, where it has the instructions and the cache that [`Order`] is made for.
#[test]
#[ignore = "only on a processor with FMA and 48 KiB of first-level data cache"]
fn same_bits_as_gemm() {
    fn check<T: Element>() {
        for case in cases() {
            with_case::<T, _>(case, |a, b, before, pitch| {
                let (mut ours, mut theirs) = (before.clone(), before);
                let (m, n, k) = (a.rows, b.columns, a.columns);
                product(a, b, Target { out: &mut ours, pitch, add: case.3 }, true);
                // SAFETY: the matrices lie inside their slices with these strides.
                unsafe {
                    let [ac, ar, bc, br] =
                        [a.column_stride, a.row_stride, b.column_stride, b.row_stride]
                            .map(|stride| stride as isize);
                    let (x, y) = (a.data.as_ptr(), b.data.as_ptr());
                    let (out, one) = (theirs.as_mut_ptr(), T::one());
                    gemm::gemm(
                        m,
                        n,
                        k,
                        out,
                        1,
                        pitch as isize,
                        case.3,
                        x,
                        ac,
                        ar,
                        y,
                        bc,
                        br,
                        one,
                        one,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
                let bits = |v: &[T]| v.iter().map(|v| v.to_f64().to_bits()).collect::<Vec<_>>();
                assert!(bits(&ours) == bits(&theirs), "{case:?} {:?}", Order::of(&a, &b, pitch));
            });
        }
    }
    check::<f32>();
    check::<f64>();
}
