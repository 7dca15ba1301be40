//! From noise to images.

use candle_core::{Result, Tensor, Var, bail};
use sconce_ops::activation::{relu, tanh};
use sconce_ops::conv::{ConvTranspose2d, conv_transpose2d};

use super::layout::{CLASS, GeneratorLayout, Names};
use crate::networks::trainable::Norm;
use crate::variables::Variables;

/// From noise, and a class where it is told one, to images: see [`GeneratorLayout`].
#[derive(Debug, Clone)]
pub struct Generator {
    layout: GeneratorLayout,
    layers: Vec<Layer>,
    class: Option<Layer>,
}

/// Which statistics batch norm takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistics {
    /// The running ones.
    Running,
    /// The batch's.
    OfBatch,
    /// The batch's, and the running ones move.
    Moving,
}

/// A transposed convolution with what stands behind it.
#[derive(Debug, Clone)]
struct Layer {
    weight: Var,
    bias: Option<Var>,
    norm: Option<Norm>,
}

impl Layer {
    fn new(
        variables: &Variables,
        names: &Names,
        prefix: &str,
        biased: bool,
    ) -> sconce_core::Result<Self> {
        let name = |part: &str| format!("{prefix}{}.{part}", names.convolution);
        Ok(Self {
            weight: variables.get(&name("weight"))?,
            bias: biased.then(|| variables.get(&name("bias"))).transpose()?,
            norm: match &names.norm {
                Some(norm) => Some(Norm::new(variables, &format!("{prefix}{norm}"), 0.0)?),
                None => None,
            },
        })
    }

    /// The convolution, from `1×1` pixels where it is the `first`.
    fn convolved(&self, x: &Tensor, first: bool) -> Result<Tensor> {
        let conv = if first { ConvTranspose2d::new(1, 0) } else { ConvTranspose2d::new(2, 1) };
        conv_transpose2d(x, self.weight.as_tensor(), self.bias.as_deref(), &conv)
    }

    fn rectified(&self, x: &Tensor, first: bool, of: Statistics) -> Result<Tensor> {
        let x = self.convolved(x, first)?;
        match (&self.norm, of) {
            (Some(norm), Statistics::OfBatch) => norm.forward_of_batch(&x),
            (Some(norm), of) => {
                norm.forward(&x, of == Statistics::Moving, |var| var.as_tensor().clone())
            }
            (None, _) => relu(&x),
        }
    }
}

impl Generator {
    /// The network of these variables, which are those of `layout`.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(layout: GeneratorLayout, variables: &Variables) -> sconce_core::Result<Self> {
        let names = layout.names();
        let biased = layout.norm != super::Normalisation::Batch;
        let layers = names.iter().map(|names| Layer::new(variables, names, "", biased));
        let layers = layers.collect::<sconce_core::Result<Vec<_>>>()?;
        let class = match (layout.classes, names.first()) {
            (1.., Some(first)) => Some(Layer::new(variables, first, CLASS, biased)?),
            _ => None,
        };
        Ok(Self { layout, layers, class })
    }

    /// What it is.
    pub fn layout(&self) -> &GeneratorLayout {
        &self.layout
    }

    /// Images `(batch, channels, size, size)` in −1 to 1 from noise `(batch, latent)`, of the wanted `classes`: weights of
    /// each class, `(batch, classes)`, which [`one_hot`](super::one_hot) makes. In train mode batch norm uses the batch and
    /// its running statistics move.
    ///
    /// # Errors
    /// When noise or classes have another shape, or classes are given to a generator that is told none, or the reverse.
    pub fn forward(&self, noise: &Tensor, classes: Option<&Tensor>, train: bool) -> Result<Tensor> {
        let of = if train { Statistics::Moving } else { Statistics::Running };
        self.generated(noise, classes, of)
    }

    /// The same with the batch's statistics, as in train mode, while the running ones stay.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_of_batch(&self, noise: &Tensor, classes: Option<&Tensor>) -> Result<Tensor> {
        self.generated(noise, classes, Statistics::OfBatch)
    }

    fn generated(
        &self,
        noise: &Tensor,
        classes: Option<&Tensor>,
        of: Statistics,
    ) -> Result<Tensor> {
        let (batch, latent) = noise.dims2()?;
        if latent != self.layout.latent {
            bail!("the generator expects {} numbers of noise, got {latent}", self.layout.latent);
        }
        let point = |x: &Tensor| x.reshape((batch, x.elem_count() / batch.max(1), 1, 1));
        let Some((first, rest)) = self.layers.split_first() else { bail!("no layer") };
        let mut x = first.rectified(&point(noise)?, true, of)?;
        match (&self.class, classes) {
            (Some(class), Some(classes)) => {
                let expected = [batch, self.layout.classes];
                if classes.dims() != expected {
                    bail!("the generator expects classes {expected:?}, got {:?}", classes.dims());
                }
                x = Tensor::cat(&[&x, &class.rectified(&point(classes)?, true, of)?], 1)?;
            }
            (None, None) => {}
            (Some(_), None) => bail!("the generator is told classes: expected some"),
            (None, Some(_)) => bail!("the generator is told no classes: expected none"),
        }
        for (i, layer) in rest.iter().enumerate() {
            x = match i + 1 == rest.len() {
                true => tanh(&layer.convolved(&x, false)?)?,
                false => layer.rectified(&x, false, of)?,
            };
        }
        Ok(x)
    }
}
