//! [`conv2d`](super::conv2d) from candle's operations, for other devices and types than the CPU kernels'.
//!
//! Values come from candle's own convolution: cuDNN's with the feature `cudnn`, else patches and a matrix product. candle's
//! gradient of it fails for some shapes, and runs a plain loop on CUDA, so that gradients are made here: the input's by another
//! convolution, of the same kind; the weight's by one matrix product of patches. What candle's convolution cannot do (settings that
//! differ by direction) is patches and a matrix product, whose gradients candle has.

use super::{Conv2d, ConvTranspose2d, transpose};
use crate::activation::relu;
use crate::slices::{every, margin};
use crate::tape::apply3;
use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp3, Layout, MetalStorage, Result, Shape, Tensor,
};

/// [`conv2d`](super::conv2d) of checked arguments.
pub(super) fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    let same = |[vertical, horizontal]: [usize; 2]| vertical == horizontal;
    let y = if same(conv.stride) && same(conv.padding) && same(conv.dilation) {
        of_device(x, w, conv)?
    } else {
        of_patches(x, w, conv)?
    };
    let y = match b {
        Some(b) => y.broadcast_add(&b.reshape((1, (), 1, 1))?)?,
        None => y,
    };
    if conv.relu { relu(&y) } else { Ok(y) }
}

fn of_device(x: &Tensor, w: &Tensor, conv: &Conv2d) -> Result<Tensor> {
    let ([stride, _], [padding, _], [dilation, _]) = (conv.stride, conv.padding, conv.dilation);
    let (values_x, values_w) = (x.detach().contiguous()?, w.detach().contiguous()?);
    let y = values_x.conv2d(&values_w, padding, stride, dilation, 1)?.contiguous()?;
    let needs = [x.track_op(), w.track_op()];
    if needs == [false, false] {
        return Ok(y);
    }
    apply3([x, w, &y], Gradients { conv: *conv, needs })
}

/// The third argument, as the convolution of the first two: with gradients to these.
struct Gradients {
    conv: Conv2d,
    /// Of the input and of the weight.
    needs: [bool; 2],
}

impl CustomOp3 for Gradients {
    fn name(&self) -> &'static str {
        "conv2d-gradients"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        y: &CpuStorage,
        l: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((y.try_clone(l)?, l.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        y: &CudaStorage,
        l: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((y.try_clone(l)?, l.shape().clone()))
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        y: &MetalStorage,
        l: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Ok((y.try_clone(l)?, l.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (x, w, grad) = (x.detach(), w.detach(), grad.detach());
        let [of_x, of_w] = self.needs;
        let of_x = of_x.then(|| input_gradient(&grad, x.dims(), &w, &self.conv)).transpose()?;
        let of_w = of_w.then(|| weight_gradient(&grad, &x, w.dims(), &self.conv)).transpose()?;
        Ok((of_x, of_w, None))
    }
}

/// The transposed convolution of the gradient.
fn input_gradient(grad: &Tensor, x: &[usize], w: &Tensor, conv: &Conv2d) -> Result<Tensor> {
    let (_, _, oh, ow) = grad.dims4()?;
    let (_, _, kh, kw) = w.dims4()?;
    let mut transposed = ConvTranspose2d {
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
        ..ConvTranspose2d::default()
    };
    let size = [x[2], x[3]];
    for (d, (out, kernel)) in [(oh, kh), (ow, kw)].into_iter().enumerate() {
        // what the last window does not reach
        let reached = (out - 1) * conv.stride[d] + conv.dilation[d] * (kernel - 1) + 1;
        transposed.output_padding[d] = (size[d] + 2 * conv.padding[d]).saturating_sub(reached);
    }
    transpose::composed(grad, w, None, &transposed, size)
}

/// One product: outputs by places in the batch, times places by weights.
fn weight_gradient(grad: &Tensor, x: &Tensor, w: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let (n, m, oh, ow) = grad.dims4()?;
    let &[_, c, kh, kw] = w else { candle_core::bail!("expected four dimensions, got {w:?}") };
    let taps = taps(&x.transpose(0, 1)?, conv, [kh, kw], [oh, ow])?;
    let taps =
        taps.iter().map(|tap| tap.reshape((c, 1, n * oh * ow))).collect::<Result<Vec<_>>>()?;
    let patches = Tensor::cat(&taps, 1)?.reshape((c * kh * kw, n * oh * ow))?;
    let grad = grad.transpose(0, 1)?.contiguous()?.reshape((m, n * oh * ow))?;
    grad.matmul(&patches.t()?)?.reshape((m, c, kh, kw))
}

fn of_patches(x: &Tensor, w: &Tensor, conv: &Conv2d) -> Result<Tensor> {
    let (n, c, h, wd) = x.dims4()?;
    let (m, _, kh, kw) = w.dims4()?;
    let [oh, ow] = conv.output_size([h, wd], [kh, kw])?;
    let taps = taps(x, conv, [kh, kw], [oh, ow])?;
    let taps =
        taps.iter().map(|tap| tap.reshape((n, c, 1, oh * ow))).collect::<Result<Vec<_>>>()?;
    let patches = Tensor::cat(&taps, 2)?.reshape((n, c * kh * kw, oh * ow))?;
    let y = w.reshape((m, c * kh * kw))?.broadcast_left(n)?.contiguous()?.matmul(&patches)?;
    y.reshape((n, m, oh, ow))
}

/// What each place of the filter sees, in row-major order: tensors like `x` of the result's height and width.
fn taps(
    x: &Tensor,
    conv: &Conv2d,
    [kh, kw]: [usize; 2],
    [oh, ow]: [usize; 2],
) -> Result<Vec<Tensor>> {
    let [py, px] = conv.padding;
    let x = margin(&margin(x, 2, [py, py], 0.0)?, 3, [px, px], 0.0)?;
    let mut taps = Vec::with_capacity(kh * kw);
    for ky in 0..kh {
        let rows = every(&x, 2, ky * conv.dilation[0], conv.stride[0], oh)?;
        for kx in 0..kw {
            taps.push(every(&rows, 3, kx * conv.dilation[1], conv.stride[1], ow)?);
        }
    }
    Ok(taps)
}
