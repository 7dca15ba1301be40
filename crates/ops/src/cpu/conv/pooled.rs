//! Maximum pooling by 2×2 behind a convolution, some images at a time: what the convolution writes is still in a cache when
//! it is pooled, and only which element was largest is kept for the gradient.

use crate::cpu::kernel::{Element, Kernel, Vectorized};
use crate::cpu::{PARALLEL_FROM, team};

/// Elements of a convolution's result that are pooled together: they stay in the second-level caches.
const PART: usize = 1 << 19;
/// Windows that are computed at once.
const AT_ONCE: usize = 8;

/// Images to convolve before they are pooled.
pub(super) fn images(elements: usize, batch: usize) -> usize {
    (PART / elements.max(1)).clamp(1, batch.max(1))
}

/// The largest element of each 2×2 window of each plane of `size`, and its place in the window; of equal ones the first. A
/// last odd row or column is left out.
pub(super) fn pool<T: Element>(
    kernel: &Kernel<T>,
    size: [usize; 2],
    x: &[T],
    largest: &mut [T],
    places: &mut [T],
) {
    let pooled = size[0] / 2 * (size[1] / 2);
    if pooled == 0 {
        return;
    }
    let each = |((x, largest), places): ((&[T], &mut [T]), &mut [T])| {
        kernel.vectorized(PoolPlane { size, x, largest, places });
    };
    let plane = size[0] * size[1];
    // whole planes for a task
    let count = (PARALLEL_FROM / 2).div_ceil(plane);
    let parts = x.chunks(count * plane).zip(largest.chunks_mut(count * pooled));
    let part = |((x, largest), places): ((&[T], &mut [T]), &mut [T])| {
        let planes = x.chunks_exact(plane).zip(largest.chunks_exact_mut(pooled));
        planes.zip(places.chunks_exact_mut(pooled)).for_each(each);
    };
    team::all(parts.zip(places.chunks_mut(count * pooled)), part);
}

/// The largest elements of one plane.
struct PoolPlane<'a, T> {
    size: [usize; 2],
    x: &'a [T],
    largest: &'a mut [T],
    places: &'a mut [T],
}

impl<T: Element> Vectorized for PoolPlane<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { size: [_, width], x, largest, places } = self;
        pool_plane(width, x, largest, places);
    }
}

#[inline(always)]
fn pool_plane<T: Element>(width: usize, x: &[T], largest: &mut [T], places: &mut [T]) {
    let half = width / 2;
    let rows = largest.chunks_exact_mut(half).zip(places.chunks_exact_mut(half));
    for (x, (largest, places)) in x.chunks_exact(2 * width).zip(rows) {
        let (upper, lower) = x.split_at(width);
        if half < AT_ONCE {
            for i in 0..half {
                let window = [upper[2 * i], upper[2 * i + 1], lower[2 * i], lower[2 * i + 1]];
                (largest[i], places[i]) = first_largest(window);
            }
            continue;
        }
        // the last ones may be computed twice
        let last = half - AT_ONCE;
        for at in (0..last).step_by(AT_ONCE).chain([last]) {
            let (upper, lower) = (&upper[2 * at..][..2 * AT_ONCE], &lower[2 * at..][..2 * AT_ONCE]);
            let (mut l, mut p) = ([T::zero(); AT_ONCE], [T::zero(); AT_ONCE]);
            for i in 0..AT_ONCE {
                let window = [upper[2 * i], upper[2 * i + 1], lower[2 * i], lower[2 * i + 1]];
                (l[i], p[i]) = first_largest(window);
            }
            largest[at..][..AT_ONCE].copy_from_slice(&l);
            places[at..][..AT_ONCE].copy_from_slice(&p);
        }
    }
}

