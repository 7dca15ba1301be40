//! Matrix products: the same bits on every processor, whatever its instructions, its caches and the number of threads.
//!
//! Every element is summed by fused multiply-adds in an order that the sizes and strides alone decide ([`Order`]). The
//! orders are those of the `gemm` crate (0.19, with FMA, on a processor with 48 KiB of first-level data cache), which made
//! these products before: it cuts the depth by the size of the cache at hand, and its sums across lanes by their width.

use super::conv::lanes;
use super::kernel::{Correlation, Element, Kernel, Vectorized, even};
use super::{Shared, scratch, team};
use std::ops::Range;

/// A matrix as rows, columns and the distances between them.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Of elements row by row.
    ///
    /// # Panics
    /// When there are more or fewer elements.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns);
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Whether every element lies inside `data`.
    fn fits(&self) -> bool {
        self.rows == 0
            || self.columns == 0
            || self.at(self.rows - 1, self.columns - 1) < self.data.len()
    }

    #[inline(always)]
    fn at(&self, row: usize, column: usize) -> usize {
        row * self.row_stride + column * self.column_stride
    }
}

/// Where a product goes: rows `pitch` apart.
pub(crate) struct Target<'a, T> {
    pub(crate) out: &'a mut [T],
    pub(crate) pitch: usize,
    /// Whether the product is added to what is there.
    pub(crate) add: bool,
}

/// How an element's terms are added up, over the depth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    /// One or two products, rounded before they are added.
    Few,
    /// One chain that begins with the first product, or with what is added to.
    Chain,
    /// A vector's lanes of 32 bytes, then across them; parts of 1024, one after the other.
    Lanes,
    /// Eight such vectors.
    ManyLanes,
    /// Parts of this depth, each a chain that begins with zero, one after the other.
    Parts(usize),
}

/// Depth of a part whose factors fill a first-level cache.
const PART: usize = 1024;
/// The same of a small result.
const SMALL_PART: usize = 512;

impl Order {
    fn of<T>(a: &Matrix<'_, T>, b: &Matrix<'_, T>, pitch: usize) -> Self {
        let (m, n, k) = (a.rows, b.columns, a.columns);
        let along = a.column_stride == 1 && b.row_stride == 1;
        if along && m * n <= 256 {
            return Self::Lanes;
        }
        if k <= 2 {
            return Self::Few;
        }
        // the side with one vector, and whether the other lies in columns
        if pitch > 1 && m == 1 || pitch == 1 && n == 1 {
            let columns = if pitch > 1 { b.column_stride == 1 } else { a.row_stride == 1 };
            if columns {
                return Self::Chain;
            }
            if along {
                return Self::ManyLanes;
            }
        }
        if pitch > 1 && n == 1 && along {
            return Self::ManyLanes;
        }
        if pitch == 1 && m == 1 && b.column_stride == 1 {
            return Self::Chain;
        }
        if m <= 64 && n <= 64 {
            return Self::Parts(SMALL_PART);
        }
        Self::Parts(k.div_ceil(k.div_ceil(PART)))
    }
}

/// Multiplications below which one thread is quicker than several.
const PARALLEL_FROM: usize = 1 << 17;

/// `out = a · b`, or `out += a · b`. With `parallel`, on several threads where that pays.
///
/// # Panics
/// When sizes do not match or slices are too short.
pub(crate) fn product<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(k, b.rows);
    if m == 0 || n == 0 {
        return;
    }
    let Target { out, pitch, add } = target;
    assert!(a.fits() && b.fits() && pitch >= n && out.len() >= (m - 1) * pitch + n);
    if k == 0 {
        if !add {
            out.chunks_mut(pitch).take(m).for_each(|row| row[..n].fill(T::zero()));
        }
        return;
    }
    let parallel = parallel && m * n * k >= PARALLEL_FROM;
    let target = Target { out, pitch, add };
    match Order::of(&a, &b, pitch) {
        Order::Few => chain::<T, false>(a, b, target, parallel),
        Order::Chain => chain::<T, true>(a, b, target, parallel),
        Order::Lanes => dots(a, b, target, parallel, 1),
        Order::ManyLanes => dots(a, b, target, parallel, 8),
        Order::Parts(part) => parts(a, b, target, parallel, part),
    }
}

