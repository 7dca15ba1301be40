//! One shape of sum for convolution, transposed convolution and their input gradients.

use std::ops::Range;

/// One place of a filter along one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tap {
    /// Its index in the weight.
    pub(super) index: usize,
    /// The input's place relative to the window's, negative in padding.
    pub(super) offset: isize,
}

/// `y[n, m, q·out_step + out_start] = bias[m] + Σ w[m, c, ty, tx] · x[n, c, q·step + offset(ty, tx)]` over channels and
/// taps, for all `q` of a grid, with zeros outside `x`. All pairs are `[vertical, horizontal]`.
#[derive(Debug, Clone)]
pub(super) struct Sliding {
    pub(super) batch: usize,
    /// Channels of `x`.
    pub(super) channels: usize,
    /// Channels of `y`.
    pub(super) outputs: usize,
    /// Size of `x`.
    pub(super) input: [usize; 2],
    /// Size of `y`.
    pub(super) output: [usize; 2],
    /// Windows.
    pub(super) grid: [usize; 2],
    /// Distance of windows in `x`.
    pub(super) step: [usize; 2],
    /// Distance of results in `y`.
    pub(super) out_step: [usize; 2],
    /// Place of the first result in `y`.
    pub(super) out_start: [usize; 2],
    pub(super) taps: [Vec<Tap>; 2],
    /// Distances in the weight between outputs, channels and rows.
    pub(super) weight: [usize; 3],
}

/// Sizes of a convolution `(batch, input channels, input) → (batch, output channels, output)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    /// Channels of the larger side: what a convolution reads.
    pub(crate) channels: usize,
    /// Channels of the other side.
    pub(crate) outputs: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
}

impl Sizes {
    /// The convolution itself; its weight is `(outputs, channels, kernel)`.
    pub(super) fn forward(&self) -> Sliding {
        let area = self.kernel[0] * self.kernel[1];
        Sliding {
            batch: self.batch,
            channels: self.channels,
            outputs: self.outputs,
            input: self.input,
            output: self.output,
            grid: self.output,
            step: self.stride,
            out_step: [1; 2],
            out_start: [0; 2],
            taps: [0, 1].map(|d| {
                let offset = |k| (k * self.dilation[d]) as isize - self.padding[d] as isize;
                (0..self.kernel[d]).map(|index| Tap { index, offset: offset(index) }).collect()
            }),
            weight: [self.channels * area, area, self.kernel[1]],
        }
    }

    /// Its transpose, from the smaller side to the larger: one sliding sum for each residue of the stride. The weight
    /// is the convolution's; what [`Sliding`] calls outputs are its channels.
    pub(super) fn transposed(&self) -> Vec<Sliding> {
        let area = self.kernel[0] * self.kernel[1];
        let phases =
            |d: usize| (0..self.stride[d].min(self.input[d])).map(move |r| self.phase(d, r));
        phases(0)
            .flat_map(|v| phases(1).map(move |h| (v.clone(), h)))
            .enumerate()
            .map(|(i, (v, h))| Sliding {
                batch: self.batch,
                channels: self.outputs,
                outputs: self.channels,
                input: self.output,
                output: self.input,
                grid: [v.0, h.0],
                step: [1; 2],
                out_step: self.stride,
                out_start: [
                    i / self.stride[1].min(self.input[1]),
                    i % self.stride[1].min(self.input[1]),
                ],
                taps: [v.1, h.1],
                weight: [area, self.channels * area, self.kernel[1]],
            })
            .collect()
    }

    /// Places of the larger side that are `r` modulo the stride, and the taps that reach them.
    fn phase(&self, d: usize, r: usize) -> (usize, Vec<Tap>) {
        let (stride, at) = (self.stride[d] as isize, (r + self.padding[d]) as isize);
        let taps = (0..self.kernel[d]).filter_map(|index| {
            let from = at - (index * self.dilation[d]) as isize;
            (from.rem_euclid(stride) == 0).then(|| Tap { index, offset: from.div_euclid(stride) })
        });
        ((self.input[d] - r).div_ceil(self.stride[d]), taps.collect())
    }
}

impl Sliding {
    /// Taps of the filter.
    pub(super) fn area(&self) -> usize {
        self.taps[0].len() * self.taps[1].len()
    }

    /// The taps along one dimension from low to high, and their distance in `x`.
    pub(super) fn ascending(&self, d: usize) -> (Vec<Tap>, usize) {
        let mut taps = self.taps[d].clone();
        taps.sort_by_key(|t| t.offset);
        let distance = taps.windows(2).map(|t| (t[1].offset - t[0].offset) as usize).next();
        (taps, distance.unwrap_or(1))
    }

    /// The windows whose place for this tap lies inside `x`.
    pub(super) fn windows(&self, d: usize, tap: Tap) -> Range<usize> {
        let reach = |end: isize| (end.max(0) as usize).div_ceil(self.step[d]).min(self.grid[d]);
        let from = reach(-tap.offset);
        from..reach(self.input[d] as isize - tap.offset).max(from)
    }

    /// The channels of `x` in groups whose patches stay in the second-level cache.
    pub(super) fn channel_groups(&self) -> Vec<Range<usize>> {
        let groups = (self.channels * self.area()).div_ceil(384).clamp(1, self.channels.max(1));
        (0..groups).map(|i| self.channels * i / groups..self.channels * (i + 1) / groups).collect()
    }

    /// Whether windows lie inside `x`, side by side: then it need not be copied with its padding.
    pub(super) fn needs_no_padding(&self) -> bool {
        (0..2).all(|d| {
            let reach = |t: &Tap| {
                t.offset >= 0 && self.grid[d] as isize - 1 + t.offset < self.input[d] as isize
            };
            self.step[d] == 1 && self.taps[d].iter().all(reach)
        })
    }

    /// Where rows (0) or columns (1) of a window's copy begin relative to the window, and how many a copy of `count`
    /// windows has.
    pub(super) fn span(&self, d: usize, count: usize) -> (isize, usize) {
        let offsets = || self.taps[d].iter().map(|t| t.offset);
        let (low, high) = (offsets().min().unwrap_or(0), offsets().max().unwrap_or(0));
        (low, (count.max(1) - 1) * self.step[d] + (high - low) as usize + 1)
    }
}
