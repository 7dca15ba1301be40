//! A network that is attacked.

use candle_core::{Tensor, Var};
use sconce_core::error::ResultExt;
use sconce_core::{Error, Result};
use sconce_data::{Image, ImageSet};
use sconce_ops::sum::sum_all;
use sconce_ops::tape;

use super::{Classifier, Pulled, rounded};
use crate::Model;

/// Images that go through the network together.
const TOGETHER: usize = 32;

/// A [`Model`] as a [`Classifier`] of images of one shape.
pub struct Attacked<'a> {
    model: &'a Model,
    shape: [usize; 3],
    check: &'a (dyn Fn() -> Result<()> + Sync),
}

impl<'a> Attacked<'a> {
    /// The model, for images of `channels × height × width`. `check` is asked before each pass whether to go on.
    pub fn new(
        model: &'a Model,
        shape: [usize; 3],
        check: &'a (dyn Fn() -> Result<()> + Sync),
    ) -> Self {
        Self { model, shape, check }
    }

    /// The levels of image `place`, fitted to the network: `channels × height × width`, in the network's order of channels.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn levels(
        model: &Model,
        images: &ImageSet,
        place: usize,
    ) -> Result<(Vec<f32>, [usize; 3])> {
        let inputs = model.inputs(images, &[place])?;
        let (_, channels, height, width) = inputs.dims4().map_err(Error::other)?;
        let pixels = model.to_pixels(&inputs).and_then(|pixels| pixels.flatten_all()?.to_vec1());
        // They came from whole levels: the way through mean and deviation left rounding errors alone.
        Ok((rounded(&pixels.map_err(Error::other)?), [channels, height, width]))
    }

    /// The image as a file would hold it.
    ///
    /// # Errors
    /// When the image has another shape.
    pub fn image(&self, levels: &[f32]) -> Result<Image> {
        let inputs = self.tensor(&[rounded(levels)]).and_then(|x| self.model.to_inputs(&x));
        self.model.image(&inputs.map_err(Error::other)?, 0)
    }

    /// The logits of an image that was written to a PNG file and read again.
    ///
    /// # Errors
    /// When the image cannot be written or read, or has another shape.
    pub fn logits_of_file(&self, image: &Image) -> Result<Vec<f32>> {
        let file = image.to_png().map_err(Error::other)?;
        let preprocessing = self.model.preprocessing();
        let image = Image::decode(&file, preprocessing.channels.color()).map_err(Error::other)?;
        let x = sconce_models::images::input(&image, preprocessing, self.model.device())?;
        let logits = self.model.logits(&x).and_then(|z| z.flatten_all()?.to_vec1());
        logits.map_err(Error::other)
    }

    fn tensor(&self, images: &[Vec<f32>]) -> candle_core::Result<Tensor> {
        let [channels, height, width] = self.shape;
        Tensor::from_vec(
            images.concat(),
            (images.len(), channels, height, width),
            self.model.device(),
        )
    }

    fn pull_back_together(
        &self,
        images: &[Vec<f32>],
        first: usize,
        weights: &dyn Fn(usize, &[f32]) -> Vec<f32>,
    ) -> candle_core::Result<Vec<Pulled>> {
        let x = Var::from_tensor(&self.tensor(images)?)?;
        let (gradients, logits) = tape::gradients(|| {
            let z = self.model.logits(&self.model.to_inputs(&x)?)?;
            let logits = z.to_vec2::<f32>()?;
            let weights: Vec<f32> =
                logits.iter().enumerate().flat_map(|(i, z)| weights(first + i, z)).collect();
            if weights.iter().all(|weight| *weight == 0.0) {
                // no way back is needed to know the gradient
                return Ok((z.detach(), logits));
            }
            let weights = Tensor::from_vec(weights, z.shape(), self.model.device())?;
            Ok((sum_all(&(z * weights)?)?, logits))
        })?;
        let gradients = match gradients.get(&x) {
            Some(gradient) => gradient.flatten_from(1)?.to_vec2::<f32>()?,
            None => images.iter().map(|image| vec![0.0; image.len()]).collect(),
        };
        let pulled = logits.into_iter().zip(gradients);
        Ok(pulled.map(|(logits, gradient)| Pulled { logits, gradient }).collect())
    }
}

impl Classifier for Attacked<'_> {
    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn input_unit(&self) -> Vec<f32> {
        let preprocessing = self.model.preprocessing();
        preprocessing.std.iter().map(|std| std * super::WHITE / preprocessing.scale).collect()
    }

    fn logits(&self, images: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let mut logits = Vec::with_capacity(images.len());
        for images in images.chunks(TOGETHER) {
            (self.check)()?;
            let together = || {
                let inputs = self.model.to_inputs(&self.tensor(images)?)?;
                self.model.logits(&inputs)?.to_vec2::<f32>()
            };
            logits.extend(together().map_err(Error::other).doing(|| "logits of images".into())?);
        }
        Ok(logits)
    }

    fn pull_back(
        &self,
        images: &[Vec<f32>],
        weights: &dyn Fn(usize, &[f32]) -> Vec<f32>,
    ) -> Result<Vec<Pulled>> {
        let mut pulled = Vec::with_capacity(images.len());
        for images in images.chunks(TOGETHER) {
            (self.check)()?;
            let together = self.pull_back_together(images, pulled.len(), weights);
            pulled.extend(together.map_err(Error::other).doing(|| "gradients of images".into())?);
        }
        Ok(pulled)
    }
}
