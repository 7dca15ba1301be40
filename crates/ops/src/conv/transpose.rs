//! Transposed convolution.

use super::geometry::Sizes;
use super::{check_bias, composed, op};
use candle_core::{Result, Tensor, bail};

/// The settings of a transposed convolution; each array is `[vertical, horizontal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose2d {
    /// Distance in the result between the windows of neighbouring inputs.
    pub stride: [usize; 2],
    /// Rows and columns cut from each side of the result.
    pub padding: [usize; 2],
    /// Rows and columns added at the end of the result; less than the stride or the dilation.
    pub output_padding: [usize; 2],
    /// Distance between the places of the filter.
    pub dilation: [usize; 2],
    /// Whether negative results become zero.
    pub relu: bool,
}

impl Default for ConvTranspose2d {
    fn default() -> Self {
        Self {
            stride: [1; 2],
            padding: [0; 2],
            output_padding: [0; 2],
            dilation: [1; 2],
            relu: false,
        }
    }
}

impl ConvTranspose2d {
    /// Square settings without output padding or dilation.
    pub fn new(stride: usize, padding: usize) -> Self {
        Self { stride: [stride; 2], padding: [padding; 2], ..Self::default() }
    }

    /// The same with this output padding in both directions.
    pub fn output_padding(self, output_padding: usize) -> Self {
        Self { output_padding: [output_padding; 2], ..self }
    }

    /// The same with or without a rectifier behind it.
    pub fn relu(self, relu: bool) -> Self {
        Self { relu, ..self }
    }

    /// Height and width of the result: `(input − 1)·stride − 2·padding + dilation·(kernel − 1) + output_padding + 1`.
    pub fn output_size(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2]> {
        let mut out = [0; 2];
        for d in 0..2 {
            let (n, k, s, p) = (input[d], kernel[d], self.stride[d], self.padding[d]);
            let (o, l) = (self.output_padding[d], self.dilation[d]);
            if k == 0 || s == 0 || l == 0 || n == 0 {
                bail!(
                    "a transposed convolution expects input, kernel, stride and dilation of at least 1, got {n}, {k}, {s} and {l}"
                );
            }
            if o >= s.max(l) {
                bail!(
                    "a transposed convolution expects an output padding below its stride or dilation, got {o} for stride {s}, dilation {l}"
                );
            }
            let full = (n - 1) * s + l * (k - 1) + o + 1;
            if full <= 2 * p {
                bail!(
                    "a transposed convolution expects a padding that leaves a result, got {p} for {full} rows or columns"
                );
            }
            out[d] = full - 2 * p;
        }
        Ok(out)
    }
}

/// The transpose of a convolution, as PyTorch's `conv_transpose2d`:
/// `y[n, m, i·stride + u·dilation − padding, …] += w[c, m, u, v] · x[n, c, i, j]`, plus `b`.
///
/// `x` is `(batch, in, height, width)`, `w` `(in, out, kernel height, kernel width)`, `b` `(out)`; the result is
/// `(batch, out, …)` with the height and width of [`ConvTranspose2d::output_size`].
/// Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016.
pub fn conv_transpose2d(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    conv: &ConvTranspose2d,
) -> Result<Tensor> {
    let (&[batch, c, h, wd], &[cw, channels, kh, kw]) = (x.dims(), w.dims()) else {
        bail!(
            "a transposed convolution expects (batch, channels, height, width) and (in, out, kh, kw), got {:?} and {:?}",
            x.dims(),
            w.dims()
        );
    };
    if c != cw {
        bail!(
            "a transposed convolution expects as many channels as its weight, got {:?} for {:?}",
            x.dims(),
            w.dims()
        );
    }
    let large = conv.output_size([h, wd], [kh, kw])?;
    check_bias(b, channels)?;
    if !op::applies(x, w, b) {
        return composed::conv_transpose2d(x, w, b, conv, large);
    }
    let sizes = Sizes {
        batch,
        channels,
        outputs: c,
        input: large,
        output: [h, wd],
        kernel: [kh, kw],
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
    };
    op::conv_transpose2d(x, w, b, sizes, conv.relu)
}
