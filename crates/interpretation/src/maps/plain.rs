//! Maps that know nothing of the network: what a map must beat.

use candle_core::{Result, Tensor};
use rand::{Rng, RngExt as _};
use sconce_ops::elementary::hypot;

use crate::Model;

/// The size of the brightness's slope, by Sobel's operator, of each input; `(batch, height, width)`. The border repeats its
/// pixels.
///
/// The baseline of Adebayo et al., "Sanity checks for saliency maps", 2018: an edge detector looks like an explanation.
///
/// # Errors
/// None for inputs `(batch, channels, height, width)`.
pub fn edges(model: &Model, inputs: &Tensor) -> Result<Tensor> {
    let (batch, _, height, width) = inputs.dims4()?;
    let grey = model.to_pixels(inputs)?.mean(1)?.flatten_all()?.to_vec1::<f32>()?;
    let mut slopes = Vec::with_capacity(grey.len());
    for plane in grey.chunks_exact((height * width).max(1)) {
        let at = |y: isize, x: isize| {
            let (y, x) = (y.clamp(0, height as isize - 1), x.clamp(0, width as isize - 1));
            plane[y as usize * width + x as usize]
        };
        for y in 0..height as isize {
            for x in 0..width as isize {
                let right = at(y - 1, x + 1) + 2.0 * at(y, x + 1) + at(y + 1, x + 1);
                let left = at(y - 1, x - 1) + 2.0 * at(y, x - 1) + at(y + 1, x - 1);
                let below = at(y + 1, x - 1) + 2.0 * at(y + 1, x) + at(y + 1, x + 1);
                let above = at(y - 1, x - 1) + 2.0 * at(y - 1, x) + at(y - 1, x + 1);
                slopes.push(hypot(f64::from(right - left), f64::from(below - above)) as f32);
            }
        }
    }
    Tensor::from_vec(slopes, (batch, height, width), inputs.device())
}

/// Uniform numbers of 0 to 1, one for each pixel of `x` `(1, channels, height, width)`.
///
/// # Errors
/// When `x` has another rank.
pub fn random(x: &Tensor, rng: &mut impl Rng) -> Result<Vec<f32>> {
    let (_, _, height, width) = x.dims4()?;
    Ok((0..height * width).map(|_| rng.random::<f32>()).collect())
}
