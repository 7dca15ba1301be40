//! A classifier that is to be explained or fooled.

use candle_core::{D, DType, Device, Tensor, Var};
use schemars::JsonSchema;
use sconce_core::{Error, Result};
use sconce_data::classes::Outputs;
use sconce_data::finite::NotFinite;
use sconce_data::{Image, ImageSet, Preprocessing, SameClasses, Weights};
use sconce_models::images::Images;
use sconce_models::{Network, Pass, Rectifier};
use sconce_ops::loss::log_softmax;
use sconce_ops::sum::{sum, sum_all};
use sconce_ops::tape;
use serde::{Deserialize, Serialize};

/// A network with its classes and the way from pixels to its input.
///
/// Methods work on *inputs*, `(batch, channels, height, width)` as the network takes them, or on *pixels*, the same shape
/// with samples 0–255: `input = (pixel / 255 · scale − mean) / std`, channel by channel.
pub struct Model {
    network: Box<dyn Network>,
    preprocessing: Preprocessing,
    classes: Vec<String>,
    device: Device,
    scale: Tensor,
    offset: Tensor,
}

/// The scalar of each image whose gradient is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objective {
    /// The logit of a class, one class an image.
    Logit(Vec<u32>),
    /// Minus the cross-entropy of a class: its log-probability.
    LogProbability(Vec<u32>),
}

/// Which class of an image is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// The one that the network finds likeliest.
    #[default]
    Predicted,
    /// The image's own.
    True,
}

impl Model {
    /// The network of `weights` on `device`. `size` replaces the input's side that the weights come with.
    ///
    /// # Errors
    /// When the network cannot be loaded, has no logits or cannot take images of that size.
    pub fn load(weights: &Weights, size: Option<usize>, device: Device) -> Result<Self> {
        let mut preprocessing = weights.info.preprocessing.clone();
        preprocessing.check()?;
        preprocessing.size = size.or(preprocessing.size);
        let network = sconce_models::load(weights, &device)?;
        if let Some(size) = size.filter(|size| Some(*size) != weights.info.preprocessing.size)
            && network.taps().contains(&"logits")
        {
            let channels = preprocessing.channels.count();
            let key = ("size", size);
            sconce_models::check_size(&*network, key, channels, "logits", &device)?;
        }
        Self::new(network, preprocessing, weights.info.classes.clone(), device)
    }

    /// A network with the way its input is prepared and the names of its classes (or none).
    ///
    /// # Errors
    /// When the network has no logits, as weights without their last layers, or another number of classes than names.
    pub fn new(
        network: Box<dyn Network>,
        preprocessing: Preprocessing,
        classes: Vec<String>,
        device: Device,
    ) -> Result<Self> {
        preprocessing.check()?;
        if !network.taps().contains(&"logits") {
            return Err(Error::Input {
                slot: "weights".into(),
                message: format!(
                    "expected a network with logits; these weights of {} end at `{}`",
                    network.architecture(),
                    network.taps().last().unwrap_or(&"nothing")
                ),
            });
        }
        Outputs { names: &classes, count: network.classes() }.check()?;
        if network.classes().is_some_and(|count| count < 2) {
            return Err(Error::Input {
                slot: "weights".into(),
                message: "expected a network that tells two classes or more apart".into(),
            });
        }
        if preprocessing.instance {
            return Err(Error::Input {
                slot: "weights".into(),
                message: "expected weights without instance normalisation of their input (`preprocessing.instance`): \
                          explanations and attacks go from inputs back to pixels"
                    .into(),
            });
        }
        let count = preprocessing.channels.count();
        let column = |values: Vec<f32>| {
            Tensor::from_vec(values, (1, count, 1, 1), &device).map_err(Error::other)
        };
        let std = &preprocessing.std;
        let scale = column(std.iter().map(|std| preprocessing.scale / 255.0 / std).collect())?;
        let offset =
            column(preprocessing.mean.iter().zip(std).map(|(mean, std)| -mean / std).collect())?;
        Ok(Self { network, preprocessing, classes, device, scale, offset })
    }

    /// The network alone.
    pub fn network(&self) -> &dyn Network {
        &*self.network
    }

    /// How an image becomes the network's input.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Names of the classes; empty when the weights do not tell them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The names of all classes; their numbers where names are unknown, which [`Outputs::same_as`] knows again.
    pub fn class_names(&self) -> Vec<String> {
        match self.classes.as_slice() {
            [] => (0..self.network.classes().unwrap_or(0)).map(|class| class.to_string()).collect(),
            names => names.to_vec(),
        }
    }

    /// The name of a class, or its number where names are unknown.
    pub fn class_name(&self, class: u32) -> String {
        self.classes.get(class as usize).cloned().unwrap_or_else(|| class.to_string())
    }

