//! Matrix products: the same bits on every processor, whatever its instructions, its caches and the number of threads.
//!
//! Every element is summed by fused multiply-adds in an order that the sizes and strides alone decide ([`Order`]). The
//! orders are those of the `gemm` crate (0.19, with FMA, on a processor with 48 KiB of first-level data cache), which made
//! these products before: it cuts the depth by the size of the cache at hand, and its sums across lanes by their width.

mod dots;
mod lines;
mod panels;

use super::kernel::Element;
use super::team;
use dots::dots;
use lines::{FEW_ROWS, chain, few_rows};
use panels::parts;

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

    /// An order that does not depend on the number of rows: with one column lanes, else that of many rows.
    fn of_each_row<T>(a: &Matrix<'_, T>, b: &Matrix<'_, T>) -> Self {
        let (n, k) = (b.columns, a.columns);
        match a.column_stride == 1 && b.row_stride == 1 {
            true if n == 1 => Self::Lanes,
            _ if k <= 2 => Self::Few,
            _ => Self::Parts(k.div_ceil(k.div_ceil(PART))),
        }
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
    let order = Order::of(&a, &b, target.pitch);
    product_in(order, a, b, target, parallel);
}

/// The same on all threads, each row of `a` by itself: its bits do not depend on how many others there are.
///
/// # Panics
/// As [`product`].
pub(crate) fn product_of_each_row<T: Element>(
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    target: Target<'_, T>,
) {
    product_in(Order::of_each_row(&a, &b), a, b, target, true);
}

fn product_in<T: Element>(
    order: Order,
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
    match order {
        Order::Few => chain::<T, false>(a, b, target, parallel),
        Order::Chain => chain::<T, true>(a, b, target, parallel),
        Order::Lanes => dots(a, b, target, parallel, 1),
        Order::ManyLanes => dots(a, b, target, parallel, 8),
        Order::Parts(part) if m <= FEW_ROWS && b.column_stride == 1 => {
            few_rows(a, b, target, parallel, part)
        }
        Order::Parts(part) => parts(a, b, target, parallel, part),
    }
}

/// Calls `task` with each of `parts`, on several threads or one after the other.
fn share<P: Send>(parallel: bool, parts: impl Iterator<Item = P>, task: impl Fn(P) + Sync) {
    if parallel { team::all(parts, task) } else { parts.for_each(task) }
}

#[cfg(test)]
mod tests;
