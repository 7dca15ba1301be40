//! The loops in plain Rust, for processors without a version of their own and for Miri. The multiply-adds are fused all the
//! same, in software where the compiler's target has none: slow, but with the bits of every other version.

use super::{Block, Correlation, Element, Kernel, Level};

const ROWS: usize = 4;

/// The kernel with vectors of `L` elements.
pub(super) const fn kernel<T: Element, const L: usize>() -> Kernel<T> {
    Kernel {
        lanes: L,
        vectors: 1,
        rows: ROWS,
        block: block::<T, L>,
        correlation_rows: &[ROWS],
        correlate: correlate::<T, L>,
        transpose: transpose::<T, L>,
        deinterleave: deinterleave::<T, L>,
        interleave: interleave::<T, L>,
        level: Level::Portable,
    }
}

/// Safety: see [`Kernel::block`].
unsafe fn block<T: Element, const L: usize>(t: &Block<T>) {
    let mut acc = [[T::zero(); L]; ROWS];
    for (r, row) in acc.iter_mut().enumerate().take(t.rows) {
        if t.accumulate {
            // SAFETY: row `r` of `c` has `L` elements.
            row.copy_from_slice(unsafe { std::slice::from_raw_parts(t.c.add(r * t.ldc), L) });
        } else if !t.bias.is_null() {
            // SAFETY: `bias` has `rows` elements.
            *row = [unsafe { *t.bias.add(r) }; L];
        }
    }
    for k in 0..t.depth {
        // SAFETY: `a` has `depth` groups of `rows` elements and `b` of `L`.
        let (a, b) = unsafe {
            (
                std::slice::from_raw_parts(t.a.add(k * t.rows), t.rows),
                std::slice::from_raw_parts(t.b.add(k * L), L),
            )
        };
        for (row, &a) in acc.iter_mut().zip(a) {
            for (s, &b) in row.iter_mut().zip(b) {
                *s = a.mul_add(b, *s);
            }
        }
    }
    for (r, row) in acc.iter().enumerate().take(t.rows) {
        for (j, &v) in row.iter().enumerate() {
            // SAFETY: row `r` of `c` has `L` elements.
            let c = unsafe { &mut *t.c.add(r * t.ldc + j) };
            let v = if t.add { *c + v } else { v };
            *c = if t.relu && v < T::zero() { T::zero() } else { v };
        }
    }
}

/// Safety: see [`Kernel::correlate`].
unsafe fn correlate<T: Element, const L: usize>(t: &Correlation<T>) {
    let mut acc = [[T::zero(); L]; ROWS];
    for (row, &to) in acc.iter_mut().zip(t.to) {
        if t.accumulate {
            // SAFETY: `c` has a group of `L` elements for each row.
            row.copy_from_slice(unsafe { std::slice::from_raw_parts(t.c.add(to * L), L) });
        } else if !t.bias.is_null() {
            // SAFETY: `bias` has `L` elements.
            row.copy_from_slice(unsafe { std::slice::from_raw_parts(t.bias, L) });
        }
    }
    let [images, rows, columns] = t.count;
    for place in 0..images * rows * columns {
        let (n, i, j) = (place / (rows * columns), place / columns % rows, place % columns);
        // SAFETY: `g` has `L` elements for each place that is counted.
        let g = unsafe {
            std::slice::from_raw_parts(t.g.add(n * t.g_steps[0] + i * t.g_steps[1] + j * L), L)
        };
        let at = n * t.x_steps[0] + i * t.x_steps[1] + j * t.x_steps[2];
        for (row, &from) in acc.iter_mut().zip(t.from) {
            // SAFETY: the caller's steps stay inside `x`.
            let x = unsafe { *t.x.add(from + at) };
            for (s, &g) in row.iter_mut().zip(g) {
                *s = x.mul_add(g, *s);
            }
        }
    }
    for (row, &to) in acc.iter().zip(t.to) {
        for (j, &v) in row.iter().enumerate() {
            let v = if t.relu && v < T::zero() { T::zero() } else { v };
            // SAFETY: as above.
            unsafe { t.c.add(to * L + j).write(v) };
        }
    }
}

/// Safety: see [`Kernel::transpose`].
pub(super) unsafe fn transpose<T: Element, const L: usize>(
    from: *const T,
    from_pitch: usize,
    to: *mut T,
    to_pitch: usize,
) {
    for i in 0..L {
        for j in 0..L {
            // SAFETY: both have `L` rows of `L`.
            unsafe { to.add(j * to_pitch + i).write(from.add(i * from_pitch + j).read()) };
        }
    }
}

/// Safety: see [`Kernel::deinterleave`].
pub(super) unsafe fn deinterleave<T: Element, const L: usize>(
    parts: usize,
    from: *const T,
    to: *mut T,
    pitch: usize,
) {
    for i in 0..parts * L {
        // SAFETY: `from` has `parts · L` elements, `to` as many rows of `L`.
        unsafe { to.add(i % parts * pitch + i / parts).write(from.add(i).read()) };
    }
}

/// Safety: see [`Kernel::interleave`].
pub(super) unsafe fn interleave<T: Element, const L: usize>(
    parts: usize,
    from: *const T,
    pitch: usize,
    to: *mut T,
) {
    for i in 0..parts * L {
        // SAFETY: `from` has as many rows of `L`, `to` `parts · L` elements.
        unsafe { to.add(i).write(from.add(i % parts * pitch + i / parts).read()) };
    }
}
