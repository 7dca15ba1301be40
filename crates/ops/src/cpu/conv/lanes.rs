//! Planes of outputs to and from groups in which the outputs of one pixel lie side by side, as vectors hold them.

use crate::cpu::kernel::{Element, Kernel};

/// Where blocks of `lanes` begin that cover `count` places, the last one overlapping its neighbour.
fn blocks(count: usize, lanes: usize) -> impl Iterator<Item = usize> {
    let last = count - lanes;
    (0..last).step_by(lanes).chain([last])
}

/// `rows` rows of `columns` elements to as many columns; nothing between them is written.
///
/// Safety: `from` holds the rows, `from_pitch` apart, and `to` the columns, `to_pitch` apart, which nobody else uses.
pub(crate) unsafe fn transpose<T: Element>(
    kernel: &Kernel<T>,
    [rows, columns]: [usize; 2],
    (from, from_pitch): (*const T, usize),
    (to, to_pitch): (*mut T, usize),
) {
    let lanes = kernel.lanes;
    if rows.min(columns) >= lanes {
        for i in blocks(rows, lanes) {
            for j in blocks(columns, lanes) {
                // SAFETY: the caller's.
                unsafe {
                    let (from, to) = (from.add(i * from_pitch + j), to.add(j * to_pitch + i));
                    (kernel.transpose)(from, from_pitch, to, to_pitch);
                }
            }
        }
        return;
    }
    for i in 0..rows {
        for j in 0..columns {
            // SAFETY: likewise.
            unsafe { to.add(j * to_pitch + i).write(from.add(i * from_pitch + j).read()) };
        }
    }
}

/// `(outputs, pixels)` to `(pixels, group)`, whose last places are zero. The planes are `pitch` apart.
pub(super) fn collect<T: Element>(
    kernel: &Kernel<T>,
    (planes, pitch): (&[T], usize),
    outputs: usize,
    (groups, group): (&mut [T], usize),
) {
    let pixels = groups.len() / group;
    if pixels == 0 || outputs == 0 {
        return groups.fill(T::zero());
    }
    assert!(outputs <= group && planes.len() >= (outputs - 1) * pitch + pixels);
    // SAFETY: as asserted.
    unsafe {
        let (from, to) = ((planes.as_ptr(), pitch), (groups.as_mut_ptr(), group));
        transpose(kernel, [outputs, pixels], from, to);
    }
    if outputs < group {
        groups.chunks_exact_mut(group).for_each(|group| group[outputs..].fill(T::zero()));
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
