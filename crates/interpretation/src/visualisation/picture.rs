//! From tensors of pixels to pictures of 8-bit samples, and back.

use candle_core::Tensor;
use sconce_core::{Error, Result};
use sconce_data::{Channels, Image};

use crate::Model;

/// Picture `row` of pixels `(batch, channels, height, width)`, samples 0–255, rounded.
///
/// # Errors
/// When there is no such row.
pub fn image(model: &Model, pixels: &Tensor, row: usize) -> Result<Image> {
    model.image(&model.to_inputs(pixels).map_err(Error::other)?, row)
}

/// Pixels `(1, channels, height, width)`, samples 0–255, of a picture as it is.
///
/// # Errors
/// When the device has no room.
pub fn pixels(model: &Model, image: &Image) -> Result<Tensor> {
    let channels = model.preprocessing().channels;
    let image = image.clone().into_color(channels.color());
    let (count, place) = (channels.count(), image.width() * image.height());
    let mut planes = vec![0f32; count * place];
    for (pixel, samples) in image.samples().chunks_exact(count).enumerate() {
        for (channel, &sample) in samples.iter().enumerate() {
            let channel = if channels == Channels::Bgr { 2 - channel } else { channel };
            planes[channel * place + pixel] = f32::from(sample);
        }
    }
    Tensor::from_vec(planes, (1, count, image.height(), image.width()), model.device())
        .map_err(Error::other)
}
