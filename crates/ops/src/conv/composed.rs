//! The convolutions from candle operations whose gradients are right, for other devices and types.
//!
//! candle's own convolution has a forward kernel on each device, but its gradient fails for some shapes and is slow for
//! all; patches and a matrix product are right everywhere.

use super::{Conv2d, ConvTranspose2d};
use crate::activation::relu;
use crate::slices::{every, margin};
use candle_core::{Result, Tensor};

pub(super) fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    let (n, c, h, wd) = x.dims4()?;
    let (m, _, kh, kw) = w.dims4()?;
    let [oh, ow] = conv.output_size([h, wd], [kh, kw])?;
    let [py, px] = conv.padding;
    let x = margin(&margin(x, 2, [py, py], 0.0)?, 3, [px, px], 0.0)?;
    let mut patches = Vec::with_capacity(kh * kw);
    for ky in 0..kh {
        let rows = every(&x, 2, ky * conv.dilation[0], conv.stride[0], oh)?;
        for kx in 0..kw {
            patches.push(every(&rows, 3, kx * conv.dilation[1], conv.stride[1], ow)?.reshape((
                n,
                c,
                1,
                oh * ow,
            ))?);
        }
    }
    let patches = Tensor::cat(&patches, 2)?.reshape((n, c * kh * kw, oh * ow))?;
    let y = w.reshape((m, c * kh * kw))?.broadcast_left(n)?.contiguous()?.matmul(&patches)?;
    finish(y.reshape((n, m, oh, ow))?, b, conv.relu)
}

/// Zeros between the inputs, then a convolution with the mirrored filters.
pub(super) fn conv_transpose2d(
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
    let mirrored = mirror(&mirror(w, 2)?, 3)?.transpose(0, 1)?.contiguous()?;
    let plain = Conv2d { dilation: conv.dilation, relu: conv.relu, ..Conv2d::default() };
    conv2d(&wide, &mirrored, b, &plain)
}

fn mirror(x: &Tensor, d: usize) -> Result<Tensor> {
    let len = x.dim(d)? as u32;
    x.contiguous()?.index_select(&Tensor::from_iter((0..len).rev(), x.device())?, d)
}

fn finish(y: Tensor, b: Option<&Tensor>, rectify: bool) -> Result<Tensor> {
    let y = match b {
        Some(b) => y.broadcast_add(&b.reshape((1, (), 1, 1))?)?,
        None => y,
    };
    if rectify { relu(&y) } else { Ok(y) }
}
