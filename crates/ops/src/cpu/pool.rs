//! Pooling on the processor.

use super::kernel::{Element, Vectorized};
use super::{build, by_dtype, contiguous, scratch, tensor, with_data};
use crate::pool::Pool2d;
use crate::tape::apply1;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, WithDType, bail};

/// [`crate::pool::max_pool2d`] of a checked input.
pub(crate) fn max_pool2d(x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
    apply1(&x.contiguous()?, Max(*pool))
}

/// [`crate::pool::avg_pool2d`] of a checked input.
pub(crate) fn avg_pool2d(x: &Tensor, pool: &Pool2d, count_include_pad: bool) -> Result<Tensor> {
    apply1(&x.contiguous()?, Average { pool: *pool, count_include_pad })
}

/// The larger of two, or NaN if one of them is.
#[inline(always)]
fn larger<T: WithDType>(a: T, b: T) -> T {
    #[allow(clippy::eq_op, reason = "only what is no number differs from itself")]
    if b > a || b != b { b } else { a }
}

/// What the loops over one plane need.
struct Planes {
    pool: Pool2d,
    input: [usize; 2],
    output: [usize; 2],
    shape: Vec<usize>,
}

impl Planes {
    fn new(pool: Pool2d, dims: &[usize]) -> Result<Self> {
        let &[n, c, h, w] = dims else { bail!("pooling expects 4 dimensions, got {dims:?}") };
        let output = pool.output_size([h, w])?;
        Ok(Self { pool, input: [h, w], output, shape: vec![n, c, output[0], output[1]] })
    }

    fn input_len(&self) -> usize {
        self.input[0] * self.input[1]
    }

    fn output_len(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Folds the rows of each window first, so that the long inner loop runs over neighbours, then its columns.
    fn fold<T: Element>(
        &self,
        x: &[T],
        f: impl Fn(T, T) -> T + Sync,
        scale: impl Fn(T, usize, usize) -> T + Sync,
    ) -> Vec<T> {
        let (len, part) = (x.len() / self.input_len() * self.output_len(), self.output_len());
        build(len, part, |plane, out| {
            let x = &x[plane * self.input_len()..][..self.input_len()];
            scratch::with(self.input[1], |rows: &mut [T]| {
                let (f, scale) = (&f, &scale);
                T::kernel().vectorized(FoldPlane { planes: self, x, rows, out, f, scale });
            });
        })
    }
}

/// The windows of one plane.
struct FoldPlane<'a, T, F, S> {
    planes: &'a Planes,
    x: &'a [T],
    /// Room for a row of it.
    rows: &'a mut [T],
    out: &'a mut [T],
    f: &'a F,
    scale: &'a S,
}

impl<T: Element, F: Fn(T, T) -> T, S: Fn(T, usize, usize) -> T> Vectorized
    for FoldPlane<'_, T, F, S>
{
    #[inline(always)]
    fn run(self) {
        let Self { planes, x, rows, out, f, scale } = self;
        let ([h, w], pool) = (planes.input, &planes.pool);
        for (oy, out) in out.chunks_exact_mut(planes.output[1]).enumerate() {
            let covered = pool.covered(0, oy, h);
            let row = |y: usize| &x[y * w..][..w];
            match covered.len() {
                // in one go, where most are
                3 => {
                    let [a, b, c] = [0, 1, 2].map(|i| row(covered.start + i));
                    for (((m, &a), &b), &c) in rows.iter_mut().zip(a).zip(b).zip(c) {
                        *m = f(f(a, b), c);
                    }
                }
                _ => {
                    rows.copy_from_slice(row(covered.start));
                    for y in covered.skip(1) {
                        for (m, &v) in rows.iter_mut().zip(row(y)) {
                            *m = f(*m, v);
                        }
                    }
                }
            }
            // whole windows without padding, some at once
            let mut first = 0;
            if pool.padding[1] == 0 && pool.stride[1] == 2 {
                first = match pool.kernel[1] {
                    2 => fold_columns::<T, 2>(rows, out, f),
                    3 => fold_columns::<T, 3>(rows, out, f),
                    _ => 0,
                };
            }
            for (ox, out) in out.iter_mut().enumerate().skip(first) {
                let columns = &rows[pool.covered(1, ox, w)];
                *out = columns[1..].iter().fold(columns[0], |m, &v| f(m, v));
            }
            for (ox, out) in out.iter_mut().enumerate() {
                *out = scale(*out, oy, ox);
            }
        }
    }
}

/// Windows of `K` columns, two apart; returns how many were folded.
#[inline(always)]
fn fold_columns<T: Element, const K: usize>(
    rows: &[T],
    out: &mut [T],
    f: impl Fn(T, T) -> T,
) -> usize {
    // windows that lie inside the row
    let count = ((rows.len() + 2).saturating_sub(K) / 2).min(out.len());
    match count {
        8.. => fold_some::<T, K, 8>(rows, &mut out[..count], f),
        4.. => fold_some::<T, K, 4>(rows, &mut out[..count], f),
        _ => return 0,
    }
    count
}

