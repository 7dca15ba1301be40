//! From images to the logit of "is real".

use candle_core::{Result, Tensor, Var, bail};
use sconce_ops::activation::leaky_relu;
use sconce_ops::conv::{Conv2d, conv2d};
use sconce_ops::linear::matmul;
use sconce_ops::sum::sum;

use super::layout::{CLASS, Condition, DiscriminatorLayout, EMBEDDING, Names};
use super::{Normalisation, spectral};
use crate::networks::trainable::Norm;
use crate::variables::Variables;

/// From images, and their classes where it is told them, to the logit of "is real": see [`DiscriminatorLayout`].
#[derive(Debug, Clone)]
pub struct Discriminator {
    layout: DiscriminatorLayout,
    layers: Vec<Layer>,
    class: Option<Layer>,
    embedding: Option<Weight>,
}

/// A weight, and the state of its spectral norm.
#[derive(Debug, Clone)]
struct Weight {
    weight: Var,
    u: Option<Var>,
}

/// A convolution with what stands behind it.
#[derive(Debug, Clone)]
struct Layer {
    weight: Weight,
    bias: Option<Var>,
    norm: Option<Norm>,
}

const SLOPE: f64 = 0.2;

/// How images are judged.
#[derive(Clone, Copy)]
struct Judging {
    train: bool,
    /// Whether parameters get gradients.
    learning: bool,
}

impl Judging {
    fn of(self, var: &Var) -> Tensor {
        match self.learning {
            true => var.as_tensor().clone(),
            false => var.as_detached_tensor(),
        }
    }
}

impl Weight {
    fn new(variables: &Variables, name: &str, spectral: bool) -> sconce_core::Result<Self> {
        let u = spectral.then(|| variables.get(&format!("{name}.weight_u"))).transpose()?;
        Ok(Self { weight: variables.get(&format!("{name}.weight"))?, u })
    }

    fn tensor(&self, how: Judging) -> Result<Tensor> {
        let weight = how.of(&self.weight);
        match &self.u {
            Some(u) => spectral::divided(&weight, u, how.train),
            None => Ok(weight),
        }
    }
}

impl Layer {
    fn new(
        variables: &Variables,
        layout: &DiscriminatorLayout,
        names: &Names,
        prefix: &str,
    ) -> sconce_core::Result<Self> {
        let name = format!("{prefix}{}", names.convolution);
        let biased = layout.norm != Normalisation::Batch;
        Ok(Self {
            weight: Weight::new(variables, &name, layout.norm == Normalisation::Spectral)?,
            bias: biased.then(|| variables.get(&format!("{name}.bias"))).transpose()?,
            norm: match &names.norm {
                Some(norm) => Some(Norm::new(variables, &format!("{prefix}{norm}"), SLOPE)?),
                None => None,
            },
        })
    }

    fn convolved(&self, x: &Tensor, conv: &Conv2d, how: Judging) -> Result<Tensor> {
        let bias = self.bias.as_ref().map(|bias| how.of(bias));
        conv2d(x, &self.weight.tensor(how)?, bias.as_ref(), conv)
    }

    fn rectified(&self, x: &Tensor, how: Judging) -> Result<Tensor> {
        let x = self.convolved(x, &Conv2d::new().stride(2).padding(1), how)?;
        match &self.norm {
            Some(norm) => norm.forward(&x, how.train, |var| how.of(var)),
            None => leaky_relu(&x, SLOPE),
        }
    }
}

impl Discriminator {
    /// The network of these variables, which are those of `layout`.
    ///
    /// # Errors
    /// When one is missing.
    pub fn new(layout: DiscriminatorLayout, variables: &Variables) -> sconce_core::Result<Self> {
        let names = layout.names();
        let layers = names.iter().map(|names| Layer::new(variables, &layout, names, ""));
        let layers = layers.collect::<sconce_core::Result<Vec<_>>>()?;
        let class = match (layout.condition, names.first()) {
            (Condition::Concatenated, Some(first)) => {
                Some(Layer::new(variables, &layout, first, CLASS)?)
            }
            _ => None,
        };
        let spectral = layout.norm == Normalisation::Spectral;
        let embedding = match layout.condition {
            Condition::Projected => Some(Weight::new(variables, EMBEDDING, spectral)?),
            _ => None,
        };
        Ok(Self { layout, layers, class, embedding })
    }

    /// What it is.
    pub fn layout(&self) -> &DiscriminatorLayout {
        &self.layout
    }

    /// Logits of "is real", `(batch)`, of images `(batch, channels, size, size)` of these `classes`, `(batch, classes)`. In
    /// train mode batch norm uses the batch and its running statistics move, as the state of spectral norms does.
    ///
    /// # Errors
    /// When images or classes have another shape, or classes are given to a discriminator that is told none, or the reverse.
    pub fn forward(
        &self,
        images: &Tensor,
        classes: Option<&Tensor>,
        train: bool,
    ) -> Result<Tensor> {
        self.judge(images, classes, Judging { train, learning: true })
    }

    /// The same without gradients to the discriminator's own parameters, which then cost nothing.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_frozen(
        &self,
        images: &Tensor,
        classes: Option<&Tensor>,
        train: bool,
    ) -> Result<Tensor> {
        self.judge(images, classes, Judging { train, learning: false })
    }

    fn judge(&self, images: &Tensor, classes: Option<&Tensor>, how: Judging) -> Result<Tensor> {
        let (batch, channels, height, width) = images.dims4()?;
        let DiscriminatorLayout { size, .. } = self.layout;
        if [channels, height, width] != [self.layout.channels, size, size] {
            bail!(
                "the discriminator expects images of {} × {size} × {size}, got {channels} × {height} × {width}",
                self.layout.channels
            );
        }
        let told = (self.layout.condition != Condition::None).then_some(self.layout.classes);
        match (told, classes) {
            (Some(count), Some(classes)) if classes.dims() != [batch, count] => {
                bail!(
                    "the discriminator expects classes [{batch}, {count}], got {:?}",
                    classes.dims()
                )
            }
            (Some(_), None) => bail!("the discriminator is told classes: expected some"),
            (None, Some(_)) => bail!("the discriminator is told no classes: expected none"),
            _ => {}
        }
        let Some((last, layers)) = self.layers.split_last() else { bail!("no layer") };
        let mut x = images.clone();
        for (i, layer) in layers.iter().enumerate() {
            x = layer.rectified(&x, how)?;
            if let (0, Some(class), Some(classes)) = (i, &self.class, classes) {
                let maps = classes.reshape((batch, self.layout.classes, 1, 1))?;
                let maps = maps.broadcast_as((batch, self.layout.classes, size, size))?;
                x = Tensor::cat(&[&x, &class.rectified(&maps.contiguous()?, how)?], 1)?;
            }
        }
        let logits = last.convolved(&x, &Conv2d::new(), how)?.flatten_all()?;
        match (&self.embedding, classes) {
            (Some(embedding), Some(classes)) => {
                let vectors = matmul(classes, &embedding.tensor(how)?)?;
                let features = sum(&x, (2, 3))?;
                logits + sum(&(vectors * features)?, 1)?
            }
            _ => Ok(logits),
        }
    }
}