/// Elements of a row that a task of [`chain`] computes.
const STRIPE: usize = 2048;

/// [`Order::Chain`], or with rounded products [`Order::Few`].
fn chain<T: Element, const FUSED: bool>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
) {
    let Target { out, pitch, add } = target;
    let (m, n, kernel) = (a.rows, b.columns, T::kernel());
    // one column is computed as the row of the transposed product
    let (a, b, m, n, pitch) = match pitch {
        1 => (b.t(), a.t(), n, m, m),
        _ => (a, b, m, n, pitch),
    };
    for (i, row) in out.chunks_mut(pitch).take(m).enumerate() {
        let row = &mut row[..n];
        let stripe = |(part, out): (usize, &mut [T])| {
            kernel.vectorized(Chain::<T, FUSED> { a, b, row: i, column: part * STRIPE, out, add });
        };
        if parallel && n > STRIPE {
            team::all(row.chunks_mut(STRIPE).enumerate(), stripe);
        } else {
            row.chunks_mut(STRIPE).enumerate().for_each(stripe);
        }
    }
}

/// A part of a row, from a column on.
struct Chain<'a, T, const FUSED: bool> {
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    row: usize,
    column: usize,
    out: &'a mut [T],
    add: bool,
}

impl<T: Element, const FUSED: bool> Vectorized for Chain<'_, T, FUSED> {
    #[inline(always)]
    fn run(self) {
        let Self { a, b, row, column, out, add } = self;
        let plus = |sum: T, x: T, y: T| if FUSED { x.mul_add(y, sum) } else { x * y + sum };
        for k in 0..a.columns {
            let x = a.data[a.at(row, k)];
            let first = k == 0 && !add;
            let from = &b.data[b.at(k, column)..];
            if b.column_stride == 1 {
                for (o, &y) in out.iter_mut().zip(from) {
                    *o = if first { x * y } else { plus(*o, x, y) };
                }
            } else {
                for (o, &y) in out.iter_mut().zip(from.iter().step_by(b.column_stride.max(1))) {
                    *o = if first { x * y } else { plus(*o, x, y) };
                }
            }
        }
    }
}

/// Elements that are summed over their lanes, `vectors` of them side by side: rows of `a` and columns of `b` are slices.
fn dots<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
    vectors: usize,
) {
    let Target { out, pitch, add } = target;
    let (m, n, kernel, f64) = (a.rows, b.columns, T::kernel(), size_of::<T>() == 8);
    // some columns for a task
    const COLUMNS: usize = 16;
    let target = Shared(out.as_mut_ptr());
    let task = |columns: Range<usize>| {
        for i in 0..m {
            let row = &a.data[a.at(i, 0)..][..a.columns];
            // SAFETY: `product` has checked that `out` has the row; no other task writes these columns of it.
            let out = unsafe {
                std::slice::from_raw_parts_mut(
                    target.get().add(i * pitch + columns.start),
                    columns.len(),
                )
            };
            let dots = Dots { row, b, first: columns.start, out, add };
            match (vectors, f64) {
                (1, false) => kernel.vectorized(Lanes::<T, 8>(dots)),
                (1, true) => kernel.vectorized(Lanes::<T, 4>(dots)),
                (_, false) => kernel.vectorized(ManyLanes::<T, 8, 64>(dots)),
                (_, true) => kernel.vectorized(ManyLanes::<T, 4, 32>(dots)),
            }
        }
    };
    let tasks = even(0..n, COLUMNS);
    if parallel {
        team::all(tasks, task);
    } else {
        tasks.for_each(task);
    }
}

/// A row's inner products with some columns of a matrix.
struct Dots<'a, T> {
    row: &'a [T],
    b: Matrix<'a, T>,
    first: usize,
    out: &'a mut [T],
    add: bool,
}

/// [`Order::Lanes`] with `L` lanes.
struct Lanes<'a, T, const L: usize>(Dots<'a, T>);