/// At least `N` windows, `N` at once; the last ones may be folded twice.
#[inline(always)]
fn fold_some<T: Element, const K: usize, const N: usize>(
    rows: &[T],
    out: &mut [T],
    f: impl Fn(T, T) -> T,
) {
    let last = out.len() - N;
    for at in (0..last).step_by(N).chain([last]) {
        let x = &rows[2 * at..][..2 * (N - 1) + K];
        let mut folded = [T::zero(); N];
        for (i, folded) in folded.iter_mut().enumerate() {
            *folded = x[2 * i];
            for k in 1..K {
                *folded = f(*folded, x[2 * i + k]);
            }
        }
        out[at..at + N].copy_from_slice(&folded);
    }
}

struct Max(Pool2d);

fn max_forward<T: Element>(p: &Planes, s: &CpuStorage, l: &Layout) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    Ok(T::to_cpu_storage_owned(p.fold(x, larger, |m, _, _| m)))
}

fn max_backward<T: Element>(p: &Planes, x: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Tensor> {
    let (ilen, olen) = (p.input_len(), p.output_len());
    let out = with_data::<T, _>(x, |x| {
        with_data::<T, _>(res, |res| {
            with_data::<T, _>(grad, |grad| {
                Ok(build(x.len(), ilen, |plane, out| {
                    let x = &x[plane * ilen..][..ilen];
                    let res = &res[plane * olen..][..olen];
                    let grad = &grad[plane * olen..][..olen];
                    T::kernel().vectorized(MaxGradient { planes: p, x, res, grad, out });
                }))
            })
        })
    })?;
    tensor(out, x.shape())
}

/// The gradient of one plane.
struct MaxGradient<'a, T> {
    planes: &'a Planes,
    x: &'a [T],
    res: &'a [T],
    grad: &'a [T],
    out: &'a mut [T],
}

impl<T: Element> Vectorized for MaxGradient<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { planes, x, res, grad, out } = self;
        max_gradient(planes, x, [res, grad], out);
    }
}

#[inline(always)]
fn max_gradient<T: Element>(p: &Planes, x: &[T], [res, grad]: [&[T]; 2], out: &mut [T]) {
    let ([h, w], [oh, ow]) = (p.input, p.output);
    let pairs = p.pool.kernel == [2; 2]
        && p.pool.stride == [2; 2]
        && p.pool.padding == [0; 2]
        && ow * 2 <= w
        && oh * 2 <= h;
    if !(pairs && oh * 2 == h && ow * 2 == w) {
        out.fill(T::zero());
    }
    for oy in 0..oh {
        let (res, grad) = (&res[oy * ow..][..ow], &grad[oy * ow..][..ow]);
        if pairs {
            let (x, out) = (&x[2 * oy * w..][..2 * w], &mut out[2 * oy * w..][..2 * w]);
            first_of_pairs(x, res, grad, out);
            continue;
        }
        let rows = p.pool.covered(0, oy, h);
        let mut first = 0;
        if p.pool.kernel == [3; 2]
            && p.pool.stride == [2; 2]
            && p.pool.padding == [0; 2]
            && rows.len() == 3
        {
            first = (w.saturating_sub(1) / 2).min(ow) / TRIPLES * TRIPLES;
            for at in (0..first).step_by(TRIPLES) {
                let from = rows.start * w + 2 * at;
                first_of_triples(&x[from..], w, &res[at..], &grad[at..], &mut out[from..]);
            }
        }
        for ox in first..ow {
            let columns = p.pool.covered(1, ox, w);
            'window: for y in rows.clone() {
                for at in y * w + columns.start..y * w + columns.end {
                    if is_largest(x[at], res[ox]) {
                        out[at] += grad[ox];
                        break 'window;
                    }
                }
            }
        }
    }
}

/// Whether an element is its window's largest, or no number.
#[inline(always)]
fn is_largest<T: WithDType>(x: T, largest: T) -> bool {
    #[allow(clippy::eq_op, reason = "only what is no number differs from itself")]
    let no_number = x != x;
    (x == largest) | no_number
}

/// Windows of [`first_of_triples`].
const TRIPLES: usize = 8;

/// 3×3 windows of three rows of `w`, two columns apart, without branches: each element of `out` gets what its windows give in
/// their order.
#[inline(always)]
fn first_of_triples<T: WithDType>(x: &[T], w: usize, res: &[T], grad: &[T], out: &mut [T]) {
    const N: usize = TRIPLES;
    let (res, grad) = (&res[..N], &grad[..N]);
    // what has found no element yet
    let mut left = [T::zero(); N];
    left.copy_from_slice(grad);
    for row in 0..3 {
        let (x, out) = (&x[row * w..][..2 * N + 1], &mut out[row * w..][..2 * N + 1]);
        let mut given = [[T::zero(); N]; 3];
        for (column, given) in given.iter_mut().enumerate() {
            for i in 0..N {
                let here = is_largest(x[2 * i + column], res[i]);
                given[i] = if here { left[i] } else { T::zero() };
                left[i] = if here { T::zero() } else { left[i] };
            }
        }
        out[0] += given[0][0];
        for i in 0..N {
            out[2 * i + 1] += given[1][i];
            let next = if i + 1 < N { given[0][i + 1] } else { T::zero() };
            out[2 * i + 2] = (out[2 * i + 2] + given[2][i]) + next;
        }
    }
}

