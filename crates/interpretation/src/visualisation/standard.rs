//! The scale in which pictures are changed.

use candle_core::{Device, Result, Tensor};
use sconce_data::Channels;

/// ImageNet's standardised scale: `u = (pixel / 255 − mean) / deviation`, channel by channel, whatever scale the
/// network's own input has.
///
/// Learning rates and penalties are in this scale, so that the practical's 5 and 1e-3 mean the same with weights that take
/// 0–255 as with torchvision's, whose input this is. Grey pictures have the channels' averages.
pub struct Standard {
    mean: Tensor,
    deviation: Tensor,
    low: Tensor,
    high: Tensor,
}

/// Mean of red, green and blue over ImageNet, of samples 0–1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Their deviation.
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

impl Standard {
    /// The scale of pictures with these channels.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn new(channels: Channels, device: &Device) -> Result<Self> {
        let of = |mut values: [f32; 3]| match channels {
            Channels::Rgb => values.to_vec(),
            Channels::Bgr => {
                values.reverse();
                values.to_vec()
            }
            Channels::Grey => vec![values.iter().sum::<f32>() / 3.0],
        };
        let column = |values: Vec<f32>| {
            let count = values.len();
            Tensor::from_vec(values, (1, count, 1, 1), device)
        };
        let (mean, deviation) = (column(of(MEAN))?, column(of(DEVIATION))?);
        let low = (mean.neg()? / &deviation)?;
        let high = ((1.0 - &mean)? / &deviation)?;
        Ok(Self { mean, deviation, low, high })
    }

    /// Samples 0–255 of standardised pictures `(batch, channels, height, width)`; the gradient passes.
    ///
    /// # Errors
    /// When the channels do not fit.
    pub fn to_pixels(&self, u: &Tensor) -> Result<Tensor> {
        let scale = (&self.deviation * 255.0)?;
        u.broadcast_mul(&scale)?.broadcast_add(&(&self.mean * 255.0)?)
    }

    /// Standardised pictures of samples 0–255.
    ///
    /// # Errors
    /// When the channels do not fit.
    pub fn of_pixels(&self, pixels: &Tensor) -> Result<Tensor> {
        (pixels / 255.0)?.broadcast_sub(&self.mean)?.broadcast_div(&self.deviation)
    }

    /// The picture with what is below black and above white set to them.
    ///
    /// # Errors
    /// When the channels do not fit.
    pub fn clamp(&self, u: &Tensor) -> Result<Tensor> {
        u.broadcast_maximum(&self.low)?.broadcast_minimum(&self.high)
    }
}