impl<T: Element, const L: usize> Vectorized for Lanes<'_, T, L> {
    #[inline(always)]
    fn run(self) {
        let Dots { row, b, first, out, add } = self.0;
        for (part, x) in row.chunks(PART).enumerate() {
            let column = |j: usize| &b.data[b.at(part * PART, first + j)..][..x.len()];
            let add = add || part > 0;
            let finish = |out: &mut T, sum: T| *out = if add { sum + *out } else { sum };
            let mut j = 0;
            while j + 4 <= out.len() {
                let sums = lanes_sums::<T, L, 4>(x, std::array::from_fn(|i| column(j + i)));
                out[j..j + 4].iter_mut().zip(sums).for_each(|(o, sum)| finish(o, sum));
                j += 4;
            }
            while j < out.len() {
                let [sum] = lanes_sums::<T, L, 1>(x, [column(j)]);
                finish(&mut out[j], sum);
                j += 1;
            }
        }
    }
}

/// Inner products of one vector with `J` of its length.
#[inline(always)]
fn lanes_sums<T: Element, const L: usize, const J: usize>(x: &[T], y: [&[T]; J]) -> [T; J] {
    let mut sums = [[T::zero(); L]; J];
    let (whole, rest) = x.as_chunks::<L>();
    let y = y.map(|y| y.as_chunks::<L>());
    for (at, x) in whole.iter().enumerate() {
        for j in 0..J {
            let y = &y[j].0[at];
            for l in 0..L {
                sums[j][l] = x[l].mul_add(y[l], sums[j][l]);
            }
        }
    }
    if !rest.is_empty() {
        let filled =
            |v: &[T]| -> [T; L] { std::array::from_fn(|l| v.get(l).copied().unwrap_or(T::zero())) };
        let x = filled(rest);
        for j in 0..J {
            let y = filled(y[j].1);
            for l in 0..L {
                sums[j][l] = x[l].mul_add(y[l], sums[j][l]);
            }
        }
    }
    sums.map(|s| {
        let half: [T; 4] = if L == 8 {
            std::array::from_fn(|l| s[l] + s[l + L - 4])
        } else {
            std::array::from_fn(|l| s[l])
        };
        (half[0] + half[2]) + (half[1] + half[3])
    })
}

/// [`Order::ManyLanes`] with `L` lanes in each of eight vectors, `M` in all.
struct ManyLanes<'a, T, const L: usize, const M: usize>(Dots<'a, T>);

impl<T: Element, const L: usize, const M: usize> Vectorized for ManyLanes<'_, T, L, M> {
    #[inline(always)]
    fn run(self) {
        let Dots { row, b, first, out, add } = self.0;
        for (j, out) in out.iter_mut().enumerate() {
            let column = &b.data[b.at(0, first + j)..][..row.len()];
            let (whole_x, rest_x) = row.as_chunks::<M>();
            let (whole_y, rest_y) = column.as_chunks::<M>();
            let mut sums = [T::zero(); M];
            for (x, y) in whole_x.iter().zip(whole_y) {
                for l in 0..M {
                    sums[l] = x[l].mul_add(y[l], sums[l]);
                }
            }
            let vector = |v: usize| -> [T; L] { std::array::from_fn(|l| sums[v * L + l]) };
            let plus = |a: [T; L], b: [T; L]| -> [T; L] { std::array::from_fn(|l| a[l] + b[l]) };
            let pair = |v: usize| plus(vector(v), vector(v + 1));
            let mut lanes = plus(plus(pair(0), pair(2)), plus(pair(4), pair(6)));
            let (whole_x, rest_x) = rest_x.as_chunks::<L>();
            let (whole_y, rest_y) = rest_y.as_chunks::<L>();
            for (x, y) in whole_x.iter().zip(whole_y) {
                for l in 0..L {
                    lanes[l] = x[l].mul_add(y[l], lanes[l]);
                }
            }
            let mut sum = lanes[0];
            lanes[1..].iter().for_each(|&lane| sum += lane);
            for (&x, &y) in rest_x.iter().zip(rest_y) {
                sum = x.mul_add(y, sum);
            }
            *out = if add { sum + *out } else { sum };
        }
    }
}