/// The largest of four, or NaN if there is one, and its place: 0, 1, 2 or 3.
#[inline(always)]
fn first_largest<T: Element>([a, b, c, d]: [T; 4]) -> (T, T) {
    #[allow(clippy::eq_op, reason = "only what is no number differs from itself")]
    let larger = |a: T, b: T| (b > a) | (b != b);
    let [zero, one, two, three] = [0.0, 1.0, 2.0, 3.0].map(T::from_f64);
    let (right, lower_right) = (larger(a, b), larger(c, d));
    let (upper, p) = (if right { b } else { a }, if right { one } else { zero });
    let (lower, q) = (if lower_right { d } else { c }, if lower_right { three } else { two });
    let below = larger(upper, lower);
    (if below { lower } else { upper }, if below { q } else { p })
}

/// The gradient of the convolution's result from that of the pooled one; with `relu` none where the pooled one is not
/// positive.
pub(super) fn spread<T: Element>(
    kernel: &Kernel<T>,
    size: [usize; 2],
    [largest, places, grad]: [&[T]; 3],
    relu: bool,
) -> Vec<T> {
    let (plane, pooled) = (size[0] * size[1], size[0] / 2 * (size[1] / 2));
    let planes = grad.len().checked_div(pooled).unwrap_or(0);
    crate::cpu::build(planes * plane, plane, |i, out| {
        let parts = [largest, places, grad].map(|x| &x[i * pooled..][..pooled]);
        // what is not larger has no gradient; nothing is at most NaN
        let least = T::from_f64(if relu { 0.0 } else { f64::NAN });
        kernel.vectorized(SpreadPlane { size, parts, least, out });
    })
}

/// The gradient of one plane, from the largest elements, their places and their gradient.
struct SpreadPlane<'a, T> {
    size: [usize; 2],
    parts: [&'a [T]; 3],
    least: T,
    out: &'a mut [T],
}

impl<T: Element> Vectorized for SpreadPlane<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { size, parts, least, out } = self;
        spread_plane(size, parts, least, out);
    }
}

#[inline(always)]
fn spread_plane<T: Element>(
    [height, width]: [usize; 2],
    [largest, places, grad]: [&[T]; 3],
    least: T,
    out: &mut [T],
) {
    let half = width / 2;
    if height % 2 + width % 2 > 0 {
        out.fill(T::zero());
    }
    if half == 0 {
        return;
    }
    let rows = largest.chunks_exact(half).zip(places.chunks_exact(half));
    let rows = rows.zip(grad.chunks_exact(half));
    for (out, ((largest, places), grad)) in out.chunks_exact_mut(2 * width).zip(rows) {
        let (upper, lower) = out.split_at_mut(width);
        if half < AT_ONCE {
            for i in 0..half {
                let g = spread_one(largest[i], places[i], grad[i], least);
                (upper[2 * i], upper[2 * i + 1], lower[2 * i], lower[2 * i + 1]) =
                    (g[0], g[1], g[2], g[3]);
            }
            continue;
        }
        // the last ones may be written twice
        let last = half - AT_ONCE;
        for at in (0..last).step_by(AT_ONCE).chain([last]) {
            let [l, k, g] = [largest, places, grad].map(|x| &x[at..][..AT_ONCE]);
            let (mut p, mut q) = ([T::zero(); 2 * AT_ONCE], [T::zero(); 2 * AT_ONCE]);
            for i in 0..AT_ONCE {
                let g = spread_one(l[i], k[i], g[i], least);
                (p[2 * i], p[2 * i + 1], q[2 * i], q[2 * i + 1]) = (g[0], g[1], g[2], g[3]);
            }
            upper[2 * at..][..2 * AT_ONCE].copy_from_slice(&p);
            lower[2 * at..][..2 * AT_ONCE].copy_from_slice(&q);
        }
    }
}

/// The gradient of one window.
#[inline(always)]
fn spread_one<T: Element>(largest: T, place: T, g: T, least: T) -> [T; 4] {
    let g = if largest <= least { T::zero() } else { g };
    [0.0, 1.0, 2.0, 3.0].map(|k| if place == T::from_f64(k) { g } else { T::zero() })
}
