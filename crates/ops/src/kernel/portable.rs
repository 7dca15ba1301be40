//! The loops in plain Rust, for processors without a version of their own, for f64 and for Miri.

use super::{Block, Correlation, Element, Kernel, Level};

const ROWS: usize = 4;

/// The kernel with vectors of `L` elements.
pub(super) const fn kernel<T: Element, const L: usize>() -> Kernel<T> {
    Kernel {
        lanes: L,
        vectors: 1,
        rows: ROWS,
        block: block::<T, L>,
        correlate: correlate::<T, L>,
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
                *s += a * b;
            }
        }
    }
    for (r, row) in acc.iter().enumerate().take(t.rows) {
        for (j, &v) in row.iter().enumerate() {
            // SAFETY: row `r` of `c` has `L` elements.
            let c = unsafe { &mut *t.c.add(r * t.ldc + j) };
            let v = if t.add { *c + v } else { v };
            *c = if t.relu && v <= T::zero() { T::zero() } else { v };
        }
    }
}

/// Safety: see [`Kernel::correlate`].
unsafe fn correlate<T: Element, const L: usize>(t: &Correlation<T>) {
    let mut acc = [[T::zero(); L]; ROWS];
    for (r, row) in acc.iter_mut().enumerate().take(t.offsets.len()) {
        // SAFETY: `c` has a row of `L` elements for each offset.
        row.copy_from_slice(unsafe { std::slice::from_raw_parts(t.c.add(r * L), L) });
    }
    for place in 0..t.images * t.height * t.width {
        let (image, i) = (place / (t.height * t.width), place / t.width % t.height);
        let j = place % t.width;
        // SAFETY: `g` has `height · width` groups of `L` elements for each image.
        let g = unsafe {
            std::slice::from_raw_parts(t.g.add(image * t.next_g + (i * t.width + j) * L), L)
        };
        for (row, &offset) in acc.iter_mut().zip(t.offsets) {
            // SAFETY: the caller's offsets keep this inside `x`.
            let x = unsafe { *t.x.add(image * t.next_x + offset + i * t.stride + j) };
            for (s, &g) in row.iter_mut().zip(g) {
                *s += x * g;
            }
        }
    }
    for (r, row) in acc.iter().enumerate().take(t.offsets.len()) {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(t.c.add(r * L), L) }.copy_from_slice(row);
    }
}
