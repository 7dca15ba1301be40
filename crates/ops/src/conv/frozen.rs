//! A convolution whose weight never changes: what its kernels make of the weight is kept.

use super::{Conv2d, check_bias, composed};
use crate::cpu::conv::forms::Forms;
use crate::cpu::conv::joined::{Part, joined};
use crate::cpu::conv::op;
use crate::pool::{Pool2d, max_pool2d};
use candle_core::{Result, Tensor, bail};
use std::sync::Arc;

/// A convolution with a frozen weight, as [`super::conv2d`] but faster for few images: reordering or transforming a large
/// weight takes as long as convolving one image with it, and is done here once, when first needed.
///
/// Memory beside the weight's own: as much again for a reordered weight, up to four times as much for one transformed by
/// Winograd's method (1.8 times for values that an image's gradient depends on), and the same again once a gradient of the
/// input has been asked for. Gradients flow to the input alone. Clones share all of it.
///
/// On the processor an image's bits, and those of its gradient, do not depend on the others in the batch: the method is chosen
/// for one image.
#[derive(Debug, Clone)]
pub struct FrozenConv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    conv: Conv2d,
    forms: Arc<Forms<f32>>,
}

impl FrozenConv2d {
    /// Keeps copies of `weight` `(out, in, kernel height, kernel width)` and `bias` `(out)`: later changes of a variable
    /// that they come from have no effect.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>, conv: Conv2d) -> Result<Self> {
        let &[outputs, ..] = weight.dims() else {
            bail!(
                "a convolution expects a weight (out, in, kernel height, kernel width), got a scalar"
            );
        };
        if weight.rank() != 4 {
            bail!(
                "a convolution expects a weight (out, in, kernel height, kernel width), got {:?}",
                weight.dims()
            );
        }
        check_bias(bias, outputs)?;
        let own = |t: &Tensor| t.detach().copy();
        Ok(Self {
            weight: own(weight)?,
            bias: bias.map(own).transpose()?,
            conv,
            forms: Arc::default(),
        })
    }

    /// The convolution of `x` `(batch, in, height, width)`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let sizes = self.conv.sizes(x.dims(), self.weight.dims())?;
        let (w, b) = (&self.weight, self.bias.as_ref());
        if op::applies(x, w, b) {
            op::conv2d(x, w, b, &self.conv, sizes, Some(self.forms.clone()), false)
        } else {
            composed::conv2d(x, w, b, &self.conv)
        }
    }

    /// The convolution and maximum pooling behind it, see [`super::conv2d_max_pool2d`].
    pub fn forward_max_pool2d(&self, x: &Tensor, pool: &Pool2d) -> Result<Tensor> {
        let sizes = self.conv.sizes(x.dims(), self.weight.dims())?;
        let (w, b) = (&self.weight, self.bias.as_ref());
        if *pool == Pool2d::new(2, 2) && op::applies(x, w, b) {
            pool.output_size(sizes.output)?;
            op::conv2d(x, w, b, &self.conv, sizes, Some(self.forms.clone()), true)
        } else {
            max_pool2d(&self.forward(x)?, pool)
        }
    }

    /// Several convolutions of `x`, their results side by side: `(batch, all of their outputs, height, width)`, which must agree in
    /// height and width. The values are those of [`Self::forward`] and a concatenation, without copies of the results.
    pub fn forward_side_by_side(all: &[&Self], x: &Tensor) -> Result<Tensor> {
        let mut parts: Vec<Part> = vec![];
        for one in all {
            let sizes = one.conv.sizes(x.dims(), one.weight.dims())?;
            let (w, b) = (&one.weight, one.bias.as_ref());
            if !op::applies(x, w, b) {
                let results: Vec<_> = all.iter().map(|c| c.forward(x)).collect::<Result<_>>()?;
                return Tensor::cat(&results, 1);
            }
            let first = parts.first().map_or(sizes.output, Part::output);
            if first != sizes.output {
                bail!(
                    "convolutions side by side expect results of one height and width, got {first:?} and {:?}",
                    sizes.output
                );
            }
            parts.push(op::part(x, (w, b), &one.conv, sizes, one.forms.clone())?);
        }
        joined(x, parts)
    }

    /// The same with or without a rectifier behind it; both share what they keep.
    pub fn relu(&self, relu: bool) -> Self {
        Self { conv: self.conv.relu(relu), ..self.clone() }
    }

    /// The weight.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
