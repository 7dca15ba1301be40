//! Planes of outputs to and from groups in which the outputs of one pixel lie side by side, as vectors hold them.

use crate::kernel::{Element, Kernel, Vectorized};

/// Rows and columns that are exchanged together.
const TILE: usize = 8;

/// Where tiles begin that cover `count` places, the last one overlapping its neighbour; none if there are too few.
fn tiles(count: usize) -> impl Iterator<Item = usize> + Clone {
    let last = count.saturating_sub(TILE);
    (0..count / TILE * TILE).step_by(TILE).chain((count > TILE && count % TILE > 0).then_some(last))
}

/// `(outputs, pixels)` to `(pixels, group)`, whose last places are zero.
pub(super) struct Collect<'a, T> {
    pub(super) planes: &'a [T],
    /// Distance between planes.
    pub(super) pitch: usize,
    pub(super) outputs: usize,
    pub(super) pixels: usize,
    /// Elements of a group: at least `outputs`.
    pub(super) group: usize,
    pub(super) groups: &'a mut [T],
}

impl<T: Element> Vectorized for Collect<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { planes, pitch, outputs, pixels, group, groups } = self;
        for o in tiles(outputs) {
            for p in tiles(pixels) {
                let mut tile = [[T::zero(); TILE]; TILE];
                for (i, tile) in tile.iter_mut().enumerate() {
                    tile.copy_from_slice(&planes[(o + i) * pitch + p..][..TILE]);
                }
                for j in 0..TILE {
                    let column: [T; TILE] = std::array::from_fn(|i| tile[i][j]);
                    groups[(p + j) * group + o..][..TILE].copy_from_slice(&column);
                }
            }
        }
        let done = if outputs.min(pixels) >= TILE { outputs } else { 0 };
        for o in done..group {
            for p in 0..pixels {
                groups[p * group + o] = if o < outputs { planes[o * pitch + p] } else { T::zero() };
            }
        }
    }
}

/// `(pixels, group)` to `(outputs, pixels)`.
pub(super) struct Spread<'a, T> {
    pub(super) groups: &'a [T],
    pub(super) group: usize,
    pub(super) outputs: usize,
    pub(super) pixels: usize,
    /// Added to each plane.
    pub(super) bias: Option<&'a [T]>,
    /// Replace negative results by zero.
    pub(super) relu: bool,
    /// Where the planes are written; nothing between them is.
    pub(super) planes: *mut T,
    /// Distance between planes.
    pub(super) pitch: usize,
}

impl<T: Element> Spread<'_, T> {
    /// Writes the planes.
    ///
    /// Safety: there is room for `pixels` elements at each of `outputs` multiples of `pitch`, which nobody else uses.
    pub(super) unsafe fn write(self, kernel: &Kernel<T>) {
        let Self { groups, group, outputs, pixels, .. } = self;
        let used = pixels.saturating_sub(1) * group + outputs;
        assert!(outputs <= group && (pixels == 0 || groups.len() >= used));
        assert!(self.bias.is_none_or(|bias| bias.len() >= outputs));
        kernel.vectorized(self);
    }
}

impl<T: Element> Vectorized for Spread<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { groups, group, outputs, pixels, bias, relu, planes, pitch } = self;
        let finish = |v: T, base: T| {
            let v = v + base;
            if relu && v <= T::zero() { T::zero() } else { v }
        };
        for o in tiles(outputs) {
            let base: [T; TILE] =
                std::array::from_fn(|i| bias.map_or(T::zero(), |bias| bias[o + i]));
            for p in tiles(pixels) {
                let mut tile = [[T::zero(); TILE]; TILE];
                for (i, tile) in tile.iter_mut().enumerate() {
                    tile.copy_from_slice(&groups[(p + i) * group + o..][..TILE]);
                }
                for j in 0..TILE {
                    let row: [T; TILE] = std::array::from_fn(|i| finish(tile[i][j], base[j]));
                    // SAFETY: pixels of an output; see `write`.
                    unsafe {
                        planes.add((o + j) * pitch + p).cast::<[T; TILE]>().write_unaligned(row)
                    };
                }
            }
        }
        let done = if outputs.min(pixels) >= TILE { outputs } else { 0 };
        for o in done..outputs {
            let base = bias.map_or(T::zero(), |bias| bias[o]);
            for p in 0..pixels {
                // SAFETY: likewise.
                unsafe { planes.add(o * pitch + p).write(finish(groups[p * group + o], base)) };
            }
        }
    }
}

/// Elements of `a` and `b` in turn.
#[inline(always)]
pub(super) fn interleave<T: Element>(a: &[T], b: &[T], out: &mut [T]) {
    const AT_ONCE: usize = 8;
    let half = out.len() / 2;
    let (whole, odd) = (half / AT_ONCE * AT_ONCE, out.len() % 2 == 1);
    for at in (0..whole).step_by(AT_ONCE) {
        let (a, b) = (&a[at..][..AT_ONCE], &b[at..][..AT_ONCE]);
        let both: [T; 2 * AT_ONCE] =
            std::array::from_fn(|i| if i % 2 == 0 { a[i / 2] } else { b[i / 2] });
        out[2 * at..][..2 * AT_ONCE].copy_from_slice(&both);
    }
    for at in whole..half {
        (out[2 * at], out[2 * at + 1]) = (a[at], b[at]);
    }
    if odd {
        out[2 * half] = a[half];
    }
}
