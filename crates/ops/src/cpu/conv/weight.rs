//! The gradient of a convolution's weight.

use super::geometry::{Sizes, Sliding};
use super::lanes::{collect, transpose};
use crate::cpu::kernel::{Correlation, Element, Kernel, even};
use crate::cpu::{Shared, scratch, team};
use std::ops::Range;

/// Elements that are read of some images at a time: they stay in a small second-level cache. (Of more images at a time, one channel's
/// planes lie a power of two apart and throw each other out; `docs/speed.md` has what that costs.)
const COPIES: usize = 1 << 16;

/// Channels below which the input is copied with its padding: then all places of the filter make one class.
const FEW: usize = 4;

/// Some places of the filter, which meet the same windows, for some outputs.
struct Task {
    panel: usize,
    windows: [Range<usize>; 2],
    /// Where the first window meets each place in an image.
    from: Vec<usize>,
    /// The number of each place.
    to: Vec<usize>,
}

/// `dw[m, c, ky, kx] = Σ g[n, m, oy, ox] · x[n, c, oy·stride − padding + ky·dilation, …]`, in the order of `n`, `oy`, `ox`,
/// whatever the number of threads. `x` is the larger side and `g` the other.
pub(super) fn gradient<T: Element>(
    sizes: &Sizes,
    kernel: &Kernel<T>,
    x: &[T],
    g: &[T],
    out: &mut [T],
) {
    if sizes.channels >= FEW || sizes.padding == [0; 2] || x.is_empty() {
        return sums(sizes, kernel, x, g, out);
    }
    let input = [0, 1].map(|d| sizes.input[d] + 2 * sizes.padding[d]);
    let padded = Sizes { input, padding: [0; 2], ..*sizes };
    scratch::with(sizes.batch * sizes.channels * input[0] * input[1], |copy: &mut [T]| {
        let planes = x.chunks_exact(sizes.input[0] * sizes.input[1]);
        team::all(copy.chunks_exact_mut(input[0] * input[1]).zip(planes), |(copy, plane)| {
            copy.fill(T::zero());
            let rows = copy.chunks_exact_mut(input[1]).skip(sizes.padding[0]);
            for (copy, row) in rows.zip(plane.chunks_exact(sizes.input[1])) {
                copy[sizes.padding[1]..][..row.len()].copy_from_slice(row);
            }
        });
        sums(&padded, kernel, copy, g, out);
    });
}

/// Places of the filter that meet the same windows: where the first one meets each, and its number.
type Class = ([Range<usize>; 2], Vec<(usize, usize)>);

/// The tasks for all panels.
fn tasks<T>(s: &Sliding, kernel: &Kernel<T>, panels: &[Range<usize>]) -> Vec<Task> {
    let (area, plane) = (s.area(), s.input[0] * s.input[1]);
    // places of the filter by the windows that meet them
    let mut classes: Vec<Class> = vec![];
    for tap in 0..area {
        let taps = [s.taps[0][tap / s.taps[1].len()], s.taps[1][tap % s.taps[1].len()]];
        let windows = [0, 1].map(|d| s.windows(d, taps[d]));
        if windows.iter().any(|w| w.is_empty()) {
            continue;
        }
        let start =
            [0, 1].map(|d| (windows[d].start * s.step[d]).wrapping_add_signed(taps[d].offset));
        let place = |c: usize| (c * plane + start[0] * s.input[1] + start[1], c * area + tap);
        let places = (0..s.channels).map(place);
        match classes.iter_mut().find(|c| c.0 == windows) {
            Some((_, class)) => class.extend(places),
            None => classes.push((windows, places.collect())),
        }
    }
    let mut out = vec![];
    for (panel, outputs) in panels.iter().enumerate() {
        let most = kernel.correlation_rows[kernel.group(outputs.len()) / kernel.lanes - 1];
        for (windows, places) in &classes {
            for part in even(0..places.len(), most) {
                let (from, to) = places[part].iter().copied().unzip();
                out.push(Task { panel, windows: windows.clone(), from, to });
            }
        }
    }
    out
}