/// Sums by the kernels: panels of columns, each packed for itself, and rows of `a` that are read where they lie.
fn parts<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
    parallel: bool,
    part: usize,
) {
    let Target { out, pitch, add } = target;
    let kernel = T::kernel();
    let panels = kernel.panels(b.columns);
    // enough tasks for all threads; each packs its panel
    let want = if parallel { (3 * rayon::current_num_threads()).div_ceil(panels.len()) } else { 1 };
    let rows: Vec<Range<usize>> = even(0..a.rows, a.rows.div_ceil(want).max(32)).collect();
    let tasks =
        panels.iter().flat_map(|panel| rows.iter().map(|rows| (panel.clone(), rows.clone())));
    let job = Job { kernel, a, b, part, out: Shared(out.as_mut_ptr()), pitch, add };
    let task = |(panel, rows): (Range<usize>, Range<usize>)| job.task(panel, rows);
    if parallel {
        team::all(tasks, task);
    } else {
        tasks.for_each(task);
    }
}

struct Job<'a, T: 'static> {
    kernel: Kernel<T>,
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    part: usize,
    out: Shared<T>,
    pitch: usize,
    add: bool,
}

impl<T: Element> Job<'_, T> {
    fn task(&self, panel: Range<usize>, rows: Range<usize>) {
        let (kernel, a) = (&self.kernel, &self.a);
        let group = kernel.group(panel.len());
        let vectors = group / kernel.lanes;
        let most = kernel.correlation_rows[vectors - 1];
        let to: Vec<usize> = (0..most).collect();
        scratch::with(self.part * group, |packed: &mut [T]| {
            scratch::with(most * group, |sums: &mut [T]| {
                for depth in (0..a.columns).step_by(self.part) {
                    let depth = depth..(depth + self.part).min(a.columns);
                    self.pack(
                        panel.clone(),
                        depth.clone(),
                        &mut packed[..depth.len() * group],
                        group,
                    );
                    for some in even(rows.clone(), most) {
                        let from: Vec<usize> = some.clone().map(|i| a.at(i, depth.start)).collect();
                        let correlation = Correlation {
                            x: a.data.as_ptr(),
                            from: &from,
                            count: [1, 1, depth.len()],
                            x_steps: [0, 0, a.column_stride],
                            g: packed.as_ptr(),
                            vectors,
                            g_steps: [0, 0],
                            c: sums.as_mut_ptr(),
                            to: &to[..some.len()],
                            accumulate: false,
                            bias: std::ptr::null(),
                            relu: false,
                        };
                        // SAFETY: `product` has checked that `a` has these rows; `packed` and `sums` have as many groups
                        // as are counted.
                        unsafe { (kernel.correlate)(&correlation) };
                        for (i, sums) in some.zip(sums.chunks_exact(group)) {
                            // SAFETY: inside `out`, as `product` has checked; no other task has these rows of the panel.
                            let out = unsafe {
                                let out = self.out.get().add(i * self.pitch + panel.start);
                                std::slice::from_raw_parts_mut(out, panel.len())
                            };
                            if self.add || depth.start > 0 {
                                out.iter_mut().zip(sums).for_each(|(o, &sum)| *o += sum);
                            } else {
                                out.copy_from_slice(&sums[..out.len()]);
                            }
                        }
                    }
                }
            });
        });
    }

    /// Columns of `b` side by side, for each row; what is behind the last is zero.
    fn pack(&self, panel: Range<usize>, depth: Range<usize>, packed: &mut [T], group: usize) {
        let (b, width) = (&self.b, panel.len());
        let from = &b.data[b.at(depth.start, panel.start)..];
        if b.row_stride == 1 && b.column_stride > 1 {
            // SAFETY: `b` has these columns, each a slice, and `packed` a group for each row.
            unsafe {
                let (from, to) = ((from.as_ptr(), b.column_stride), (packed.as_mut_ptr(), group));
                lanes::transpose(&self.kernel, [width, depth.len()], from, to);
            }
        } else {
            for (k, to) in packed.chunks_exact_mut(group).enumerate() {
                let from = &from[k * b.row_stride..];
                if b.column_stride == 1 {
                    to[..width].copy_from_slice(&from[..width]);
                } else {
                    for (j, to) in to[..width].iter_mut().enumerate() {
                        *to = from[j * b.column_stride];
                    }
                }
            }
        }
        if width < group {
            packed.chunks_exact_mut(group).for_each(|group| group[width..].fill(T::zero()));
        }
    }
}

#[cfg(test)]
mod tests;
