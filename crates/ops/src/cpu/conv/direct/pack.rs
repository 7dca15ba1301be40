//! The weight in the order in which blocks read it.

use crate::cpu::conv::geometry::Sliding;
use crate::cpu::kernel::{Element, Kernel};
use crate::cpu::team;
use std::ops::Range;

/// A weight in the order in which blocks read it: by group of channels, group of outputs, channel, tap, output.
#[derive(Debug)]
pub(in crate::cpu::conv) struct Packed<T>(pub(in crate::cpu::conv) Vec<T>);

/// Reorders the weight of a sliding sum.
pub(in crate::cpu::conv) fn pack<T: Element>(
    s: &Sliding,
    kernel: &Kernel<T>,
    weight: &[T],
) -> Packed<T> {
    let area = s.area();
    let mut out = vec![T::zero(); s.outputs * s.channels * area];
    let groups = kernel.row_groups(s.outputs);
    let mut rest = out.as_mut_slice();
    let mut parts = vec![];
    for channels in s.channel_groups() {
        for rows in &groups {
            let (part, after) = rest.split_at_mut(channels.len() * area * rows.len());
            parts.push((channels.clone(), rows.clone(), part));
            rest = after;
        }
    }
    let fill = |(channels, rows, part): (Range<usize>, Range<usize>, &mut [T])| {
        for (i, m) in rows.clone().enumerate() {
            let mut at = i;
            for c in channels.clone() {
                let w = &weight[m * s.weight[0] + c * s.weight[1]..];
                for y in &s.taps[0] {
                    for x in &s.taps[1] {
                        part[at] = w[y.index * s.weight[2] + x.index];
                        at += rows.len();
                    }
                }
            }
        }
    };
    if s.outputs * s.channels * area < 1 << 15 {
        parts.into_iter().for_each(fill);
    } else {
        team::all(parts, fill);
    }
    Packed(out)
}
