//! Transposed convolution.

use super::{Conv2d, check_bias};
use crate::cpu::conv::geometry::Sizes;
use crate::cpu::conv::op;
use crate::slices::{margin, mirrored};
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
///
/// Kernel 4, stride 2 and padding 1 double height and width, as in the generator of DCGAN:
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use sconce_ops::conv::{ConvTranspose2d, conv_transpose2d};
///
/// let x = Tensor::ones((2, 8, 5, 7), DType::F32, &Device::Cpu)?;
/// let w = Tensor::ones((8, 3, 4, 4), DType::F32, &Device::Cpu)?;
/// let y = conv_transpose2d(&x, &w, None, &ConvTranspose2d::new(2, 1))?;
/// assert_eq!(y.dims(), [2, 3, 10, 14]);
/// # Ok::<(), candle_core::Error>(())
/// ```
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
        return composed(x, w, b, conv, large);
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

/// The same from candle's operations, for other devices and types: zeros between the inputs, then a convolution with the mirrored filters.
pub(super) fn composed(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    conv: &ConvTranspose2d,
    output: [usize; 2],
) -> Result<Tensor> {
    let (n, c, h, wd) = x.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    let [sy, sx] = conv.stride;
    let spread = margin(&x.reshape((n, c, h, 1, wd, 1))?, 3, [0, sy - 1], 0.0)?;
    let spread = margin(&spread, 5, [0, sx - 1], 0.0)?.reshape((n, c, h * sy, wd * sx))?;
    let spread = spread.narrow(2, 0, (h - 1) * sy + 1)?.narrow(3, 0, (wd - 1) * sx + 1)?;
    // all that any output sees, cut to the outputs that remain
    let reach = [conv.dilation[0] * (kh - 1), conv.dilation[1] * (kw - 1)];
    let wide = margin(&spread, 2, [reach[0], reach[0] + conv.output_padding[0]], 0.0)?;
    let wide = margin(&wide, 3, [reach[1], reach[1] + conv.output_padding[1]], 0.0)?;
    let wide = wide.narrow(2, conv.padding[0], output[0] + reach[0])?;
    let wide = wide.narrow(3, conv.padding[1], output[1] + reach[1])?;
    let mirrored = mirrored(&mirrored(w, 2)?, 3)?.transpose(0, 1)?.contiguous()?;
    let plain = Conv2d { dilation: conv.dilation, relu: conv.relu, ..Conv2d::default() };
    super::composed::conv2d(&wide, &mirrored, b, &plain)
}
