//! Explanation maps: how much each pixel of an image counts for a class.
//!
//! All maps are of the input's height and width, one number a pixel. Where a method gives a number for each channel,
//! unsigned ones take the largest absolute value of a pixel's channels (Simonyan et al., 2014) and signed ones their sum.

mod grad_cam;
mod gradient;
mod integrated;
mod occlusion;
mod plain;
mod smoothgrad;

use candle_core::{Result, Tensor};
use rand::Rng;
use schemars::JsonSchema;
use sconce_ops::separable::gaussian_blur;
use serde::{Deserialize, Serialize};

use crate::Model;

pub use grad_cam::{grad_cam, last_tap_with_space};
pub use gradient::{gradient_x_input, guided_backpropagation, saliency};
pub use integrated::{Completeness, IntegratedGradients, integrated_gradients};
pub use occlusion::{Occlusion, occlusion};
pub use plain::{edges, random};
pub use smoothgrad::{Average, SmoothGrad, smoothgrad};

/// What stands where nothing of the image is to be seen, in place of its pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// The mean that the network's input is freed of: an input of zeros.
    #[default]
    Mean,
    /// Black.
    Black,
    /// White.
    White,
    /// The image itself after a Gaussian blur whose deviation is this share of the image's side: what it shows without its
    /// details (Sturmfels, Lundberg and Lee, "Visualizing the impact of feature attribution baselines", 2020).
    Blurred(f64),
}

impl Baseline {
    /// What stands in place of the input `x`, of its shape.
    ///
    /// # Errors
    /// When the blur has no width.
    pub fn input(self, model: &Model, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Mean => x.zeros_like(),
            Self::Black => model.to_inputs(&x.zeros_like()?),
            Self::White => model.to_inputs(&(x.zeros_like()? + 255.0)?),
            Self::Blurred(share) => blurred(x, share * x.dim(3)? as f64),
        }
    }

    /// Refuses a blur that is none. `key` is the parameter's name.
    ///
    /// # Errors
    /// [`sconce_core::Error::Parameter`].
    pub fn check(self, key: &str) -> sconce_core::Result<()> {
        match self {
            Self::Blurred(share) if !(share > 0.0 && share < 1.0) => {
                let message = format!("expected a share between 0 and 1, found {share}");
                Err(sconce_core::Error::parameter(format!("{key}.blurred"), message))
            }
            _ => Ok(()),
        }
    }
}

/// Inputs after a Gaussian blur of this deviation in pixels, which ends at three deviations, or where the image does.
///
/// # Errors
/// When the deviation is 0.
pub(crate) fn blurred(x: &Tensor, deviation: f64) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let reach = ((3.0 * deviation).ceil() as usize).min(height.min(width) - 1);
    gaussian_blur(x, 2 * reach + 1, deviation)
}

/// A method with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// [`saliency`].
    Saliency,
    /// [`smoothgrad`].
    SmoothGrad(SmoothGrad),
    /// [`gradient_x_input`].
    GradientXInput,
    /// [`integrated_gradients`].
    IntegratedGradients(IntegratedGradients),
    /// [`guided_backpropagation`].
    GuidedBackpropagation,
    /// [`grad_cam`] at this tap.
    GradCam(String),
    /// [`occlusion`].
    Occlusion(Occlusion),
    /// [`edges`], which do not know the network: a baseline.
    Edges,
    /// [`random`]: a baseline.
    Random,
}

/// The map of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Height × width numbers, row after row.
    pub map: Vec<f32>,
    /// How well the numbers add up, of integrated gradients.
    pub completeness: Option<Completeness>,
}

impl Method {
    /// Maps of `inputs` `(batch, channels, height, width)`, each of a class and with a generator. At most `batch` inputs
    /// go through the network at a time.
    ///
    /// # Errors
    /// When a class, the tap or a parameter does not fit the network or the input.
    pub fn explain<R: Rng>(
        &self,
        model: &Model,
        inputs: &Tensor,
        classes: &[u32],
        generators: &mut [R],
        batch: usize,
    ) -> Result<Vec<Explained>> {
        let count = inputs.dim(0)?;
        if classes.len() != count || generators.len() != count {
            candle_core::bail!("expected a class and a generator for each of {count} inputs");
        }
        let batch = batch.max(1);
        let mut found = Vec::with_capacity(count);
        for first in (0..count).step_by(batch) {
            let length = batch.min(count - first);
            let (x, y) = (inputs.narrow(0, first, length)?, &classes[first..first + length]);
            let maps = match self {
                Self::Saliency => saliency(model, &x, y)?,
                Self::GradientXInput => gradient_x_input(model, &x, y)?,
                Self::GuidedBackpropagation => guided_backpropagation(model, &x, y)?,
                Self::GradCam(tap) => grad_cam(model, &x, tap, y)?,
                Self::Edges => edges(model, &x)?,
                one_by_one => {
                    for (row, &class) in y.iter().enumerate() {
                        let x = x.narrow(0, row, 1)?;
                        let rng = &mut generators[first + row];
                        found.push(one_by_one.explain_one(model, &x, class, rng, batch)?);
                    }
                    continue;
                }
            };
            for map in maps.flatten_from(1)?.to_vec2()? {
                found.push(Explained { map, completeness: None });
            }
        }
        Ok(found)
    }

    /// The methods that take an image to the network many times.
    fn explain_one(
        &self,
        model: &Model,
        x: &Tensor,
        class: u32,
        rng: &mut impl Rng,
        batch: usize,
    ) -> Result<Explained> {
        let plain = |map| Ok(Explained { map, completeness: None });
        match self {
            Self::SmoothGrad(how) => plain(smoothgrad(model, x, class, how, rng, batch)?),
            Self::Occlusion(how) => plain(occlusion(model, x, class, how, batch)?),
            Self::IntegratedGradients(how) => {
                let (map, completeness) = integrated_gradients(model, x, class, how, rng, batch)?;
                Ok(Explained { map, completeness })
            }
            _ => plain(random(x, rng)?),
        }
    }
}

/// `(rows, channels, height, width)` inputs that are `rows` copies of `x` `(1, channels, height, width)`.
fn repeated(x: &Tensor, rows: usize) -> Result<Tensor> {
    let (_, channels, height, width) = x.dims4()?;
    x.broadcast_as((rows, channels, height, width))?.contiguous()
}

/// Numbers of an input of several channels, a pixel after the other: the sum or the largest absolute value of its
/// channels.
fn over_channels(values: &[f64], channels: usize, sum: bool) -> Vec<f32> {
    let plane = values.len() / channels.max(1);
    let pixel = |at: usize| values.iter().skip(at).step_by(plane.max(1));
    (0..plane)
        .map(|at| match sum {
            true => pixel(at).sum::<f64>() as f32,
            false => pixel(at).fold(0.0, |most: f64, v| most.max(v.abs())) as f32,
        })
        .collect()
}

/// Adds each row of `rows` to `sums`, in order.
fn accumulate(sums: &mut [f64], rows: &Tensor) -> Result<()> {
    let values = rows.flatten_all()?.to_vec1::<f32>()?;
    for row in values.chunks_exact(sums.len().max(1)) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
