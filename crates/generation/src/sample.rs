//! Images from a generator.

use candle_core::{DType, Device, Tensor};
use schemars::JsonSchema;
use sconce_core::{Error, Result};
use sconce_models::networks::dcgan::Generator;
use serde::{Deserialize, Serialize};

/// What batch norm takes for mean and variance when images are generated. It changes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The running statistics: an image depends on its own noise alone.
    #[default]
    Eval,
    /// Those of the batch, as in training: an image depends on the others of its batch.
    Train,
}

/// Samples 0 to 255 of the same images as [`pixels`].
///
/// # Errors
/// When shapes do not fit, or the generator gives numbers that are not finite.
pub(crate) fn images(
    generator: &Generator,
    noise: &Tensor,
    classes: Option<&Tensor>,
    mode: Mode,
    batch: usize,
) -> Result<Vec<u8>> {
    pixels(generator, noise, classes, mode, batch)?.into_iter().map(sample).collect()
}

/// Samples −1 to 1, images × height × width × channels, from noise `(images, latent)` and weights of the classes
/// `(images, classes)`, `batch` images at a time. The generator does not change; of one that diverged they may be no numbers.
///
/// # Errors
/// When shapes do not fit.
pub(crate) fn pixels(
    generator: &Generator,
    noise: &Tensor,
    classes: Option<&Tensor>,
    mode: Mode,
    batch: usize,
) -> Result<Vec<f32>> {
    let count = noise.dim(0).map_err(Error::other)?;
    let mut all = Vec::new();
    let mut from = 0;
    while from < count {
        // One image alone has no statistics: the last batch takes it.
        let rest = count - from;
        let taken = if rest == batch + 1 { rest } else { batch.max(1).min(rest) };
        let part = |x: &Tensor| x.narrow(0, from, taken);
        let some = || -> candle_core::Result<Vec<f32>> {
            let classes = classes.map(part).transpose()?;
            let images = match mode {
                Mode::Eval => generator.forward(&part(noise)?, classes.as_ref(), false)?,
                Mode::Train => generator.forward_of_batch(&part(noise)?, classes.as_ref())?,
            };
            let images = images.permute((0, 2, 3, 1))?.to_device(&Device::Cpu)?;
            images.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
        };
        all.extend(some().map_err(Error::other)?);
        from += taken;
    }
    Ok(all)
}

/// A sample 0 to 255 from −1 to 1.
pub(crate) fn sample(value: f32) -> Result<u8> {
    if !value.is_finite() {
        return Err(Error::message(format!(
            "the generator gives {value} for a pixel: its training diverged"
        )));
    }
    Ok(((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_rounded_and_cut() {
        let got: Vec<u8> = [-1.0, -0.999, 0.0, 0.5, 1.0, 2.0].map(|v| sample(v).unwrap()).to_vec();
        assert_eq!(got, [0, 0, 128, 191, 255, 255]);
        assert!(sample(f32::NAN).is_err());
    }
}