/// Two rows of 2×2 windows side by side, without branches.
#[inline(always)]
fn first_of_pairs<T: WithDType>(x: &[T], res: &[T], grad: &[T], out: &mut [T]) {
    match res.len() {
        8.. => first_of_some::<T, 8>(x, res, grad, out),
        4.. => first_of_some::<T, 4>(x, res, grad, out),
        1.. => first_of_some::<T, 1>(x, res, grad, out),
        0 => {}
    }
}

/// At least `N` windows, `N` at once; the last ones may be written twice.
#[inline(always)]
fn first_of_some<T: WithDType, const N: usize>(x: &[T], res: &[T], grad: &[T], out: &mut [T]) {
    let w = x.len() / 2;
    let (x0, x1) = x.split_at(w);
    let (o0, o1) = out.split_at_mut(w);
    let last = res.len() - N;
    for at in (0..last).step_by(N).chain([last]) {
        let (a, b) = (&x0[2 * at..][..2 * N], &x1[2 * at..][..2 * N]);
        let (res, grad) = (&res[at..][..N], &grad[at..][..N]);
        let row = |x: &[T]| -> [T; 16] {
            let mut out = [T::zero(); 16];
            out[..2 * N].copy_from_slice(&x[..2 * N]);
            out
        };
        let (a, b, mut p, mut q) = (row(a), row(b), [T::zero(); 16], [T::zero(); 16]);
        for i in 0..N {
            let g = first_of_window([a[2 * i], a[2 * i + 1], b[2 * i]], res[i], grad[i]);
            (p[2 * i], p[2 * i + 1], q[2 * i], q[2 * i + 1]) = (g[0], g[1], g[2], g[3]);
        }
        o0[2 * at..][..2 * N].copy_from_slice(&p[..2 * N]);
        o1[2 * at..][..2 * N].copy_from_slice(&q[..2 * N]);
    }
}

/// The gradient of a 2×2 window from its first three elements.
#[inline(always)]
fn first_of_window<T: WithDType>([a, b, c]: [T; 3], m: T, g: T) -> [T; 4] {
    let zero = T::zero();
    // the fourth takes what the others leave, so that NaN goes somewhere too
    let (i, j, k) = (a == m, b == m, c == m);
    [
        if i { g } else { zero },
        if j & !i { g } else { zero },
        if k & !(i | j) { g } else { zero },
        if i | j | k { zero } else { g },
    ]
}

impl CustomOp1 for Max {
    fn name(&self) -> &'static str {
        "max-pool2d"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let p = Planes::new(self.0, l.dims())?;
        Ok((by_dtype!(s.dtype(), max_forward(&p, s, l))?, p.shape.into()))
    }

    fn bwd(&self, x: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let p = Planes::new(self.0, x.dims())?;
        by_dtype!(x.dtype(), max_backward(&p, x, res, grad)).map(Some)
    }
}

struct Average {
    pool: Pool2d,
    count_include_pad: bool,
}

fn average_forward<T: Element>(
    p: &Planes,
    include: bool,
    s: &CpuStorage,
    l: &Layout,
) -> Result<CpuStorage> {
    let x = contiguous::<T>(s, l)?;
    let out = p.fold(
        x,
        |a, b| a + b,
        |sum, oy, ox| sum / T::from_f64(p.pool.divisor(p.input, include, [oy, ox])),
    );
    Ok(T::to_cpu_storage_owned(out))
}

fn average_backward<T: WithDType>(
    p: &Planes,
    include: bool,
    x: &Tensor,
    grad: &Tensor,
) -> Result<Tensor> {
    let ([h, w], [oh, ow]) = (p.input, p.output);
    let out = with_data::<T, _>(grad, |grad| {
        Ok(build(x.elem_count(), p.input_len(), |plane, out| {
            let grad = &grad[plane * p.output_len()..][..p.output_len()];
            out.fill(T::zero());
            for oy in 0..oh {
                for ox in 0..ow {
                    let g = grad[oy * ow + ox]
                        / T::from_f64(p.pool.divisor(p.input, include, [oy, ox]));
                    for y in p.pool.covered(0, oy, h) {
                        for o in &mut out[y * w..][p.pool.covered(1, ox, w)] {
                            *o += g;
                        }
                    }
                }
            }
        }))
    })?;
    tensor(out, x.shape())
}

impl CustomOp1 for Average {
    fn name(&self) -> &'static str {
        "avg-pool2d"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let p = Planes::new(self.pool, l.dims())?;
        Ok((
            by_dtype!(s.dtype(), average_forward(&p, self.count_include_pad, s, l))?,
            p.shape.into(),
        ))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let p = Planes::new(self.pool, x.dims())?;
        by_dtype!(x.dtype(), average_backward(&p, self.count_include_pad, x, grad)).map(Some)
    }
}