/// The gradient, for an input that is read where it lies.
fn sums<T: Element>(sizes: &Sizes, kernel: &Kernel<T>, x: &[T], g: &[T], out: &mut [T]) {
    let s = sizes.forward();
    let (area, pixels) = (s.area(), s.output[0] * s.output[1]);
    if s.batch * pixels == 0 || out.is_empty() {
        out.fill(T::zero());
        return;
    }
    let (places, plane) = (s.channels * area, s.input[0] * s.input[1]);
    let panels = kernel.panels(s.outputs);
    // elements of a group of each panel, and those of all panels before it
    let group = |panel: &Range<usize>| kernel.group(panel.len());
    let before = |panel: usize| panels[..panel].iter().map(group).sum::<usize>();
    let width = before(panels.len());
    let tasks = tasks(&s, kernel, &panels);
    let images = (COPIES / (s.channels * plane + width * pixels)).clamp(1, s.batch);
    // sums as (panel, place in the filter, output of the panel)
    scratch::with(places * width, |sums: &mut [T]| {
        sums.fill(T::zero());
        scratch::with(images * pixels * width, |groups: &mut [T]| {
            for first in (0..s.batch).step_by(images) {
                let count = images.min(s.batch - first);
                let g = &g[first * s.outputs * pixels..];
                let images = groups[..count * pixels * width].chunks_mut(pixels * width);
                team::all(images.enumerate(), |(image, mut to)| {
                    for outputs in &panels {
                        let (groups, rest) = to.split_at_mut(pixels * group(outputs));
                        to = rest;
                        let planes = &g[(image * s.outputs + outputs.start) * pixels..];
                        let to = (groups, group(outputs));
                        collect(kernel, (planes, pixels), outputs.len(), to);
                    }
                });
                let (target, groups) = (Shared(sums.as_mut_ptr()), &*groups);
                let x = &x[first * s.channels * plane..][..count * s.channels * plane];
                team::all(&tasks, |task| {
                    let Task { panel, windows, from, to } = task;
                    let (before, group) = (before(*panel), group(&panels[*panel]));
                    let first = windows[0].start * s.output[1] + windows[1].start;
                    let sum = Correlation {
                        x: x.as_ptr(),
                        from,
                        count: [count, windows[0].len(), windows[1].len()],
                        x_steps: [s.channels * plane, s.step[0] * s.input[1], s.step[1]],
                        g: groups[before * pixels + first * group..].as_ptr(),
                        vectors: group / kernel.lanes,
                        g_steps: [width * pixels, s.output[1] * group],
                        // SAFETY: the panel's part of `sums`.
                        c: unsafe { target.get().add(before * places) },
                        to,
                        accumulate: true,
                        bias: std::ptr::null(),
                        relu: false,
                    };
                    // SAFETY: `windows` are those whose places lie inside `x`, of `count` images, for each of which `groups`
                    // holds all pixels; no other task has this panel and these places.
                    unsafe { (kernel.correlate)(&sum) };
                });
            }
        });
        let mut parts = vec![];
        let mut rest = out;
        for (i, panel) in panels.iter().enumerate() {
            for outputs in even(0..panel.len(), kernel.lanes) {
                let (part, after) = rest.split_at_mut(outputs.len() * places);
                parts.push((
                    &sums[before(i) * places + outputs.start..],
                    group(panel),
                    outputs,
                    part,
                ));
                rest = after;
            }
        }
        let finish = |(groups, group, outputs, planes): (&[T], usize, Range<usize>, &mut [T])| {
            assert_eq!(planes.len(), outputs.len() * places);
            let (from, to) = ((groups.as_ptr(), group), (planes.as_mut_ptr(), places));
            // SAFETY: `groups` begins at the first output of as many groups, the planes fill the slice.
            unsafe { transpose(kernel, [places, outputs.len()], from, to) };
        };
        if places * width < 1 << 15 {
            parts.into_iter().for_each(finish);
        } else {
            team::all(parts, finish);
        }
    });
}

/// `db[m] = Σ g[n, m, …]`, image by image.
pub(super) fn bias<T: Element>(outputs: usize, pixels: usize, g: &[T]) -> Vec<T> {
    let mut out = vec![T::zero(); outputs];
    if pixels == 0 {
        return out;
    }
    team::all(out.iter_mut().enumerate(), |(m, out)| {
        for plane in g.chunks_exact(pixels).skip(m).step_by(outputs) {
            // several sums side by side, in a fixed order
            let mut sums = [T::zero(); 16];
            let parts = plane.chunks_exact(16);
            let rest = parts.remainder().iter().fold(T::zero(), |s, &v| s + v);
            for part in parts {
                sums.iter_mut().zip(part).for_each(|(s, &v)| *s += v);
            }
            *out += sums.into_iter().fold(rest, |s, v| s + v);
        }
    });
    out
}