    /// The network's classes, by which names and numbers are told.
    pub fn outputs(&self) -> Outputs<'_> {
        Outputs { names: &self.classes, count: self.network.classes() }
    }

    /// The number of the class called `name`. See [`Outputs::number`].
    ///
    /// # Errors
    /// As [`Outputs::number`]; the error names the parameter `key`.
    pub fn class_number(&self, key: &str, name: &str) -> Result<u32> {
        self.outputs().number(key, name)
    }

    /// The network's classes of the images at `places`: see [`Outputs::same_as`].
    ///
    /// # Errors
    /// When the images have no classes, or it is not certain which of the network's they are.
    pub fn true_classes(
        &self,
        images: &ImageSet,
        places: &[usize],
        said: &SameClasses,
    ) -> Result<Vec<u32>> {
        let examples = images.examples();
        let labels = examples.labels_of(places)?;
        let numbers = self.outputs().same_as(&examples.classes, &labels, said)?;
        let number =
            |label: u32| {
                numbers.get(label as usize).copied().flatten().ok_or_else(|| {
                    Error::message(format!("the images have no class number {label}"))
                })
            };
        labels.into_iter().map(number).collect()
    }

    /// Where the tensors are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Inputs of the images at `places`, fitted to the network's size: `(places, channels, size, size)`.
    ///
    /// # Errors
    /// When an image cannot be read, or the images have different sizes and the weights come without one.
    pub fn inputs(&self, images: &ImageSet, places: &[usize]) -> Result<Tensor> {
        Images::load(images, places, &self.preprocessing)?.all(&self.device)
    }

    /// Pixels of inputs.
    pub fn to_pixels(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        inputs.broadcast_sub(&self.offset)?.broadcast_div(&self.scale)
    }

    /// Inputs of pixels; the gradient passes.
    pub fn to_inputs(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        pixels.broadcast_mul(&self.scale)?.broadcast_add(&self.offset)
    }

    /// Input number `row` as an image, rounded and clamped to 0–255.
    ///
    /// # Errors
    /// When `row` is out of bounds.
    pub fn image(&self, inputs: &Tensor, row: usize) -> Result<Image> {
        let (_, _, height, width) = inputs.dims4().map_err(Error::other)?;
        let numbers = inputs.get(row).and_then(|row| row.flatten_all()?.to_vec1::<f32>());
        self.preprocessing.denormalize(&numbers.map_err(Error::other)?, width, height)
    }

    /// Logits `(batch, classes)` of inputs.
    pub fn logits(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        self.network.forward_to(inputs, "logits")
    }

    /// Softmax probabilities `(batch, classes)` of inputs.
    pub fn probabilities(&self, inputs: &Tensor) -> candle_core::Result<Tensor> {
        softmax(&self.logits(inputs)?)
    }

    /// The class of the largest logit of each input.
    ///
    /// # Errors
    /// When a logit is NaN or infinite: no class is the likeliest then.
    pub fn predict(&self, inputs: &Tensor) -> candle_core::Result<Vec<u32>> {
        let logits = self.logits(inputs)?;
        let count = NotFinite::of(&logits.flatten_all()?.to_vec1::<f32>()?);
        if count.first.is_some() {
            candle_core::bail!("the network's logits: {}", count.words());
        }
        logits.argmax(D::Minus1)?.to_vec1()
    }

    /// The objective of each input, and its gradient with respect to the input (of the input's shape).
    pub fn gradient(
        &self,
        inputs: &Tensor,
        objective: &Objective,
        rectifier: Rectifier,
    ) -> candle_core::Result<(Vec<f32>, Tensor)> {
        let pass = Pass { from: None, rectifier };
        self.gradient_from(inputs, &pass, objective)
    }

    /// The output called `tap` for inputs, and the gradient of each image's objective with respect to it.
    pub fn gradient_at(
        &self,
        inputs: &Tensor,
        tap: &str,
        objective: &Objective,
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let output = self.network.forward_to(inputs, tap)?.detach();
        let pass = Pass { from: Some(tap), ..Pass::default() };
        let (_, gradient) = self.gradient_from(&output, &pass, objective)?;
        Ok((output, gradient))
    }

    fn gradient_from(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        objective: &Objective,
    ) -> candle_core::Result<(Vec<f32>, Tensor)> {
        let x = Var::from_tensor(&x.detach())?;
        let (gradients, values) = tape::gradients(|| {
            let mut outputs = self.network.forward_pass(&x, pass, &["logits"])?;
            let Some(logits) = outputs.pop() else {
                candle_core::bail!("the network gave no logits");
            };
            let values = objective.of(&logits)?;
            Ok((sum_all(&values)?, values.to_vec1()?))
        })?;
        let gradient = match gradients.get(&x) {
            Some(gradient) => gradient.clone(),
            None => x.zeros_like()?,
        };
        Ok((values, gradient))
    }
}

impl Objective {
    /// One number an image, of logits `(batch, classes)`; the gradient passes.
    pub fn of(&self, logits: &Tensor) -> candle_core::Result<Tensor> {
        let (classes, logits) = match self {
            Self::Logit(classes) => (classes, logits.clone()),
            Self::LogProbability(classes) => (classes, log_softmax(logits)?),
        };
        let (batch, count) = logits.dims2()?;
        if classes.len() != batch || classes.iter().any(|&class| class as usize >= count) {
            candle_core::bail!("expected {batch} classes below {count}, found {classes:?}");
        }
        // A mask, not a gather: its gradient is a product.
        let mut mask = vec![0f32; batch * count];
        for (row, &class) in mask.chunks_exact_mut(count).zip(classes) {
            row[class as usize] = 1.0;
        }
        let mask = Tensor::from_vec(mask, (batch, count), logits.device())?;
        sum(&(logits * mask.to_dtype(DType::F32)?)?, 1)
    }
}

/// Softmax over the last dimension.
pub fn softmax(logits: &Tensor) -> candle_core::Result<Tensor> {
    log_softmax(logits)?.exp()
}

#[cfg(test)]
mod tests;
